//! Looks from outside at a half that has just become public, by programs that are not this one.

use serde::Deserialize;

/// One smoke test.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smoke {
    /// Required. What it is called in output; no two of a lane share a name.
    pub name: String,
    /// This or `run` is required. A path below the lane's public address, asked for by `curl` until the answer is good.
    pub path: Option<String>,
    /// Text that the answer to `path` must contain. Default: the released commit.
    pub contains: Option<String>,
    /// A command, run by `sh -c` in the repository's root. It sees `SITE_URL`, `SERVICE_URL`, `TANDEM_COMMIT`, `TANDEM_RELEASE` and
    /// no credential. A release of a bundle runs no configured command and leaves it out, with a warning.
    pub run: Option<String>,
    /// Seconds until it must have succeeded. Default: 60.
    pub timeout_s: u64,
}

impl Default for Smoke {
    fn default() -> Self {
        Self {
            name: String::new(),
            path: None,
            contains: None,
            run: None,
            timeout_s: 60,
        }
    }
}
