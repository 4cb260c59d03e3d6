//! Random siblings of every kind of recorded case: other values, other neighbours, the same gates.
//! A failure names its seed; the seed alone rebuilds the case.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

use super::case::Case;
use super::encoders::{ENCODERS, NESTED, by_name, json};
use super::random::Random;

/// Whatever any of the encoders treats specially, and what looks like one of their escapes.
const SPECIALS: &[&str] = &[
    "\"",
    "'",
    "\\",
    "$",
    "`",
    "%",
    "&",
    "<",
    ">",
    "é",
    "ü",
    "🔑",
    "ключ",
    "/",
    "+",
    "=",
    "?",
    "#",
    ";",
    ",",
    ":",
    "@",
    "!",
    "*",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "|",
    "^",
    "~",
    "-",
    "_",
    ".",
    "\"q\"",
    "it's",
    "x y",
    "%41",
    "%2F",
    "\\n",
    "\\u0041",
    "\\0\\1\\g<0>",
    "&amp;",
    "&lt;",
    "$1",
    "$&",
    "\\Qx\\E",
    ".*",
    "a+",
    "\t",
];
const SPECIALS_WITH_LINES: &[&str] = &["\n", "\nline", "'", "\"", "\\", " ", "é", "$x", "\n\n"];

fn run(kind: &str, count: u64, make: impl Fn(&mut Random) -> Case) {
    let faults: Vec<String> = (0..count)
        .flat_map(|seed| {
            let mut case = make(&mut Random::new(seed + 1));
            case.id = format!("{kind} seed {seed} {}", case.id);
            case.faults()
        })
        .collect();
    let shown = faults
        .iter()
        .take(12)
        .map(String::as_str)
        .collect::<Vec<_>>();
    assert!(
        faults.is_empty(),
        "{} faults\n{}",
        faults.len(),
        shown.join("\n")
    );
}

/// `value` spelled as `spelled` between neighbours that must survive.
fn framed(random: &mut Random, value: &str, spelled: &str) -> Case {
    let frames = [
        ("token\t", "\t|"),
        ("x=", ",y=1"),
        ("GET /cb?token=", "&page=2 HTTP/1.1"),
        ("{\"msg\":\"bad value ", "\"}"),
        ("Config { token: \"", "\", retries: 3 }"),
        ("token: '", "'"),
        ("export T=\"", "\""),
        ("+ export T='", "' done"),
        ("CREATE ROLE app PASSWORD '", "';"),
        ("<v name=\"k\">", "</v>"),
        ("", ""),
        ("значение: ", " — готово"),
        ("match: \u{1b}[31m", "\u{1b}[0m done"),
    ];
    let (before, after) = frames[random.below(frames.len())];
    // A run of quotes or of white space belongs together: what is doubled or wrapped there cannot be told.
    let keep =
        [before, after].map(|text| text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned());
    Case {
        text: format!("{before}{spelled}{after}"),
        secrets: vec![spelled.to_owned()],
        known: vec![value.to_owned()],
        keep: keep.into_iter().filter(|text| !text.is_empty()).collect(),
        splits: (1..40).step_by(random.range(1, 5)).collect(),
        ..Case::default()
    }
}

fn any_value(random: &mut Random) -> String {
    match random.below(6) {
        0 => random.value(SPECIALS_WITH_LINES),
        1 => random.key_file(),
        2 => random.token(20),
        _ => random.value(SPECIALS),
    }
}

#[test]
fn values_as_they_are() {
    run("plain", 100, |random| {
        let value = any_value(random);
        framed(random, &value, &value)
    });
}

#[test]
fn values_in_every_encoding() {
    for (name, encode) in ENCODERS {
        run(name, 40, |random| {
            let value = any_value(random);
            framed(random, &value, &encode(&value))
        });
    }
}

#[test]
fn values_in_nested_encodings() {
    for (outer, inner) in NESTED {
        run(&format!("{outer} of {inner}"), 25, |random| {
            let value = any_value(random);
            let spelled = by_name(outer)(&by_name(inner)(&value));
            framed(random, &value, &spelled)
        });
    }
}

#[test]
fn values_in_base64_with_neighbours() {
    run("base64", 150, |random| {
        let value = any_value(random);
        let (before, after) = (random.below(9), random.below(9));
        let (before, after) = (random.token(before), random.token(after));
        let body = if random.below(3) == 0 {
            json(&value)
        } else {
            value.clone()
        };
        let whole = format!("{before}{body}{after}");
        let encoded = match random.below(3) {
            0 => STANDARD.encode(&whole),
            1 => URL_SAFE.encode(&whole),
            _ => URL_SAFE_NO_PAD.encode(&whole),
        };
        // Characters that also carry bits of a neighbour are no part of the secret.
        let first = (before.len() * 8).div_ceil(6);
        let last = (before.len() + body.len()) * 8 / 6;
        let mut case = framed(random, &value, &encoded);
        case.secrets = vec![encoded[first..last].to_owned()];
        case
    });
}

#[test]
fn values_in_wrapped_base64_and_grouped_hexadecimal() {
    let wrap = |text: &str, len: usize, with: &str| {
        text.as_bytes()
            .chunks(len)
            .map(|line| String::from_utf8_lossy(line))
            .collect::<Vec<_>>()
            .join(with)
    };
    run("wrapped", 40, |random| {
        let value = random.key_file();
        let with = random.pick(&["\n", "\r\n", "\n    ", "\\n"]);
        let wrapped = wrap(&STANDARD.encode(&value), 76, with);
        let mut case = framed(random, &value, &wrapped);
        case.secrets = wrapped.split(with).map(str::to_owned).collect();
        case
    });
    run("grouped", 60, |random| {
        let value = random.value(SPECIALS);
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let (len, with) = (random.pick(&[&2, &4]), random.pick(&[" ", ":", "\n"]));
        let grouped = wrap(&hex, *len, with);
        framed(random, &value, &grouped)
    });
}

#[test]
fn values_in_hexadecimal() {
    run("hex", 80, |random| {
        let value = any_value(random);
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let spelled = if random.below(2) == 0 {
            hex
        } else {
            hex.to_ascii_uppercase()
        };
        framed(random, &value, &spelled)
    });
}

#[test]
fn values_cut_by_terminal_sequences() {
    let sequences = [
        "\u{1b}[4m",
        "\u{1b}[38;5;208m",
        "\u{1b}[0m",
        "\u{1b}[1;31m",
        "\u{1b}[K",
        "\u{1b}]8;;u\u{1b}\\",
        "\u{1b}(B",
    ];
    run("ansi", 200, |random| {
        let value = match random.below(2) {
            0 => random.token(24),
            _ => random.value(SPECIALS),
        };
        let encoders: [fn(&str) -> String; 4] =
            [str::to_owned, json, by_name("url"), by_name("xml")];
        let spelled = encoders[random.below(encoders.len())](&value);
        let mut text = String::new();
        let mut pieces = Vec::new();
        let mut piece = String::new();
        for char in spelled.chars() {
            if random.below(6) == 0 && !piece.is_empty() {
                text.push_str(random.pick(&sequences));
                pieces.push(std::mem::take(&mut piece));
            }
            text.push(char);
            piece.push(char);
        }
        pieces.push(piece);
        // A piece of a few characters also occurs by chance, and inside the mask.
        pieces.retain(|piece| piece.chars().count() >= 6);
        let mut case = framed(random, &value, &text);
        case.secrets = pieces;
        // In JSON the terminal sequence is escaped as well.
        if random.below(3) == 0 {
            case.text = json(&case.text);
            case.secrets = case.secrets.iter().map(|piece| json(piece)).collect();
            case.keep.clear();
        }
        case.secrets.push(spelled);
        case
    });
}

#[test]
fn values_that_overlap_themselves_and_each_other() {
    run("overlap", 200, |random| {
        let unit_len = random.range(1, 3);
        let unit = random.token(unit_len);
        let tail_len = random.range(1, 3);
        let repeated = unit.repeat(random.range(5, 9)) + &random.token(tail_len);
        let short = random.token(12);
        let tail = random.token(8);
        let (long, chained) = (
            format!("{short}{tail}"),
            format!("{tail}{}", random.token(9)),
        );
        let overlapped = format!("{long}{}", &chained[tail.len()..]);
        Case {
            text: format!(
                "x {}{repeated} y short {short} long {long} both {overlapped} z",
                unit.repeat(2)
            ),
            secrets: vec![
                repeated.clone(),
                short.clone(),
                long.clone(),
                chained.clone(),
            ],
            known: vec![long, short, repeated, chained],
            keep: ["x ", " y short ", " long ", " both ", " z"]
                .map(str::to_owned)
                .to_vec(),
            splits: (5..60).collect(),
            ..Case::default()
        }
    });
}

#[test]
fn values_with_white_space_and_quotes_around_them() {
    run("trim", 80, |random| {
        let value = random.value(&["-", "_", ".", "é", "'", "\\"]);
        let around = [
            ("", "\n"),
            ("", "\r\n"),
            (" ", " \t"),
            ("\"", "\""),
            ("'", "'\n"),
            ("\u{feff}", ""),
        ];
        let (before, after) = around[random.below(around.len() - 1)];
        let mut case = framed(random, &value, &value);
        case.known = vec![format!("{before}{value}{after}")];
        case
    });
}

#[test]
fn secret_parts_of_addresses() {
    run("struct", 100, |random| {
        let (secret, id) = (random.token(20), random.token(16).to_lowercase());
        let password = random.value(&["@", "/", ":", "é", "%", "?", "#"]);
        let encoded = by_name("url")(&password);
        let (known, spelled) = match random.below(5) {
            0 => (
                format!("postgres://app:{secret}@dpg-{id}.example.com/app?sslmode=verify-full"),
                secret,
            ),
            1 => (
                format!("https://api.example.com/deploy/srv-{id}?key={secret}"),
                secret,
            ),
            2 => (
                format!("https://hooks.example.com/services/T0/B0/{secret}"),
                secret,
            ),
            3 => (
                format!("mysql://app:{encoded}@host.example.com:3306/app"),
                password,
            ),
            _ => (
                format!("mysql://app:{encoded}@host.example.com:3306/app"),
                encoded,
            ),
        };
        let mut case = framed(random, &known, &spelled);
        case.text = format!("srv-{id} sslmode verify-full app {}", case.text);
        case.keep.push(format!("srv-{id} sslmode verify-full app "));
        case
    });
}

#[test]
fn several_hundred_values() {
    run("many", 1, |random| {
        let known: Vec<String> = (0..250).map(|_| random.token(32)).collect();
        let (first, second) = (
            known[random.below(250)].clone(),
            known[random.below(250)].clone(),
        );
        Case {
            text: format!(
                "one of many {first} used; {second} too {}",
                random.words(30)
            ),
            secrets: vec![first, second],
            known,
            keep: vec!["one of many".to_owned(), "used;".to_owned()],
            ..Case::default()
        }
    });
}

#[test]
fn text_that_only_resembles_a_value() {
    run("look-alike", 150, |random| {
        let value = random.value(&["-", "_", "%41", "'", "\\n", "&amp;", " "]);
        let last = value.len() - 1;
        let (upper, truncated) = (value.to_ascii_uppercase(), &value[..last]);
        let words = random.words(12);
        let changed = if upper == value { String::new() } else { upper };
        Case {
            text: format!(
                "{words} {truncated} \\n\\t%41&amp;'' {changed} \u{1b}[31m {}\u{1b}[0m",
                &value[2..]
            ),
            known: vec![
                value.clone(),
                "1".to_owned(),
                "\n".to_owned(),
                "true".to_owned(),
                "abc".to_owned(),
            ],
            ..Case::default()
        }
    });
}
