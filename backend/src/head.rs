//! Tells a connection that is idle between requests from one that is slow to send one.
//!
//! The HTTP library has a single limit for both. Idle connections should stay open longer than
//! the platform's edge keeps them, or it sends a request into one that is just being closed and
//! answers 502; a request's head must arrive within seconds.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing of the next request has arrived.
    Idle,
    /// Some of it has; the rest must follow by then.
    Reading { deadline: Instant },
    /// A request is being answered; what arrives is its body.
    Answering,
}

/// Follows one connection's requests. The first one is due as soon as the connection is open.
pub(crate) struct HeadWatch {
    timeout: Duration,
    state: watch::Sender<State>,
}

impl HeadWatch {
    /// Allows each head this long from its first byte.
    pub(crate) fn new(timeout: Duration) -> Arc<Self> {
        let deadline = Instant::now() + timeout;
        Arc::new(Self {
            timeout,
            state: watch::Sender::new(State::Reading { deadline }),
        })
    }

    /// Notes that a head is complete.
    pub(crate) fn answering(&self) {
        self.state.send_replace(State::Answering);
    }

    /// Notes that the answer is ready.
    pub(crate) fn idle(&self) {
        self.state.send_replace(State::Idle);
    }

    fn bytes_arrived(&self) {
        self.state.send_if_modified(|state| {
            let begins = *state == State::Idle;
            if begins {
                *state = State::Reading {
                    deadline: Instant::now() + self.timeout,
                };
            }
            begins
        });
    }

    /// Completes when a head has not arrived in time.
    pub(crate) async fn overdue(&self) {
        let mut states = self.state.subscribe();
        loop {
            let state = *states.borrow_and_update();
            let changed = states.changed();
            match state {
                State::Reading { deadline } => tokio::select! {
                    () = sleep_until(deadline) => return,
                    _ = changed => {}
                },
                // The sender is `self`, so this cannot fail.
                State::Idle | State::Answering => drop(changed.await),
            }
        }
    }
}

/// A connection that reports to its [`HeadWatch`] when bytes arrive.
pub(crate) struct WatchedStream {
    stream: TcpStream,
    watch: Arc<HeadWatch>,
}

impl WatchedStream {
    pub(crate) fn new(stream: TcpStream, watch: Arc<HeadWatch>) -> Self {
        Self { stream, watch }
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.watch.bytes_arrived();
        }
        poll
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const NOW: Duration = Duration::ZERO;
    const NEVER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn the_first_head_is_due_from_the_start() {
        HeadWatch::new(NOW).overdue().await;
    }

    #[tokio::test]
    async fn an_idle_connection_is_not_late_until_bytes_arrive() {
        let watch = HeadWatch::new(NOW);
        watch.answering();
        watch.bytes_arrived();
        assert_eq!(*watch.state.borrow(), State::Answering);
        watch.idle();
        assert!(timeout(NOW, watch.overdue()).await.is_err());
        watch.bytes_arrived();
        watch.overdue().await;
    }

    #[tokio::test]
    async fn more_bytes_do_not_postpone_the_deadline() {
        let watch = HeadWatch::new(NEVER);
        let deadline = *watch.state.borrow();
        watch.bytes_arrived();
        assert_eq!(*watch.state.borrow(), deadline);
    }
}
