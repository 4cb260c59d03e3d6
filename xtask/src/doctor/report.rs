//! Findings as values, and how they are shown.

use crate::exit::Exit;
use crate::ids::EnvironmentName;
use crate::sink::style::{Role, paint};
use serde::Serialize;
use std::fmt::Write as _;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Programs and libraries, against the pins.
    Tools,
    /// This machine: journal, disk, clock.
    Machine,
    /// deploy.toml and the environment's values.
    Configuration,
    /// The commit that would be released.
    Source,
    /// Where the lock and the live record are.
    Origin,
    /// Tokens and keys.
    Credentials,
    /// The site at its provider.
    Frontend,
    /// The service at its provider.
    Backend,
}

impl Area {
    fn title(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Machine => "machine",
            Self::Configuration => "configuration",
            Self::Source => "source",
            Self::Origin => "origin",
            Self::Credentials => "credentials",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// A release would be made; it may not be the one that was wanted.
    Warning,
    /// A release would be refused, or would fail.
    Error,
}

impl Level {
    fn role(self) -> Role {
        match self {
            Self::Ok => Role::Good,
            Self::Note => Role::Plain,
            Self::Warning => Role::Warn,
            Self::Error => Role::Bad,
        }
    }
}

/// One thing that was looked at. The field names are a stable interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub area: Area,
    /// Which of those.
    pub name: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub text: String,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The version in use, of a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The version that is pinned, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
}

impl Finding {
    /// A finding; a hint at the end of `text`, as messages have it, becomes its own.
    pub fn new(area: Area, name: impl Into<String>, level: Level, text: impl Into<String>) -> Self {
        let text = text.into();
        let (text, hint) = match text.rsplit_once(" (hint: ") {
            Some((text, hint)) if hint.ends_with(')') => {
                (text.to_owned(), hint.strip_suffix(')').map(str::to_owned))
            }
            _ => (text, None),
        };
        Self {
            area,
            name: name.into(),
            level,
            text,
            hint,
            found: None,
            pinned: None,
        }
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which environment was looked at.
    pub environment: EnvironmentName,
    /// Whether a release could begin.
    pub ok: bool,
    /// What the command exits with.
    pub exit_code: u8,
    /// In the order of areas.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Sorts findings and judges them.
    pub fn new(environment: EnvironmentName, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.area);
        let ok = findings.iter().all(|finding| finding.level < Level::Error);
        let exit = if ok { Exit::Done } else { Exit::Refused };
        Self {
            environment,
            ok,
            exit_code: exit.code(),
            findings,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let width = self
            .findings
            .iter()
            .map(|finding| finding.name.chars().count())
            .max()
            .unwrap_or(0);
        let mut area = None;
        for finding in &self.findings {
            if area.replace(finding.area) != Some(finding.area) {
                let _infallible = writeln!(text, "{}", paint(Role::Strong, finding.area.title()));
            }
            let role = finding.level.role();
            let mut lines = finding.text.lines();
            let _infallible = writeln!(
                text,
                "  {} {:<width$}  {}",
                paint(role, &role.mark().to_string()),
                finding.name,
                lines.next().unwrap_or_default()
            );
            let hint = finding.hint.iter().map(|hint| format!("hint: {hint}"));
            let hint = hint.collect::<String>();
            for line in lines.chain(hint.lines()) {
                let _infallible = writeln!(text, "    {:<width$}  {line}", "");
            }
        }
        let count = |level: Level| {
            self.findings
                .iter()
                .filter(|found| found.level == level)
                .count()
        };
        let (errors, warnings) = (count(Level::Error), count(Level::Warning));
        let (role, verdict) = if self.ok {
            (Role::Good, "nothing here would stop a release")
        } else {
            (Role::Bad, "a release would be refused or fail")
        };
        let line = format!(
            "{}: {verdict} ({errors} error(s), {warnings} warning(s))",
            self.environment
        );
        let _infallible = writeln!(text, "\n{}", paint(role, &line));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn report() -> Report {
        let rust = Finding {
            found: Some("1.95.0".to_owned()),
            pinned: Some("1.95.0".to_owned()),
            ..Finding::new(Area::Tools, "rust", Level::Ok, "1.95.0, as pinned")
        };
        let key =
            "from the environment, rnd_***: was not accepted (hint: make a new one\nand set it)";
        Report::new(
            EnvironmentName::from("production"),
            vec![
                Finding::new(
                    Area::Backend,
                    "auto-deploy",
                    Level::Warning,
                    "is on (hint: off)",
                ),
                Finding::new(Area::Credentials, "RENDER_API_KEY", Level::Error, key),
                Finding::new(
                    Area::Credentials,
                    "SLACK_WEBHOOK_URL",
                    Level::Note,
                    "not set\nnobody is told",
                ),
                rust,
            ],
        )
    }

    #[test]
    fn for_people() {
        let text = anstream::adapter::strip_str(&report().text()).to_string();
        assert_snapshot!(text, @r"
        tools
          ✓ rust               1.95.0, as pinned
        credentials
          ✗ RENDER_API_KEY     from the environment, rnd_***: was not accepted
                               hint: make a new one
                               and set it
          · SLACK_WEBHOOK_URL  not set
                               nobody is told
        backend
          ! auto-deploy        is on
                               hint: off

        production: a release would be refused or fail (1 error(s), 1 warning(s))
        ");
    }

    #[test]
    fn for_programs() {
        assert_snapshot!(serde_json::to_string_pretty(&report()).unwrap());
    }

    #[test]
    fn warnings_stop_nothing() {
        let mut findings = report().findings;
        findings.retain(|finding| finding.level != Level::Error);
        let report = Report::new(EnvironmentName::from("local"), findings);
        assert_eq!((report.ok, report.exit_code), (true, 0));
    }
}
