//! What of a built tree the start needs: files by the patterns of `artifacts`, whether git knows them or not.

use std::path::Path;

use changes::glob::Pattern;

use super::build::Failed;

/// Copies what the patterns select; each must select something. A pattern is a file, a whole folder, or in the language of all
/// other filters.
pub(super) fn copy_selected(
    source: &Path,
    target: &Path,
    patterns: &[String],
) -> Result<(), Failed> {
    for text in patterns {
        let plain = text.trim_end_matches('/');
        if source.join(plain).exists() {
            copy(&source.join(plain), &target.join(plain))?;
            continue;
        }
        let pattern = Pattern::compile(text)
            .map_err(|error| format!("the artifact pattern {text} is not valid: {error}"))?;
        // Nothing that does not begin so can match, and a build's folders are large.
        let start = fixed_part(text);
        let mut found = Vec::new();
        list(&source.join(start), start, &mut found)?;
        let mut count = 0;
        for path in found {
            let selected = pattern.decide(&path);
            if selected.map_err(|undecided| undecided.to_string())? {
                copy(&source.join(&path), &target.join(&path))?;
                count += 1;
            }
        }
        if count == 0 {
            return Err(format!("the build left nothing at {text}").into());
        }
    }
    Ok(())
}

/// The folders that a pattern names before its first special character.
fn fixed_part(pattern: &str) -> &str {
    let special = pattern.find(['*', '?', '[', '{', '(', '+', '@', '!', '\\', '"', '.']);
    let literal = pattern.get(..special.unwrap_or(0)).unwrap_or_default();
    literal.rsplit_once('/').map_or("", |(folders, _)| folders)
}

/// Every file below a folder, by its path from the top. A link to a folder is one entry: what it holds has a path of its own.
fn list(folder: &Path, prefix: &str, found: &mut Vec<String>) -> Result<(), Failed> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = if prefix.is_empty() {
            name.into_owned()
        } else {
            format!("{prefix}/{name}")
        };
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Copies a file, a link's target, or a whole folder.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Failed> {
    if from.is_dir() {
        fs_err::create_dir_all(to)?;
        for entry in fs_err::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if !fs_err::metadata(from)?.is_file() {
        // Reading a named pipe would wait for ever.
        return Err(format!("{} is neither a file nor a folder", from.display()).into());
    }
    if let Some(parent) = to.parent() {
        fs_err::create_dir_all(parent)?;
    }
    fs_err::copy(from, to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is copied of a small built tree.
    fn copied(patterns: &[&str]) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        let (source, target) = (dir.path().join("source"), dir.path().join("target"));
        for path in [
            "backend/run",
            "backend/lib/a.so",
            "backend/.env",
            "out/b.map",
            "top.txt",
        ] {
            fs_err::create_dir_all(source.join(path).parent().unwrap()).unwrap();
            fs_err::write(source.join(path), path).unwrap();
        }
        let patterns: Vec<String> = patterns.iter().map(|&text| text.to_owned()).collect();
        fs_err::create_dir(&target).unwrap();
        copy_selected(&source, &target, &patterns).map_err(|failed| failed.log)?;
        let mut found = Vec::new();
        list(&target, "", &mut found).map_err(|failed| failed.log)?;
        found.sort();
        Ok(found)
    }

    #[test]
    fn a_pattern_means_what_it_means_in_every_filter() {
        let backend = ["backend/.env", "backend/lib/a.so", "backend/run"];
        let copied = |pattern: &str| copied(&[pattern]).unwrap();
        assert_eq!(copied("backend/**"), backend);
        assert_eq!(copied("backend"), backend);
        assert_eq!(copied("backend/"), backend);
        assert_eq!(copied("back*/*"), ["backend/.env", "backend/run"]);
        assert_eq!(copied("**/*.{so,map}"), ["backend/lib/a.so", "out/b.map"]);
        assert_eq!(copied("backend/lib/a.so"), ["backend/lib/a.so"]);
        assert_eq!(copied("./backend/run"), ["backend/run"]);
        assert_eq!(copied("!backend/**"), ["out/b.map", "top.txt"]);
    }

    #[test]
    fn a_pattern_that_selects_nothing_fails_the_build() {
        assert_eq!(
            copied(&["backend/**", "dist/**"]).unwrap_err(),
            "==> the build left nothing at dist/**"
        );
    }
}
