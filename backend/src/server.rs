//! Accepts connections and serves them under limits that a slow or hostile client cannot
//! outlast, and ends them in order when the process is told to stop.

use std::{
    io::ErrorKind,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, RETRY_AFTER},
    },
    response::Response,
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    head::{HeadWatch, WatchedStream},
    http::{self, App, error},
    log,
    slots::{Admission, Slot, Slots},
};

/// Far more than the platform's edge opens towards one instance.
const MAX_CONNECTIONS: usize = 256;
/// Extra connections that may only ask for health and liveness.
const RESERVED_CONNECTIONS: usize = 32;
/// By when a request's head must have arrived completely, counted from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may stay idle between requests: longer than common edges keep theirs,
/// so that they end it and not we, just as they send the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
const MAX_HEADERS: usize = 64;
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long answers in flight may take after the signal to stop; the platform kills after 30 s.
const DRAIN_CAP: Duration = Duration::from_secs(25);
/// What to wait before accepting again after the system ran out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` completes, then lets the requests in flight finish, for 25 s at most or
/// until `hurry` completes.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    stop: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) {
    let router = http::router(Arc::clone(&app));
    let slots = Slots::new(MAX_CONNECTIONS, RESERVED_CONNECTIONS);
    let (drain, draining) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match slots.admit() {
                    Some(slot) => {
                        connections.spawn(converse(stream, slot, router.clone(), draining.clone()));
                    }
                    None => turn_away(&stream),
                },
                Err(error) => recover(&error).await,
            },
        }
    }
    // Closed before anything else: the platform and the clients see at once that this is over.
    drop(listener);
    app.draining.store(true, Ordering::Relaxed);
    drain.send_replace(true);
    log::info(format_args!(
        "stopping: {} connections open",
        connections.len()
    ));
    let finished = async { while connections.join_next().await.is_some() {} };
    let ended_early = tokio::select! {
        result = timeout(DRAIN_CAP, finished) => result.is_err(),
        () = hurry => true,
    };
    if ended_early {
        log::warn(format_args!(
            "stopping: {} connections cut off",
            connections.len()
        ));
    }
}

/// Serves one connection until it ends, is evicted or is drained.
async fn converse(
    stream: TcpStream,
    slot: Slot,
    router: Router,
    mut draining: watch::Receiver<bool>,
) {
    // Without it small answers wait for the client's acknowledgement; failure only costs time.
    stream.set_nodelay(true).ok();
    let slot = Arc::new(slot);
    let head = HeadWatch::new(HEAD_TIMEOUT);
    let inner = TowerToHyperService::new(router);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let turn = Turn::begin(&slot, &head);
        let admitted = slot.admission() == Admission::Full || http::is_probe(request.uri().path());
        let answer = admitted.then(|| inner.call(request));
        async move {
            let response = match answer {
                Some(answer) => answer.await,
                None => Ok(busy()),
            };
            drop(turn);
            response
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .keep_alive(slot.admission() == Admission::Full);
    let mut connection = pin!(builder.serve_connection(
        TokioIo::new(WatchedStream::new(stream, Arc::clone(&head))),
        service
    ));
    // How a connection ended is the client's business: it hung up, was too slow or sent no HTTP.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = slot.evicted() => return,
        () = head.overdue() => return,
        _ = draining.wait_for(|draining| *draining) => {}
    }
    connection.as_mut().graceful_shutdown();
    // The rest of a head that was on its way is waited for no longer than before.
    tokio::select! {
        _ = connection => {}
        () = head.overdue() => {}
    }
}

/// One request being answered, during which its connection is not evicted. Ends when dropped,
/// also when the client hangs up before the answer is there.
struct Turn {
    slot: Arc<Slot>,
    head: Arc<HeadWatch>,
}

impl Turn {
    fn begin(slot: &Arc<Slot>, head: &Arc<HeadWatch>) -> Self {
        slot.busy();
        head.answering();
        Self {
            slot: Arc::clone(slot),
            head: Arc::clone(head),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.slot.idle();
        self.head.idle();
    }
}

fn busy() -> Response<Body> {
    let mut response = error::plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "too many connections; try again",
    );
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    http::forbid_storing_and_sniffing(headers);
    response
}

/// Answers a connection that not even the reserve has room for, without waiting for anything.
fn turn_away(stream: &TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    stream.try_write(answer).ok();
}

async fn recover(error: &std::io::Error) {
    // The client was gone before it was accepted.
    if matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    ) {
        return;
    }
    log::warn(format_args!("accept a connection: {error}; trying again"));
    sleep(ACCEPT_PAUSE).await;
}
