//! Identifiers as types, so that a deploy id can never stand where a commit was meant.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text as the provider or git spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

id!(
    /// A git commit: 40 hexadecimal digits.
    Commit
);
id!(
    /// A git object of any kind.
    Oid
);
id!(
    /// One deploy at a provider: `dep-…` on Render, 24 hexadecimal digits on Netlify.
    DeployId
);
id!(
    /// A Netlify site.
    SiteId
);
id!(
    /// A Render service.
    ServiceId
);
id!(
    /// One run of `deploy` or `rollback`.
    RunId
);
id!(
    /// A release that went live: the run that made it and the commit's first seven digits.
    ReleaseId
);
id!(
    /// The name of an environment: `local`, `production`, …
    EnvironmentName
);

impl Commit {
    /// The first seven digits, as people write commits.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

/// The two halves of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The static site.
    Frontend,
    /// The service and its database.
    Backend,
}

impl Lane {
    /// Both, in the order in which they are reported.
    pub const ALL: [Self; 2] = [Self::Frontend, Self::Backend];

    /// Lower-case name, as on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
