//! The errors of provider calls, sorted by what the caller may do next.

use super::wait::words;
use std::fmt;

/// What was tried and what came back, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Provider, method and path: `Render: POST /services/srv-1/deploys`.
    pub call: String,
    /// What came back: `answered 500: …`, `gave no answer: …`.
    pub answer: String,
    /// The provider's own number for the request, for its support.
    pub request_id: Option<String>,
    /// What to do now.
    pub hint: String,
    /// How often it was sent.
    pub attempts: u32,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call, self.answer)?;
        if self.attempts > 1 {
            write!(f, ", after {} attempts", self.attempts)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, " (hint: {})", self.hint)
        }
    }
}

/// Why a call did not do what it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// Nothing reached the provider: name resolution or connect failed.
    NotSent(Box<Exchange>),
    /// Nothing reached the provider: it could not prove who it is. Asking again gives the same answer.
    Untrusted(Box<Exchange>),
    /// It may have been processed: no answer, a server error, or an answer that cannot be read. Ask before sending again.
    InDoubt(Box<Exchange>),
    /// 401: the key is not accepted.
    Unauthorised(Box<Exchange>),
    /// 403: the key may not do this.
    Forbidden(Box<Exchange>),
    /// 404: there is no such thing, or the key may not see it.
    NotFound(Box<Exchange>),
    /// Any other definite no.
    Rejected {
        /// HTTP status, or the code that an error body carried.
        status: u16,
        /// The provider's reason.
        message: String,
        /// The whole story.
        exchange: Box<Exchange>,
    },
    /// 429, and no time left to wait as long as the provider asks.
    RateLimited {
        /// How long it would have been, in milliseconds.
        wait_ms: u64,
        /// The whole story.
        exchange: Box<Exchange>,
    },
    /// The run was cancelled.
    Cancelled {
        /// Whether the request may have been processed before.
        sent: bool,
        /// The whole story.
        exchange: Box<Exchange>,
    },
    /// There was no time left to send it.
    Deadline(Box<Exchange>),
}

impl ApiError {
    /// Whether the provider certainly did not do it, so that nothing needs to be asked. Of a call that was repeated by itself
    /// (`get_*`, `put_*`) it speaks of the last attempt only.
    pub fn is_definite_no(&self) -> bool {
        match self {
            Self::InDoubt(_) => false,
            Self::Cancelled { sent, .. } => !sent,
            Self::NotSent(_)
            | Self::Untrusted(_)
            | Self::Unauthorised(_)
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Rejected { .. }
            | Self::RateLimited { .. }
            | Self::Deadline(_) => true,
        }
    }

    /// Whether the same question may well get an answer later: a poll goes on after it.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::NotSent(_) | Self::InDoubt(_) | Self::RateLimited { .. }
        )
    }

    /// Whether something else of the same kind is in the way: another deploy.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Rejected { status: 409, .. })
    }

    /// The whole story.
    pub fn exchange(&self) -> &Exchange {
        match self {
            Self::NotSent(exchange)
            | Self::Untrusted(exchange)
            | Self::InDoubt(exchange)
            | Self::Unauthorised(exchange)
            | Self::Forbidden(exchange)
            | Self::NotFound(exchange)
            | Self::Deadline(exchange)
            | Self::Rejected { exchange, .. }
            | Self::RateLimited { exchange, .. }
            | Self::Cancelled { exchange, .. } => exchange,
        }
    }

    fn exchange_mut(&mut self) -> &mut Exchange {
        match self {
            Self::NotSent(exchange)
            | Self::Untrusted(exchange)
            | Self::InDoubt(exchange)
            | Self::Unauthorised(exchange)
            | Self::Forbidden(exchange)
            | Self::NotFound(exchange)
            | Self::Deadline(exchange)
            | Self::Rejected { exchange, .. }
            | Self::RateLimited { exchange, .. }
            | Self::Cancelled { exchange, .. } => exchange,
        }
    }

    /// The same error, knowing how often the call was made.
    pub(super) fn after(mut self, attempts: u32) -> Self {
        self.exchange_mut().attempts = attempts;
        self
    }

    /// The same error, with one more thing that a person should know.
    pub(super) fn adding(mut self, text: &str) -> Self {
        let hint = &mut self.exchange_mut().hint;
        *hint = if hint.is_empty() {
            text.to_owned()
        } else {
            format!("{text}; {hint}")
        };
        self
    }

    /// The run was cancelled while the next attempt was waited for.
    pub(super) fn cancelled(self) -> Self {
        let sent = !self.is_definite_no();
        let mut exchange = Box::new(self.exchange().clone());
        exchange.hint = "the run was cancelled before another attempt".to_owned();
        Self::Cancelled { sent, exchange }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exchange().fmt(f)?;
        match self {
            Self::RateLimited {
                wait_ms: wait_ms @ 1..,
                ..
            } => {
                write!(f, "; it would have to wait {}", words(*wait_ms))
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ApiError {}
