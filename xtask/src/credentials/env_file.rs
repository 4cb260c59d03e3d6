//! `.env.deploy`: credentials of a developer's machine, as `NAME=value` lines that nobody else may read.

use super::CredentialName;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

/// The values of the file as they are written, quotes taken off.
#[derive(Default)]
pub(super) struct EnvFile(BTreeMap<CredentialName, String>);

impl EnvFile {
    pub(super) fn get(&self, name: CredentialName) -> Option<&str> {
        self.0.get(&name).map(String::as_str)
    }

    /// Reads the file; one that does not exist is empty.
    pub(super) fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Self, Vec<String>> {
        let mut file = match fs_err::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(vec![format!("cannot read credentials: {error}")]),
        };
        private(&file, path).map_err(|problem| vec![problem])?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| vec![format!("cannot read credentials: {error}")])?;
        Self::parse(&path.display().to_string(), &text, warnings)
    }

    /// Reads `NAME=value` lines, `export` before and quotes around allowed; `#` begins a comment line.
    pub(super) fn parse(
        file: &str,
        text: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Vec<String>> {
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim().trim_start_matches('\u{feff}');
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // A line is never quoted in a message: it may be a bare credential.
            let Some((name, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=')
            else {
                problems.push(format!("{file}:{number}: not a NAME=value line"));
                continue;
            };
            match CredentialName::from_variable(name.trim()) {
                Some(name) => {
                    if values
                        .insert(name, unquote(value.trim()).to_owned())
                        .is_some()
                    {
                        warnings.push(format!(
                            "{file}:{number}: {name} stands here a second time; this one is used"
                        ));
                    }
                }
                None => warnings.push(unknown(file, number)),
            }
        }
        if problems.is_empty() {
            Ok(Self(values))
        } else {
            Err(problems)
        }
    }
}

fn unknown(file: &str, number: usize) -> String {
    let known = CredentialName::ALL.map(CredentialName::variable).join(", ");
    format!("{file}:{number}: this name is not read from here; these are: {known}")
}

fn unquote(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

/// Makes sure that only the owner may read the file. It asks the open file, so that no other can be put in its place.
#[cfg(unix)]
fn private(file: &fs_err::File, path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    let metadata = file
        .metadata()
        .map_err(|error| format!("cannot read credentials: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "{shown} has mode {mode:04o}, so others may read the credentials in it: chmod 600 {shown}"
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_file: &fs_err::File, _path: &Path) -> Result<(), String> {
    Ok(())
}
