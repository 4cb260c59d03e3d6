//! Every message as it is printed, to be read as the person who meets it.

use super::*;
use insta::assert_snapshot;

fn refused(text: &str) -> String {
    load(text)
        .expect_err("this configuration is wrong")
        .to_string()
}

fn with(addition: &str) -> String {
    refused(&format!("{MINIMAL}{addition}"))
}

fn replaced(old: &str, new: &str) -> String {
    assert!(MINIMAL.contains(old), "{old}");
    refused(&MINIMAL.replacen(old, new, 1))
}

#[test]
fn an_empty_file() {
    assert_snapshot!(refused(""), @r#"
    deploy.toml: 'project' is missing
    hint: write for example project = "tandem"

    deploy.toml: 'paths' is missing in [frontend]
    hint: write for example paths = ["frontend/**"]

    deploy.toml: 'publish' is missing in [frontend]
    hint: write for example publish = "frontend/dist"

    deploy.toml: 'paths' is missing in [backend]
    hint: write for example paths = ["backend/**"]

    deploy.toml: 'build' is missing in [backend]
    hint: write for example build = "cargo build --release --locked"

    deploy.toml: 'start' is missing in [backend]
    hint: write for example start = "./target/release/backend"

    6 problems
    "#);
}

#[test]
fn an_unknown_key_near_a_known_one() {
    assert_snapshot!(with("\n[environments.production]\nsevice_id = \"srv-d0abcdefghij\"\n"), @r#"
    deploy.toml:13:1: unknown key 'sevice_id' in [environments.production]
       |
    13 | sevice_id = "srv-d0abcdefghij"
       | ^^^^^^^^^
    hint: did you mean 'service_id'?
    "#);
}

#[test]
fn an_unknown_key_near_nothing() {
    assert_snapshot!(with("\n[environments.production]\ncolour = \"blue\"\n"), @r#"
    deploy.toml:13:1: unknown key 'colour' in [environments.production]
       |
    13 | colour = "blue"
       | ^^^^^^
    hint: known keys here: branch, site_id, service_id, site_url, service_url, bake_s, identity_consecutive, identity_interval_ms, deploy_timeout_s, publish, source, on_frontend_failure, require_clean, notify
    "#);
}

#[test]
fn an_unknown_key_at_the_top() {
    assert_snapshot!(replaced("project = \"shop\"", "projekt = \"shop\""), @r#"
    deploy.toml:1:1: unknown key 'projekt' at the top level
      |
    1 | projekt = "shop"
      | ^^^^^^^
    hint: did you mean 'project'?
    "#);
}

#[test]
fn an_unknown_key_in_a_list_of_tables() {
    assert_snapshot!(with("\n[[checks]]\nname = \"unit\"\nrunn = \"make test\"\n"), @r#"
    deploy.toml:14:1: unknown key 'runn' in [[checks]]
       |
    14 | runn = "make test"
       | ^^^^
    hint: did you mean 'run'?
    "#);
}

#[test]
fn a_wrong_type() {
    assert_snapshot!(replaced("publish = \"web\"", "publish = 3"), @r"
    deploy.toml:5:11: 'publish' must be text in quotes, not a whole number
      |
    5 | publish = 3
      |           ^
    ");
}

#[test]
fn a_wrong_type_inside_a_list() {
    assert_snapshot!(replaced("[\"web/**\"]", "[\"web/**\", 7]"), @r#"
    deploy.toml:4:20: an item of 'paths' must be a pattern or a table such as { "added|modified" = ["src/**"] }, not a whole number
      |
    4 | paths = ["web/**", 7]
      |                    ^
    "#);
}

#[test]
fn a_list_where_a_table_belongs() {
    assert_snapshot!(replaced("[frontend]", "[[frontend]]"), @r"
    deploy.toml:3:1: 'frontend' must be a table, not a list
      |
    3 | [[frontend]]
      | ^^^^^^^^^^^^
    hint: write it as [frontend]
    ");
}

#[test]
fn a_negative_number() {
    assert_snapshot!(with("\n[environments.production]\nbake_s = -5\n"), @r"
    deploy.toml:13:10: 'bake_s' must be a whole number, 0 or more, not a negative number
       |
    13 | bake_s = -5
       |          ^^
    ");
}

#[test]
fn an_unknown_choice() {
    assert_snapshot!(with("\n[environments.production]\npublish = \"draft_restore\"\nsource = \"ftp\"\n"), @r#"
    deploy.toml:13:11: 'publish' must be 'draft-restore' or 'locked', not 'draft_restore'
       |
    13 | publish = "draft_restore"
       |           ^^^^^^^^^^^^^^^
    hint: did you mean 'draft-restore'?

    deploy.toml:14:10: 'source' must be 'upload' or 'git', not 'ftp'
       |
    14 | source = "ftp"
       |          ^^^^^

    2 problems
    "#);
}

#[test]
fn a_source_that_is_not_built() {
    assert_snapshot!(with("\n[environments.production]\nsource = \"git\"\n"), @r#"
    deploy.toml:13:10: source = "git" is not built yet
       |
    13 | source = "git"
       |          ^^^^^
    hint: say "upload": the publish folder's files are sent, whether or not the site is connected to a repository
    "#);
}

#[test]
fn an_unknown_quantifier() {
    assert_snapshot!(replaced("publish = \"web\"", "publish = \"web\"\nquantifier = \"any\""), @r#"
    deploy.toml:6:14: 'quantifier' must be 'some', 'every' or 'some-with-excludes', not 'any'
      |
    6 | quantifier = "any"
      |              ^^^^^
    "#);
}

#[test]
fn a_table_written_twice() {
    assert_snapshot!(with("\n[frontend]\nentry = \"a.html\"\n"), @r"
    deploy.toml:12:2: this is written a second time
       |
    12 | [frontend]
       |  ^^^^^^^^
    hint: each key and each [table] may stand once; merge the two
    ");
}

#[test]
fn text_without_quotes() {
    assert_snapshot!(replaced("publish = \"web\"", "publish = web"), @r#"
    deploy.toml:5:11: this is not a value
      |
    5 | publish = web
      |           ^^^
    hint: text values stand in quotes: key = "value"
    "#);
}

#[test]
fn empty_paths() {
    assert_snapshot!(replaced("paths = [\"web/**\"]", "paths = []"), @r#"
    deploy.toml:4:9: 'paths' is empty
      |
    4 | paths = []
      |         ^^
    hint: write for example paths = ["frontend/**"]
    "#);
}

#[test]
fn paths_of_no_file() {
    assert_snapshot!(replaced("[\"web/**\"]", "[\"/web/**\", \"../lib/*\", \"\"]"), @r#"
    deploy.toml:4:10: the pattern '/web/**' matches no file
      |
    4 | paths = ["/web/**", "../lib/*", ""]
      |          ^^^^^^^^^
    hint: paths begin at the repository's root, without a leading '/': write 'web/**'

    deploy.toml:4:21: the pattern '../lib/*' matches no file
      |
    4 | paths = ["/web/**", "../lib/*", ""]
      |                     ^^^^^^^^^^
    hint: paths begin at the repository's root, without a leading '/': write 'lib/*'

    deploy.toml:4:33: this pattern is empty and matches nothing
      |
    4 | paths = ["/web/**", "../lib/*", ""]
      |                                 ^^
    hint: write for example "src/**"

    3 problems
    "#);
}

#[test]
fn an_unknown_status() {
    assert_snapshot!(replaced("[\"web/**\"]", "[\"web/**\", { \"added|modifed\" = [\"lib/**\"] }]"), @r#"
    deploy.toml:4:40: 'modifed' is no status; did you mean 'modified'?
      |
    4 | paths = ["web/**", { "added|modifed" = ["lib/**"] }]
      |                                        ^^^^^^^^^^
    hint: join several with '|', as in "added|modified"
    "#);
}

#[test]
fn a_publish_folder_outside() {
    assert_snapshot!(replaced("publish = \"web\"", "publish = \"../web\""), @r#"
    deploy.toml:5:11: 'publish' leaves the repository: '../web'
      |
    5 | publish = "../web"
      |           ^^^^^^^^
    hint: write it without '..'
    "#);
}

#[test]
fn an_absolute_publish_folder() {
    assert_snapshot!(replaced("publish = \"web\"", "publish = \"/srv/web\""), @r#"
    deploy.toml:5:11: 'publish' is absolute: '/srv/web'
      |
    5 | publish = "/srv/web"
      |           ^^^^^^^^^^
    hint: write it relative to the repository's root
    "#);
}

#[test]
fn the_repository_as_publish_folder() {
    assert_snapshot!(replaced("publish = \"web\"", "publish = \".\""), @r#"
    deploy.toml:5:11: 'publish' is the repository itself, with its history and every file in it
      |
    5 | publish = "."
      |           ^^^
    hint: name a folder of its own
    "#);
}

#[test]
fn a_timeout_of_zero() {
    assert_snapshot!(with("\n[environments.production]\ndeploy_timeout_s = 0\n"), @r"
    deploy.toml:13:20: 'deploy_timeout_s' must be from 1 to 86400 seconds, not 0
       |
    13 | deploy_timeout_s = 0
       |                    ^
    hint: leave the key out to have the default
    ");
}

#[test]
fn a_timeout_in_milliseconds() {
    assert_snapshot!(with("\n[environments.production]\ndeploy_timeout_s = 1800000\n"), @r"
    deploy.toml:13:20: 'deploy_timeout_s' must be from 1 to 86400 seconds, not 1800000
       |
    13 | deploy_timeout_s = 1800000
       |                    ^^^^^^^
    hint: the unit is seconds; was 1800 meant?
    ");
}

#[test]
fn placeholders() {
    assert_snapshot!(with("\n[environments.production]\nsite_id = \"<your site id>\"\nservice_url = \"https://your-backend.onrender.com\"\n"), @r#"
    deploy.toml:13:11: site_id is still the placeholder '<your site id>'
       |
    13 | site_id = "<your site id>"
       |           ^^^^^^^^^^^^^^^^
    hint: Netlify shows it as 'Project ID' (or 'Site ID') in the project's configuration

    deploy.toml:14:15: service_url is still the placeholder 'https://your-backend.onrender.com'
       |
    14 | service_url = "https://your-backend.onrender.com"
       |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: write the address that visitors use, or leave the key out and set the variable

    2 problems
    "#);
}

#[test]
fn swapped_ids() {
    assert_snapshot!(with("\n[environments.production]\nsite_id = \"srv-d0abcdefghij\"\nservice_id = \"0a1b2c3d-0000-4000-8000-0123456789ab\"\n"), @r#"
    deploy.toml:13:11: site_id 'srv-d0abcdefghij' is a Render service's id
       |
    13 | site_id = "srv-d0abcdefghij"
       |           ^^^^^^^^^^^^^^^^^^
    hint: were the site's and the service's ids swapped?

    deploy.toml:14:14: service_id '0a1b2c3d-0000-4000-8000-0123456789ab' looks like a Netlify site's id
       |
    14 | service_id = "0a1b2c3d-0000-4000-8000-0123456789ab"
       |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: were the site's and the service's ids swapped?

    2 problems
    "#);
}

#[test]
fn an_address_without_encryption() {
    assert_snapshot!(with("\n[environments.production]\nsite_url = \"http://shop.netlify.app\"\nservice_url = \"shop.onrender.com\"\n"), @r#"
    deploy.toml:13:12: site_url 'http://shop.netlify.app' is not encrypted
       |
    13 | site_url = "http://shop.netlify.app"
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: write https://; plain http is accepted on this machine's own addresses only

    deploy.toml:14:15: service_url 'shop.onrender.com' has no scheme
       |
    14 | service_url = "shop.onrender.com"
       |               ^^^^^^^^^^^^^^^^^^^
    hint: write it as https://host

    2 problems
    "#);
}

#[test]
fn a_forbidden_disk() {
    assert_snapshot!(with("\n[backend.disk]\nname = \"data\"\nmount_path = \"/etc/\"\nsize_gb = 0\n"), @r#"
    deploy.toml:14:14: Render mounts no disk at '/etc'
       |
    14 | mount_path = "/etc/"
       |              ^^^^^^^
    hint: write for example "/var/data"

    deploy.toml:15:11: 'size_gb' must be at least 1
       |
    15 | size_gb = 0
       |           ^
    hint: a disk can grow later and never shrink

    2 problems
    "#);
}

#[test]
fn a_database_beside_the_disk() {
    assert_snapshot!(with("\n[backend.disk]\nname = \"data\"\nmount_path = \"/var/data\"\nsize_gb = 1\n\n[backend.env]\nDATABASE_PATH = \"/var/database.db\"\n"), @r#"
    deploy.toml:18:17: DATABASE_PATH '/var/database.db' is not on the disk, so every deploy would lose the data
       |
    18 | DATABASE_PATH = "/var/database.db"
       |                 ^^^^^^^^^^^^^^^^^^
    hint: the disk is mounted at '/var/data'
    "#);
}

#[test]
fn a_health_path_without_a_slash() {
    assert_snapshot!(replaced("start = \"./api\"", "start = \"./api\"\nhealth = \"api/health\""), @r#"
    deploy.toml:11:10: 'health' does not begin with a slash: 'api/health'
       |
    11 | health = "api/health"
       |          ^^^^^^^^^^^^
    hint: write "/api/health"
    "#);
}

#[test]
fn an_unknown_region() {
    assert_snapshot!(replaced("start = \"./api\"", "start = \"./api\"\nregion = \"franfurt\""), @r#"
    deploy.toml:11:10: 'franfurt' is no region of Render
       |
    11 | region = "franfurt"
       |          ^^^^^^^^^^
    hint: did you mean 'frankfurt'?
    "#);
}

#[test]
fn two_checks_of_one_name() {
    assert_snapshot!(with("\n[[checks]]\nname = \"unit\"\nrun = \"make test\"\n\n[[checks]]\nname = \"unit\"\nrun = \" \"\ntimeout_s = 0\n"), @r#"
    deploy.toml:17:8: two checks are called 'unit'
       |
    17 | name = "unit"
       |        ^^^^^^
    hint: give each its own name

    deploy.toml:18:7: 'run' is empty
       |
    18 | run = " "
       |       ^^^
    hint: write for example run = "cargo test --locked"

    deploy.toml:19:13: 'timeout_s' must be from 1 to 86400 seconds, not 0
       |
    19 | timeout_s = 0
       |             ^
    hint: leave the key out to have the default

    3 problems
    "#);
}

#[test]
fn ids_of_the_local_cloud() {
    assert_snapshot!(with("\n[environments.local]\nsite_id = \"shop\"\n"), @r#"
    deploy.toml:13:11: 'site_id' has no effect in 'local'
       |
    13 | site_id = "shop"
       |           ^^^^^^
    hint: the local cloud gives out its own ids and addresses
    "#);
}

#[test]
fn a_name_that_is_no_ref() {
    assert_snapshot!(with("\n[environments.\"Prod EU\"]\n"), @r#"
    deploy.toml:12:1: 'Prod EU' cannot be an environment's name
       |
    12 | [environments."Prod EU"]
       | ^^^^^^^^^^^^^^^^^^^^^^^^
    hint: it becomes part of a git ref: use lower-case letters, digits and hyphens
    "#);
}

#[test]
fn a_project_that_is_no_host() {
    assert_snapshot!(replaced("\"shop\"", "\"My Shop\""), @r#"
    deploy.toml:1:11: 'My Shop' cannot be a project's name
      |
    1 | project = "My Shop"
      |           ^^^^^^^^^
    hint: use up to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit
    "#);
}

#[test]
fn a_credential_as_a_variable() {
    assert_snapshot!(with("\n[backend.env]\nTANDEM_ADMIN_TOKEN = \"see the wiki\"\n"), @r"
    deploy.toml:13:22: 'TANDEM_ADMIN_TOKEN' is a credential
       |
    13 | TANDEM_ADMIN_TOKEN = (value not shown)
       |                      ^^^^^^^^^^^^^^^^^
    hint: this file is committed: set it in the service's own settings at Render
    ");
}

#[test]
fn many_problems() {
    assert_snapshot!(replaced("publish = \"web\"\n", "publish = 3\npublsh = \"web\"\nbuild_timeout_s = 0\nentry = \"../x\"\n"), @r#"
    deploy.toml:5:11: 'publish' must be text in quotes, not a whole number
      |
    5 | publish = 3
      |           ^

    deploy.toml:6:1: unknown key 'publsh' in [frontend]
      |
    6 | publsh = "web"
      | ^^^^^^
    hint: did you mean 'publish'?

    deploy.toml:7:19: 'build_timeout_s' must be from 1 to 86400 seconds, not 0
      |
    7 | build_timeout_s = 0
      |                   ^
    hint: leave the key out to have the default

    deploy.toml:8:9: 'entry' leaves the repository: '../x'
      |
    8 | entry = "../x"
      |         ^^^^^^
    hint: write it without '..'

    4 problems
    "#);
}

#[test]
fn a_long_line() {
    assert_snapshot!({
        let folders: String = (0..20).map(|i| format!("\"folder-{i:02}/**\", ")).collect();
        replaced("[\"web/**\"]", &format!("[{folders}\"/x\", {folders}\"web/**\"]"))
    }, @r#"
    deploy.toml:4:330: the pattern '/x' matches no file
      |
    4 | …17/**", "folder-18/**", "folder-19/**", "/x", "folder-00/**", "folder-01/**", "folder-02/**", "folder-03/**", "folder-04…
      |                                          ^^^^
    hint: paths begin at the repository's root, without a leading '/': write 'x'
    "#);
}

#[test]
fn letters_beyond_ascii() {
    assert_snapshot!(replaced("publish = \"web\"", "publish = { \"größe\" = \"é\" }\nentry = \"/ö\""), @r#"
    deploy.toml:5:11: 'publish' must be text in quotes, not a table
      |
    5 | publish = { "größe" = "é" }
      |           ^^^^^^^^^^^^^^^^^

    deploy.toml:6:9: 'entry' is absolute: '/ö'
      |
    6 | entry = "/ö"
      |         ^^^^
    hint: write it relative to the repository's root

    2 problems
    "#);
}

#[test]
fn a_credential_is_refused_and_not_shown() {
    // Built here, so that no scanner takes this file for a leak.
    let body: String = ('a'..='t').rev().collect();
    for text in [
        format!("[environments.production]\nnetlify_auth_token = \"nfp_{body}\""),
        format!("[environments.production]\nsite_id = \"nfp_{body}\""),
        format!("[environments.production]\nbake_s = \"rnd_{body}\""),
        format!("[environments.production]\npublish = \"rnd_{body}\""),
        format!("[environments.production]\nsite_id = nfp_{body}"),
        format!("[environments.\"nfp_{body}\"]"),
        format!("[backend.env]\nKEY = \"rnd_{body}\""),
        format!("[backend.env]\n\"rnd_{body}\" = \"x\""),
        format!("[backend.env]\nAPI_KEY = {body}"),
        format!("[environments.production]\nsite_url = \"https://me:{body}@host\""),
        format!("[environments.production]\nsite_url = \"https://me:{body}@example.com\""),
        format!("[environments.production]\nsite_url = \"http://host/deploy?key={body}\""),
        format!(
            "[environments.production]\nservice_url = \"https://hooks.slack.com/services/{body}\""
        ),
    ] {
        let message = with(&format!("\n{text}\n"));
        assert!(!message.contains(&body), "{message}");
    }
}

#[test]
fn a_credential_says_what_to_do() {
    let body: String = ('a'..='t').rev().collect();
    let text = format!(
        "\n[backend.env]\nKEY = \"rnd_{body}\"\n\n[frontend.x]\nrender_api_key = \"{body}\"\n"
    );
    assert_snapshot!(with(&text), @r#"
    deploy.toml:13:7: 'KEY' holds a credential
       |
    13 | KEY = (value not shown)
       |       ^^^^^^^^^^^^^^^^^
    hint: this file is committed: revoke that credential, and set the new one in the environment or in .env.deploy

    deploy.toml:15:11: unknown key 'x' in [frontend]
       |
    15 | [frontend.x]
       |           ^
    hint: known keys here: paths, quantifier, toolchain, variables, publish, build, build_timeout_s, exclude, entry, shrink_max_percent, smoke

    2 problems
    "#);
}

#[test]
fn smoke_tests_that_cannot_be() {
    let text = "\n[[frontend.smoke]]\nname = \"one\"\n\n[[frontend.smoke]]\nname = \"one\"\npath = \"api\"\nrun = \"true\"\n\n[[backend.smoke]]\nname = \"two\"\nrun = \"true\"\ncontains = \"x\"\ntimeout_s = 0\n";
    assert_snapshot!(with(text));
}
