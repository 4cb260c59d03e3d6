//! `netlify.toml`: redirects and headers are the site's; the rest is for builds at the provider, and takes no part here.

use super::redirects_file::{forwarded, leading_number};
use super::{
    Around, HeaderBlock, Place, Redirect, RuleFile, SiteRules, Weight, complaint, host_and_path,
    shown,
};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Older names that the provider still takes stand behind the usual one.
const FROM: &[&str] = &["from", "origin"];
const TO: &[&str] = &["to", "destination"];
const QUERY: &[&str] = &["query", "params", "parameters"];
/// Keys of a rule that need no look.
const OTHER_KEYS: [&str; 9] = [
    "status",
    "force",
    "conditions",
    "signed",
    "signing",
    "sign",
    "headers",
    "rate_limit",
    "edge_handler",
];
/// Tables that are passed on or that no release is concerned with.
const SILENT: [&str; 6] = [
    "redirects",
    "headers",
    "images",
    "dev",
    "template",
    "settings",
];

type Value<'t> = Spanned<DeValue<'t>>;

/// The file under examination: finds a value's line.
struct Text<'f> {
    file: &'f RuleFile,
    around: Around<'f>,
}

impl Text<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.file.text.get(..offset).unwrap_or_default();
        Place {
            file: self.file.shown.clone(),
            line: before.matches('\n').count() + 1,
        }
    }
}

pub(super) fn read(rules: &mut SiteRules, file: &RuleFile, around: Around<'_>) {
    let text = Text { file, around };
    let table = match DeTable::parse(&file.text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let place = text.place(error.span().map_or(0, |span| span.start));
            let why = format!(
                "this is no TOML ({}), so none of the file's rules can be read (hint: mend or remove the file)",
                error.message()
            );
            return rules.say(place, Weight::Stops, why);
        }
    };
    for (name, read) in [
        (
            "redirects",
            redirect as fn(&mut SiteRules, &Text<'_>, &Value<'_>),
        ),
        ("headers", header),
    ] {
        match get(&table, &[name]).map(|value| (value.span(), value.get_ref())) {
            None => {}
            Some((_, DeValue::Array(entries))) => {
                for entry in entries {
                    read(rules, &text, entry);
                }
            }
            Some((span, _)) => {
                let why = format!(
                    "'{name}' must be a list of tables, so none of them can be read (hint: write [[{name}]])"
                );
                rules.say(text.place(span.start), Weight::Stops, why);
            }
        }
    }
    not_ours(rules, &text, &table);
}

fn get<'v, 't>(table: &'v DeTable<'t>, names: &[&str]) -> Option<&'v Value<'t>> {
    names.iter().find_map(|name| table.get(*name))
}

fn text_of<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    value.get_ref().as_str()
}

/// Where an entry of a list stands: by its first key, since the entry itself may have no place of its own.
fn place_of(text: &Text<'_>, entry: &Value<'_>) -> Place {
    let keys = match entry.get_ref() {
        DeValue::Table(table) => table.keys().map(|key| key.span().start).min(),
        _ => None,
    };
    text.place(keys.unwrap_or(entry.span().start))
}

fn redirect(rules: &mut SiteRules, text: &Text<'_>, entry: &Value<'_>) {
    let place = place_of(text, entry);
    let DeValue::Table(table) = entry.get_ref() else {
        return rules.say(place, Weight::Said, "takes no part: it is no table");
    };
    let to_service = get(table, TO)
        .and_then(text_of)
        .is_some_and(|to| text.around.service_path(to).is_some());
    match rule(table, place.clone()) {
        Ok(redirect) => {
            rules.redirects.push(redirect);
            unknown_keys(rules, text, table);
        }
        Err(why) => {
            let weight = if to_service {
                Weight::Stops
            } else {
                Weight::Said
            };
            let name = get(table, FROM).and_then(text_of).map_or_else(
                || "this rule".to_owned(),
                |from| format!("the rule for '{}'", shown(from)),
            );
            rules.say(place, weight, format!("{name} takes no part: {why}"));
        }
    }
}

fn unknown_keys(rules: &mut SiteRules, text: &Text<'_>, table: &DeTable<'_>) {
    let known = [FROM, TO, QUERY, &OTHER_KEYS].concat();
    for key in table
        .keys()
        .filter(|key| !known.contains(&&**key.get_ref()))
    {
        let why = format!(
            "'{}' is no key of a redirect and takes no part",
            key.get_ref()
        );
        rules.say(text.place(key.span().start), Weight::Said, why);
    }
}

fn rule(table: &DeTable<'_>, place: Place) -> Result<Redirect, String> {
    let from = get(table, FROM).ok_or("it has no `from`")?;
    let from = text_of(from).ok_or("its `from` is no text")?;
    let status = match table.get("status").map(Spanned::get_ref) {
        None => None,
        Some(DeValue::Integer(number)) => Some(
            number
                .to_string()
                .parse()
                .map_err(|_| format!("{number} is no status that a rule can have"))?,
        ),
        Some(DeValue::String(word)) => {
            Some(leading_number(word).ok_or_else(|| format!("'{word}' is no status"))?)
        }
        Some(_) => return Err("its `status` is no whole number".to_owned()),
    };
    let to = match get(table, TO) {
        Some(to) => text_of(to).ok_or("its `to` is no text")?.to_owned(),
        None => forwarded(from, status.unwrap_or(301)).map_err(|_| "it has no `to`".to_owned())?,
    };
    let force = match table.get("force").map(Spanned::get_ref) {
        None => false,
        Some(DeValue::Boolean(force)) => *force,
        Some(_) => return Err("its `force` is neither true nor false".to_owned()),
    };
    let (host, from) = host_and_path(from);
    let redirect = Redirect {
        place,
        host,
        from,
        query: pairs(get(table, QUERY)),
        to,
        status: u16::try_from(status.unwrap_or(301)).unwrap_or(0),
        force,
        conditions: pairs(table.get("conditions")),
    };
    complaint(&redirect).map_or(Ok(redirect), Err)
}

/// A table as `_redirects` would write it.
fn pairs(value: Option<&Value<'_>>) -> Vec<String> {
    let Some(DeValue::Table(table)) = value.map(Spanned::get_ref) else {
        return Vec::new();
    };
    let written = |value: &Value<'_>| match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Array(items) => items
            .iter()
            .filter_map(text_of)
            .collect::<Vec<_>>()
            .join(","),
        _ => String::new(),
    };
    table
        .iter()
        .map(|(name, value)| format!("{}={}", name.get_ref(), written(value)))
        .collect()
}

fn header(rules: &mut SiteRules, text: &Text<'_>, entry: &Value<'_>) {
    let place = place_of(text, entry);
    match header_block(entry, place.clone()) {
        Ok(block) => rules.headers.push(block),
        Err(why) => rules.say(
            place,
            Weight::Said,
            format!("these headers take no part: {why}"),
        ),
    }
}

fn header_block(entry: &Value<'_>, place: Place) -> Result<HeaderBlock, String> {
    let DeValue::Table(table) = entry.get_ref() else {
        return Err("they are no table".to_owned());
    };
    let path = table.get("for").ok_or("there is no `for`")?;
    let path = text_of(path).ok_or("their `for` is no text")?.trim();
    let values = table.get("values").ok_or("there are no [headers.values]")?;
    let DeValue::Table(values) = values.get_ref() else {
        return Err("their `values` are no table".to_owned());
    };
    if values.is_empty() {
        return Err("there are no values".to_owned());
    }
    if !path.starts_with('/') && !super::is_url(path) {
        return Err(format!("'{}' is no path, which begins with /", shown(path)));
    }
    let is_text = |value: &Value<'_>| text_of(value).is_some();
    for (name, value) in values {
        let fits = match value.get_ref() {
            DeValue::Array(items) => items.iter().all(is_text),
            _ => is_text(value),
        };
        if !fits {
            return Err(format!("the value of {} is no text", name.get_ref()));
        }
    }
    Ok(HeaderBlock {
        place,
        path: path.to_owned(),
        names: values
            .keys()
            .map(|name| name.get_ref().trim().to_lowercase())
            .collect(),
    })
}

/// Everything that the provider's own builds would have obeyed.
fn not_ours(rules: &mut SiteRules, text: &Text<'_>, table: &DeTable<'_>) {
    for (key, value) in table {
        let place = match value.get_ref() {
            DeValue::Array(entries) => entries.first().map_or_else(
                || text.place(key.span().start),
                |entry| place_of(text, entry),
            ),
            _ => text.place(key.span().start),
        };
        let (weight, why) = match key.get_ref().as_ref() {
            "build" => {
                build(rules, text, value);
                continue;
            }
            "context" => {
                contexts(rules, text, value);
                continue;
            }
            "functions" => (
                Weight::Said,
                "settings for functions take no part: functions are not released from here".to_owned(),
            ),
            "edge_functions" => (
                Weight::StopsFirst,
                "edge functions are not released from here (hint: move them to the service, or let the provider build the site)".to_owned(),
            ),
            "plugins" => (
                Weight::StopsFirst,
                format!("{} not run here: deploy.toml says how the site is built (hint: do their work in `frontend.build`, or remove them)", plugins(value)),
            ),
            name if SILENT.contains(&name.to_lowercase().as_str()) => continue,
            name => (Weight::Said, format!("'{}' is nothing that the provider knows, and takes no part", shown(name))),
        };
        rules.say(place, weight, why);
    }
}

fn plugins(value: &Value<'_>) -> String {
    let DeValue::Array(entries) = value.get_ref() else {
        return "build plugins are".to_owned();
    };
    let name = |entry: &Value<'_>| match entry.get_ref() {
        DeValue::Table(table) => table.get("package").and_then(text_of).map(shown),
        _ => None,
    };
    let names: Vec<String> = entries.iter().filter_map(name).collect();
    match names.as_slice() {
        [one] => format!("the build plugin {one} is"),
        _ => format!("the build plugins {} are", names.join(", ")),
    }
}

/// What `[build]` says and deploy.toml says otherwise.
fn build(rules: &mut SiteRules, text: &Text<'_>, value: &Value<'_>) {
    let DeValue::Table(table) = value.get_ref() else {
        return;
    };
    let around = text.around;
    let folder = |path: &str| {
        let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        parts.collect::<Vec<_>>().join("/")
    };
    let base = table.get("base").and_then(text_of).unwrap_or_default();
    let same_publish = |publish: &str| {
        let ours = folder(around.publish);
        folder(publish) == ours || folder(&format!("{base}/{publish}")) == ours
    };
    let mut differ = Vec::new();
    for (key, value) in table {
        let said = text_of(value);
        match key.get_ref().as_ref() {
            "command" if said == around.build => {}
            "publish" if said.is_some_and(same_publish) => {}
            "base" | "processing" => {}
            "functions" | "edge_functions" => {
                let why = "functions are not released from here: the site is uploaded as files alone (hint: move them to the service, or let the provider build the site)";
                rules.say(text.place(key.span().start), Weight::StopsFirst, why);
            }
            _ => differ.push(key),
        }
    }
    differ.sort_by_key(|key| key.span().start);
    let Some(first) = differ.first() else { return };
    let names: Vec<&str> = differ.iter().map(|key| &**key.get_ref()).collect();
    let why = format!(
        "of [build] this takes no part: {}; deploy.toml says how the site is built",
        names.join(", ")
    );
    rules.say(text.place(first.span().start), Weight::Said, why);
}

/// Rules cannot be made for one context; builds for production are deploy.toml's.
fn contexts(rules: &mut SiteRules, text: &Text<'_>, value: &Value<'_>) {
    let DeValue::Table(contexts) = value.get_ref() else {
        return;
    };
    for (context, value) in contexts {
        let DeValue::Table(table) = value.get_ref() else {
            continue;
        };
        let concerns =
            |key: &str| matches!(key, "redirects" | "headers") || context.get_ref() == "production";
        let mut keys: Vec<_> = table.keys().filter(|key| concerns(key.get_ref())).collect();
        keys.sort_by_key(|key| key.span().start);
        let Some(first) = keys.first() else { continue };
        let names: Vec<&str> = keys.iter().map(|key| &**key.get_ref()).collect();
        let why = format!(
            "of [context.{}] this takes no part: {} (hint: redirects and headers hold in every context; deploy.toml says how the site is built)",
            context.get_ref(),
            names.join(", ")
        );
        rules.say(text.place(first.span().start), Weight::Said, why);
    }
}
