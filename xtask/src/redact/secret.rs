//! A credential in memory. It has no `Display` and no `Serialize`, and its `Debug` shows a placeholder, so that
//! a value reaches text only where somebody wrote `expose()` and can be asked why.

use std::fmt;

/// A credential. Compare and print it nowhere; hand `expose()` to the one call that needs it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value that was just read. Register it with the [`Redactor`](super::Redactor) as well.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([REDACTED])")
    }
}
