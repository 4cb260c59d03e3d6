//! Recorded answers of the real provider, against ours: the same fields, of the same types, with the same nulls.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::sim::{Sim, commit, header};

/// A file of the reference folder beside the repository, if there is one on this machine.
pub(crate) fn reference(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/specs")
        .join(name);
    let Ok(text) = fs_err::read_to_string(&path) else {
        println!("skipped: {name} is not on this machine");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn sample<'a>(samples: &'a Value, label: &str) -> &'a Value {
    samples
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["label"] == label)
        .unwrap()
}

fn body(sample: &Value) -> Value {
    serde_json::from_str(sample["response"]["body"].as_str().unwrap()).unwrap()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Fields that were recorded but are missing here, and fields of another type.
fn differences(path: &str, recorded: &Value, ours: &Value, out: &mut Vec<String>) {
    let (Some(recorded), Some(ours)) = (recorded.as_object(), ours.as_object()) else {
        if kind(recorded) != kind(ours) && !recorded.is_null() && !ours.is_null() {
            out.push(format!(
                "{path}: {} recorded, {} here",
                kind(recorded),
                kind(ours)
            ));
        }
        return;
    };
    for (name, value) in recorded {
        match ours.get(name) {
            Some(own) => differences(&format!("{path}/{name}"), value, own, out),
            None => out.push(format!("{path}/{name}: missing here")),
        }
    }
}

#[test]
fn deploys_have_the_recorded_fields_and_nulls() {
    let Some(samples) = reference("render-wire-samples.json") else {
        return;
    };
    let mut sim = Sim::new();
    let recorded = sample(&samples, "deploy-201-build_in_progress-nulls:finishedAt");
    let request = recorded["request"]["body"].as_str().unwrap();
    let answer = sim
        .render_raw("POST", "/services/{srv}/deploys", request.as_bytes())
        .unwrap();
    assert_eq!(
        u64::from(answer.status().as_u16()),
        recorded["response"]["status"]
    );
    assert!(answer.body().ends_with(b"}\n"));
    for name in recorded["response"]["headers"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|n| *n != "content-length")
    {
        assert!(!header(&answer, name).is_empty(), "header {name}");
    }
    assert_eq!(
        header(&answer, "content-type"),
        recorded["response"]["headers"]["content-type"]
    );
    let ours: Value = serde_json::from_slice(answer.body()).unwrap();
    let mut found = Vec::new();
    differences("", &body(recorded), &ours, &mut found);
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(ours["finishedAt"], Value::Null);
    let known: BTreeSet<&str> = [
        "id",
        "commit",
        "status",
        "trigger",
        "createdAt",
        "updatedAt",
        "startedAt",
        "finishedAt",
    ]
    .into();
    let names: BTreeSet<&str> = ours
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert!(names.is_subset(&known), "{names:?}");

    let queued = sim
        .render_raw("POST", "/services/{srv}/deploys", b"{}")
        .unwrap();
    let recorded = sample(&samples, "deploy-202-queued");
    assert_eq!(
        u64::from(queued.status().as_u16()),
        recorded["response"]["status"]
    );
    assert_eq!(
        (queued.body().len(), header(&queued, "content-type")),
        (0, String::new())
    );

    sim.settle();
    let (_, list) = sim.render("GET", "/services/{srv}/deploys?status=live", &Value::Null);
    let mut found = Vec::new();
    differences(
        "",
        &body(sample(&samples, "deploy-201-live-nulls:commit")),
        &list[0]["deploy"],
        &mut found,
    );
    assert_eq!(
        found,
        ["/image: missing here"],
        "only services that run an image have one"
    );
}

#[test]
fn services_and_errors_have_the_recorded_fields() {
    let Some(samples) = reference("render-wire-samples.json") else {
        return;
    };
    let mut sim = Sim::new();
    sim.deploy_service(&commit(1));
    let mut found = Vec::new();
    let (_, service) = sim.render("GET", "/services/{srv}", &Value::Null);
    differences(
        "",
        &body(sample(&samples, "service-get-web-with-disk")),
        &service,
        &mut found,
    );
    let of_images = |f: &String| f.contains("imagePath") || f.contains("/docker");
    assert_eq!(
        found.iter().filter(|f| !of_images(f)).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    let (_, list) = sim.render("GET", "/services?name=sim", &Value::Null);
    let recorded = body(sample(&samples, "services-list"));
    assert_eq!(
        recorded[0].as_object().unwrap().keys().collect::<Vec<_>>(),
        list[0].as_object().unwrap().keys().collect::<Vec<_>>()
    );
    let (status, error) = sim.render("GET", "/services/srv-none", &Value::Null);
    let recorded = sample(&samples, "error-404");
    assert_eq!(json!(status), recorded["response"]["status"]);
    let id = recorded["request"]["path"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let theirs = recorded["response"]["body"]
        .as_str()
        .unwrap()
        .replace(id, "srv-none");
    assert_eq!(format!("{error}\n"), theirs);
}
