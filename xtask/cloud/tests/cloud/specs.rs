//! Our answers against the providers' published API descriptions, read by a validator small enough to trust.

use cloud::inprocess::{Behaviour, Boot};
use serde_json::{Value, json};

use crate::sim::{Sim, commit};
use crate::wire_samples::reference;

/// How deep schemas are followed; both descriptions are far flatter.
const DEPTH_MAX: usize = 40;

/// What is wrong with `value`. Null passes everywhere: the providers send it where their descriptions do not say so.
fn problems(spec: &Value, schema: &Value, value: &Value, at: &str, depth: usize) -> Vec<String> {
    if value.is_null() || depth > DEPTH_MAX {
        return Vec::new();
    }
    if let Some(target) = schema["$ref"].as_str() {
        // References are URL fragments, so the braces of paths are escaped in them.
        let pointer = target
            .trim_start_matches('#')
            .replace("%7B", "{")
            .replace("%7D", "}");
        let found = spec
            .pointer(&pointer)
            .unwrap_or_else(|| panic!("{target} is not in the description"));
        return problems(spec, found, value, at, depth + 1);
    }
    let mut out = Vec::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        out.extend(problems(spec, part, value, at, depth + 1));
    }
    for choice in ["oneOf", "anyOf"] {
        let Some(parts) = schema[choice].as_array() else {
            continue;
        };
        let all: Vec<_> = parts
            .iter()
            .map(|part| problems(spec, part, value, at, depth + 1))
            .collect();
        if all.iter().all(|p| !p.is_empty()) {
            out.extend(all.into_iter().min_by_key(Vec::len).unwrap_or_default());
        }
    }
    let is_right_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    };
    if !is_right_type {
        out.push(format!("{at}: {value} is not of type {}", schema["type"]));
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|words| !words.contains(value))
    {
        out.push(format!("{at}: {value} is not one of {}", schema["enum"]));
    }
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.is_object() && value.get(name).is_none() {
            out.push(format!("{at}/{name} is required"));
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(inner) = value.get(name) {
            out.extend(problems(
                spec,
                property,
                inner,
                &format!("{at}/{name}"),
                depth + 1,
            ));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        out.extend(problems(
            spec,
            &schema["items"],
            item,
            &format!("{at}/{index}"),
            depth + 1,
        ));
    }
    out
}

#[test]
fn the_validator_finds_what_is_wrong() {
    let spec = json!({ "defs": { "word": { "type": "string", "enum": ["a"] } } });
    let schema = json!({ "type": "object", "required": ["id"], "properties": {
        "id": { "$ref": "#/defs/word" }, "list": { "type": "array", "items": { "oneOf": [{ "type": "integer" }, { "type": "boolean" }] } } } });
    let check = |value: Value| problems(&spec, &schema, &value, "", 0).len();
    assert_eq!(check(json!({ "id": "a", "list": [1, true], "more": 1 })), 0);
    assert_eq!(check(json!({ "id": null })), 0);
    assert_eq!(
        [
            check(json!({})),
            check(json!({ "id": "b" })),
            check(json!([])),
            check(json!({ "id": "a", "list": ["x"] }))
        ],
        [1; 4]
    );
}

#[test]
fn render_answers_match_its_description() {
    let Some(spec) = reference("render-openapi.json") else {
        return;
    };
    let mut sim = Sim::new();
    let mut settings = sim.cloud.cloud().settings().clone();
    settings.service.env.insert("A".to_owned(), "1".to_owned());
    sim.cloud.cloud_mut().set_settings(settings);
    sim.deploy_service(&commit(1));
    sim.cloud
        .behave(&commit(2), Behaviour::well(1).build_fails());
    sim.deploy_service(&commit(2));
    sim.cloud.behave(
        &commit(3),
        Behaviour::well(1).booting(Boot::Crash { code: 1 }),
    );
    sim.deploy_service(&commit(3));
    sim.deploy_service(&commit(4));
    let owner = sim.render("GET", "/owners", &Value::Null).1[0]["owner"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let srv = sim.cloud.cloud().service_id().to_owned();
    let event = sim.render("GET", "/services/{srv}/events", &Value::Null).1[0]["event"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let deploy = sim.render("GET", "/services/{srv}/deploys", &Value::Null).1[0]["deploy"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (template, path) in [
        ("/services", "/services".to_owned()),
        ("/services/{serviceId}", "/services/{srv}".to_owned()),
        (
            "/services/{serviceId}/deploys",
            "/services/{srv}/deploys".to_owned(),
        ),
        (
            "/services/{serviceId}/deploys/{deployId}",
            format!("/services/{srv}/deploys/{deploy}"),
        ),
        (
            "/services/{serviceId}/events",
            "/services/{srv}/events?limit=100".to_owned(),
        ),
        (
            "/services/{serviceId}/instances",
            "/services/{srv}/instances".to_owned(),
        ),
        (
            "/services/{serviceId}/env-vars",
            "/services/{srv}/env-vars".to_owned(),
        ),
        ("/events/{eventId}", format!("/events/{event}")),
        ("/owners", "/owners".to_owned()),
        ("/owners/{ownerId}", format!("/owners/{owner}")),
        ("/users", "/users".to_owned()),
        ("/disks", "/disks".to_owned()),
        ("/logs", format!("/logs?ownerId={owner}&resource={srv}")),
    ] {
        let (status, body) = sim.render("GET", &path, &Value::Null);
        let mut answer = &spec["paths"][template]["get"]["responses"][status.to_string()];
        if let Some(target) = answer["$ref"].as_str() {
            answer = spec.pointer(&target[1..]).unwrap();
        }
        let schema = &answer["content"]["application/json"]["schema"];
        assert!(
            schema.is_object(),
            "{status} for GET {template} is not in the description"
        );
        let found = problems(&spec, schema, &body, "", 0);
        assert!(found.is_empty(), "GET {template}: {found:#?}");
        assert!(
            !body.as_array().is_some_and(Vec::is_empty),
            "GET {template} gave nothing to look at"
        );
    }
}

#[test]
fn netlify_answers_match_its_description() {
    let Some(spec) = reference("netlify-openapi.json") else {
        return;
    };
    let mut sim = Sim::new();
    let id = sim.deploy_site(&json!({}), &[("/index.html", "x")]);
    let site = sim.cloud.cloud().site_id().to_owned();
    for (template, path) in [
        ("/sites", "/sites".to_owned()),
        ("/sites/{site_id}", format!("/sites/{site}")),
        ("/sites/{site_id}/deploys", format!("/sites/{site}/deploys")),
        (
            "/sites/{site_id}/deploys/{deploy_id}",
            format!("/sites/{site}/deploys/{id}"),
        ),
        ("/sites/{site_id}/files", format!("/sites/{site}/files")),
        ("/accounts", "/accounts".to_owned()),
    ] {
        let (status, body) = sim.netlify("GET", &path, &Value::Null);
        let schema = &spec["paths"][template]["get"]["responses"][status.to_string()]["schema"];
        assert!(
            schema.is_object(),
            "{status} for GET {template} is not in the description"
        );
        let found = problems(&spec, schema, &body, "", 0);
        assert!(found.is_empty(), "GET {template}: {found:#?}");
        assert!(
            !body.as_array().is_some_and(Vec::is_empty),
            "GET {template} gave nothing to look at"
        );
    }
}
