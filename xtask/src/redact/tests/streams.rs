//! Promises about streams: cuts do not matter, arbitrary bytes are harmless, and lines are not delayed.

use std::io::Write as _;

use super::super::{RedactingWriter, Redactor, Secret};
use super::case::written;
use super::random::Random;

fn redactor(values: &[&str]) -> Redactor {
    let mut redactor = Redactor::new();
    for value in values {
        redactor.register("TOKEN", value);
    }
    redactor
}

/// Pieces that begin, continue, resemble and complete escapes and values.
fn noise(random: &mut Random, value: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..random.range(0, 60) {
        let pieces: [&[u8]; 20] = [
            b"%",
            b"%2",
            b"%41",
            b"\\",
            b"\\u",
            b"\\ud83d",
            b"&",
            b"&amp;",
            b"'",
            b"\"",
            b"\x1b[",
            b"\x1b]8;;",
            b"m",
            b"\n",
            b" ",
            b"[REDACTED]",
            b"41",
            b"+",
            b"$$",
            b"\xf0\x9f",
        ];
        match random.below(4) {
            0 => text.push(random.below(256).to_le_bytes()[0]),
            1 => {
                let from = random.below(value.len());
                text.extend_from_slice(&value.as_bytes()[from..random.range(from, value.len())]);
            }
            _ => text.extend_from_slice(pieces[random.below(pieces.len())]),
        }
    }
    text
}

#[test]
fn arbitrary_bytes_give_the_same_output_however_they_are_cut() {
    for seed in 1..400 {
        let random = &mut Random::new(seed);
        let value = random.value(&[
            "%41",
            "\\u0041",
            "&amp;",
            "''",
            "é",
            "\n",
            "\u{1b}[m",
            "a",
            "[REDACTED]",
        ]);
        let redactor = redactor(&[&value, &value.chars().take(5).collect::<String>()]);
        let text = noise(random, &value);
        let whole = written(&redactor, &text, &[]);
        let mut cuts: Vec<usize> = (0..10).map(|_| random.below(text.len() + 1)).collect();
        cuts.sort_unstable();
        assert_eq!(
            written(&redactor, &text, &cuts),
            whole,
            "seed {seed}, cut at {cuts:?}"
        );
        let single: Vec<usize> = (0..text.len()).collect();
        assert_eq!(
            written(&redactor, &text, &single),
            whole,
            "seed {seed}, 1-byte writes"
        );
    }
}

#[test]
fn text_stays_text() {
    for seed in 1..400 {
        let random = &mut Random::new(seed);
        let value = random.value(&["é", "🔑", "\"", "ü"]);
        let redactor = redactor(&[&value]);
        let text = String::from_utf8_lossy(&noise(random, &value)).into_owned();
        assert!(
            std::str::from_utf8(&written(&redactor, text.as_bytes(), &[])).is_ok(),
            "seed {seed}"
        );
    }
}

#[test]
fn a_line_without_a_beginning_of_a_value_appears_at_once() {
    let redactor = redactor(&["blue-horse\nbattery", "it's \"quoted\""]);
    let mut shown = Vec::new();
    let mut writer = RedactingWriter::new(&mut shown, &redactor);
    writer
        .write_all(b"uploading 'site' \x1b[32m100%\x1b[0m done\n")
        .unwrap();
    writer.write_all(b"bl").unwrap();
    // Forgotten on purpose: nothing is closed, so what is shown was shown by the writes.
    std::mem::forget(writer);
    assert_eq!(
        String::from_utf8_lossy(&shown),
        "uploading 'site' \u{1b}[32m100%\u{1b}[0m done\n"
    );
}

#[test]
fn dropping_a_writer_shows_the_rest() {
    let redactor = redactor(&["blue-horse"]);
    let mut shown = Vec::new();
    let mut writer = RedactingWriter::new(&mut shown, &redactor);
    writer.write_all(b"a blue-horse and a blue-").unwrap();
    drop(writer);
    assert_eq!(
        String::from_utf8_lossy(&shown),
        "a [REDACTED:TOKEN] and a blue-"
    );
}

#[test]
fn a_huge_line_of_partial_values_is_scanned_in_blocks() {
    let redactor = redactor(&["aaaaaaaaaaab", "%%%%%%%%", "\\\\\\\\\\\\\\\\x"]);
    let text = "aaaaaaaaaaa\\\\\\\\%4".repeat(20_000) + "aaaaaaaaaaab";
    let out = redactor.redact(&text);
    assert!(out.ends_with("[REDACTED:TOKEN]"));
    assert_eq!(
        out.len(),
        text.len() - "aaaaaaaaaaab".len() + "[REDACTED:TOKEN]".len()
    );
}

#[test]
fn masks_name_the_value_unless_the_name_is_one() {
    let mut redactor = Redactor::new();
    assert!(redactor.register("RENDER_API_KEY", "blue-horse"));
    assert!(redactor.register("green-mouse", "green-mouse"));
    assert!(redactor.register("odd ]name", "grey-goose"));
    assert!(!redactor.register("SHORT", "abc"));
    assert!(redactor.register("INSIDE_A_MASK", "DACTED"));
    let out = redactor.redact("blue-horse, green-mouse, grey-goose, abc, DACTED");
    assert_eq!(
        out,
        "[REDACTED:RENDER_API_KEY], [REDACTED], [REDACTED:odd__name], abc, DACTED"
    );
    assert_eq!(redactor.redact(&out), out);
}

#[test]
fn secrets_and_redactors_do_not_show_values() {
    let secret = Secret::new("blue-horse");
    assert_eq!(secret.expose(), "blue-horse");
    assert!(!format!("{secret:?} {:?}", redactor(&["blue-horse"])).contains("blue"));
}

#[test]
fn values_registered_later_are_hidden_from_then_on() {
    let mut redactor = redactor(&["blue-horse"]);
    assert_eq!(redactor.redact("green-mouse"), "green-mouse");
    redactor.register("", "green-mouse");
    assert_eq!(
        redactor.redact("green-mouse blue-horse"),
        "[REDACTED] [REDACTED:TOKEN]"
    );
}
