//! The way to every provider's API: one place that authenticates, retries, waits and judges answers.
//!
//! It never follows a redirect, so that a key never reaches another host, and never sends twice what may not be done twice.

mod answer;
mod body;
mod error;
mod retry;
pub(crate) mod url;
mod wait;
pub(crate) mod wire;

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;

pub(crate) use body::excerpt;
pub use error::{ApiError, Exchange};
pub use retry::RETRY_BUDGET;
pub(crate) use wait::{date_ms, rfc3339, rfc3339_ms, words};

use crate::event::EventKind;
use crate::redact::Secret;
use crate::world::{Limits, Request, Response, SendError, World};
use answer::{Call, Failure};
use http::{HeaderMap, HeaderValue, Method};
use retry::Again;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// The longest single wait when a caller sets no deadline: the time that one lane has.
const WAIT_MAX_MS: u64 = 15 * 60 * 1000;
/// Less time than this is no time for a call.
const CALL_MIN_MS: u64 = 100;

/// One provider's API.
#[derive(Clone)]
pub struct Api<'a> {
    world: &'a dyn World,
    provider: &'static str,
    base: String,
    token: Option<&'a Secret>,
    deadline_ms: Option<u64>,
    budget: Option<&'a AtomicU32>,
}

/// An answer and the headers that it came with.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The body.
    pub value: T,
    /// The headers.
    pub headers: HeaderMap,
}

impl<T> Page<T> {
    /// The server's clock when it answered, milliseconds since the Unix epoch; none when it did not say.
    pub fn date_ms(&self) -> Option<i64> {
        date_ms(&self.headers)
    }

    /// Whether another page follows; none when the server does not tell.
    pub fn has_next(&self) -> Option<bool> {
        let links = self.headers.get("link")?.to_str().ok()?;
        Some(
            links
                .split(',')
                .any(|link| link.contains("rel=\"next\"") || link.contains("rel=next")),
        )
    }
}

impl<'a> Api<'a> {
    /// An API at `base`; calls name paths below it. `provider` is its name for people: `Netlify`, `Render`, …
    pub fn new(
        world: &'a dyn World,
        provider: &'static str,
        base: &str,
        token: Option<&'a Secret>,
    ) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self {
            world,
            provider,
            base,
            token,
            deadline_ms: None,
            budget: None,
        }
    }

    /// The same API, on which no call and no wait lasts beyond `deadline_ms` of the world's monotonic clock.
    #[must_use]
    pub fn until(&self, deadline_ms: u64) -> Self {
        Self {
            deadline_ms: Some(deadline_ms),
            ..self.clone()
        }
    }

    /// The same API, whose retries are paid from `budget`, which all lanes of a run share; see [`RETRY_BUDGET`].
    #[must_use]
    pub fn paying_from(&self, budget: &'a AtomicU32) -> Self {
        Self {
            budget: Some(budget),
            ..self.clone()
        }
    }

    /// The same API with another key.
    #[must_use]
    pub fn authorised<'b>(&self, token: &'b Secret) -> Api<'b>
    where
        'a: 'b,
    {
        Api {
            token: Some(token),
            ..self.clone()
        }
    }

    /// The world that it calls through.
    pub fn world(&self) -> &'a dyn World {
        self.world
    }

    /// The address that paths are appended to, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Reads, and reads again when that can help.
    ///
    /// # Errors
    /// When no answer of the expected form came within attempts and deadline.
    pub fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        Ok(self.get_page(path)?.value)
    }

    /// As [`Api::get_json`], with the answer's headers.
    ///
    /// # Errors
    /// As for [`Api::get_json`].
    pub fn get_page<T: DeserializeOwned>(&self, path: &str) -> Result<Page<T>, ApiError> {
        let call = self.call(Method::GET, path);
        let request = self.request(&call, None)?;
        self.exchange(&call, &request, Limits::API, true, |response| {
            let value = answer::decode(&call, &response)?;
            Ok(Page {
                value,
                headers: response.into_parts().0.headers,
            })
        })
    }

    /// Puts what may be put twice, and does so again when that can help. The answer's body is not read.
    ///
    /// # Errors
    /// When the provider refused, or no good answer came within attempts and deadline.
    pub fn put_idempotent(
        &self,
        path: &str,
        body: Vec<u8>,
        content_type: &'static str,
        limits: Limits,
    ) -> Result<Response, ApiError> {
        let call = self.call(Method::PUT, path);
        let request = self.request(&call, Some((body, content_type)))?;
        self.exchange(&call, &request, limits, true, |response| {
            answer::check(&call, &response)?;
            Ok(response)
        })
    }

    /// As [`Api::put_idempotent`] for JSON both ways.
    ///
    /// # Errors
    /// As for [`Api::put_idempotent`], and when the answer has not the expected form.
    pub fn put_json<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ApiError> {
        let call = self.call(Method::PUT, path);
        let request = self.request(
            &call,
            Some((body.to_string().into_bytes(), "application/json")),
        )?;
        self.exchange(&call, &request, Limits::API, true, |response| {
            answer::decode(&call, &response)
        })
    }

    /// Sends what may not be done twice. It is sent again only when it certainly was not processed: nothing reached the
    /// provider, or it answered 429. After a 503 that names a wait, that wait is kept before the doubt is handed back.
    ///
    /// # Errors
    /// [`ApiError::is_definite_no`] tells a refusal from a doubt; a doubt is for the caller to settle by asking.
    pub fn send_once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, ApiError> {
        let call = self.call(method, path);
        let body = body.map(|body| (body.to_string().into_bytes(), "application/json"));
        let request = self.request(&call, body)?;
        self.exchange(&call, &request, Limits::API, false, |response| {
            answer::check(&call, &response)?;
            Ok(response)
        })
    }

    /// As [`Api::send_once`] without a body, for an endpoint that says no in the same JSON form in which it says yes: an answer in
    /// that form counts whatever its status.
    ///
    /// # Errors
    /// As for [`Api::send_once`]; [`ApiError::InDoubt`] for a good status without that form.
    pub fn post_for_report<T: DeserializeOwned>(
        &self,
        path: &str,
        limits: Limits,
    ) -> Result<T, ApiError> {
        let call = self.call(Method::POST, path);
        let request = self.request(&call, None)?;
        self.exchange(&call, &request, limits, false, |response| {
            serde_json::from_slice(response.body()).or_else(|_| answer::decode(&call, &response))
        })
    }

    /// Reads an address as it is: any status below 500 but 429 is an answer. No redirect is followed.
    ///
    /// # Errors
    /// When no answer came within attempts and deadline.
    pub fn get_raw(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        limits: Limits,
    ) -> Result<Response, ApiError> {
        let call = self.call(Method::GET, path);
        let request = self.get_request(&call, headers)?;
        self.exchange(&call, &request, limits, true, |response| {
            plain(&call, response)
        })
    }

    fn get_request(
        &self,
        call: &Call<'_>,
        headers: &[(&'static str, &str)],
    ) -> Result<Request, ApiError> {
        let mut request = self.request(call, None)?;
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, self.header(call, value)?);
        }
        Ok(request)
    }

    /// As [`Api::get_raw`], for a body of any length: `pieces` is called once for each attempt and gives what takes its pieces.
    /// What the answer holds of it is its beginning.
    ///
    /// # Errors
    /// As for [`Api::get_raw`].
    pub fn get_pieces<P: FnMut(&[u8])>(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        limits: Limits,
        pieces: impl Fn() -> P,
    ) -> Result<Response, ApiError> {
        let call = self.call(Method::GET, path);
        let request = self.get_request(&call, headers)?;
        let receive = |limits| self.world.receive(&request, limits, &mut pieces());
        self.exchange_by(&call, &receive, limits, true, |response| {
            plain(&call, response)
        })
    }

    /// Reads the body of an answer to [`Api::send_once`].
    ///
    /// # Errors
    /// [`ApiError::InDoubt`] when it has not the expected form: the call was processed, but what it made is not known.
    pub fn decode<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        response: &Response,
    ) -> Result<T, ApiError> {
        answer::decode(&self.call(method, path), response).map_err(|failure| failure.error)
    }

    /// An error for an answer that parsed but says too little.
    pub(crate) fn incomplete(&self, method: Method, path: &str, text: &str) -> ApiError {
        let call = self.call(method, path);
        let hint = format!("is {} the API?", url::authority(&call.address));
        ApiError::InDoubt(call.exchange(&format!("answered, but {text}"), None, &hint))
    }

    /// An error for an answer that shows that there is no such thing, whatever its status says.
    pub(crate) fn absent(&self, method: Method, path: &str, text: &str) -> ApiError {
        let call = self.call(method, path);
        let hint = format!("is {} the right address?", call.address);
        ApiError::NotFound(call.exchange(&format!("answered, but {text}"), None, &hint))
    }

    fn call(&self, method: Method, path: &str) -> Call<'a> {
        let address = format!("{}{path}", self.base);
        Call {
            provider: self.provider,
            method,
            address,
            path: path.to_owned(),
            token: self.token,
        }
    }

    fn request(
        &self,
        call: &Call<'_>,
        body: Option<(Vec<u8>, &'static str)>,
    ) -> Result<Request, ApiError> {
        let mut builder = http::Request::builder()
            .method(call.method.clone())
            .uri(&call.address)
            .header("accept", "application/json")
            .header("user-agent", concat!("tandem/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = self.token {
            let mut value = self.header(call, &format!("Bearer {}", token.expose()))?;
            value.set_sensitive(true);
            builder = builder.header("authorization", value);
        }
        let body = match body {
            Some((body, content_type)) => {
                builder = builder.header("content-type", content_type);
                body
            }
            None => Vec::new(),
        };
        builder
            .body(body)
            .map_err(|error| self.unsendable(call, &error.to_string()))
    }

    fn header(&self, call: &Call<'_>, value: &str) -> Result<HeaderValue, ApiError> {
        HeaderValue::from_str(value).map_err(|_| {
            self.unsendable(
                call,
                "a key or host name holds characters that no header can carry",
            )
        })
    }

    fn unsendable(&self, call: &Call<'_>, text: &str) -> ApiError {
        let hint = format!(
            "check the address {} and the key for quotes and line ends",
            self.base
        );
        ApiError::NotSent(call.exchange(&format!("was not sent: {text}"), None, &hint))
    }

    /// Sends until `judge` is content, the attempts are used up, or time is.
    fn exchange<T>(
        &self,
        call: &Call<'_>,
        request: &Request,
        limits: Limits,
        repeatable: bool,
        judge: impl Fn(Response) -> Result<T, Failure>,
    ) -> Result<T, ApiError> {
        let send = |limits| self.world.send(request, limits);
        self.exchange_by(call, &send, limits, repeatable, judge)
    }

    /// The same by another way to send.
    fn exchange_by<T>(
        &self,
        call: &Call<'_>,
        send: &dyn Fn(Limits) -> Result<Response, SendError>,
        limits: Limits,
        repeatable: bool,
        judge: impl Fn(Response) -> Result<T, Failure>,
    ) -> Result<T, ApiError> {
        let mut last = None;
        let mut attempt = 1;
        loop {
            let Some(limits) = self.shortened(limits) else {
                return Err(last.unwrap_or_else(|| {
                    ApiError::Deadline(call.exchange(
                        "was not sent: no time is left",
                        None,
                        "give the run more time",
                    ))
                }));
            };
            let judged = match send(limits) {
                Ok(response) => judge(response),
                Err(error) => Err(answer::unanswered(call, &error)),
            };
            let Failure { error, again } = match judged {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let error = error.after(attempt);
            if let (Again::Unavailable(asked), false) = (again, repeatable) {
                // Whoever settles the doubt, and then perhaps sends again, shall not come too early either.
                return Err(self
                    .pause(error, again, asked.wait_ms)
                    .unwrap_or_else(|error| error));
            }
            let Some(wait_ms) = again.wait_ms(repeatable, attempt, self.world.random()) else {
                return Err(error);
            };
            if again.is_paid() && !retry::take(self.budget) {
                return Err(error.adding("the run's retries are used up"));
            }
            last = Some(self.pause(error, again, wait_ms)?);
            attempt += 1;
        }
    }

    /// The limits of a call that must end by the deadline; none when that has come.
    fn shortened(&self, limits: Limits) -> Option<Limits> {
        let Some(deadline_ms) = self.deadline_ms else {
            return Some(limits);
        };
        let left_ms = deadline_ms.saturating_sub(self.world.now().mono_ms);
        let timeout = limits.timeout.min(Duration::from_millis(left_ms));
        (left_ms >= CALL_MIN_MS).then_some(Limits { timeout, ..limits })
    }

    /// Waits before the next attempt and gives the error back; fails with it when the wait would be too long or was cut short.
    fn pause(&self, error: ApiError, again: Again, wait_ms: u64) -> Result<ApiError, ApiError> {
        let now_ms = self.world.now().mono_ms;
        let left_ms = self.deadline_ms.map_or(WAIT_MAX_MS, |deadline_ms| {
            deadline_ms.saturating_sub(now_ms)
        });
        if wait_ms.saturating_add(CALL_MIN_MS) > left_ms {
            let text = format!(
                "the next attempt is {} away, the time left is {}",
                words(wait_ms),
                words(left_ms)
            );
            return Err(error.adding(&text));
        }
        let exchange = error.exchange();
        let asked = again
            .header()
            .map(|header| format!(" (the wait is from {header})"));
        let because = format!("{}{}", exchange.answer, asked.unwrap_or_default());
        let retry = EventKind::Retry {
            what: exchange.call.clone(),
            because,
            wait_ms,
        };
        self.world.emit(retry);
        match self.world.sleep(Duration::from_millis(wait_ms)) {
            Ok(()) => Ok(error),
            Err(_cancelled) => Err(error.cancelled()),
        }
    }
}

/// Any status below 500 but 429 is an answer.
fn plain(call: &Call<'_>, response: Response) -> Result<Response, Failure> {
    match response.status().as_u16() {
        429 | 500.. => answer::check(call, &response).map(|()| response),
        _ => Ok(response),
    }
}
