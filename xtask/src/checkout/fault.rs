//! What can keep a tracked file from lying in the folder as the commit has it while `git status` is clean, and what to do about it.

use sha2::{Digest as _, Sha256};

/// What every pointer of Git LFS begins with.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// Pointers are shorter than this by their specification.
pub(super) const POINTER_MAX_BYTES: usize = 1024;
/// So many are spelled out.
const SHOWN_MAX: usize = 5;

/// Something tracked that is not there as the commit has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A submodule whose files are not there.
    SubmoduleAbsent,
    /// A submodule of which another commit is checked out.
    SubmoduleElsewhere,
    /// A submodule with changes that no commit and no snapshot of this repository holds.
    SubmoduleDirty,
    /// Left out of a sparse checkout.
    Sparse,
    /// Git was told not to look at it, and it is gone or differs.
    Unwatched,
    /// The pointer lies where Git LFS should have put the content.
    Pointer,
    /// It is gone although it is tracked.
    Gone,
    /// Other bytes than the commit's.
    Differs,
    /// A symbolic link of the commit that is a plain file here, holding the link's text.
    NoLink,
}

impl Fault {
    /// The fault of `path`, and the way out.
    pub(super) fn explain(&self, path: &str) -> String {
        let (what, hint) = match self {
            Self::SubmoduleAbsent => (
                "is a submodule that is not checked out",
                "`git submodule update --init --recursive`; for actions/checkout `submodules: recursive`".to_owned(),
            ),
            Self::SubmoduleElsewhere => (
                "is a submodule with another commit checked out than the one that is released",
                "`git submodule update --recursive`, or commit the one that is meant".to_owned(),
            ),
            Self::SubmoduleDirty => (
                "is a submodule with changes that are not committed there, so that no release could say what it consists of",
                "commit them in the submodule".to_owned(),
            ),
            Self::Sparse => (
                "is left out of this sparse checkout",
                "`git sparse-checkout disable`".to_owned(),
            ),
            Self::Unwatched => (
                "is not as the commit has it, and git was told not to look",
                format!("`git update-index --no-assume-unchanged --no-skip-worktree {path}`, then `git status`"),
            ),
            Self::Pointer => (
                "is the pointer of Git LFS and not the file itself",
                "`git lfs pull`; for actions/checkout `lfs: true`".to_owned(),
            ),
            Self::Gone => (
                "is tracked and not there, which `git status` does not show",
                format!("`git checkout -- {path}`"),
            ),
            Self::Differs => (
                "differs from the commit in a way that `git status` does not show, in its line ends perhaps",
                format!("remove it and `git checkout -- {path}`, or commit what is meant"),
            ),
            Self::NoLink => (
                "is a symbolic link in the commit and a plain file here",
                "check it out where git can make links (`git config core.symlinks true`)".to_owned(),
            ),
        };
        format!("{path} {what} (hint: {hint})")
    }
}

/// All faults as one text; `None` without any.
pub(super) fn explain(faults: &[(String, Fault)]) -> Option<String> {
    let shown = faults.get(..SHOWN_MAX).unwrap_or(faults);
    let mut lines: Vec<String> = shown
        .iter()
        .map(|(path, fault)| fault.explain(path))
        .collect();
    if faults.len() > shown.len() {
        lines.push(format!("and {} more like that", faults.len() - shown.len()));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Whether a content is a pointer of Git LFS.
pub(super) fn is_pointer(content: &[u8]) -> bool {
    content.len() < POINTER_MAX_BYTES && content.starts_with(POINTER)
}

/// Whether `content` is what a pointer stands for.
pub(super) fn points_to(pointer: &[u8], content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pointer);
    let mut lines = text.lines();
    let wanted = lines.find_map(|line| line.strip_prefix("oid sha256:"));
    wanted == Some(crate::changes::manifest::hex(&Sha256::digest(content)).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_names_the_path_and_the_remedy() {
        for (fault, remedy) in [
            (Fault::SubmoduleAbsent, "git submodule update --init"),
            (Fault::SubmoduleElsewhere, "git submodule update"),
            (Fault::SubmoduleDirty, "commit them in the submodule"),
            (Fault::Sparse, "git sparse-checkout disable"),
            (Fault::Unwatched, "--no-assume-unchanged"),
            (Fault::Pointer, "git lfs pull"),
            (Fault::Gone, "git checkout -- web/a"),
            (Fault::Differs, "git checkout -- web/a"),
            (Fault::NoLink, "core.symlinks"),
        ] {
            let text = fault.explain("web/a");
            assert!(
                text.starts_with("web/a is ") || text.starts_with("web/a differs "),
                "{text}"
            );
            assert!(text.contains(remedy), "{text}");
        }
    }

    #[test]
    fn many_faults_are_counted() {
        let faults = |count: usize| {
            let fault = |number| (format!("f{number}"), Fault::Sparse);
            (0..count).map(fault).collect::<Vec<_>>()
        };
        assert_eq!(explain(&[]), None);
        let text = explain(&faults(7)).expect("faults");
        assert_eq!(text.lines().count(), 6);
        assert!(text.ends_with("and 2 more like that"), "{text}");
    }

    #[test]
    fn a_pointer_is_known_and_compared_by_what_it_stands_for() {
        let content = b"a picture";
        let oid = crate::changes::manifest::hex(&Sha256::digest(content));
        let pointer = format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n",
            content.len()
        );
        assert!(is_pointer(pointer.as_bytes()) && !is_pointer(content));
        assert!(points_to(pointer.as_bytes(), content));
        assert!(!points_to(pointer.as_bytes(), b"another"));
        let page_about_it = format!("{pointer}{}", " ".repeat(POINTER_MAX_BYTES));
        assert!(!is_pointer(page_about_it.as_bytes()));
    }
}
