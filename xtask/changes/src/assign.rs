//! Gives every file of a tree to the lanes whose filters select it.

use crate::filter::Filter;
use crate::tree::Files;

/// What belongs to one lane: a file that one of its filters selects.
#[derive(Debug)]
pub struct Part<'a> {
    /// The filters; each stands for itself.
    pub filters: Vec<&'a Filter>,
}

impl Part<'_> {
    /// Whether a file is part of it, whatever happens to the file.
    #[must_use]
    pub fn selects(&self, path: &str) -> bool {
        self.filters.iter().any(|filter| filter.selects(path))
    }
}

/// Every file at its place.
#[derive(Debug)]
pub struct Assignment {
    /// The files of each part, in the order in which the parts were given.
    pub parts: Vec<Files>,
    /// Files that belong to no part and are not left out on purpose.
    pub unclaimed: Vec<String>,
}

/// Looks at each file once.
#[must_use]
pub fn assign(tree: &Files, parts: &[Part<'_>], ignored: &Filter) -> Assignment {
    let mut selected: Vec<Vec<usize>> = vec![Vec::new(); parts.len()];
    let mut unclaimed = Vec::new();
    for (number, file) in tree.iter().enumerate() {
        let path = String::from_utf8_lossy(file.path);
        let mut claimed = false;
        for (part, numbers) in parts.iter().zip(&mut selected) {
            if part.selects(&path) {
                numbers.push(number);
                claimed = true;
            }
        }
        if !claimed && !ignored.selects(&path) {
            unclaimed.push(path.into_owned());
        }
    }
    Assignment {
        parts: selected.iter().map(|numbers| tree.only(numbers)).collect(),
        unclaimed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Quantifier, Rule};
    use crate::tree::File;

    fn filter(globs: &[&str]) -> Filter {
        let rules = globs.iter().map(|glob| Rule::plain(glob).expect("a rule"));
        Filter::new(rules.collect(), Quantifier::Some).expect("a filter")
    }

    #[test]
    fn a_file_may_belong_to_several_parts_or_to_none() {
        let names = ["a/x", "b/x", "docs/x", "lock", "stray"];
        let tree = Files::of(names.map(|name| File {
            mode: "100644",
            oid: "1",
            path: name.as_bytes(),
        }))
        .expect("a list");
        let (a, b, lock) = (filter(&["a/**"]), filter(&["b/**"]), filter(&["lock"]));
        let parts = [
            Part {
                filters: vec![&a, &lock],
            },
            Part {
                filters: vec![&b, &lock],
            },
        ];
        let given = assign(&tree, &parts, &filter(&["docs/**"]));
        let paths = |files: &Files| {
            files
                .iter()
                .map(|file| String::from_utf8_lossy(file.path).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(&given.parts[0]), ["a/x", "lock"]);
        assert_eq!(paths(&given.parts[1]), ["b/x", "lock"]);
        assert_eq!(given.unclaimed, ["stray"]);
    }
}
