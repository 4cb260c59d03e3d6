//! Tests of the netlify client against scripted and recorded answers.

use super::*;
use crate::http::script::{Script, answer, answer_with, fault};
use crate::world::SendErrorKind;

const BASE: &str = "https://api.netlify.example/api/v1";

fn netlify(world: &Script) -> Netlify<'_> {
    Netlify::new(Api::new(world, "Netlify", BASE, None), SiteId::from("s1"))
}

#[test]
fn a_draft_is_created_under_its_title() {
    let world = Script::new([answer(200, r#"{"id":"d1","state":"new","required":null}"#)]);
    let deploy = netlify(&world)
        .create_deploy("run 1/frontend", true, None)
        .unwrap();
    assert_eq!(
        (deploy.id.as_str(), &deploy.state),
        ("d1", &DeployState::New)
    );
    assert_eq!(
        world.sent(),
        [format!(
            "POST {BASE}/sites/s1/deploys?title=run%201%2Ffrontend"
        )]
    );
    assert_eq!(world.body(0), r#"{"draft":true}"#);
}

#[test]
fn a_deploy_without_an_id_is_a_doubt() {
    for body in [r#"{"state":"new"}"#, r#"{"id":null}"#, "<html>", "[]"] {
        let world = Script::new([answer(201, body)]);
        let error = netlify(&world).create_deploy("t", true, None).unwrap_err();
        assert!(!error.is_definite_no(), "{body}: {error}");
    }
}

#[test]
fn null_fields_unknown_states_and_odd_types_are_read() {
    let body = r#"{"id":"d1","state":"warming","title":null,"locked":"?","review_id":7,"summary":{"a":[]}}"#;
    let deploy: Deploy = serde_json::from_str(body).unwrap();
    assert_eq!(deploy.state, DeployState::Unknown("warming".to_owned()));
    assert!(!deploy.is_ready() && !deploy.is_failed());
    assert_eq!((deploy.title.as_ref(), deploy.locked), (None, None));
    // What the journal keeps must come back the same.
    let kept = serde_json::to_string(&deploy).unwrap();
    assert_eq!(serde_json::from_str::<Deploy>(&kept).unwrap(), deploy);
}

#[test]
fn a_short_list_of_files_is_compared_at_once() {
    let world = Script::new([answer(
        200,
        r#"{"id":"d1","state":"uploading","required":["aa"]}"#,
    )]);
    let files = BTreeMap::from([("a b.txt".to_owned(), "aa".to_owned())]);
    let commit = Commit::from("abc");
    let deploy = netlify(&world)
        .set_files(&DeployId::from("d1"), &files, Some(&commit))
        .unwrap();
    assert_eq!(deploy.required, Some(vec!["aa".to_owned()]));
    assert_eq!(
        world.sent(),
        [format!("PUT {BASE}/sites/s1/deploys/d1?commit_ref=abc")]
    );
    assert_eq!(world.body(0), r#"{"async":false,"files":{"a b.txt":"aa"}}"#);
}

#[test]
fn a_long_list_is_compared_in_the_background() {
    let files = (0..101)
        .map(|n| (format!("{n}"), format!("{n:040x}")))
        .collect();
    let world = Script::new([answer(
        200,
        r#"{"id":"d1","state":"preparing","required":[]}"#,
    )]);
    let deploy = netlify(&world)
        .set_files(&DeployId::from("d1"), &files, None)
        .unwrap();
    assert!(deploy.state.is_preparing());
    assert!(world.body(0).contains(r#""async":true"#));
    for (word, preparing) in [
        ("new", true),
        ("warming", true),
        ("prepared", false),
        ("uploading", false),
        ("ready", false),
        ("error", false),
    ] {
        assert_eq!(
            DeployState::from(word.to_owned()).is_preparing(),
            preparing,
            "{word}"
        );
    }
}

#[test]
fn a_permalink_is_the_deploys_own_address_or_a_name_on_loopback() {
    let deploy = |own: &str| -> Deploy {
        serde_json::from_value(json!({"id": "d1", "name": "shop", "ssl_url": "http://127.0.0.1:8080", "deploy_ssl_url": own})).unwrap()
    };
    assert_eq!(
        deploy("https://d1--shop.netlify.app")
            .permalink()
            .as_deref(),
        Some("https://d1--shop.netlify.app")
    );
    assert_eq!(
        deploy("http://127.0.0.1:8080").permalink().as_deref(),
        Some("http://d1--shop.localhost")
    );
    assert_eq!(
        serde_json::from_str::<Deploy>(r#"{"id":"d1"}"#)
            .unwrap()
            .permalink(),
        None
    );
}

#[test]
fn uploads_are_encoded_and_repeated() {
    let world = Script::new([
        answer(500, ""),
        fault(SendErrorKind::Unknown),
        answer(200, "{}"),
    ]);
    netlify(&world)
        .upload(&DeployId::from("d1"), "/sub/\u{e4} #1.txt", b"x".to_vec())
        .unwrap();
    let sent = format!("PUT {BASE}/deploys/d1/files/sub/%C3%A4%20%231.txt");
    assert_eq!(world.sent(), [sent.clone(), sent.clone(), sent]);

    let world = Script::new([answer(422, r#"{"code":422,"message":"did not match"}"#)]);
    let error = netlify(&world)
        .upload(&DeployId::from("d1"), "a", Vec::new())
        .unwrap_err();
    assert!(
        matches!(&error, ApiError::Rejected { status: 422, message, .. } if message == "did not match")
    );
}

fn page(
    ids: std::ops::Range<usize>,
    link: &str,
) -> Result<crate::world::Response, crate::world::SendError> {
    let deploys: Vec<_> = ids
        .map(|n| json!({"id": format!("d{n}"), "title": format!("t{n}")}))
        .collect();
    answer_with(
        200,
        &[("link", link)],
        &serde_json::to_string(&deploys).unwrap(),
    )
}

#[test]
fn a_deploy_is_found_by_title_on_a_later_page() {
    let next = "<x>; rel=\"next\"";
    let world = Script::new([page(0..2, next), page(2..4, next)]);
    let found = netlify(&world).find_by_title("t3").unwrap();
    assert_eq!(found.map(|deploy| deploy.id), Some(DeployId::from("d3")));

    let world = Script::new([page(0..2, next), page(2..4, "<x>; rel=\"prev\"")]);
    assert_eq!(netlify(&world).find_by_title("t9").unwrap(), None);
}

#[test]
fn a_list_that_goes_in_circles_ends() {
    let next = "<x>; rel=\"next\"";
    let world = Script::new([page(0..2, next), page(0..2, next), page(0..2, next)]);
    assert_eq!(netlify(&world).find_by_title("t9").unwrap(), None);
    assert_eq!(world.left(), 1);
}

#[test]
fn a_list_that_cannot_be_read_is_not_an_empty_list() {
    let world = Script::new(vec![answer(502, ""); 4]);
    assert!(netlify(&world).find_by_title("t").is_err());
}

#[test]
fn publishing_is_never_repeated_blindly() {
    let world = Script::new([answer(500, "")]);
    assert!(matches!(
        netlify(&world).restore(&DeployId::from("d1")),
        Err(ApiError::InDoubt(_))
    ));
    let world = Script::new([answer(201, r#"{"id":"d1","state":"ready"}"#)]);
    assert!(
        netlify(&world)
            .restore(&DeployId::from("d1"))
            .unwrap()
            .is_ready()
    );
    assert_eq!(
        world.sent(),
        [format!("POST {BASE}/sites/s1/deploys/d1/restore")]
    );
}

#[test]
fn public_files_are_read_to_the_end() {
    let file = |path: &str, sha: &str| {
        format!(r#"{{"id":"{path}","path":"{path}","sha":"{sha}","size":1}}"#)
    };
    let world = Script::new([
        answer(200, &format!("[{},{}]", file("/a", "1"), file("/b", "2"))),
        answer(200, &format!("[{}]", file("c", "3"))),
        answer(200, "[]"),
    ]);
    let files = netlify(&world).site_files().unwrap();
    assert_eq!(
        files,
        [("a", "1"), ("b", "2"), ("c", "3")]
            .map(|(path, sha)| (path.to_owned(), sha.to_owned()))
            .into()
    );
}

#[test]
fn a_site_tells_what_is_public_and_who_publishes() {
    let body = r#"{"id":"s1","published_deploy":{"id":"d9","locked":true},"build_settings":{"repo_url":"https://git.example/x","stop_builds":null}}"#;
    let site: Site = serde_json::from_str(body).unwrap();
    assert_eq!(site.published_id(), Some(&DeployId::from("d9")));
    assert!(site.is_locked() && site.builds_on_push());
    let bare: Site =
        serde_json::from_str(r#"{"id":"s1","published_deploy":null,"build_settings":null}"#)
            .unwrap();
    assert!(!bare.is_locked() && !bare.builds_on_push() && bare.published_id().is_none());
}
