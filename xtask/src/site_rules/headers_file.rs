//! `_headers`: a path on a line of its own, below it its headers, `name: value` each.

use super::redirects_file::{is_toml, say_toml};
use super::{Around, HeaderBlock, Place, RuleFile, SiteRules, Weight, shown};

pub(super) fn read(rules: &mut SiteRules, file: &RuleFile, _around: Around<'_>) {
    let mut blocks: Vec<HeaderBlock> = Vec::new();
    let mut toml_lines: Vec<usize> = Vec::new();
    for (line, text) in (1..).zip(file.text.lines().map(str::trim)) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let place = Place {
            file: file.shown.clone(),
            line,
        };
        if text.starts_with('/') {
            blocks.push(HeaderBlock {
                place,
                path: text.to_owned(),
                names: Vec::new(),
            });
        } else if is_toml_here(text) {
            toml_lines.push(line);
        } else if let Err(why) = header(text, blocks.last_mut()) {
            rules.say(
                place,
                Weight::Said,
                format!("'{}' takes no part: {why}", shown(text)),
            );
        }
    }
    say_toml(rules, file, &toml_lines);
    for block in blocks {
        if block.names.is_empty() {
            let text = format!(
                "'{}' takes no part: no header stands below it",
                shown(&block.path)
            );
            rules.say(block.place, Weight::Said, text);
        } else {
            rules.headers.push(block);
        }
    }
}

/// A table's head, `for = …`, or a header's name with an equals sign before its quoted value.
fn is_toml_here(line: &str) -> bool {
    let quoted = line.split_once('=').is_some_and(|(name, value)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_\"".contains(c);
        name.trim().chars().all(is_name) && value.trim_start().starts_with(['"', '\''])
    });
    quoted || is_toml(line, &["for", "values"])
}

/// Adds a header to its block, or says why it is none.
fn header(line: &str, block: Option<&mut HeaderBlock>) -> Result<(), &'static str> {
    if line.starts_with("http://") || line.starts_with("https://") {
        return Err(
            "it is an address, and would be taken for a header (hint: begin the path with /)",
        );
    }
    let (name, value) = line
        .split_once(':')
        .ok_or("it is neither a path, which begins with /, nor a header, which has a colon")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() {
        return Err("it names no header");
    }
    if value.is_empty() {
        return Err("the header has no value");
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'/<>()[]{}".contains(c)) {
        return Err("what stands before the colon is no header's name");
    }
    let block = block.ok_or("no path stands before it")?;
    block.names.push(name.to_lowercase());
    Ok(())
}
