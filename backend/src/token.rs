//! The administration credential. Only its SHA-256 is kept, and comparing hashes in constant
//! time tells a caller nothing about how much of a guess was right.

use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Shorter tokens could be guessed; 32 bytes is what `openssl rand -hex 32` exceeds.
const MIN_TOKEN_BYTES: usize = 32;

/// The hash of the token that administration calls must carry. Deliberately without `Debug`.
pub(crate) struct AdminToken([u8; 32]);

impl AdminToken {
    /// Hashes the configured token. Surrounding white space is dropped: secret stores like to
    /// add a final newline, which no header could carry.
    ///
    /// # Errors
    /// The token is shorter than 32 bytes. The message never contains it.
    pub(crate) fn new(token: &str) -> Result<Self> {
        let token = token.trim();
        if token.len() < MIN_TOKEN_BYTES {
            bail!(
                "TANDEM_ADMIN_TOKEN has {} bytes and needs at least {MIN_TOKEN_BYTES}; make one with \
                 `openssl rand -hex 32`, or unset it to run without administration routes",
                token.len()
            );
        }
        Ok(Self(Sha256::digest(token).into()))
    }

    /// Whether an `Authorization` header's value carries this token as a bearer token.
    pub(crate) fn authorizes(&self, header: Option<&[u8]>) -> bool {
        let Some((scheme, token)) = header.and_then(split_scheme) else {
            return false;
        };
        let presented: [u8; 32] = Sha256::digest(token).into();
        scheme.eq_ignore_ascii_case(b"bearer") && bool::from(self.0.ct_eq(&presented))
    }
}

fn split_scheme(header: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = header.iter().position(|byte| *byte == b' ')?;
    Some((&header[..space], header[space..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_token_as_a_bearer_token_is_accepted() {
        let text = "t".repeat(32);
        let token = AdminToken::new(&format!(" {text}\n")).unwrap();
        let check = |header: &str| token.authorizes(Some(header.as_bytes()));
        assert!(check(&format!("Bearer {text}")));
        assert!(check(&format!("bearer  {text}")));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer x",
            &text,
            &format!("Basic {text}"),
            &format!("Bearer {text}t"),
        ] {
            assert!(!check(wrong), "{wrong:?}");
        }
        assert!(!token.authorizes(None));
    }

    #[test]
    fn a_short_token_is_refused_without_being_shown() {
        let error = AdminToken::new("short-and-secret")
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("16 bytes") && !error.contains("secret"),
            "{error}"
        );
        assert!(AdminToken::new("").is_err());
    }
}
