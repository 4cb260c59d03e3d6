//! What the workflows and the Blueprint mean, read as YAML: who may do what, who sees a credential, and what their scripts do.
//!
//! The linters of `cargo xtask ci workflows` know GitHub's rules; this knows ours. The scripts are run, as far as they need no GitHub.

use crate::env::fixture::repository;
use crate::env::{TestEnv, XTASK};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

fn yaml(path: &str) -> Value {
    let text = fs_err::read_to_string(repository().join(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn workflow(name: &str) -> Value {
    yaml(&format!(".github/workflows/{name}.yml"))
}

const WORKFLOWS: [&str; 3] = ["ci", "deploy", "rollback"];

/// Every job of every workflow, by `workflow.job`.
fn jobs() -> BTreeMap<String, Value> {
    let mut jobs = BTreeMap::new();
    for name in WORKFLOWS {
        for (job, text) in workflow(name)["jobs"].as_object().unwrap() {
            jobs.insert(format!("{name}.{job}"), text.clone());
        }
    }
    jobs
}

fn steps(job: &Value) -> &Vec<Value> {
    job["steps"].as_array().unwrap()
}

fn step<'j>(job: &'j Value, name: &str) -> &'j Value {
    let found = steps(job).iter().find(|step| step["name"] == name);
    found.unwrap_or_else(|| panic!("there is no step '{name}' in {job:#}"))
}

#[test]
fn a_credential_is_seen_by_no_step_but_those_that_release() {
    let mut with_secrets = Vec::new();
    for (name, job) in jobs() {
        // Not in the job as a whole, so not in its other steps.
        let mut around = job.clone();
        around.as_object_mut().unwrap().remove("steps");
        assert!(!around.to_string().contains("secrets."), "{name}");
        for step in steps(&job)
            .iter()
            .filter(|step| step.to_string().contains("secrets."))
        {
            let run = step["run"].as_str().unwrap();
            let last = run.trim_end().lines().last().unwrap().trim();
            assert!(
                last.starts_with("exec \"$RUNNER_TEMP/tool/xtask\" "),
                "{name}: '{last}' is neither xtask nor gets its signals"
            );
            assert!(
                !job["environment"].is_null(),
                "{name}: nobody guards its secrets"
            );
            assert!(step["timeout-minutes"].is_u64(), "{name}: {step}");
            if !with_secrets.contains(&name) {
                with_secrets.push(name.clone());
            }
        }
    }
    assert_eq!(with_secrets, ["deploy.release", "rollback.rollback"]);
}

#[test]
fn the_jobs_with_credentials_run_nothing_that_others_could_have_changed() {
    let jobs = jobs();
    for name in ["deploy.release", "rollback.rollback"] {
        for step in steps(&jobs[name]) {
            let uses = step["uses"].as_str().unwrap_or_default();
            assert!(!uses.contains("cache"), "{name} restores a cache: {uses}");
            let run = step["run"].as_str().unwrap_or_default();
            for line in run.lines().filter(|line| line.contains("cargo ")) {
                assert_eq!(
                    line.trim(),
                    "cargo build --locked --package tandem --bin xtask",
                    "{name} builds the tool and nothing else"
                );
            }
        }
    }
    // The tool itself comes from no cache either.
    let tool = jobs["deploy.xtask"].to_string();
    assert!(
        !tool.contains("rust-cache") && !tool.contains("cache-nix"),
        "{tool}"
    );
}

#[test]
fn each_job_has_the_rights_that_it_needs_and_no_other() {
    let rights: BTreeMap<String, String> = jobs()
        .into_iter()
        .map(|(name, job)| {
            let rights = job["permissions"].as_object().unwrap().iter();
            let rights: Vec<String> = rights
                .map(|(what, how)| format!("{what}: {}", how.as_str().unwrap()))
                .collect();
            (name, rights.join(", "))
        })
        .collect();
    let expected = [
        ("ci.advisories", "contents: read"),
        (
            "ci.image",
            "attestations: write, contents: read, id-token: write",
        ),
        ("ci.nix", "contents: read"),
        ("ci.prepare", "contents: read"),
        ("ci.sections", "contents: read"),
        ("ci.update-lock", "contents: write, pull-requests: write"),
        ("deploy.prepare", "contents: read"),
        ("deploy.release", "attestations: read, contents: write"),
        (
            "deploy.xtask",
            "attestations: write, contents: read, id-token: write",
        ),
        (
            "rollback.rollback",
            "actions: read, attestations: read, contents: write",
        ),
        ("rollback.stop", "actions: write"),
    ];
    let expected = expected.map(|(name, rights)| (name.to_owned(), rights.to_owned()));
    assert_eq!(rights, expected.into());
    for name in WORKFLOWS {
        assert_eq!(
            workflow(name)["permissions"],
            serde_json::json!({}),
            "{name}"
        );
    }
}

#[test]
fn releases_queue_and_rollbacks_do_not_wait_for_them() {
    let group = |name: &str| {
        let queue = &workflow(name)["concurrency"];
        assert_eq!(queue["cancel-in-progress"], false, "{name}");
        queue["group"].as_str().unwrap().to_owned()
    };
    let (deploy, rollback) = (group("deploy"), group("rollback"));
    assert!(deploy.starts_with("deploy-") && rollback.starts_with("rollback-"));
    let stop = &workflow("rollback")["jobs"]["stop"];
    let run = steps(stop)[0]["run"].as_str().unwrap();
    assert!(run.contains("gh run list --workflow deploy.yml") && run.contains("gh run cancel"));
    let after = &workflow("rollback")["jobs"]["rollback"];
    assert_eq!(
        (&after["needs"], &after["if"]),
        (&"stop".into(), &"${{ !cancelled() }}".into())
    );
}

#[test]
fn the_last_steps_of_a_release_always_finish_or_report() {
    let deploy = &workflow("deploy")["jobs"]["release"];
    let [.., finish, report] = steps(deploy).as_slice() else {
        panic!("{deploy}")
    };
    for (step, command) in [(finish, "--resume"), (report, " status ")] {
        assert!(
            step["if"].as_str().unwrap().starts_with("always() && "),
            "{step}"
        );
        assert!(step["run"].as_str().unwrap().contains(command), "{step}");
    }
    let rollback = workflow("rollback");
    let report = steps(&rollback["jobs"]["rollback"]).last().unwrap();
    assert!(
        report["if"].as_str().unwrap().starts_with("always() && "),
        "{report}"
    );
    // The time of a job is enough for all its steps.
    for (name, job) in jobs() {
        let limits = steps(&job)
            .iter()
            .filter_map(|step| step["timeout-minutes"].as_u64());
        let whole = job["timeout-minutes"].as_u64().unwrap();
        assert!(
            limits.sum::<u64>() <= whole,
            "{name} ends before its steps may"
        );
    }
}

/// All sections run in CI, each once.
#[test]
fn every_section_of_ci_is_in_one_of_its_jobs() {
    let list = TestEnv::without_git().xtask(&["ci", "--list"]).stdout;
    let mut known: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let ci = workflow("ci");
    let parts = ci["jobs"]["sections"]["strategy"]["matrix"]["include"]
        .as_array()
        .unwrap();
    let named = parts
        .iter()
        .flat_map(|part| part["sections"].as_str().unwrap().split(' '));
    let mut named: Vec<&str> = named.collect();
    known.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn the_blueprint_says_what_deploy_toml_says() {
    let blueprint = yaml("render.yaml");
    let [service] = blueprint["services"].as_array().unwrap().as_slice() else {
        panic!("{blueprint}")
    };
    let text = fs_err::read_to_string(repository().join("deploy.toml")).unwrap();
    let config: toml::Table = text.parse().unwrap();
    let backend = &config["backend"];
    for (key, wanted) in [
        ("name", &config["project"]),
        ("runtime", &backend["runtime"]),
        ("region", &backend["region"]),
        ("plan", &backend["plan"]),
        ("branch", &config["environments"]["production"]["branch"]),
        ("buildCommand", &backend["build"]),
        ("startCommand", &backend["start"]),
        ("healthCheckPath", &backend["health"]),
        ("maxShutdownDelaySeconds", &backend["max_shutdown_delay_s"]),
    ] {
        assert_eq!(service[key], serde_json::to_value(wanted).unwrap(), "{key}");
    }
    // As text: a bare off is the boolean false, which Render takes for something else.
    assert_eq!(service["autoDeployTrigger"], "off");
    let disk = &backend["disk"];
    let expected = serde_json::json!({ "name": disk["name"].as_str(), "mountPath": disk["mount_path"].as_str(), "sizeGB": disk["size_gb"].as_integer() });
    assert_eq!(service["disk"], expected);
    assert_eq!(
        service["buildFilter"]["paths"],
        serde_json::to_value(&backend["paths"]).unwrap()
    );
    let variables = service["envVars"].as_array().unwrap();
    for variable in variables {
        let name = variable["key"].as_str().unwrap();
        let configured = backend["env"]
            .get(name)
            .map(|value| value.as_str().unwrap());
        assert_eq!(variable["value"].as_str(), configured, "{name}");
        assert_eq!(configured.is_none(), variable["sync"] == false, "{name}");
    }
    assert_eq!(
        variables.len(),
        backend["env"].as_table().unwrap().len() + 1
    );
}

/// Runs the script of a step as GitHub does, in a folder and with these variables.
fn run(env: &TestEnv, script: &str, folder: &Path, vars: &[(&str, &str)]) -> Output {
    let file = env.beside("tmp/step.sh");
    fs_err::write(&file, script).unwrap();
    let mut bash = env.command("bash", folder);
    bash.args(["--noprofile", "--norc", "-eo", "pipefail"])
        .arg(file);
    bash.env("RUNNER_TEMP", env.beside("tmp"))
        .envs(vars.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn only_a_commit_of_the_branch_itself_can_be_chosen() {
    let env = TestEnv::new();
    let first = env.head();
    env.git(&["tag", "v1"]);
    env.change_frontend("Second");
    env.git(&["switch", "--quiet", "--create", "aside"]);
    let aside = env.change_frontend("Aside");
    env.git(&["switch", "--quiet", "main"]);
    env.git(&["branch", "early", &first]);
    let clone = env.beside("clone");
    let paths = [env.root(), clone.clone()].map(|path| path.to_str().unwrap().to_owned());
    env.git(&["clone", "--quiet", &paths[0], &paths[1]]);
    let head = env.head();
    for job in ["prepare", "release"] {
        let workflow = workflow("deploy");
        let script = step(&workflow["jobs"][job], "Choose the commit")["run"]
            .as_str()
            .unwrap();
        for (reference, wanted) in [
            ("", Some(&head)),
            ("main", Some(&head)),
            ("early", Some(&first)),
            ("v1", Some(&first)),
            (&first[..12], Some(&first)),
            ("aside", None),
            (&aside, None),
            ("no-such", None),
            ("--help", None),
            ("$(touch x)", None),
        ] {
            env.git_in(&clone, &["checkout", "--quiet", "--detach", &head]);
            let output = run(&env, script, &clone, &[("REF", reference)]);
            assert_eq!(
                output.status.success(),
                wanted.is_some(),
                "{job}: {reference}: {output:?}"
            );
            let chosen = env.git_in(&clone, &["rev-parse", "HEAD"]);
            assert_eq!(&chosen, wanted.unwrap_or(&head), "{job}: {reference}");
        }
    }
    assert!(!clone.join("x").exists());
}

/// Stands in for the tool: it notes its arguments, and the real one says whether it knows them.
fn pretend_tool(env: &TestEnv) {
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$RUNNER_TEMP/args\"\nexec '{XTASK}' \"$@\" --help >/dev/null\n"
    );
    fs_err::create_dir_all(env.beside("tmp/tool")).unwrap();
    let tool = env.beside("tmp/tool/xtask");
    fs_err::write(&tool, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(&tool, mode).unwrap();
}

/// The arguments that a step gives to the tool.
fn args(env: &TestEnv, step: &Value, vars: &[(&str, &str)]) -> String {
    let output = run(env, step["run"].as_str().unwrap(), &env.root(), vars);
    assert!(output.status.success(), "{}: {output:?}", step["name"]);
    let args = fs_err::read_to_string(env.beside("tmp/args")).unwrap();
    args.trim_end().replace('\n', " ")
}

#[test]
fn the_answers_of_a_rollback_become_its_arguments() {
    let env = TestEnv::without_git();
    pretend_tool(&env);
    let workflow = workflow("rollback");
    let inputs = &workflow["on"]["workflow_dispatch"]["inputs"];
    let choices = inputs["release"]["options"].as_array().unwrap();
    let step = step(&workflow["jobs"]["rollback"], "Roll back");
    let with = |release: &str, id: &str, lanes: &str| {
        let vars = [
            ("ENVIRONMENT", "production"),
            ("RELEASE", release),
            ("ID", id),
            ("LANES", lanes),
        ];
        args(&env, step, &vars)
    };
    for (count, choice) in choices.iter().enumerate() {
        let wanted = format!(
            "rollback --env production --wait-lock 180 --to=~{}",
            count + 1
        );
        assert_eq!(with(choice.as_str().unwrap(), "", "both"), wanted);
    }
    assert_eq!(
        with("the one before", "2026-x", "frontend"),
        "rollback --env production --wait-lock 180 --to=2026-x --only frontend"
    );
    // Only the reason has no answer yet when the form opens.
    for (name, input) in inputs.as_object().unwrap() {
        assert_eq!(input["default"].is_null(), name == "reason", "{name}");
    }
}

#[test]
fn the_answers_of_a_deploy_become_its_arguments() {
    let env = TestEnv::without_git();
    pretend_tool(&env);
    let workflow = workflow("deploy");
    let temp = env.beside("tmp").display().to_string();
    let with = |job: &str, name: &str, lanes: &str, force: &str| {
        let vars = [
            ("ENVIRONMENT", "production"),
            ("LANES", lanes),
            ("FORCE", force),
        ];
        let step = step(&workflow["jobs"][job], name);
        args(&env, step, &vars).replace(&temp, "TEMP")
    };
    for (job, name, lanes, force, wanted) in [
        (
            "prepare",
            "Check and build",
            "both",
            "",
            "--prepare --out TEMP/bundle",
        ),
        (
            "prepare",
            "Check and build",
            "backend",
            "",
            "--prepare --out TEMP/bundle --only backend",
        ),
        (
            "release",
            "Release",
            "both",
            "false",
            "--bundle TEMP/bundle",
        ),
        (
            "release",
            "Release",
            "frontend",
            "true",
            "--bundle TEMP/bundle --only frontend --force",
        ),
        (
            "release",
            "Finish what was cut off",
            "both",
            "true",
            "--bundle TEMP/bundle --resume",
        ),
    ] {
        assert_eq!(
            with(job, name, lanes, force),
            format!("deploy --env production {wanted}")
        );
    }
    assert_eq!(
        with("release", "Say what is live", "both", "true"),
        "status --env production"
    );
}

/// Whoever prepares could put anything into the archive; nothing of it may land beside the folder that is then verified.
#[test]
fn what_was_prepared_is_unpacked_into_a_folder_of_its_own() {
    let env = TestEnv::without_git();
    let workflow = workflow("deploy");
    let script = step(&workflow["jobs"]["release"], "Unpack it")["run"]
        .as_str()
        .unwrap();
    let (made, repository) = (env.beside("made"), env.beside("repository"));
    for folder in ["bundle", "outside"] {
        fs_err::create_dir_all(made.join("x").join(folder)).unwrap();
        fs_err::write(made.join("x").join(folder).join("file"), folder).unwrap();
    }
    fs_err::write(made.join("sneaky"), "sneaky").unwrap();
    fs_err::create_dir(&repository).unwrap();
    fs_err::create_dir_all(env.beside("tmp/prepared")).unwrap();
    let archive = env.beside("tmp/prepared/bundle.tar");
    let tar = env
        .command("tar", &made.join("x"))
        .args(["--create", "--absolute-names", "--file"])
        .arg(&archive)
        .args(["bundle", "outside", "../sneaky"])
        .status();
    assert!(tar.unwrap().success());
    let output = run(&env, script, &repository, &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(env.beside("tmp/bundle/file").exists());
    for stranger in ["tmp/outside", "tmp/sneaky", "sneaky"] {
        assert!(!env.beside(stranger).exists(), "{stranger}");
    }
    assert_eq!(fs_err::read_dir(&repository).unwrap().count(), 0);
}
