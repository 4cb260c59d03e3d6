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
    let text = escape(&format!(
        "{} {headline} ({took})",
        outcome::mark(exit, state)
    ));
    let mut attachment = json!({
        "fallback": text,
        "color": color(exit, state),
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

fn color(exit: Exit, state: &RunState) -> &'static str {
    match outcome::role(exit, state) {
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
    for (lane, title, url) in [
        (Lane::Frontend, "Frontend", &extra.site_url),
        (Lane::Backend, "Backend", &extra.service_url),
    ] {
        if let Some(status) = state.lanes.get(&lane) {
            field(title, &lane_text(exit, state, lane, status, url), true);
        }
    }
    if let Some(commit) = &state.commit {
        let subject = clean::clip(&clean::line(&state.subject), SUBJECT_CHARS);
        field(
            "Commit",
            format!("{} {subject}", commit.short()).trim_end(),
            true,
        );
    }
    let migrations = if state.migrations.is_empty() {
        "none".to_owned()
    } else {
        state.migrations.join(", ")
    };
    field("Migrations", &migrations, true);
    field("Duration", took, true);
    if !state.by.is_empty() {
        field("Started by", &state.by, true);
    }
    if let Some(reason) = &state.override_reason {
        field("Override", reason, false);
    }
    if let Some((step, status)) = state.failed_step() {
        field(
            "Failed step",
            &format!(
                "{}, {}: {}",
                super::line::who(step.lane()),
                step.title(),
                status.detail
            ),
            false,
        );
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
        _ => outcome::live_now(exit, state, lane, status).1,
    };
    if url.is_empty() {
        said
    } else {
        format!("{said}\n{url}")
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample::{self, Told};
    use insta::assert_snapshot;

    fn extra() -> Extra {
        Extra {
            site_url: "https://shop.example".to_owned(),
            service_url: "https://shop-api.onrender.com".to_owned(),
            run_url: Some("https://github.example/shop/actions/runs/7".to_owned()),
        }
    }

    /// The parts that differ from run to run, as they are read.
    fn shown(told: &Told) -> String {
        let payload = payload(&told.state, &extra());
        let attachment = &payload["attachments"][0];
        let mut text = format!(
            "{} | {}\n",
            attachment["color"].as_str().unwrap(),
            payload["text"].as_str().unwrap()
        );
        if let Some(reason) = attachment["text"].as_str() {
            text = format!("{text}{reason}\n");
        }
        for field in attachment["fields"].as_array().unwrap() {
            let (title, value) = (
                field["title"].as_str().unwrap(),
                field["value"].as_str().unwrap(),
            );
            let wide = if field["short"] == true {
                ""
            } else {
                " (wide)"
            };
            text = format!("{text}{title}{wide}: {}\n", value.replace('\n', " / "));
        }
        text
    }

    #[test]
    fn the_whole_payload() {
        let payload =
            serde_json::to_string_pretty(&payload(&sample::frontend_only().state, &extra()))
                .unwrap();
        assert_snapshot!(payload, @r#"
        {
          "attachments": [
            {
              "color": "good",
              "fallback": "✓ Released 1a2b3c4 to production (5.9 s)",
              "fields": [
                {
                  "short": true,
                  "title": "Frontend",
                  "value": "live and verified\nhttps://shop.example"
                },
                {
                  "short": true,
                  "title": "Backend",
                  "value": "skipped: its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001\nhttps://shop-api.onrender.com"
                },
                {
                  "short": true,
                  "title": "Commit",
                  "value": "1a2b3c4 Round the corners"
                },
                {
                  "short": true,
                  "title": "Migrations",
                  "value": "none"
                },
                {
                  "short": true,
                  "title": "Duration",
                  "value": "5.9 s"
                },
                {
                  "short": true,
                  "title": "Started by",
                  "value": "someone"
                }
              ],
              "mrkdwn_in": [],
              "title": "Released 1a2b3c4 to production",
              "title_link": "https://github.example/shop/actions/runs/7",
              "ts": 1795453268
            }
          ],
          "link_names": false,
          "mrkdwn": false,
          "parse": "none",
          "text": "✓ Released 1a2b3c4 to production (5.9 s)",
          "unfurl_links": false,
          "unfurl_media": false
        }
        "#);
    }

    #[test]
    fn released() {
        assert_snapshot!(shown(&sample::released()), @r#"
        good | ✓ Released 1a2b3c4 to production (13.5 s)
        Frontend: live and verified / https://shop.example
        Backend: live and verified / https://shop-api.onrender.com
        Commit: 1a2b3c4 Show revenue by region
        Migrations: 0003_add_region.sql
        Duration: 13.5 s
        Started by: someone
        "#);
    }

    #[test]
    fn a_failed_check() {
        assert_snapshot!(shown(&sample::check_failed()), @r#"
        warning | ✗ Failed: 1a2b3c4 is not released, production is unchanged (2.4 s)
        check 'backend' failed with exit code 101: cargo test -p backend; nothing that is live was changed
        Frontend: as before this run / https://shop.example
        Backend: as before this run / https://shop-api.onrender.com
        Commit: 1a2b3c4 Show revenue by region
        Migrations: 0003_add_region.sql
        Duration: 2.4 s
        Started by: someone
        Failed step (wide): release, checks: check 'backend' failed with exit code 101: cargo test -p backend
        Next (wide): cargo xtask history --prod
        "#);
    }

    #[test]
    fn rolled_back() {
        assert_snapshot!(shown(&sample::rolled_back()), @r#"
        warning | ✗ Rolled back: 1a2b3c4 failed, production is as it was before (1 min 15 s)
        the service answered 503 for 60 s; the backend was rolled back and the frontend was never published
        Frontend: as before this run / https://shop.example
        Backend: as before this run, restored and verified / https://shop-api.onrender.com
        Commit: 1a2b3c4 Show revenue by region
        Migrations: none
        Duration: 1 min 15 s
        Started by: someone
        Failed step (wide): backend, prove the version: the service answered 503 for 60 s
        Next (wide): cargo xtask history --prod
        "#);
    }

    #[test]
    fn degraded() {
        assert_snapshot!(shown(&sample::degraded()), @r#"
        warning | ✗ Degraded: 1a2b3c4 is only partly live in production (21.8 s)
        the frontend could not be published: Netlify POST /sites/x/deploys/y/restore: status 500; the previous frontend is public on the new backend, which is live and verified
        Frontend: as before this run / https://shop.example
        Backend: 1a2b3c4, verified / https://shop-api.onrender.com
        Commit: 1a2b3c4 Show revenue by region
        Migrations: none
        Duration: 21.8 s
        Started by: someone
        Failed step (wide): frontend, publish: Netlify POST /sites/x/deploys/y/restore: status 500
        Next (wide): cargo xtask deploy --resume --prod
        "#);
    }

    #[test]
    fn interrupted() {
        assert_snapshot!(shown(&sample::interrupted()), @r#"
        warning | ! Interrupted: the release of 1a2b3c4 to production is unfinished (6.8 s)
        interrupted: the backend's deploy is left to the provider and the frontend was not published
        Frontend: as before this run / https://shop.example
        Backend: not certain ('deploy and start' was under way); `status` asks the provider / https://shop-api.onrender.com
        Commit: 1a2b3c4 Show revenue by region
        Migrations: none
        Duration: 6.8 s
        Started by: someone
        Next (wide): cargo xtask deploy --resume --prod
        "#);
    }

    #[test]
    fn colours_follow_the_exit() {
        let color = |exit| color(exit, &RunState::default());
        let colors = Exit::ALL.map(color);
        assert_eq!(colors[0], "good");
        assert_eq!(
            [Exit::FailedUnchanged, Exit::RolledBack, Exit::Degraded].map(color),
            ["warning"; 3]
        );
        assert_eq!(
            [Exit::Unknown, Exit::Unhealthy, Exit::Database, Exit::Bug].map(color),
            ["danger"; 4]
        );
    }

    #[test]
    fn foreign_text_is_only_text() {
        let payload = payload(&sample::hostile().state, &extra());
        let mut texts = Vec::new();
        collect(&payload, &mut texts);
        for text in &texts {
            assert!(!text.contains(['<', '>', '\u{1b}', '\r']), "{text:?}");
            assert!(!text.contains("@here") && !text.contains("##["), "{text:?}");
            assert!(
                text.chars().count() <= TEXT_CHARS,
                "{}",
                text.chars().count()
            );
            let rest = ["&amp;", "&lt;", "&gt;"]
                .iter()
                .fold((*text).to_owned(), |rest, entity| rest.replace(entity, ""));
            assert!(!rest.contains('&'), "a cut escape: {text:?}");
        }
        assert!(
            texts
                .iter()
                .any(|text| text.contains("&lt;!channel&gt;") && text.ends_with('…')),
            "{texts:?}"
        );
    }

    fn collect<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => texts.push(text),
            Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
            Value::Object(map) => map.values().for_each(|item| collect(item, texts)),
            _ => {}
        }
    }

    #[test]
    fn a_cut_never_splits_an_escape() {
        for padding in 2_990..3_001 {
            let cut = escape(&format!("{}{}", "x".repeat(padding), "&".repeat(10)));
            assert!(
                cut.chars().count() <= TEXT_CHARS && (cut.ends_with(";…") || cut.ends_with("x…")),
                "{padding}: {}",
                &cut[2_980..]
            );
        }
    }
}
