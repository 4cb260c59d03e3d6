//! The message to Slack: an attachment, because only attachments have a coloured bar, with a text for notifications and
//! old clients.

use super::clean;
use super::outcome;
use super::style::Role;
use super::words::{duration, lane_state};
use crate::event::LaneState;
use crate::exit::Exit;
use crate::ids::Lane;
use crate::state::{LaneStatus, RunState};
use serde_json::{Value, json};

/// Slack cuts a section's text here; so do we, with an ellipsis.
const TEXT_CHARS: usize = 3_000;
/// A commit's subject: what fits beside the commit.
const SUBJECT_CHARS: usize = 200;

/// What the message needs and the state of a run does not hold.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// The site's public address.
    pub site_url: String,
    /// The service's public address.
    pub service_url: String,
    /// The CI run, when there is one.
    pub run_url: Option<String>,
}

/// The body of the webhook's request.
pub fn payload(state: &RunState, extra: &Extra) -> Value {
    let exit = state.exit.unwrap_or(Exit::Unknown);
    let headline = outcome::headline(exit, state);
    let took = duration(state.elapsed_ms);
    let text = escape(&format!("{} {headline} ({took})", outcome::mark(exit)));
    let mut attachment = json!({
        "fallback": text,
        "color": color(exit),
        "title": escape(&headline),
        "fields": fields(state, extra, exit, &took),
        "ts": (state.started_ms + i64::try_from(state.elapsed_ms).unwrap_or(0)) / 1000,
        // Nothing in the fields is meant as formatting.
        "mrkdwn_in": [],
    });
    if exit != Exit::Done {
        attachment["text"] = json!(escape(&state.reason));
    }
    if let Some(url) = &extra.run_url {
        attachment["title_link"] = json!(url);
    }
    json!({
        "text": text,
        "mrkdwn": false,
        // Bare addresses stay text; nothing is fetched for a preview.
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "attachments": [attachment],
    })
}

fn color(exit: Exit) -> &'static str {
    match outcome::role(exit) {
        Role::Good => "good",
        Role::Bad => "danger",
        _ => "warning",
    }
}

fn fields(state: &RunState, extra: &Extra, exit: Exit, took: &str) -> Vec<Value> {
    let mut fields = Vec::new();
    let mut field = |title: &str, value: &str, short: bool| {
        fields.push(json!({ "title": title, "value": escape(value), "short": short }));
    };
    for (lane, title, url) in [(Lane::Frontend, "Frontend", &extra.site_url), (Lane::Backend, "Backend", &extra.service_url)] {
        if let Some(status) = state.lanes.get(&lane) {
            field(title, &lane_text(exit, state, lane, status, url), true);
        }
    }
    if let Some(commit) = &state.commit {
        let subject = clean::clip(&clean::line(&state.subject), SUBJECT_CHARS);
        field("Commit", format!("{} {subject}", commit.short()).trim_end(), true);
    }
    let migrations = if state.migrations.is_empty() { "none".to_owned() } else { state.migrations.join(", ") };
    field("Migrations", &migrations, true);
    field("Duration", took, true);
    if !state.by.is_empty() {
        field("Started by", &state.by, true);
    }
    if let Some(reason) = &state.override_reason {
        field("Override", reason, false);
    }
    if let Some((step, status)) = state.failed_step() {
        field("Failed step", &format!("{}: {}", step.title(), status.detail), false);
    }
    if let Some(command) = state.next.first().filter(|_| exit != Exit::Done) {
        field("Next", command, false);
    }
    fields
}

fn lane_text(exit: Exit, state: &RunState, lane: Lane, status: &LaneStatus, url: &str) -> String {
    let said = match (status.state, exit) {
        (LaneState::Unchanged, _) => format!("skipped: {}", status.decision.reason),
        (found, Exit::Done) => lane_state(found).to_owned(),
        _ => format!("live now: {}", outcome::live_now(exit, state, lane, status).1),
    };
    if url.is_empty() { said } else { format!("{said}\n{url}") }
}

/// Escapes what Slack reads as a command, and cuts: never in the middle of an escape.
///
/// `<!channel>`, `<@…>` and `<address|text>` all begin with the character that is escaped here.
fn escape(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(clean::line).collect();
    let text = lines.join("\n");
    let mut out = String::new();
    let mut chars = 0;
    for c in text.chars() {
        let piece = match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            // A word joiner is seen by nobody, and keeps `@channel` and `@here` from being names.
            '@' => "@\u{2060}".to_owned(),
            other => other.to_string(),
        };
        let length = piece.chars().count();
        // One character is left for the ellipsis.
        if chars + length >= TEXT_CHARS {
            out.push('…');
            break;
        }
        out.push_str(&piece);
        chars += length;
    }
    out
}
