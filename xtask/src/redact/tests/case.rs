//! One redaction case and everything that must hold for it.

use std::io::Write as _;

use serde::Deserialize;

use super::super::{RedactingWriter, Redactor};

/// The record format of the sample file.
#[derive(Deserialize, Default)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) text: String,
    /// What must not survive, as spelled in the text.
    pub(super) secrets: Vec<String>,
    pub(super) known: Vec<String>,
    pub(super) keep: Vec<String>,
    #[serde(default)]
    pub(super) splits: Vec<usize>,
}

impl Case {
    /// What is wrong with the redaction of this case; empty when nothing is.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut redactor = Redactor::new();
        for value in &self.known {
            redactor.register("", value);
        }
        let out = redactor.redact(&self.text);
        let mut faults = Vec::new();
        for secret in &self.secrets {
            if let Some(window) = surviving_window(secret, &out) {
                faults.push(format!("{window:?} of {secret:?} survives"));
            }
        }
        faults.extend(
            self.keep
                .iter()
                .filter(|keep| !out.contains(*keep))
                .map(|keep| format!("{keep:?} is lost")),
        );
        if self.secrets.is_empty() && out != self.text {
            faults.push("text without secrets changed".to_owned());
        }
        if redactor.redact(&out) != out {
            faults.push(format!(
                "a second pass changes it to {:?}",
                redactor.redact(&out)
            ));
        }
        let offsets = self.text.char_indices().map(|(offset, _)| offset);
        let cut: Vec<usize> = self
            .splits
            .iter()
            .filter_map(|split| offsets.clone().nth(*split))
            .collect();
        let single: Vec<usize> = (0..self.text.len()).collect();
        for (name, cuts) in [("given", cut), ("1-byte", single)] {
            let streamed = written(&redactor, self.text.as_bytes(), &cuts);
            if streamed != out.as_bytes() {
                faults.push(format!(
                    "{name} writes give {:?}",
                    String::from_utf8_lossy(&streamed)
                ));
            }
        }
        if !faults.is_empty() {
            faults.push(format!(
                "{}: text {:?} known {:?} gave {out:?}",
                self.id, self.text, self.known
            ));
        }
        faults
    }
}

/// The output for `text` written in pieces that begin at `cuts`, in ascending order.
pub(super) fn written(redactor: &Redactor, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut writer = RedactingWriter::new(Vec::new(), redactor);
    let mut from = 0;
    for &cut in cuts {
        writer.write_all(&text[from..cut]).unwrap();
        from = cut;
    }
    writer.write_all(&text[from..]).unwrap();
    writer.close().unwrap()
}

/// A part of `secret` in `out` that is long enough to matter: 8 characters or half of it, whichever is more.
fn surviving_window(secret: &str, out: &str) -> Option<String> {
    let chars: Vec<char> = secret.chars().collect();
    let len = chars.len().div_ceil(2).max(8).min(chars.len());
    chars
        .windows(len)
        .map(|window| window.iter().collect::<String>())
        .find(|window| out.contains(window))
}

#[test]
fn windows_are_half_of_a_secret_and_never_below_eight_characters() {
    assert_eq!(
        surviving_window("abcdefghijklmnopqrst", "xxcdefghijklmxx"),
        Some("cdefghijkl".to_owned())
    );
    assert_eq!(
        surviving_window("abcdefghijklmnopqrst", "xxcdefghijkxx"),
        None
    );
    assert_eq!(surviving_window("abcde", "abcd"), None);
    assert_eq!(surviving_window("abcde", "abcde"), Some("abcde".to_owned()));
}
