//! What a service is judged by: where it tells its health, what proves which release answers, and what an answer is worth.
//!
//! A release is judged by the contract that it was released with, now and at a later rollback: an older program cannot know a path
//! that came later. So the contract is stored with the release.

use crate::ids::Commit;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// An answer with its whole body.
type Response = http::Response<Vec<u8>>;

/// The shortest commit prefix that counts as a commit: what git prints.
const COMMIT_MIN: usize = 7;
/// A whole commit id has so many digits, with SHA-1 and with SHA-256.
const WHOLE: [usize; 2] = [40, 64];

/// What one release of a service is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// The path of its health.
    pub health: String,
    /// The path of its commit and schema.
    pub version: String,
    /// The parent of its administration endpoints.
    pub admin: String,
    /// What proves who answers.
    pub rung: Rung,
}

/// How far it can be proven which release answers. The first is the strongest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The answer names the commit.
    Commit(Told),
    /// The provider says that this deploy of this commit is live, and the process answers, healthy.
    Provider,
    /// It answers, healthy. Which release that is stays unproven.
    Answers,
}

/// Where a service tells its commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The path that is asked.
    pub path: String,
    /// Where in the answer.
    pub place: Place,
}

/// Where in an answer a commit stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In this field of its JSON body; dots lead into objects.
    Field(String),
    /// In this header.
    Header(String),
}

/// How one half answers, held against what is recorded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As recorded, and healthy.
    Well,
    /// Not as recorded, or not healthy: releasing the lane mends it.
    Ill(String),
    /// Something answers, and whether it is ours cannot be told.
    Unclear(String),
}

impl Standing {
    /// What is wrong, when it is not well.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Well => None,
            Self::Ill(why) | Self::Unclear(why) => Some(why),
        }
    }
}

impl Rung {
    /// One word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Commit(_) => "commit",
            Self::Provider => "provider",
            Self::Answers => "answers",
        }
    }

    /// What this rung leaves unproven, for a report; none for the strongest.
    pub fn unproven(&self) -> Option<&'static str> {
        match self {
            Self::Commit(_) => None,
            Self::Provider => Some(
                "the service's answers name no commit; that this one is live is the provider's word",
            ),
            Self::Answers => {
                Some("which commit answers was not proven: deploy.toml says identity = \"answers\"")
            }
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(told) => write!(f, "the commit in {told}"),
            Self::Provider => f.write_str(
                "the provider's word that this deploy of this commit is live, and a healthy answer",
            ),
            Self::Answers => {
                f.write_str("a healthy answer only; which commit it comes from is not proven")
            }
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Field(field) => write!(f, "{} (field '{field}')", self.path),
            Place::Header(header) => write!(f, "{} (header '{header}')", self.path),
        }
    }
}

impl Contract {
    /// The places in which services tell their commit when nobody says where, the likeliest first.
    pub fn usual_places(&self) -> [Told; 3] {
        let told = |path: &str, field: &str| Told {
            path: path.to_owned(),
            place: Place::Field(field.to_owned()),
        };
        [
            told(&self.version, "commit"),
            told(&self.health, "commit"),
            told(&self.health, "version"),
        ]
    }
}

impl Told {
    /// The commit that an answer names at this place.
    ///
    /// # Errors
    /// Why there is none: a value that is no commit is no answer.
    pub fn read(&self, response: &Response) -> Result<Commit, String> {
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(format!("{} answers {status}", self.path));
        }
        let value = match &self.place {
            Place::Header(name) => response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            Place::Field(field) => {
                if is_page(response) {
                    return Err(format!("a page for people answers at {}", self.path));
                }
                let body: Value = serde_json::from_slice(response.body())
                    .map_err(|_| format!("{} answers no JSON", self.path))?;
                let found = field
                    .split('.')
                    .try_fold(&body, |value, key| value.get(key));
                found.and_then(Value::as_str).map(str::to_owned)
            }
        };
        let value = value.ok_or_else(|| format!("nothing names a commit in {self}"))?;
        commit(&value).ok_or_else(|| {
            let said: String = value.chars().take(40).collect();
            format!("'{said}' in {self} is no commit")
        })
    }
}

/// Whether an answer is made for people: markup. Some frameworks call every text `text/html`, so the header does not tell.
pub fn is_page(response: &Response) -> bool {
    let body = response.body().as_slice();
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    body.trim_ascii_start().first() == Some(&b'<')
}

/// A value as a commit, when it can be one.
pub fn commit(value: &str) -> Option<Commit> {
    let value = value.trim().to_ascii_lowercase();
    let fits = (COMMIT_MIN..=WHOLE[1]).contains(&value.len());
    (fits && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(Commit(value))
}

/// Whether what an answer names is the commit that was expected, whole or by its beginning.
pub fn is_same(said: &Commit, expected: &Commit) -> bool {
    said.as_str().len() >= COMMIT_MIN
        && expected
            .as_str()
            .to_ascii_lowercase()
            .starts_with(said.as_str())
}

/// Whether it is a whole commit id: nothing else looks like one by chance.
pub fn is_whole(said: &Commit) -> bool {
    WHOLE.contains(&said.as_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn answer(status: u16, body: &str) -> Response {
        http::Response::builder()
            .status(status)
            .header("x-commit", COMMIT)
            .body(body.as_bytes().to_vec())
            .unwrap()
    }

    fn field(name: &str) -> Told {
        Told {
            path: "/v".to_owned(),
            place: Place::Field(name.to_owned()),
        }
    }

    #[test]
    fn a_value_that_is_no_commit_is_no_answer() {
        let body = format!(
            r#"{{"version":"1.0.0","commit":"{COMMIT}","short":"{}","build":{{"sha":"{COMMIT}"}},"n":1234567,"tag":"v1234567","six":"012345"}}"#,
            &COMMIT[..7]
        );
        let response = answer(200, &body);
        for name in ["commit", "short", "build.sha"] {
            let said = field(name).read(&response).unwrap();
            assert!(is_same(&said, &Commit::from(COMMIT)), "{name}");
        }
        for (name, why) in [
            ("version", "'1.0.0' in /v (field 'version') is no commit"),
            ("tag", "'v1234567' in /v (field 'tag') is no commit"),
            ("six", "'012345' in /v (field 'six') is no commit"),
            ("n", "nothing names a commit in /v (field 'n')"),
            ("build", "nothing names a commit in /v (field 'build')"),
            ("build.x", "nothing names a commit in /v (field 'build.x')"),
        ] {
            assert_eq!(field(name).read(&response), Err(why.to_owned()));
        }
    }

    #[test]
    fn only_a_good_answer_in_the_right_form_names_anything() {
        let commit = format!(r#"{{"commit":"{COMMIT}"}}"#);
        for (status, body, why) in [
            (404, commit.as_str(), "/v answers 404"),
            (200, "<!doctype html>", "a page for people answers at /v"),
            (200, "OK", "/v answers no JSON"),
        ] {
            let said = field("commit").read(&answer(status, body));
            assert_eq!(said, Err(why.to_owned()));
        }
        let header = Told {
            path: "/".to_owned(),
            place: Place::Header("X-Commit".to_owned()),
        };
        let said = header.read(&answer(204, "")).unwrap();
        assert!(is_whole(&said) && is_same(&said, &Commit::from(COMMIT)));
    }
}
