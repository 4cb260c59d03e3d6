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

#[test]
fn an_empty_entry_page_is_refused_like_an_absent_one() {
    let env = TestEnv::released();
    env.write("frontend/index.html", "");
    env.commit("Empty the entrance");
    assert_refused(&env, "the entry page index.html below 'frontend' is empty");
    assert!(env.cloud().page("/").body.contains("<h1>Shop</h1>"));
    env.xtask(&["deploy", "--allow-no-index"]).assert_exit(0);
}

#[test]
fn what_is_no_file_is_named_at_once() {
    let env = TestEnv::released();
    let odd = env.root().join("frontend/odd");
    let link = |target: &str| std::os::unix::fs::symlink(target, &odd).unwrap();
    let looped = "odd leads back to itself (a symbolic link)";
    let exclude = |patterns: &str| {
        let path = env.root().join("deploy.toml");
        let text = fs_err::read_to_string(&path).unwrap();
        let published = "publish = \"frontend\"\n";
        let with = format!("{published}exclude = [{patterns}]\n");
        fs_err::write(path, text.replace(published, &with)).unwrap();
    };
    link(".");
    assert_refused(&env, looped);
    env.remove("frontend/odd");
    link("odd");
    assert_refused(&env, looped);
    env.remove("frontend/odd");
    link("../backend/behaviour");
    assert_refused(&env, "odd is a symbolic link out of the publish folder");
    env.remove("frontend/odd");
    link("nothing");
    assert_refused(&env, "odd is a symbolic link to nothing");
    env.remove("frontend/odd");
    let socket = std::os::unix::net::UnixListener::bind(&odd).unwrap();
    assert_refused(&env, "odd is a socket");
    drop(socket);
    env.remove("frontend/odd");
    let made = env.command("mkfifo", &env.root()).arg(&odd).status();
    assert!(made.unwrap().success());
    assert_refused(&env, "odd is a named pipe");
    exclude("\"odd\"");
    env.xtask(&["plan"]).assert_exit(0);
}

#[test]
fn a_folder_that_is_linked_to_inside_the_site_is_published_twice() {
    let env = TestEnv::new();
    fs_err::create_dir(env.root().join("frontend/v2")).unwrap();
    env.write("frontend/v2/page.html", "<p>Second</p>\n");
    std::os::unix::fs::symlink("v2", env.root().join("frontend/latest")).unwrap();
    env.commit("Link to the latest");
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(
        env.cloud().page("/latest/page.html").body,
        "<p>Second</p>\n"
    );
}

#[test]
fn what_is_excluded_stays_home_in_every_folder() {
    let env = TestEnv::new();
    let path = env.root().join("deploy.toml");
    let text = fs_err::read_to_string(&path).unwrap();
    let exclude = |patterns: &str| {
        let published = "publish = \"frontend\"\n";
        let with = format!("{published}exclude = [{patterns}]\n");
        fs_err::write(&path, text.replace(published, &with)).unwrap();
        env.commit("Exclude");
    };
    fs_err::create_dir(env.root().join("frontend/js")).unwrap();
    env.write("frontend/notes.txt", "private\n");
    env.write("frontend/js/app.js.map", "private\n");
    exclude("\"*.map\", \"*.txt\"");
    env.xtask(&["deploy"]).assert_exit(3).assert_says(
        "frontend.exclude holds '*.map', which leaves no file out (hint: write '**/*.map'",
    );
    exclude("\"**/*.{map,txt}\"");
    env.xtask(&["deploy"]).assert_exit(0);
    let cloud = env.cloud();
    assert_eq!(cloud.page("/app.js").status, 200);
    assert_eq!(cloud.page("/notes.txt").status, 404);
    assert_eq!(cloud.page("/js/app.js.map").status, 404);
}

#[test]
fn a_file_of_any_size_is_compared_while_it_comes() {
    let env = TestEnv::new();
    let file = fs_err::File::create(env.root().join("frontend/film.bin")).unwrap();
    file.set_len(70 << 20).unwrap();
    drop(file);
    env.write(".gitignore", "film.bin\n");
    env.commit("A film, which git does not keep");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("6 files fetched and compared");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
}
