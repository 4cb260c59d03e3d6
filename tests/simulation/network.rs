//! Every network fault at every place from which the engine calls: generated cases, and only honest ends.

use super::decisions::{retry_after, status};
use super::project::{How, Project, Version, well};
use cloud::inprocess::Boot;
use cloud::{Door, Fault, FaultKind};

/// Where calls are made: a name, the door, the method and the path, and whether a failing release is needed to get there.
const SITES: [(&str, Door, &str, &str, bool); 12] = [
    ("list", Door::Api, "GET", "/v1/services/*/deploys", false),
    (
        "trigger",
        Door::Api,
        "POST",
        "/v1/services/*/deploys",
        false,
    ),
    ("poll", Door::Api, "GET", "/v1/services/*/deploys/*", false),
    (
        "rollback",
        Door::Api,
        "POST",
        "/v1/services/*/rollback",
        true,
    ),
    ("site", Door::Api, "GET", "/api/v1/sites/*", false),
    (
        "create",
        Door::Api,
        "POST",
        "/api/v1/sites/*/deploys",
        false,
    ),
    (
        "files",
        Door::Api,
        "PUT",
        "/api/v1/sites/*/deploys/*",
        false,
    ),
    (
        "upload",
        Door::Api,
        "PUT",
        "/api/v1/deploys/*/files/**",
        false,
    ),
    (
        "publish",
        Door::Api,
        "POST",
        "/api/v1/sites/*/deploys/*/restore",
        false,
    ),
    (
        "cancel",
        Door::Api,
        "POST",
        "/api/v1/deploys/*/cancel",
        true,
    ),
    ("health", Door::Service, "GET", "/api/health", false),
    ("public file", Door::Site, "GET", "/**", false),
];

fn kinds() -> Vec<(&'static str, FaultKind)> {
    let page = FaultKind::Status {
        status: 200,
        headers: [("content-type".to_owned(), "text/html".to_owned())].into(),
        body: "<title>Proxy</title>".to_owned(),
        processed: false,
    };
    vec![
        ("reset before", FaultKind::ResetBefore),
        ("reset after", FaultKind::ResetAfter),
        ("cut off", FaultKind::TruncateAt { at: 40 }),
        ("late", FaultKind::Delay { delay_ms: 45_000 }),
        (
            "drip",
            FaultKind::Drip {
                bytes: 1,
                pause_ms: 2_000,
            },
        ),
        ("endless", FaultKind::Pad { bytes: 9 << 20 }),
        ("500", status(500, false)),
        ("500 after", status(500, true)),
        ("502 after", status(502, true)),
        ("503", retry_after(503, "3")),
        ("429", retry_after(429, "5")),
        ("page", page),
        (
            "wrong type",
            FaultKind::ContentType {
                content_type: "text/plain".to_owned(),
            },
        ),
    ]
}

/// Once is nobody's failure; what must hold when it goes on and on is that the end is told truly, which the oracle judges.
fn sweep(times: u32, kinds: &[(&str, FaultKind)]) {
    for (site, door, method, path, fails) in SITES {
        for (kind, fault) in kinds.iter().cloned() {
            let mut project = Project::live(1);
            project.universe.cloud().add_fault(Fault {
                door: Some(door),
                ..Fault::new(method, path, fault).times(1, times)
            });
            let version = if fails {
                Version::new(2).behaving(well().booting(Boot::Crash { code: 1 }))
            } else {
                Version::new(2)
            };
            let outcome = project.deploy(&version, How::seed(1));
            let name = format!(
                "{kind} at {site}, {times} times: exit {} ({})",
                outcome.code(),
                outcome.reason()
            );
            match (times, fails) {
                // An answer beyond all bounds is no fault of the network: asking again would not help.
                (1, false) if kind == "endless" => {
                    assert!([0, 3, 4].contains(&outcome.code()), "{name}");
                }
                (1, false) => assert_eq!(outcome.code(), 0, "{name}"),
                (1, true) => assert_eq!(outcome.code(), 5, "{name}"),
                _ => assert!([0, 3, 4, 5, 6, 7, 8].contains(&outcome.code()), "{name}"),
            }
            if [6, 7].contains(&outcome.code()) {
                project.universe.cloud().cloud_mut().clear_faults();
                let end = project.deploy(&version, How::resume());
                let wanted = if fails { 5 } else { 0 };
                assert_eq!(end.code(), wanted, "{name}, then resumed: {}", end.reason());
            }
        }
    }
}

#[test]
fn one_fault_is_survived_everywhere() {
    sweep(1, &kinds());
}

#[test]
fn a_lasting_fault_is_told_truly_everywhere() {
    // Of faults that look alike to a client, one each.
    let lasting = ["reset before", "reset after", "late", "500", "503", "page"];
    let kinds: Vec<_> = kinds()
        .into_iter()
        .filter(|(name, _)| lasting.contains(name))
        .collect();
    sweep(0, &kinds);
}
