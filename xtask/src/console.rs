//! The one owner of standard output and standard error: every byte passes the redactor here.

use crate::redact::Redactor;
use std::io::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

/// Writes text for people and machines; cheap to clone.
#[derive(Clone)]
pub struct Console {
    redactor: Arc<RwLock<Redactor>>,
    /// Whether standard error shows colours.
    pub color: bool,
    /// Columns of the terminal, 80 when there is none.
    pub columns: usize,
}

impl Console {
    /// A console that knows no secret yet.
    pub fn new(color: bool, columns: usize) -> Self {
        Self {
            redactor: Arc::new(RwLock::new(Redactor::new())),
            color,
            columns,
        }
    }

    /// From now on `value` leaves as its name only.
    pub fn register(&self, name: &str, value: &str) {
        self.redactor
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .register(name, value);
    }

    /// `text` without any registered secret.
    pub fn redact(&self, text: &str) -> String {
        self.redactor
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .redact(text)
    }

    /// A result: one or more whole lines on standard output. A reader that went away is no failure.
    pub fn out(&self, text: &str) {
        let text = self.redact(text);
        let mut stream = anstream::stdout().lock();
        let _closed = stream.write_all(text.as_bytes()).and_then(|()| {
            if text.ends_with('\n') {
                Ok(())
            } else {
                stream.write_all(b"\n")
            }
        });
        let _closed = stream.flush();
    }

    /// Progress or a problem: one or more whole lines on standard error.
    pub fn err(&self, text: &str) {
        let text = self.redact(text);
        let mut line = text.into_bytes();
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        if self.color {
            let _closed = std::io::stderr().lock().write_all(&line);
        } else {
            let _closed = anstream::StripStream::new(std::io::stderr().lock()).write_all(&line);
        }
    }

    /// The redactor, for writers of their own.
    pub fn redactor(&self) -> Arc<RwLock<Redactor>> {
        Arc::clone(&self.redactor)
    }
}
