//! A site that looks like a mistake is refused before anything is created; a flag says that it is none.

use crate::env::TestEnv;
use crate::env::output::Output;

#[track_caller]
fn assert_refused(env: &TestEnv, says: &str) {
    let cloud = env.cloud();
    cloud.forget_requests();
    let output: Output = env.xtask(&["deploy"]);
    output.assert_exit(3).assert_says(says);
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
}

#[test]
fn an_empty_site_is_refused() {
    let env = TestEnv::released();
    for file in [
        "_redirects",
        "about.html",
        "app.js",
        "index.html",
        "style.css",
    ] {
        env.remove(&format!("frontend/{file}"));
    }
    env.write("frontend/.keep", "");
    env.commit("Empty the shop");
    assert_refused(&env, "the site is empty: no file below 'frontend'");
    assert!(env.cloud().page("/").body.contains("<h1>Shop</h1>"));
}

#[test]
fn a_site_without_its_entry_page_is_refused_unless_told_otherwise() {
    let env = TestEnv::released();
    env.remove("frontend/index.html");
    env.commit("Close the entrance");
    assert_refused(&env, "the site has no index.html among its 4 files");
    env.xtask(&["deploy", "--allow-no-index"]).assert_exit(0);
    assert_eq!(env.cloud().page("/").status, 404);
}

#[test]
fn a_site_that_loses_most_of_its_files_is_refused_unless_told_otherwise() {
    let env = TestEnv::released();
    for file in ["_redirects", "about.html", "app.js", "style.css"] {
        env.remove(&format!("frontend/{file}"));
    }
    env.commit("Clear out");
    assert_refused(&env, "live files, more than 50 %");
    assert_eq!(env.cloud().page("/about.html").status, 200);
    env.xtask(&["deploy", "--allow-shrink"]).assert_exit(0);
    assert_eq!(env.cloud().page("/about.html").status, 404);
}
