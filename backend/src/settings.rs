//! Everything the environment decides, read once at start and handed on as one value.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::{commit::Commit, token::AdminToken};

/// How this process was told to run.
pub(crate) struct Settings {
    /// Host name or address to listen on (`HOST`).
    pub(crate) host: String,
    /// Port to listen on (`PORT`); 0 lets the system choose.
    pub(crate) port: u16,
    /// The database file (`DATABASE_PATH`).
    pub(crate) database: PathBuf,
    /// The administration credential (`TANDEM_ADMIN_TOKEN`); without one its routes do not exist.
    pub(crate) admin: Option<AdminToken>,
    /// Which commit this is.
    pub(crate) commit: Commit,
    /// Whether to fill an empty revenue table with demonstration data (`TANDEM_DEMO_DATA=1`).
    pub(crate) demo_data: bool,
}

impl Settings {
    /// Reads the settings through `variable`, which returns `None` for what is not set.
    ///
    /// # Errors
    /// A value is malformed, or the commit is not known; the message names the variable.
    pub(crate) fn read(
        baked_commit: Option<&str>,
        variable: impl Fn(&str) -> Result<Option<String>>,
    ) -> Result<Self> {
        let or_default = |name: &str, default: &str| -> Result<String> {
            Ok(variable(name)?
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| default.into()))
        };
        let port = or_default("PORT", "10000")?;
        let token = variable("TANDEM_ADMIN_TOKEN")?;
        Ok(Self {
            host: or_default("HOST", "0.0.0.0")?,
            port: port.parse().with_context(|| {
                format!("PORT is {port:?} and must be a number from 0 to 65535")
            })?,
            database: or_default("DATABASE_PATH", "/var/data/tandem.db")?.into(),
            admin: token.as_deref().map(AdminToken::new).transpose()?,
            commit: Commit::decide(baked_commit, variable("RENDER_GIT_COMMIT")?.as_deref())?,
            demo_data: parse_switch("TANDEM_DEMO_DATA", &or_default("TANDEM_DEMO_DATA", "0")?)?,
        })
    }
}

fn parse_switch(name: &str, value: &str) -> Result<bool> {
    match value {
        "1" => Ok(true),
        "0" => Ok(false),
        other => bail!("{name} is {other:?} and must be 0 or 1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::read(Some(&"a".repeat(40)), |name| {
            Ok(variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn the_defaults_are_the_platforms() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.host.as_str(), settings.port), ("0.0.0.0", 10_000));
        assert_eq!(settings.database, PathBuf::from("/var/data/tandem.db"));
        assert!(settings.admin.is_none() && !settings.demo_data);
    }

    #[test]
    fn a_malformed_value_names_its_variable() {
        for (name, value) in [
            ("PORT", "70000"),
            ("TANDEM_DEMO_DATA", "yes"),
            ("TANDEM_ADMIN_TOKEN", "short"),
        ] {
            let error = read(&[(name, value)]).err().unwrap().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
