//! Which of the file, the process's variables and the local cloud decides.

use super::*;
use crate::environ::Environ;
use insta::assert_snapshot;

const PRODUCTION_TABLE: &str = r#"
[environments.production]
site_id = "0a1b2c3d-0000-4000-8000-0123456789ab"
service_id = "srv-d0abcdefghij"
site_url = "https://shop.netlify.app/"
service_url = "https://shop.onrender.com"
"#;

fn environ(vars: &[(&str, &str)]) -> Environ {
    let vars = vars
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Environ {
        vars,
        ..Environ::default()
    }
}

fn cloud() -> LocalCloud {
    LocalCloud {
        netlify_api: "http://127.0.0.1:4000/api/v1".to_owned(),
        render_api: "http://127.0.0.1:4000/v1/".to_owned(),
        site_id: "11111111-0000-4000-8000-0123456789ab".into(),
        service_id: "srv-local".into(),
        site_url: "http://127.0.0.1:4001".to_owned(),
        service_url: "http://127.0.0.1:4002".to_owned(),
    }
}

fn resolve(
    table: &str,
    name: &str,
    vars: &[(&str, &str)],
    cloud: Option<&LocalCloud>,
) -> Result<Target, ConfigError> {
    Target::resolve(
        &load(&format!("{MINIMAL}{table}")).unwrap(),
        &name.into(),
        &environ(vars),
        cloud,
    )
}

fn refused(table: &str, name: &str, vars: &[(&str, &str)]) -> String {
    resolve(table, name, vars, None).unwrap_err().to_string()
}

#[test]
fn the_environment_comes_from_flags_then_the_variable_then_local() {
    let unset = environ(&[]);
    let set = environ(&[("TANDEM_ENV", " production\n")]);
    let blank = environ(&[("TANDEM_ENV", "")]);
    for (flag, prod, environ, expected) in [
        (None, false, &unset, LOCAL),
        (None, false, &blank, LOCAL),
        (None, false, &set, PRODUCTION),
        (None, true, &unset, PRODUCTION),
        (Some("staging"), false, &set, "staging"),
        (Some("local"), false, &set, LOCAL),
        (Some("production"), true, &unset, PRODUCTION),
    ] {
        assert_eq!(
            environment_name(flag, prod, environ).unwrap().as_str(),
            expected,
            "{flag:?} {prod}"
        );
    }
    assert_snapshot!(environment_name(Some("local"), true, &unset).unwrap_err(), @r"
    --prod and --env local name two environments
    hint: give one of them
    ");
}

#[test]
fn production_comes_from_the_file() {
    let target = resolve(PRODUCTION_TABLE, PRODUCTION, &[], Some(&cloud())).unwrap();
    assert!(target.is_production && !target.is_local);
    assert_eq!(target.netlify_api, "https://api.netlify.com/api/v1");
    assert_eq!(target.render_api, "https://api.render.com/v1/");
    assert_eq!(
        target.site_id.as_str(),
        "0a1b2c3d-0000-4000-8000-0123456789ab"
    );
    assert_eq!(target.service_id.as_str(), "srv-d0abcdefghij");
    assert_eq!(target.site_url, "https://shop.netlify.app");
    assert_eq!(target.service_url, "https://shop.onrender.com");
    assert_eq!(
        target.policy,
        Policy {
            branch: None,
            bake: Duration::from_secs(60),
            identity_consecutive: 3,
            identity_interval: Duration::from_secs(1),
            deploy_timeout: Duration::from_secs(1800),
            publish: Publish::DraftRestore,
            source: UploadSource::Upload,
            on_frontend_failure: OnFrontendFailure::Keep,
            require_clean: true,
            notify_slack: true,
        }
    );
}

#[test]
fn what_the_file_sets_is_the_policy() {
    let table = format!(
        "{PRODUCTION_TABLE}branch = \"main\"\nbake_s = 0\nidentity_consecutive = 5\nidentity_interval_ms = 10\n\
         deploy_timeout_s = 7\npublish = \"locked\"\nsource = \"upload\"\non_frontend_failure = \"rollback\"\n\
         require_clean = false\nnotify = {{ slack = false }}\n"
    );
    let policy = resolve(&table, PRODUCTION, &[], None).unwrap().policy;
    assert_eq!(
        policy,
        Policy {
            branch: Some("main".to_owned()),
            bake: Duration::ZERO,
            identity_consecutive: 5,
            identity_interval: Duration::from_millis(10),
            deploy_timeout: Duration::from_secs(7),
            publish: Publish::Locked,
            source: UploadSource::Upload,
            on_frontend_failure: OnFrontendFailure::Rollback,
            require_clean: false,
            notify_slack: false,
        }
    );
}

#[test]
fn local_comes_from_the_running_cloud() {
    let target = resolve("", LOCAL, &[], Some(&cloud())).unwrap();
    assert!(target.is_local && !target.is_production);
    assert_eq!(target.netlify_api, "http://127.0.0.1:4000/api/v1");
    assert_eq!(target.render_api, "http://127.0.0.1:4000/v1/");
    assert_eq!(target.service_id.as_str(), "srv-local");
    assert_eq!(target.policy.bake, Duration::ZERO);
    assert_eq!(target.policy.identity_interval, Duration::from_millis(50));
    assert!(!target.policy.require_clean);
}

const OVERRIDES: [(&str, &str); 6] = [
    ("NETLIFY_API_URL", "http://127.0.0.1:5000"),
    ("RENDER_HOST", "http://127.0.0.1:5000/v1"),
    ("NETLIFY_SITE_ID", " \"shop\"\n"),
    ("RENDER_SERVICE_ID", "srv-other"),
    ("SITE_URL", "http://127.0.0.1:5001/"),
    ("SERVICE_URL", "http://127.0.0.1:5002"),
];

#[test]
fn variables_win_in_every_environment() {
    let cases = [
        (PRODUCTION_TABLE, PRODUCTION),
        ("\n[environments.staging]\n", "staging"),
        ("", LOCAL),
    ];
    for (table, name) in cases {
        let target = resolve(table, name, &OVERRIDES, Some(&cloud())).unwrap();
        assert_eq!(target.netlify_api, "http://127.0.0.1:5000/api/v1", "{name}");
        assert_eq!(target.render_api, "http://127.0.0.1:5000/v1/", "{name}");
        assert_eq!(target.site_id.as_str(), "shop", "{name}");
        assert_eq!(target.service_id.as_str(), "srv-other", "{name}");
        assert_eq!(target.site_url, "http://127.0.0.1:5001", "{name}");
        assert_eq!(target.service_url, "http://127.0.0.1:5002", "{name}");
    }
}

#[test]
fn an_api_address_gets_its_path_only_when_it_has_none() {
    for (given, expected) in [
        ("https://proxy.acme.io", "https://proxy.acme.io/api/v1"),
        ("https://proxy.acme.io/", "https://proxy.acme.io/api/v1"),
        (
            "https://proxy.acme.io/api/v1/",
            "https://proxy.acme.io/api/v1",
        ),
        (
            "https://proxy.acme.io/netlify",
            "https://proxy.acme.io/netlify",
        ),
    ] {
        let target = resolve(
            PRODUCTION_TABLE,
            PRODUCTION,
            &[("NETLIFY_API_URL", given)],
            None,
        )
        .unwrap();
        assert_eq!(target.netlify_api, expected, "{given}");
    }
    for (given, expected) in [
        ("https://proxy.acme.io", "https://proxy.acme.io/v1/"),
        ("https://proxy.acme.io/v1/", "https://proxy.acme.io/v1/"),
    ] {
        let target = resolve(
            PRODUCTION_TABLE,
            PRODUCTION,
            &[("RENDER_HOST", given)],
            None,
        )
        .unwrap();
        assert_eq!(target.render_api, expected, "{given}");
    }
}

#[test]
fn local_never_falls_back_to_a_real_provider() {
    let ids: Vec<(&str, &str)> = OVERRIDES.into_iter().skip(2).collect();
    assert_snapshot!(refused("", LOCAL, &ids), @r"
    the local cloud is not running
    hint: start it: cargo xtask cloud up
    ");
}

#[test]
fn local_refuses_a_real_provider_s_address() {
    let mut vars = OVERRIDES.to_vec();
    vars[0].1 = "https://api.netlify.com";
    assert_snapshot!(refused("", LOCAL, &vars), @r"
    NETLIFY_API_URL is the real provider, and the environment is 'local'
    hint: unset NETLIFY_API_URL, or release with --prod
    ");
}

#[test]
fn an_environment_without_ids_names_all_that_is_missing() {
    assert_snapshot!(refused("\n[environments.production]\nbake_s = 1\n", PRODUCTION, &[("SITE_URL", "https://shop.netlify.app")]), @r"
    deploy.toml:12:1: environment 'production' has no site_id, no service_id, no service_url
       |
    12 | [environments.production]
       | ^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: write what is missing into this table, or set NETLIFY_SITE_ID, RENDER_SERVICE_ID, SERVICE_URL
    ");
}

#[test]
fn an_unknown_environment_suggests_a_known_one() {
    assert_snapshot!(refused(PRODUCTION_TABLE, "prodution", &[]), @r"
    deploy.toml: there is no environment 'prodution'
    hint: did you mean 'production'?
    ");
    assert_snapshot!(refused(PRODUCTION_TABLE, "staging", &[]), @r"
    deploy.toml: there is no environment 'staging'
    hint: it has: local, production; add a table [environments.staging] for another
    ");
}

#[test]
fn variables_that_cannot_be_right() {
    let vars = [
        ("NETLIFY_API_URL", "api.netlify.com"),
        ("NETLIFY_SITE_ID", "srv-d0abcdefghij"),
        ("RENDER_SERVICE_ID", "your-service-id"),
        ("SITE_URL", "http://shop.netlify.app"),
    ];
    assert_snapshot!(refused(PRODUCTION_TABLE, PRODUCTION, &vars), @r"
    NETLIFY_API_URL 'api.netlify.com' has no scheme
    hint: write it as https://host

    NETLIFY_SITE_ID 'srv-d0abcdefghij' is a Render service's id
    hint: were the site's and the service's ids swapped?

    RENDER_SERVICE_ID is still the placeholder 'your-service-id'
    hint: a Render service's id begins with 'srv-'; it is in the address of the service's dashboard page

    SITE_URL 'http://shop.netlify.app' is not encrypted
    hint: write https://; plain http is accepted on this machine's own addresses only

    4 problems
    ");
}

#[test]
fn a_later_complaint_points_into_the_file() {
    let config = load(MINIMAL).unwrap();
    let at = At::root().key("frontend").key("paths").item(0);
    let problem = config.problem_at(&at, "this pattern does not compile", "close the bracket");
    assert_snapshot!(ConfigError::from(problem), @r#"
    deploy.toml:4:10: this pattern does not compile
      |
    4 | paths = ["web/**"]
      |          ^^^^^^^^
    hint: close the bracket
    "#);
}
