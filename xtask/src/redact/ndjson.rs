//! The redactor as a pipe for other programs: one JSON request per line, one JSON answer per line.

use std::io::Write as _;

use serde::Deserialize;
use serde_json::json;

use super::{RedactingWriter, Redactor};

/// Unknown keys are allowed, so that recorded cases can be piped through as they are.
#[derive(Deserialize)]
struct Request {
    text: String,
    /// The values to hide.
    known: Vec<String>,
    /// Where the text is cut into writes, in Unicode scalar values. Offsets beyond its end cut nothing.
    #[serde(default)]
    splits: Option<Vec<usize>>,
}

/// Answers one line, without a line break: `{"out"}`, or `{"error"}` when it is not a request.
pub fn answer_line(line: &str) -> String {
    let answer = match serde_json::from_str::<Request>(line) {
        Ok(request) => match redacted(&request) {
            Ok(out) => json!({ "out": out }),
            Err(error) => json!({ "error": format!("redact text: {error}") }),
        },
        // The library's message quotes what it found, which may be the secret.
        Err(error) => {
            let expected = r#"expected {"text":"..","known":[".."],"splits":[0]?}"#;
            json!({ "error": format!("parse request: {:?} error at column {}; {expected}", error.classify(), error.column()) })
        }
    };
    answer.to_string()
}

fn redacted(request: &Request) -> std::io::Result<String> {
    let mut redactor = Redactor::new();
    for value in &request.known {
        redactor.register("", value);
    }
    let mut writer = RedactingWriter::new(Vec::new(), &redactor);
    let mut splits = request.splits.clone().unwrap_or_default();
    splits.sort_unstable();
    splits.dedup();
    let mut offsets = request
        .text
        .char_indices()
        .map(|(offset, _)| offset)
        .enumerate();
    let mut from = 0;
    for split in splits {
        let Some((_, to)) = offsets.find(|(index, _)| *index >= split) else {
            break;
        };
        writer.write_all(&request.text.as_bytes()[from..to])?;
        from = to;
    }
    writer.write_all(&request.text.as_bytes()[from..])?;
    String::from_utf8(writer.close()?).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str, key: &str) -> String {
        let answer: serde_json::Value = serde_json::from_str(&answer_line(line)).unwrap();
        answer[key].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn hides_known_values_however_the_text_is_cut() {
        for splits in [
            "",
            r#","splits":null"#,
            r#","splits":[]"#,
            r#","splits":[3,4,5,6,6,99]"#,
            r#","splits":[7,0,2]"#,
        ] {
            let line =
                format!(r#"{{"text":"é x=blue-horse, y","known":["blue-horse","1"]{splits}}}"#);
            assert_eq!(answer(&line, "out"), "é x=[REDACTED], y", "{splits}");
        }
    }

    #[test]
    fn a_bad_line_is_answered_without_quoting_it() {
        for line in [
            "",
            "{",
            "[]",
            r#"{"text":"a"}"#,
            r#"{"text":"a","known":"blue-horse"}"#,
            r#"{"text":1,"known":[]}"#,
        ] {
            let error = answer(line, "error");
            assert!(error.starts_with("parse request: "), "{line}: {error}");
            assert!(!error.contains("blue-horse"), "{error}");
        }
    }
}
