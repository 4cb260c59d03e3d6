//! Judges what came back from a provider: fit for use, or which error, and whether asking again could help.

use super::body::{self, excerpt};
use super::error::{ApiError, Exchange};
use super::retry::Again;
use super::url;
use super::wait;
use crate::redact::Secret;
use crate::world::{Response, SendError, SendErrorKind};
use http::Method;
use serde::de::DeserializeOwned;

/// One call, as its errors name it.
pub(super) struct Call<'a> {
    /// `Netlify`, `Render`, …
    pub(super) provider: &'static str,
    /// How.
    pub(super) method: Method,
    /// The whole address.
    pub(super) address: String,
    /// The address below the API's base.
    pub(super) path: String,
    /// Cut out of everything that is shown, should a server echo it.
    pub(super) token: Option<&'a Secret>,
}

/// Why an attempt was not enough, and what may be done about it.
pub(super) struct Failure {
    pub(super) error: ApiError,
    pub(super) again: Again,
}

impl Failure {
    fn new(error: ApiError, again: Again) -> Self {
        Self { error, again }
    }
}

impl Call<'_> {
    /// What was tried, with what came back and what to do.
    pub(super) fn exchange(
        &self,
        answer: &str,
        response: Option<&Response>,
        hint: &str,
    ) -> Box<Exchange> {
        // The query goes: it says nothing that a person needs.
        let path = self.path.split('?').next().unwrap_or_default();
        Box::new(Exchange {
            call: format!("{}: {} {path}", self.provider, self.method),
            answer: answer.to_owned(),
            request_id: response.and_then(request_id),
            hint: hint.to_owned(),
            attempts: 1,
        })
    }

    fn hide(&self, text: &str) -> String {
        match self
            .token
            .map(Secret::expose)
            .filter(|token| !token.is_empty())
        {
            Some(token) => text.replace(token, "[REDACTED]"),
            None => text.to_owned(),
        }
    }

    fn doubt_hint(&self) -> &'static str {
        if self.method == Method::GET {
            "the provider may have an outage; its status page tells"
        } else {
            "it may have been processed: what the provider has is read before anything is sent again"
        }
    }
}

/// Judges a request to which no whole answer came.
pub(super) fn unanswered(call: &Call<'_>, error: &SendError) -> Failure {
    let text = call.hide(&error.text);
    let host = url::authority(&call.address);
    match error.kind {
        SendErrorKind::NotSent => Failure::new(
            ApiError::NotSent(call.exchange(
                &format!("was not sent: {text}"),
                None,
                &format!("{host} could not be reached: check the network"),
            )),
            Again::NotProcessed,
        ),
        SendErrorKind::NoSuchHost => Failure::new(
            ApiError::NotSent(call.exchange(
                &format!("was not sent: the name {host} does not resolve: {text}"),
                None,
                "is the address spelled right, and does this machine's name resolution work?",
            )),
            Again::Unresolved,
        ),
        SendErrorKind::Untrusted => Failure::new(
            ApiError::Untrusted(call.exchange(
                &format!("was not sent: {host} could not prove who it is: {text}"),
                None,
                "check this machine's clock and its certificate authorities, and whether a proxy stands before it",
            )),
            Again::Never,
        ),
        SendErrorKind::Unknown => Failure::new(
            ApiError::InDoubt(call.exchange(
                &format!("got no answer: {text}"),
                None,
                call.doubt_hint(),
            )),
            Again::Repeatable,
        ),
        SendErrorKind::TooLarge => Failure::new(
            ApiError::InDoubt(call.exchange(
                &format!("got an answer that is too long: {text}"),
                None,
                &format!("is {host} the API?"),
            )),
            Again::Never,
        ),
        SendErrorKind::Cancelled => Failure::new(
            ApiError::Cancelled {
                sent: true,
                exchange: call.exchange("was cut short: the run was cancelled", None, ""),
            },
            Again::Never,
        ),
    }
}

/// Judges the status of an answer.
pub(super) fn check(call: &Call<'_>, response: &Response) -> Result<(), Failure> {
    let status = response.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(());
    }
    let text = call.hide(&String::from_utf8_lossy(response.body()));
    let message = serde_json::from_str(&text)
        .ok()
        .and_then(|value| body::message(&value));
    let message = message
        .or_else(|| body::title(&text))
        .unwrap_or_else(|| excerpt(&text));
    if (300..400).contains(&status) {
        return Err(redirected(call, response));
    }
    Err(refused(call, response, status, message))
}

/// Judges an answer with a good status, and reads what it carries.
pub(super) fn decode<T: DeserializeOwned>(
    call: &Call<'_>,
    response: &Response,
) -> Result<T, Failure> {
    check(call, response)?;
    let value = body::json(response).map_err(|text| unreadable(call, response, &text))?;
    if let Some((code, message)) = body::disguised_error(&value) {
        let status = code.unwrap_or_else(|| response.status().as_u16());
        return Err(refused(call, response, status, call.hide(&message)));
    }
    serde_json::from_value(value).map_err(|error| {
        unreadable(
            call,
            response,
            &format!("the answer is not the API's: {error}"),
        )
    })
}

/// An answer with a good status that says nothing of use.
pub(super) fn unreadable(call: &Call<'_>, response: &Response, text: &str) -> Failure {
    let answer = format!(
        "answered {}, but {}",
        response.status().as_u16(),
        call.hide(text)
    );
    let hint = if call.method == Method::GET {
        format!(
            "is {} the API, or does a proxy answer for it?",
            url::authority(&call.address)
        )
    } else {
        call.doubt_hint().to_owned()
    };
    Failure::new(
        ApiError::InDoubt(call.exchange(&answer, Some(response), &hint)),
        Again::Unreadable,
    )
}

fn redirected(call: &Call<'_>, response: &Response) -> Failure {
    let status = response.status().as_u16();
    let location = response
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| url::resolve(&call.address, location));
    let host = target
        .as_deref()
        .map_or_else(|| "an unnamed address".to_owned(), url::authority);
    let message = format!("redirect to {host} refused");
    let hint = "an API does not redirect: check the configured API address";
    let exchange = call.exchange(
        &format!("answered {status}: {message}"),
        Some(response),
        hint,
    );
    // "See other" is what a server says after it has done the work.
    let error = if status == 303 && call.method != Method::GET {
        ApiError::InDoubt(exchange)
    } else {
        ApiError::Rejected {
            status,
            message,
            exchange,
        }
    };
    Failure::new(error, Again::Never)
}

fn refused(call: &Call<'_>, response: &Response, status: u16, message: String) -> Failure {
    let hint = hint(call, status);
    let answer = format!(
        "answered {status}: {}",
        if message.is_empty() {
            "an empty body"
        } else {
            &message
        }
    );
    let exchange = call.exchange(&answer, Some(response), &hint);
    match status {
        401 => Failure::new(ApiError::Unauthorised(exchange), Again::Never),
        403 => Failure::new(ApiError::Forbidden(exchange), Again::Never),
        404 => Failure::new(ApiError::NotFound(exchange), Again::Never),
        429 => {
            let asked = wait::asked(response);
            let wait_ms = asked.map_or(0, |asked| asked.wait_ms);
            Failure::new(
                ApiError::RateLimited { wait_ms, exchange },
                Again::Limited(asked),
            )
        }
        501 | 505 => Failure::new(
            ApiError::Rejected {
                status,
                message,
                exchange,
            },
            Again::Never,
        ),
        408 | 500.. => {
            let again = wait::asked(response).map_or(Again::Repeatable, Again::Unavailable);
            Failure::new(ApiError::InDoubt(exchange), again)
        }
        // An error in a body that came with a good status and no code of its own says no like a 4xx.
        200.. => Failure::new(
            ApiError::Rejected {
                status,
                message,
                exchange,
            },
            Again::Never,
        ),
        _ => Failure::new(ApiError::InDoubt(exchange), Again::Repeatable),
    }
}

fn hint(call: &Call<'_>, status: u16) -> String {
    let (token, id) = match call.provider {
        "Netlify" => ("NETLIFY_AUTH_TOKEN", "NETLIFY_SITE_ID"),
        "Render" => ("RENDER_API_KEY", "RENDER_SERVICE_ID"),
        "GitHub" => ("GITHUB_TOKEN", "the repository"),
        _ => ("TANDEM_ADMIN_TOKEN", "the service's address"),
    };
    match status {
        401 => format!(
            "{} does not accept {token}: it is missing, expired or revoked",
            call.provider
        ),
        402 => format!(
            "a limit of the plan, or a bill: see {}'s dashboard",
            call.provider
        ),
        403 => format!("{token} is valid but lacks the permission for this"),
        404 => format!(
            "it is not there, or no longer: check {id} and the ids in deploy.toml; {token} may also not be allowed to see it"
        ),
        409 => "another deploy is under way".to_owned(),
        410 | 426 => format!(
            "{} retired this endpoint: a newer version of this tool is needed",
            call.provider
        ),
        429 => "the rate limit of this key is used up".to_owned(),
        408 | 500.. => call.doubt_hint().to_owned(),
        _ => String::new(),
    }
}

fn request_id(response: &Response) -> Option<String> {
    ["render-request-id", "x-nf-request-id", "x-request-id"]
        .iter()
        .find_map(|name| response.headers().get(*name)?.to_str().ok())
        .map(excerpt)
}
