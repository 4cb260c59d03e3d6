//! The credentials of a release: found in one place, cleaned, checked for the usual slips, and kept from the commands that
//! a release runs. A value never appears in a message; its name and where it came from do.

use crate::environ::Environ;
use crate::redact::Secret;
use env_file::EnvFile;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use value::clean;

mod env_file;
mod value;

#[cfg(test)]
mod tests;

/// The file for credentials in the repository's root; git ignores it.
pub const ENV_FILE: &str = ".env.deploy";

/// No credential is this long; a file that is, is another file.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// A credential that a release may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialName {
    /// A personal access token of Netlify.
    NetlifyAuthToken,
    /// An API key of Render.
    RenderApiKey,
    /// An incoming webhook of Slack.
    SlackWebhookUrl,
    /// The token with which git and the deployment status authenticate in CI.
    GithubToken,
    /// The token that the backend's administration endpoints ask for.
    TandemAdminToken,
}

impl CredentialName {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NetlifyAuthToken,
        Self::RenderApiKey,
        Self::SlackWebhookUrl,
        Self::GithubToken,
        Self::TandemAdminToken,
    ];

    /// The variable that holds it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::NetlifyAuthToken => "NETLIFY_AUTH_TOKEN",
            Self::RenderApiKey => "RENDER_API_KEY",
            Self::SlackWebhookUrl => "SLACK_WEBHOOK_URL",
            Self::GithubToken => "GITHUB_TOKEN",
            Self::TandemAdminToken => "TANDEM_ADMIN_TOKEN",
        }
    }

    /// The variable that names a file holding it.
    pub fn file_variable(self) -> String {
        format!("{}_FILE", self.variable())
    }

    /// The credential of a variable.
    pub fn from_variable(variable: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|name| name.variable() == variable)
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.variable())
    }
}

/// Where a credential came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// The variable of its name.
    Variable,
    /// The file that its `_FILE` variable names.
    File(PathBuf),
    /// A line of `.env.deploy`.
    EnvFile(PathBuf),
    /// The local cloud, which makes its own.
    LocalCloud,
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => f.write_str("the environment"),
            Self::File(path) | Self::EnvFile(path) => path.display().fmt(f),
            Self::LocalCloud => f.write_str("the local cloud"),
        }
    }
}

/// Why the credentials cannot be used. Nothing has been contacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialError {
    problems: Vec<String>,
}

impl CredentialError {
    /// What is wrong, each with what to do.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl std::error::Error for CredentialError {}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

struct Credential {
    secret: Secret,
    source: CredentialSource,
}

/// The credentials that were found. It has no `Debug`.
#[derive(Default)]
pub struct Credentials {
    found: BTreeMap<CredentialName, Credential>,
    warnings: Vec<String>,
}

impl Credentials {
    /// Looks for every credential: in its variable, then in the file that its `_FILE` variable names, then in
    /// `.env.deploy` below `root_dir`. What is blank counts as missing, and missing is no error here.
    ///
    /// # Errors
    /// When a named file cannot be read, when others may read `.env.deploy`, or when a value cannot be a credential of
    /// its name: everything of that at once.
    pub fn load(environ: &Environ, root_dir: &Path) -> Result<Self, CredentialError> {
        let mut credentials = Self::default();
        let mut problems = Vec::new();
        let env_path = root_dir.join(ENV_FILE);
        let env_file =
            EnvFile::read(&env_path, &mut credentials.warnings).unwrap_or_else(|found| {
                problems.extend(found);
                EnvFile::default()
            });
        for name in CredentialName::ALL {
            match find(
                name,
                environ,
                &env_file,
                &env_path,
                &mut credentials.warnings,
            ) {
                Ok(Some(credential)) => {
                    credentials.found.insert(name, credential);
                }
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(credentials)
        } else {
            Err(CredentialError { problems })
        }
    }

    /// Puts a credential of the local cloud in the place of what was found: it must not see the real ones.
    pub fn use_local(&mut self, name: CredentialName, value: String) {
        self.found.insert(
            name,
            Credential {
                secret: Secret::new(value),
                source: CredentialSource::LocalCloud,
            },
        );
    }

    /// Forgets a credential, so that a release that has no business with it cannot use it.
    pub fn forget(&mut self, name: CredentialName) {
        self.found.remove(&name);
    }

    /// A credential, if it was found.
    pub fn get(&self, name: CredentialName) -> Option<&Secret> {
        self.found.get(&name).map(|credential| &credential.secret)
    }

    /// Makes sure that all of these were found.
    ///
    /// # Errors
    /// Names every one that is missing and where it may be set.
    pub fn require(&self, names: &[CredentialName]) -> Result<(), CredentialError> {
        let problems: Vec<String> = names
            .iter()
            .filter(|name| !self.found.contains_key(name))
            .map(|name| {
                format!(
                    "{name} is missing: set {name}, or {} to the path of a file that holds it, or write {name}=… into {ENV_FILE} (mode 0600)",
                    name.file_variable()
                )
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(CredentialError { problems })
        }
    }

    /// Where a credential was found.
    pub fn source_of(&self, name: CredentialName) -> Option<&CredentialSource> {
        self.found.get(&name).map(|credential| &credential.source)
    }

    /// The credentials that were found.
    pub fn names(&self) -> impl Iterator<Item = CredentialName> {
        self.found.keys().copied()
    }

    /// Every credential that was found, to be registered with the redactor.
    pub fn secrets(&self) -> impl Iterator<Item = (CredentialName, &Secret)> {
        self.found
            .iter()
            .map(|(name, credential)| (*name, &credential.secret))
    }

    /// What was odd and has been mended, or is probably not meant. No values are in it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

fn find(
    name: CredentialName,
    environ: &Environ,
    env_file: &EnvFile,
    env_path: &Path,
    warnings: &mut Vec<String>,
) -> Result<Option<Credential>, String> {
    if environ
        .unreadable
        .iter()
        .any(|variable| variable == name.variable())
    {
        return Err(format!("{name} is not Unicode text: set it again"));
    }
    if let Some(text) = environ.var(name.variable()) {
        return checked(name, text, CredentialSource::Variable, warnings);
    }
    if let Some(path) = environ.var(&name.file_variable()) {
        let path = environ.cwd.join(path.trim());
        let text = read_file(name, &path)?;
        if let Some(found) = checked(name, &text, CredentialSource::File(path.clone()), warnings)? {
            return Ok(Some(found));
        }
        warnings.push(format!(
            "{} names {}, which is empty",
            name.file_variable(),
            path.display()
        ));
    }
    match env_file.get(name) {
        Some(text) => checked(
            name,
            text,
            CredentialSource::EnvFile(env_path.to_owned()),
            warnings,
        ),
        None => Ok(None),
    }
}

fn checked(
    name: CredentialName,
    text: &str,
    source: CredentialSource,
    warnings: &mut Vec<String>,
) -> Result<Option<Credential>, String> {
    let cleaned = clean(text);
    // A file ends with a line break; a variable that does was set by a slip of the hand.
    let expected = matches!(source, CredentialSource::File(_))
        && text.trim_end_matches(['\r', '\n']) == cleaned.value;
    if let Some(what) = cleaned.removed
        && !expected
        && !cleaned.value.is_empty()
    {
        warnings.push(format!("{name} from {source} had {what}; used without"));
    }
    if cleaned.value.is_empty() {
        return Ok(None);
    }
    value::check(name, cleaned.value)
        .map_err(|problem| format!("{name} from {source} {problem}"))?;
    Ok(Some(Credential {
        secret: Secret::new(cleaned.value.to_owned()),
        source,
    }))
}

fn read_file(name: CredentialName, path: &Path) -> Result<String, String> {
    let variable = name.file_variable();
    let shown = path.display();
    let mut text = String::new();
    let read = fs_err::File::open(path)
        .and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(error) => Err(format!(
            "{variable} names a file that cannot be read: {error}"
        )),
        Ok(_) if text.len() as u64 > FILE_MAX_BYTES => Err(format!(
            "{variable} names {shown}, which is longer than {FILE_MAX_BYTES} bytes and no credential"
        )),
        Ok(_) => Ok(text),
    }
}

/// Whether a variable must be kept from the commands that a release runs: every credential, the variable that names its
/// file, what CI hands out to get more of them, and everything that is addressed to this tool.
pub fn is_withheld(variable: &str) -> bool {
    // The last two let a GitHub job request identity tokens and reach its artifact and cache stores.
    const CI: [&str; 3] = [
        "GH_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "ACTIONS_RUNTIME_TOKEN",
    ];
    // Windows' variables have no case.
    let variable = variable.to_uppercase();
    let base = variable.strip_suffix("_FILE").unwrap_or(&variable);
    CredentialName::from_variable(base).is_some()
        || CI.contains(&base)
        || variable.starts_with("TANDEM_")
}

/// Whether `cargo run` set this variable to describe the package that this program is. A cargo that inherits it compiles what asks
/// for it anew, and the next `cargo xtask` does so again.
fn describes_this_package(variable: &str) -> bool {
    ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"].contains(&variable)
        || variable.starts_with("CARGO_PKG_")
}

/// The environment of the commands that a release runs: the one that this program was called in, without what is withheld.
pub fn child_vars(environ: &Environ) -> Vec<(String, String)> {
    environ
        .vars
        .iter()
        .filter(|(name, _)| !is_withheld(name) && !describes_this_package(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
