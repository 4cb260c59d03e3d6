//! Where credentials are found, which slips are mended, which are refused, and that no message holds a value.

use super::*;
use CredentialName::{
    GithubToken, NetlifyAuthToken, RenderApiKey, SlackWebhookUrl, TandemAdminToken,
};
use insta::assert_snapshot;
use tempfile::TempDir;

/// Looks random enough to be a credential, and is none.
fn body(seed: u32) -> String {
    let digit = |i: u32| char::from_digit((seed * 7 + i * i * 5 + i * 3) % 36, 36).unwrap();
    (0..40).map(digit).collect()
}

struct Place {
    dir: TempDir,
    environ: Environ,
}

impl Place {
    fn new(vars: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let environ = Environ {
            vars,
            cwd: dir.path().to_owned(),
            ..Environ::default()
        };
        Self { dir, environ }
    }

    fn file(&self, name: &str, mode: u32, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.dir.path().join(name);
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<Credentials, CredentialError> {
        Credentials::load(&self.environ, self.dir.path())
    }

    fn loaded(&self) -> Credentials {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(&self) -> String {
        let text = self
            .load()
            .err()
            .expect("these credentials are wrong")
            .to_string();
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }
}

fn exposed(credentials: &Credentials, name: CredentialName) -> Option<String> {
    credentials
        .get(name)
        .map(|secret| secret.expose().to_owned())
}

#[test]
fn nothing_set_is_nothing_found() {
    let credentials = Place::new(&[("RENDER_API_KEY", " \n")]).loaded();
    assert_eq!(credentials.names().count(), 0);
    assert!(credentials.warnings().is_empty());
}

#[test]
fn the_variable_wins_over_its_file_and_that_over_the_env_file() {
    let [a, b, c] = [1, 2, 3].map(body);
    let place = Place::new(&[
        ("GITHUB_TOKEN", &a),
        ("GITHUB_TOKEN_FILE", "github"),
        ("RENDER_API_KEY_FILE", "render"),
    ]);
    place.file("github", 0o644, &b);
    place.file("render", 0o644, &format!("{b}\n"));
    place.file(
        ENV_FILE,
        0o600,
        &format!("GITHUB_TOKEN={c}\nRENDER_API_KEY={c}\nTANDEM_ADMIN_TOKEN={c}\n"),
    );
    let credentials = place.loaded();
    assert_eq!(exposed(&credentials, GithubToken), Some(a));
    assert_eq!(exposed(&credentials, RenderApiKey), Some(b));
    assert_eq!(exposed(&credentials, TandemAdminToken), Some(c));
    assert_eq!(exposed(&credentials, NetlifyAuthToken), None);
    assert_eq!(
        credentials.source_of(GithubToken),
        Some(&CredentialSource::Variable)
    );
    assert_eq!(
        credentials.source_of(RenderApiKey),
        Some(&CredentialSource::File(place.dir.path().join("render")))
    );
    assert_eq!(
        credentials.source_of(TandemAdminToken),
        Some(&CredentialSource::EnvFile(place.dir.path().join(ENV_FILE)))
    );
    assert_eq!(credentials.source_of(SlackWebhookUrl), None);
    assert_eq!(
        credentials.names().collect::<Vec<_>>(),
        [RenderApiKey, GithubToken, TandemAdminToken]
    );
    assert_eq!(credentials.secrets().count(), 3);
    assert!(
        credentials.warnings().is_empty(),
        "{:?}",
        credentials.warnings()
    );
}

#[test]
fn a_blank_source_gives_way_to_the_next() {
    let value = body(1);
    let place = Place::new(&[("GITHUB_TOKEN", ""), ("GITHUB_TOKEN_FILE", "github")]);
    place.file("github", 0o600, "\n");
    place.file(ENV_FILE, 0o600, &format!("GITHUB_TOKEN='{value}'\n"));
    let credentials = place.loaded();
    assert_eq!(exposed(&credentials, GithubToken), Some(value));
    assert_eq!(credentials.warnings().len(), 1);
    assert!(credentials.warnings()[0].starts_with("GITHUB_TOKEN_FILE names "));
}

#[test]
fn what_was_pasted_along_is_taken_off_and_said() {
    let value = body(1);
    for (text, warning) in [
        (format!("{value}\n"), "a line break after it"),
        (format!("{value}\r\n"), "a line break after it"),
        (format!(" {value}"), "blanks around it"),
        (format!("\"{value}\""), "quotes around it"),
        (format!("'{value}'\n"), "quotes around it"),
    ] {
        let credentials = Place::new(&[("RENDER_API_KEY", &text)]).loaded();
        assert_eq!(
            exposed(&credentials, RenderApiKey).as_deref(),
            Some(value.as_str()),
            "{warning}"
        );
        assert_eq!(
            credentials.warnings(),
            [format!(
                "RENDER_API_KEY from the environment had {warning}; used without"
            )],
        );
    }
}

#[test]
fn quotes_in_the_environment_around_nothing_are_missing() {
    let credentials = Place::new(&[("RENDER_API_KEY", "\"\"")]).loaded();
    assert!(credentials.require(&[RenderApiKey]).is_err());
}

#[test]
fn the_env_file_has_comments_exports_and_quotes() {
    let [a, b] = [1, 2].map(body);
    let place = Place::new(&[]);
    place.file(
        ENV_FILE,
        0o600,
        &format!("# mine\n\nexport GITHUB_TOKEN=\"{a}\"\r\n  RENDER_API_KEY = '{b}'\n"),
    );
    let credentials = place.loaded();
    assert_eq!(exposed(&credentials, GithubToken), Some(a));
    assert_eq!(exposed(&credentials, RenderApiKey), Some(b));
    assert!(
        credentials.warnings().is_empty(),
        "{:?}",
        credentials.warnings()
    );
}

#[test]
fn odd_lines_of_the_env_file_are_warned_about_by_number() {
    let [a, b] = [1, 2].map(body);
    let place = Place::new(&[]);
    place.file(
        ENV_FILE,
        0o600,
        &format!("NETLIFY_TOKEN={a}\nGITHUB_TOKEN={a}\nGITHUB_TOKEN={b}\n"),
    );
    let credentials = place.loaded();
    assert_eq!(exposed(&credentials, GithubToken), Some(b));
    let warnings = credentials
        .warnings()
        .join("\n")
        .replace(&place.dir.path().display().to_string(), "DIR");
    assert_snapshot!(warnings, @r"
    DIR/.env.deploy:1: this name is not read from here; these are: NETLIFY_AUTH_TOKEN, RENDER_API_KEY, SLACK_WEBHOOK_URL, GITHUB_TOKEN, TANDEM_ADMIN_TOKEN
    DIR/.env.deploy:3: GITHUB_TOKEN stands here a second time; this one is used
    ");
}

#[test]
fn a_line_that_is_none_is_refused_by_number() {
    let place = Place::new(&[]);
    place.file(ENV_FILE, 0o600, &format!("# mine\n{}\n", body(1)));
    assert_snapshot!(place.refused(), @"DIR/.env.deploy:2: not a NAME=value line");
}

#[test]
fn an_env_file_that_others_may_read_is_refused() {
    for mode in [0o640, 0o604, 0o660, 0o644] {
        let place = Place::new(&[]);
        place.file(ENV_FILE, mode, &format!("GITHUB_TOKEN={}\n", body(1)));
        assert!(place.refused().contains("chmod 600"), "{mode:o}");
    }
    let place = Place::new(&[]);
    place.file(ENV_FILE, 0o644, "");
    assert_snapshot!(place.refused(), @"DIR/.env.deploy has mode 0644, so others may read the credentials in it: chmod 600 DIR/.env.deploy");
}

#[test]
fn everything_wrong_is_said_at_once_and_no_value_is() {
    let [a, b, c, d] = [1, 2, 3, 4].map(body);
    let place = Place::new(&[
        ("NETLIFY_AUTH_TOKEN", &format!("rnd_{a}")),
        ("RENDER_API_KEY", &format!("nfp_{b}")),
        ("SLACK_WEBHOOK_URL", &c),
        ("GITHUB_TOKEN", &format!("{d}\nX-Header: {d}")),
        ("TANDEM_ADMIN_TOKEN", &a[..31]),
    ]);
    let message = place.refused();
    for value in [&a[..31], &b, &c, &d] {
        assert!(!message.contains(value), "{message}");
    }
    assert_snapshot!(message, @r"
    NETLIFY_AUTH_TOKEN from the environment is a Render key: were the two credentials swapped?
    RENDER_API_KEY from the environment is a Netlify token: were the two credentials swapped?
    SLACK_WEBHOOK_URL from the environment is no webhook's address: it begins with https://hooks.slack.com/
    GITHUB_TOKEN from the environment has a blank, a line break or a character outside ASCII inside: paste the credential alone
    TANDEM_ADMIN_TOKEN from the environment is shorter than 32 characters: make one with `openssl rand -hex 32`
    ");
}

#[test]
fn a_named_file_must_be_readable_and_short() {
    let place = Place::new(&[
        ("GITHUB_TOKEN_FILE", "absent"),
        ("RENDER_API_KEY_FILE", "long"),
    ]);
    place.file("long", 0o600, &"x".repeat(70_000));
    let message = place.refused();
    assert_eq!(message.lines().count(), 2, "{message}");
    assert!(
        message.contains("GITHUB_TOKEN_FILE names a file that cannot be read: ")
            && message.contains("DIR/absent")
    );
    assert!(
        message.contains("RENDER_API_KEY_FILE names DIR/long, which is longer than 65536 bytes")
    );
}

#[test]
fn a_variable_that_is_not_unicode_is_not_missing_but_wrong() {
    let mut place = Place::new(&[]);
    place.environ.unreadable.push("RENDER_API_KEY".to_owned());
    assert_snapshot!(place.refused(), @"RENDER_API_KEY is not Unicode text: set it again");
}

#[test]
fn all_that_is_missing_is_named_with_where_to_set_it() {
    let credentials = Place::new(&[("GITHUB_TOKEN", &body(1))]).loaded();
    assert_eq!(credentials.require(&[GithubToken]), Ok(()));
    let error = credentials
        .require(&[NetlifyAuthToken, GithubToken, RenderApiKey])
        .unwrap_err();
    assert_snapshot!(error, @r"
    NETLIFY_AUTH_TOKEN is missing: set NETLIFY_AUTH_TOKEN, or NETLIFY_AUTH_TOKEN_FILE to the path of a file that holds it, or write NETLIFY_AUTH_TOKEN=… into .env.deploy (mode 0600)
    RENDER_API_KEY is missing: set RENDER_API_KEY, or RENDER_API_KEY_FILE to the path of a file that holds it, or write RENDER_API_KEY=… into .env.deploy (mode 0600)
    ");
}

#[test]
fn the_local_cloud_s_credentials_replace_real_ones() {
    let [real, local] = [1, 2].map(body);
    let mut credentials =
        Place::new(&[("RENDER_API_KEY", &real), ("GITHUB_TOKEN", &real)]).loaded();
    credentials.use_local(RenderApiKey, local.clone());
    credentials.forget(GithubToken);
    assert_eq!(exposed(&credentials, RenderApiKey), Some(local));
    assert_eq!(
        credentials.source_of(RenderApiKey),
        Some(&CredentialSource::LocalCloud)
    );
    assert_eq!(exposed(&credentials, GithubToken), None);
}

#[test]
fn a_webhook_is_https_or_on_this_machine() {
    for (url, ok) in [
        ("https://hooks.slack.com/services/x", true),
        ("http://127.0.0.1:4000/slack/services/x", true),
        ("http://localhost/slack", true),
        ("http://hooks.slack.com/services/x", false),
        ("http://127.0.0.1.nip.io/x", false),
        ("https://", false),
        ("hooks.slack.com/services/x", false),
    ] {
        assert_eq!(
            Place::new(&[("SLACK_WEBHOOK_URL", url)]).load().is_ok(),
            ok,
            "{url}"
        );
    }
}

#[test]
fn commands_never_see_what_is_withheld() {
    let value = body(1);
    let mut names: Vec<String> = CredentialName::ALL
        .map(|name| name.variable().to_owned())
        .into();
    names.extend(CredentialName::ALL.map(CredentialName::file_variable));
    names.extend(
        [
            "TANDEM_ENV",
            "TANDEM_STATE_DIR",
            "GH_TOKEN",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        ]
        .map(str::to_owned),
    );
    let mut vars: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), value.as_str()))
        .collect();
    vars.extend([
        ("PATH", "/bin"),
        ("HOME", "/home/me"),
        ("NETLIFY_SITE_ID", "shop"),
        ("CI", "true"),
        ("CARGO_MANIFEST_DIR", "/project/xtask"),
        ("CARGO_PKG_NAME", "tandem"),
        ("CARGO_HOME", "/cargo"),
    ]);
    let place = Place::new(&vars);
    let kept: Vec<String> = child_vars(&place.environ)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        kept,
        ["CARGO_HOME", "CI", "HOME", "NETLIFY_SITE_ID", "PATH"]
    );
}
