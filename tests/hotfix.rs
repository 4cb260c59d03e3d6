//! A hotfix that is live from another branch is not lost by the next release of the main branch.

use crate::env::origin::Origin;

/// A project whose production runs a hotfix of the frontend that is on a branch of its own; main has gone on meanwhile.
fn with_hotfix() -> Origin {
    let origin = Origin::released();
    let env = &origin.env;
    env.git(&["checkout", "--quiet", "-b", "hotfix/prices"]);
    env.change_frontend("Right prices");
    env.write("frontend/prices.html", "1.00");
    env.commit("List the prices");
    origin.push();
    origin.deploy(&[]).assert_exit(0);
    env.git(&["checkout", "--quiet", "main"]);
    env.write("frontend/app.js", "// goes on\n");
    env.commit("Go on");
    origin.push();
    origin
}

#[test]
fn main_without_the_hotfix_is_refused_with_the_commits_it_would_lose() {
    let origin = with_hotfix();
    let cloud = origin.env.cloud();
    cloud.forget_requests();
    let live = origin.live();
    let shallow = origin.clone("shallow", &["--depth=1", "--branch=main"]);
    for refused in [
        origin.deploy(&[]),
        // It has neither commit's history, and fetches what it needs to know.
        shallow.xtask(&["deploy", "--prod"]),
    ] {
        refused
            .assert_exit(3)
            .assert_says("from hotfix/prices")
            .assert_says("does not contain it and would lose:")
            .assert_says("List the prices")
            .assert_says("Right prices")
            .assert_says("merge hotfix/prices into main first");
    }
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
    assert_eq!(origin.live(), live);

    origin
        .deploy(&["--anyway", "the prices are wrong again"])
        .assert_exit(0);
    origin
        .env
        .xtask(&["history", "--prod"])
        .assert_exit(0)
        .assert_says("released anyway: the prices are wrong again");
    // Now main is live, and there is no hotfix to lose.
    origin.env.change_frontend("Third");
    origin.push();
    origin.deploy(&[]).assert_exit(0);
}

#[test]
fn a_hotfix_that_main_contains_in_any_form_is_no_obstacle() {
    for form in ["merge", "squash", "cherry-pick"] {
        let origin = with_hotfix();
        let env = &origin.env;
        match form {
            "merge" => drop(env.git(&["merge", "--quiet", "--no-edit", "hotfix/prices"])),
            "squash" => {
                env.git(&["merge", "--quiet", "--squash", "hotfix/prices"]);
                env.commit("Right prices, in one");
            }
            _ => drop(env.git(&["cherry-pick", "hotfix/prices~1", "hotfix/prices"])),
        }
        origin.push();
        let shallow = origin.clone("shallow", &["--depth=1", "--branch=main"]);
        shallow.xtask(&["deploy", "--prod"]).assert_exit(0);
        origin
            .deploy(&[])
            .assert_exit(0)
            .assert_says("Nothing to do");
    }
}

#[test]
fn what_cannot_be_known_is_said_and_refused() {
    let origin = with_hotfix();
    let env = &origin.env;
    // The branch is gone everywhere, and its commits with it.
    env.git(&["push", "--quiet", "origin", "--delete", "hotfix/prices"]);
    env.git_in(&origin.bare, &["reflog", "expire", "--expire=now", "--all"]);
    env.git_in(&origin.bare, &["gc", "--quiet", "--prune=now"]);
    let fresh = origin.clone("fresh", &[]);
    fresh
        .xtask(&["deploy", "--prod"])
        .assert_exit(3)
        .assert_says("contains it is not known")
        .assert_says("--anyway REASON");
}

#[test]
fn an_environment_kept_for_one_branch_takes_a_hotfix_when_that_is_recorded() {
    let origin = Origin::new();
    let env = &origin.env;
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    env.write(
        "deploy.toml",
        &config.replace(
            "[environments.production]\n",
            "[environments.production]\nbranch = \"main\"\n",
        ),
    );
    env.commit("Keep production for main");
    origin.push();
    origin.deploy(&[]).assert_exit(0);
    env.git(&["checkout", "--quiet", "-b", "hotfix"]);
    env.change_frontend("Hotfix");
    origin.push();
    origin
        .deploy(&[])
        .assert_exit(3)
        .assert_says("is kept for the branch 'main'");
    origin
        .deploy(&["--anyway", "prices are wrong"])
        .assert_exit(0);
    env.git(&["checkout", "--quiet", "main"]);
    env.change_backend("ok ");
    origin.push();
    // The backend alone would run with `--only`; the hotfix is of the frontend and stays.
    origin.deploy(&["--only", "backend"]).assert_exit(0);
    origin
        .deploy(&[])
        .assert_exit(3)
        .assert_says("is live of the frontend in production, from hotfix");
}
