//! What the process was given by its surroundings, read once in `main`. Everything else gets it handed on, so that a test
//! can say what the surroundings are.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Variables, folders and terminals. It holds credentials and therefore has no `Debug`.
#[derive(Clone, Default)]
pub struct Environ {
    /// The environment variables whose name and value are Unicode.
    pub vars: BTreeMap<String, String>,
    /// Names, made readable, of the variables that are not Unicode and therefore not in `vars`.
    pub unreadable: Vec<String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Whether a person may be typing.
    pub stdin_is_terminal: bool,
    /// Whether results go to a person's screen.
    pub stdout_is_terminal: bool,
    /// Whether progress goes to a person's screen.
    pub stderr_is_terminal: bool,
    /// Width in columns: `COLUMNS` if set, else of the terminal that progress goes to.
    pub columns: Option<u16>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
}

impl Environ {
    /// Reads the process's own surroundings.
    ///
    /// # Errors
    /// When the working directory is gone or may not be read.
    pub fn from_process() -> Result<Self> {
        let mut environ = Self {
            cwd: std::env::current_dir().context("read the working directory")?,
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            home: std::env::home_dir(),
            ..Self::default()
        };
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => {
                    environ.vars.insert(name, value);
                }
                (Ok(name), Err(_)) => environ.unreadable.push(name),
                (Err(name), _) => environ.unreadable.push(name.to_string_lossy().into_owned()),
            }
        }
        environ.columns = environ.columns_variable().or_else(terminal_columns);
        Ok(environ)
    }

    /// A variable's value as it is set; none when it is not set or blank, which scripts use for the same.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.trim().is_empty())
    }

    fn columns_variable(&self) -> Option<u16> {
        self.var("COLUMNS")?
            .trim()
            .parse()
            .ok()
            .filter(|columns| *columns > 0)
    }
}

#[cfg(unix)]
fn terminal_columns() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

#[cfg(not(unix))]
fn terminal_columns() -> Option<u16> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_is_not_set() {
        let vars =
            [("A", "x"), ("B", ""), ("C", " \n")].map(|(name, value)| (name.into(), value.into()));
        let environ = Environ {
            vars: vars.into(),
            ..Environ::default()
        };
        assert_eq!(
            ["A", "B", "C", "D"].map(|name| environ.var(name)),
            [Some("x"), None, None, None]
        );
    }

    #[test]
    fn columns_come_from_a_sensible_variable_only() {
        for (value, expected) in [
            ("80", Some(80)),
            (" 100 ", Some(100)),
            ("0", None),
            ("-1", None),
            ("wide", None),
        ] {
            let vars = [("COLUMNS".to_owned(), value.to_owned())].into();
            assert_eq!(
                Environ {
                    vars,
                    ..Environ::default()
                }
                .columns_variable(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn the_process_has_a_working_directory_and_variables() {
        let environ = Environ::from_process().unwrap();
        assert!(environ.cwd.is_absolute());
        assert!(!environ.vars.is_empty());
    }
}
