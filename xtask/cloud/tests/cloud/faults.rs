//! Scripted faults: what the caller sees, and whether the request took effect.

use cloud::inprocess::{Took, TransportFault};
use cloud::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::sim::{Sim, commit, read};

const DEPLOYS: &str = "/v1/services/*/deploys";

fn trigger(sim: &mut Sim) -> Result<(u16, Value), TransportFault> {
    let body = format!("{{\"commitId\":\"{}\"}}", commit(1));
    sim.render_raw("POST", "/services/{srv}/deploys", body.as_bytes())
        .map(read)
}

#[test]
fn a_reset_before_leaves_nothing_and_one_after_leaves_a_deploy() {
    let mut sim = Sim::new();
    sim.cloud
        .add_fault(Fault::new("POST", DEPLOYS, FaultKind::ResetBefore));
    assert_eq!(
        trigger(&mut sim),
        Err(TransportFault::Reset { processed: false })
    );
    assert_eq!(sim.cloud.created_deploys(), (0, 0));
    sim.cloud
        .add_fault(Fault::new("POST", DEPLOYS, FaultKind::ResetAfter));
    assert_eq!(
        trigger(&mut sim),
        Err(TransportFault::Reset { processed: true })
    );
    assert_eq!(sim.cloud.created_deploys(), (0, 1));
    let calls = sim.cloud.calls();
    assert_eq!(
        calls
            .iter()
            .map(|c| (c.processed, c.faulted))
            .collect::<Vec<_>>(),
        [(false, true), (true, true)]
    );
}

#[test]
fn a_status_may_come_with_or_without_an_effect() {
    for (processed, created) in [(false, 0), (true, 1)] {
        let mut sim = Sim::new();
        let kind = FaultKind::Status {
            status: 500,
            headers: [("retry-after".to_owned(), "7".to_owned())].into(),
            body: "oops".to_owned(),
            processed,
        };
        sim.cloud.add_fault(Fault::new("POST", DEPLOYS, kind));
        let answer = sim
            .render_raw("POST", "/services/{srv}/deploys", b"{}")
            .unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.body().as_slice()),
            (500, &b"oops"[..])
        );
        assert_eq!(crate::sim::header(&answer, "retry-after"), "7");
        assert_eq!(sim.cloud.created_deploys(), (0, created));
        assert_eq!(
            trigger(&mut sim).unwrap().0,
            if processed { 202 } else { 201 },
            "only one call is hit"
        );
    }
}

#[test]
fn late_short_and_slow_answers() {
    let mut sim = Sim::new();
    let path = format!("/services/{}/deploys", sim.cloud.cloud().service_id());
    for kind in [
        FaultKind::Delay { delay_ms: 60_000 },
        FaultKind::Drip {
            bytes: 1,
            pause_ms: 2_000,
        },
    ] {
        sim.cloud
            .add_fault(Fault::new("GET", DEPLOYS, kind).times(1, 0));
        let answer = sim.render_raw("GET", &path, b"").unwrap();
        assert!(
            answer.extensions().get::<Took>().unwrap().delay_ms >= 6_000,
            "the caller has to let this time pass"
        );
        sim.cloud.cloud_mut().clear_faults();
    }
    sim.cloud
        .add_fault(Fault::new("GET", DEPLOYS, FaultKind::TruncateAt { at: 2 }));
    let short = sim.render_raw("GET", &path, b"").unwrap_err();
    assert_eq!(
        short,
        TransportFault::Truncated {
            status: 200,
            received: b"[]".to_vec()
        }
    );
    sim.cloud.add_fault(Fault::new(
        "GET",
        DEPLOYS,
        FaultKind::ContentType {
            content_type: "text/html".to_owned(),
        },
    ));
    let typed = sim.render_raw("GET", &path, b"").unwrap();
    assert_eq!(
        (
            crate::sim::header(&typed, "content-type").as_str(),
            typed.body().as_slice()
        ),
        ("text/html", &b"[]\n"[..])
    );
}

#[test]
fn an_answer_after_the_callers_timeout_is_a_timeout_although_it_took_effect() {
    let mut sim = Sim::new();
    sim.cloud.add_fault(Fault::new(
        "POST",
        DEPLOYS,
        FaultKind::Delay { delay_ms: 31_000 },
    ));
    let url = format!(
        "{}/v1/services/{}/deploys",
        sim.cloud.endpoints().api_url,
        sim.cloud.cloud().service_id()
    );
    let key = sim.cloud.secrets().render_key.clone();
    let request = http::Request::post(url)
        .header("authorization", format!("Bearer {key}"))
        .body(b"{}".to_vec())
        .unwrap();
    let late = sim.cloud.send_within(sim.now_ms, request, 30_000);
    assert_eq!(
        late.unwrap_err(),
        TransportFault::Timeout { processed: true }
    );
    assert_eq!(sim.cloud.created_deploys(), (0, 1));
}

#[test]
fn lists_can_lag_behind() {
    let mut sim = Sim::new();
    let mut settings = sim.cloud.cloud().settings().clone();
    settings.timings.render_list_lag_ms = 5_000;
    sim.cloud.cloud_mut().set_settings(settings);
    let (_, deploy) = trigger(&mut sim).unwrap();
    let list = |sim: &mut Sim| sim.render("GET", "/services/{srv}/deploys", &Value::Null).1;
    assert_eq!(list(&mut sim), json!([]));
    sim.pass(5_000);
    assert_eq!(list(&mut sim)[0]["deploy"]["id"], deploy["id"]);
}

#[test]
fn faults_at_the_service_hit_what_comes_through_the_door() {
    let mut sim = Sim::new();
    sim.deploy_service(&commit(1));
    let kind = FaultKind::Status {
        status: 503,
        headers: Default::default(),
        body: String::new(),
        processed: true,
    };
    sim.cloud
        .add_fault(Fault::new("GET", "/api/health", kind).times(2, 1));
    let answers: Vec<u16> = (0..3).map(|_| sim.service("/api/health").0).collect();
    assert_eq!(answers, [200, 503, 200]);
}

#[test]
fn the_same_seed_and_calls_give_the_same_answers_also_across_a_save() {
    let run = || {
        let mut sim = Sim::new();
        sim.deploy_site(&json!({}), &[("/index.html", "x")]);
        sim.deploy_service(&commit(1));
        sim.cloud.cloud_mut().save().unwrap()
    };
    assert_eq!(run(), run());
}
