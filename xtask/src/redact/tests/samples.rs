//! The recorded cases, when the sample file is there.

use super::case::Case;

#[test]
fn recorded_cases_of_registered_values() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/samples/redaction.jsonl"
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "the error is not shown: a missing file is a reason to skip"
    )]
    let Ok(records) = std::fs::read_to_string(path) else {
        println!("skipped: the sample file {path} is not there");
        return;
    };
    let mut faults = Vec::new();
    for line in records.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        faults.extend(case.faults());
    }
    assert!(
        !records.is_empty() && faults.is_empty(),
        "{}",
        faults.join("\n")
    );
}
