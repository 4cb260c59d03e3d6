//! Answers questions about patterns, one JSON document per line: what `cargo xtask match --ndjson` does with its input.
//!
//! Rules are read as the reference reads them from YAML: a string, a list nested to any depth, or an object from status words
//! to a pattern or a list of patterns.

use super::filter::{Filter, Quantifier, Rule, Status};
use serde_json::{Value, json};

/// The answer to one line, without a line end: `{"matched":…}`, or `{"error":…}` when the line cannot be understood.
#[must_use]
pub fn answer_line(line: &str) -> String {
    let answer = answer(line).unwrap_or_else(|error| json!({ "error": error }));
    answer.to_string()
}

fn answer(line: &str) -> Result<Value, String> {
    let question: Value =
        serde_json::from_str(line).map_err(|error| format!("not a JSON document: {error}"))?;
    let rules = question.get("rules");
    let source = rules.or_else(|| question.get("patterns"));
    let source = source.ok_or("neither `patterns` nor `rules` is given")?;
    let mut parsed = Vec::new();
    read_rules(source, &mut parsed)?;
    let filter = Filter::new(parsed, quantifier(&question)?).map_err(|error| error.to_string())?;
    if rules.is_some() {
        return files(&filter, &question);
    }
    let path = question
        .get("path")
        .and_then(Value::as_str)
        .ok_or("`path` is not a string")?;
    Ok(json!({ "matched": matches(&filter, path, None)? }))
}

/// A plan takes what is not decided within the limit of steps for a match, to be safe; whoever asks here is told.
fn matches(filter: &Filter, path: &str, status: Option<Status>) -> Result<bool, String> {
    let answer = filter.matches(path, status);
    match answer.undecided {
        Some(undecided) => Err(undecided.to_string()),
        None => Ok(answer.matched),
    }
}

fn quantifier(question: &Value) -> Result<Quantifier, String> {
    match question.get("quantifier") {
        None | Some(Value::Null) => Ok(Quantifier::default()),
        Some(name) => name
            .as_str()
            .and_then(Quantifier::from_name)
            .ok_or_else(|| {
                format!("quantifier {name} is unknown: some, every or some-with-excludes")
            }),
    }
}

fn read_rules(source: &Value, rules: &mut Vec<Rule>) -> Result<(), String> {
    match source {
        Value::String(glob) => rules.push(Rule::plain(glob).map_err(|error| error.to_string())?),
        Value::Array(items) => {
            for item in items {
                read_rules(item, rules)?;
            }
        }
        Value::Object(entries) => {
            for (words, patterns) in entries {
                let mut globs = Vec::new();
                read_globs(words, patterns, &mut globs)?;
                rules.push(Rule::with_status(words, &globs).map_err(|error| error.to_string())?);
            }
        }
        other => {
            return Err(format!(
                "rule {other} is not a pattern, a list or an object from statuses to patterns"
            ));
        }
    }
    Ok(())
}

fn read_globs<'a>(words: &str, source: &'a Value, globs: &mut Vec<&'a str>) -> Result<(), String> {
    match source {
        Value::String(glob) => globs.push(glob),
        Value::Array(items) => {
            for item in items {
                read_globs(words, item, globs)?;
            }
        }
        other => {
            return Err(format!(
                "under `{words}`: {other} is not a pattern or a list of patterns"
            ));
        }
    }
    Ok(())
}

fn files(filter: &Filter, question: &Value) -> Result<Value, String> {
    let files = question
        .get("files")
        .and_then(Value::as_array)
        .ok_or("`files` is not a list")?;
    let mut matched = Vec::new();
    for file in files {
        let path = file.get(0).and_then(Value::as_str);
        let path =
            path.ok_or_else(|| format!("file {file} is not a list of a path and a status"))?;
        // A change of type has no status; it comes as null or as any other word.
        let status = file
            .get(1)
            .and_then(Value::as_str)
            .and_then(Status::from_word);
        if matches(filter, path, status)? {
            matched.push(path);
        }
    }
    Ok(json!({ "changed": !matched.is_empty(), "matched": matched }))
}

#[cfg(test)]
mod tests {
    use super::answer_line;
    use serde_json::{Value, json};

    /// The original's answers for whole filters; where it fails, so must this.
    #[test]
    fn every_sampled_filter_is_answered() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/samples/filters.json"
        );
        let Ok(text) = fs_err::read_to_string(path) else {
            println!("skipped: the original's answers are not beside this repository ({path})");
            return;
        };
        let sample: Value = serde_json::from_str(&text).expect("the sample is JSON");
        let mut cases = sample["filters"].as_array().expect("filters").clone();
        for case in sample["some_with_excludes"].as_array().expect("filters") {
            let mut case = case.clone();
            case["quantifier"] = json!("some-with-excludes");
            cases.push(case);
        }
        for case in cases {
            let answer: Value =
                serde_json::from_str(&answer_line(&case.to_string())).expect("JSON");
            if case["matched"].is_array() {
                assert_eq!(answer["matched"], case["matched"], "{case}");
                let changed = !case["matched"].as_array().expect("a list").is_empty();
                assert_eq!(answer["changed"], json!(changed), "{case}");
            } else {
                assert!(answer["error"].is_string(), "{case} gave {answer}");
            }
        }
    }

    #[test]
    fn each_kind_of_line_has_its_answer() {
        for (line, expected) in [
            (
                r#"{"patterns":["src/**"],"quantifier":"some","path":"src/a"}"#,
                r#"{"matched":true}"#,
            ),
            (
                r#"{"patterns":["src/**","!src/a"],"quantifier":"some-with-excludes","path":"src/a"}"#,
                r#"{"matched":false}"#,
            ),
            (
                r#"{"patterns":["src/**"],"path":""}"#,
                r#"{"matched":false}"#,
            ),
            (
                r#"{"rules":[{"added|modified":["a/**"]},["b"]],"quantifier":"some","files":[["a/x","added"],["a/y","deleted"],["b",null]]}"#,
                r#"{"changed":true,"matched":["a/x","b"]}"#,
            ),
            (
                r#"{"rules":"a","quantifier":"every","files":[]}"#,
                r#"{"changed":false,"matched":[]}"#,
            ),
        ] {
            assert_eq!(answer_line(line), expected, "{line}");
        }
    }

    #[test]
    fn a_bad_line_is_answered_with_what_is_wrong() {
        for (line, part) in [
            ("", "not a JSON document"),
            ("[1", "not a JSON document"),
            ("{}", "neither `patterns` nor `rules`"),
            (r#"{"patterns":["a"]}"#, "`path` is not a string"),
            (r#"{"patterns":[""],"path":"a"}"#, "empty pattern"),
            (
                r#"{"patterns":["a"],"quantifier":"none","path":"a"}"#,
                "some-with-excludes",
            ),
            (
                r#"{"patterns":["!a"],"quantifier":"some-with-excludes","path":"a"}"#,
                "begins with `!`",
            ),
            (r#"{"rules":[null],"files":[]}"#, "rule null is not"),
            (
                r#"{"rules":[{"added":{"a":"b"}}],"files":[]}"#,
                "under `added`",
            ),
            (
                r#"{"rules":["a"],"files":["a"]}"#,
                "is not a list of a path and a status",
            ),
            (r#"{"rules":["a"]}"#, "`files` is not a list"),
        ] {
            let answer = answer_line(line);
            assert!(
                answer.starts_with(r#"{"error":"#) && answer.contains(part),
                "{line} gave {answer}"
            );
            assert!(!answer.contains('\n'));
        }
    }

    #[test]
    fn what_takes_too_many_steps_is_an_error_and_no_answer() {
        let path = format!("{}cb", "a".repeat(40));
        let question = json!({ "patterns": [r"(+(+(a)))c\1b"], "path": path });
        let asked_of_files = json!({ "rules": [r"(+(+(a)))c\1b"], "files": [[path, "added"]] });
        for question in [question, asked_of_files] {
            let answer = answer_line(&question.to_string());
            assert!(
                answer.contains("gave up matching") && answer.contains("without `\\\\1`"),
                "{answer}"
            );
        }
    }
}
