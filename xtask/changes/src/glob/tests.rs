//! The dialect, by example, by a slow reference for its plain part, and by a large sample of answers of the original.

use super::{Pattern, PatternError};
use proptest::prelude::*;
use serde_json::Value;

fn matches(glob: &str, path: &str) -> bool {
    Pattern::compile(glob).expect("a pattern").is_match(path)
}

/// Each line: a pattern, the paths it matches, the paths it does not. Taken from runs of the original.
const EXAMPLES: &[(&str, &[&str], &[&str])] = &[
    // Names and segments.
    ("a.js", &["a.js"], &["aXjs", "b/a.js", "a.js/", "A.js"]),
    ("backend", &["backend"], &["backend/x"]),
    ("backend/", &["backend/"], &["backend", "backend/x"]),
    ("./src/*", &["src/a", "./src/*"], &["./src/a", "src"]),
    ("/src/**", &["/src/a"], &["src/a"]),
    (
        "*",
        &["a", ".env", "a/", "two\nlines"],
        &["a/b", ".", "..", ""],
    ),
    ("*.js", &["a.js", ".a.js", "a.js/"], &["a.ts", "b/a.js"]),
    ("a?c", &["abc", "a.c"], &["ac", "a/c", "a😀c"]),
    ("a??c", &["a😀c"], &["a日c"]),
    (
        "src/*",
        &["src/a", "src/.a", "src/a/"],
        &["src/", "src/..", "src/a/b"],
    ),
    // Directories.
    (
        "src/**",
        &["src", "src/a", "src/a/.b/c", "src/"],
        &["srcs/a", "src/a/../b", "src/two\nlines"],
    ),
    ("**", &["a", ".a/b"], &["../a", "a/..", "a\nb"]),
    ("**/a", &["a", "b/a", "b/c/a", "/a"], &["a/b", "ba", "../a"]),
    (
        "a/**/b",
        &["a/b", "a/x/b", "a/.x/y/b"],
        &["ab", "a/x", "a/../b"],
    ),
    ("**.md", &["a.md", "a/b.md"], &["a.md/b"]),
    ("**.c-*", &["a.c-b"], &["x/a.c-b"]),
    ("a*/**", &["ab/c", "ab/"], &["ab"]),
    ("a**/b", &["ax/b", "a/b"], &["a/x/b"]),
    (
        "**/*.test.*",
        &["a.test.js", "x/y.test.tsx"],
        &["test.js", "atest.js"],
    ),
    // Alternatives and ranges.
    (
        "{a,b}/*.{js,css}",
        &["a/x.js", "b/x.css"],
        &["c/x.js", "a/x.ts"],
    ),
    ("*.{js}", &["a.{js}"], &["a.js"]),
    ("{a..c}", &["a", "b"], &["d", "{a..c}x"]),
    ("{01..03}", &["01..03", "01xx03"], &["02"]),
    ("a{,b}", &["a", "ab"], &["a{,b}c", "b"]),
    // Groups.
    ("+(a|b)c", &["ac", "abac"], &["c"]),
    ("?(a)b", &["b", "ab"], &["aab"]),
    ("*(a)b", &["b", "aab"], &["cb"]),
    ("@(a|b)", &["a", "b"], &["ab", ""]),
    ("!(a)", &["b", "aa", "a."], &["a", "b/c"]),
    ("!(*.d).{ts,tsx}", &["a.ts", "a.tsx"], &["a.d.ts", "a.js"]),
    ("!(a/b)", &["a", "a/c/d", "b"], &["a/b"]),
    (
        "src/!(vendor)/**",
        &["src/lib/x"],
        &["src/vendor/x", "lib/x"],
    ),
    ("(a|b)+", &["a", "abba"], &["c"]),
    (r"(*)/\1", &["x/x", "ab/ab"], &["x/y", "ab/a"]),
    ("foo/*(?<=o)baz", &[], &["foo/oxbaz"]),
    // Classes.
    ("[ab]", &["a", "b", "[ab]"], &["c", "[ab"]),
    ("[!a].js", &["a.js", "!.js"], &["b.js"]),
    ("[^a].js", &["b.js"], &["a.js", "/.js"]),
    ("[[:digit:]]x", &["1x"], &["ax"]),
    ("[a-c]/x", &["b/x"], &["d/x"]),
    ("[abc", &["[abc"], &["a"]),
    ("[z-a]", &["[z-a]"], &["m"]),
    // Negation, quotes, escapes.
    ("!docs/**", &["src/a", "doc"], &["docs", "docs/a"]),
    ("!!a", &["a"], &["b"]),
    ("!", &["a", "a/b"], &[]),
    ("\"a*b\"", &["a*b"], &["axb", "\"axb\""]),
    (r"\*", &["*", r"\*"], &["a"]),
    (r"a\(b", &["a(b"], &["ab"]),
];

#[test]
fn examples() {
    for (glob, hits, misses) in EXAMPLES {
        for path in *hits {
            assert!(matches(glob, path), "{glob:?} must match {path:?}");
        }
        for path in *misses {
            assert!(!matches(glob, path), "{glob:?} must not match {path:?}");
        }
    }
}

#[test]
fn every_sampled_answer_is_given() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/samples/filters.json"
    );
    let Ok(text) = fs_err::read_to_string(path) else {
        println!(
            "skipped: the sample of the original's answers is not beside this repository ({path})"
        );
        return;
    };
    let sample: Value = serde_json::from_str(&text).expect("the sample is JSON");
    let pairs = sample["pairs"].as_array().expect("pairs");
    let wrong: Vec<&Value> = pairs
        .iter()
        .filter(|pair| {
            let text = |key: &str| pair[key].as_str().expect("a string");
            Some(matches(text("pattern"), text("path"))) != pair["expected"].as_bool()
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ: {:#?}",
        wrong.len(),
        pairs.len(),
        &wrong[..wrong.len().min(5)]
    );
}

#[test]
fn a_pattern_that_cannot_be_compiled_says_why() {
    let error = |glob: &str| Pattern::compile(glob).expect_err("an error");
    assert_eq!(error(""), PatternError::Empty);
    assert_eq!(error(&"a".repeat(65_537)), PatternError::TooLong(65_537));
    assert!(Pattern::compile(&"a".repeat(65_536)).is_ok());
    let deep = error(&format!("./{}", "(".repeat(200)));
    assert!(deep.to_string().contains("character 104"), "{deep}");
    let large = error(r"\\\\{1000000}");
    assert!(large.to_string().contains("100000 steps"), "{large}");
}

#[test]
fn a_pattern_without_sense_is_told_apart() {
    for glob in ["a/**/(", "(a", "[z-a]", "(?<=a)*"] {
        let pattern = Pattern::compile(glob).expect("a pattern");
        assert!(!pattern.is_match("a") && pattern.is_match(glob), "{glob}");
    }
    let defect = |glob: &str| Pattern::compile(glob).expect("a pattern").defect();
    assert!(defect("src/(a").is_none());
    assert!(defect("[z-a]").is_some_and(|reason| reason.contains("backwards")));
}

/// Patterns on which a backtracking engine takes longer than anyone waits.
#[test]
fn hostile_patterns_are_decided() {
    let long = "a".repeat(3_000);
    for glob in [
        "+(+(+(a)))b",
        "*(*(*(aa|a)a|b)c)d",
        "*a*a*a*a*a*a*a*a*a*b",
        "!(!(!(+(a|aa)b)))c",
        "+(*(a)*(a|!(b)))x",
    ] {
        assert!(!matches(glob, &long), "{glob}");
        assert!(!matches(glob, &format!("{long}/b")), "{glob}");
    }
    let nested = format!("{}a{}", "+(".repeat(90), "|b)".repeat(90));
    assert!(matches(&nested, &long) && !matches(&nested, &format!("{long}c")));
    // A reference may stand for anything at first, so that most paths are dismissed without trying.
    assert_eq!(
        Pattern::compile(r"(+(+(a)))\1b")
            .expect("a pattern")
            .decide(&long),
        Ok(false)
    );
    let undecided = Pattern::compile(r"(+(+(a)))c\1b")
        .expect("a pattern")
        .decide(&format!("{long}cb"));
    assert!(
        undecided
            .expect_err("too many steps")
            .to_string()
            .contains("without `\\1`")
    );
}

#[test]
fn the_kind_of_set_makes_no_difference() {
    // Around the borders between one, two and many machine words.
    for length in (55..70).chain(120..135).chain([191, 192, 193, 4_000]) {
        let directory = "d".repeat(length - 6);
        let path = format!("{directory}/ab.js");
        for (glob, expected) in [
            ("**/*.js", true),
            ("*/a?.js", true),
            ("**/ab.*", true),
            ("**/b.js", false),
            ("+(d)/!(*.ts)", true),
            ("d/**", false),
        ] {
            assert_eq!(matches(glob, &path), expected, "{glob} {length}");
            let accented = path.replacen('d', "é", 1);
            assert_eq!(
                matches(glob, &accented),
                expected && !glob.contains('d'),
                "{glob} {length}"
            );
        }
    }
}

/// The plain part of the dialect, straight from its description: segments with `*` and `?`, and `**` for any number of segments,
/// but for at least one at the end after a segment that ends in `*`.
fn reference(glob: &[&str], path: &[&str]) -> bool {
    match (glob, path) {
        ([name, "**"], [_]) if name.ends_with('*') && *name != "**" => false,
        ([], []) => true,
        (["**", glob @ ..], path) => {
            (0..=path.len()).any(|skipped| reference(glob, &path[skipped..]))
        }
        ([first, glob @ ..], [name, path @ ..]) => {
            reference_name(first.as_bytes(), name.as_bytes()) && reference(glob, path)
        }
        _ => false,
    }
}

fn reference_name(glob: &[u8], name: &[u8]) -> bool {
    match (glob, name) {
        ([], []) => true,
        ([b'*', glob @ ..], name) => {
            (0..=name.len()).any(|skipped| reference_name(glob, &name[skipped..]))
        }
        ([b'?', glob @ ..], [_, name @ ..]) => reference_name(glob, name),
        ([first, glob @ ..], [unit, name @ ..]) => first == unit && reference_name(glob, name),
        _ => false,
    }
}

/// `**/**` says no more than `**`.
fn segments(text: &str) -> Vec<&str> {
    let mut segments: Vec<&str> = text.split('/').collect();
    segments.dedup_by(|a, b| *a == "**" && *b == "**");
    segments
}

proptest! {
    // A failing case is printed; no file is left behind.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_plain_part_means_what_it_says(
        glob in prop::collection::vec(prop_oneof!["[ab]{1,2}", "[ab]?[*][ab]?", "[?a]{1,2}", "[*]a[*]b?", Just("**".to_owned())], 1..5),
        path in prop::collection::vec("[ab]{1,4}", 1..6),
    ) {
        let (glob, path) = (glob.join("/"), path.join("/"));
        prop_assert_eq!(matches(&glob, &path), reference(&segments(&glob), &segments(&path)), "{} {}", glob, path);
    }

    #[test]
    fn no_text_panics(glob in "[ab.*?!+@()\\[\\]{}|,/\\\\\"^$:<=\\-1é😀\n]{1,16}", path in "[ab./\\\\é😀\n]{0,12}") {
        if let Ok(pattern) = Pattern::compile(&glob) {
            prop_assert_eq!(pattern.is_match(&glob), true);
            let _: bool = pattern.is_match(&path);
        }
    }

    /// A pattern without special characters is a name.
    #[test]
    fn plain_text_matches_itself_alone(name in "[a-zA-Z0-9_ é日😀/-]{1,20}", other in "[a-zA-Z0-9_ é日😀/-]{1,20}") {
        prop_assert_eq!(matches(&name, &other), name == other);
    }
}
