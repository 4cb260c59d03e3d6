//! The search that ends every test: no credential of the cloud stands in anything that the program said or kept.

use super::TestEnv;
use super::cloud::Cloud;
use std::path::Path;
use std::sync::PoisonError;

/// Fails when a credential is found outside of the cloud's own folder and of `cloud env`, whose purpose it is to print some.
pub(super) fn check(env: &TestEnv, cloud: Option<&Cloud>) {
    let Some(secrets) = cloud.map(Cloud::secrets) else {
        return;
    };
    let absent = |place: &str, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        for secret in &secrets {
            assert!(
                !text.contains(secret),
                "a credential of the cloud stands in {place}"
            );
        }
    };
    for output in env
        .said
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .filter(|output| output.args.first().map(String::as_str) != Some("cloud"))
    {
        absent(
            &format!("what was said by: xtask {}", output.args.join(" ")),
            format!("{}{}", output.stdout, output.stderr).as_bytes(),
        );
    }
    let own = env.state_dir().join("cloud");
    each_file(&env.state_dir(), &own, &mut |path, bytes| {
        absent(&path.display().to_string(), bytes);
    });
    each_file(&env.beside("tmp"), &own, &mut |path, bytes| {
        absent(&path.display().to_string(), bytes);
    });
    // Git compresses what it keeps.
    let objects = env
        .command("git", &env.root())
        .arg("--git-dir")
        .arg(env.state_dir().join("repo.git"))
        .args(["cat-file", "--batch-all-objects", "--batch"])
        .output()
        .unwrap();
    absent("an object of the private repository", &objects.stdout);
}

fn each_file(folder: &Path, except: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path == except || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            each_file(&path, except, look);
        } else if let Ok(bytes) = fs_err::read(&path) {
            look(&path, &bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_credential_in_a_file_is_found() {
        let env = TestEnv::new();
        env.xtask(&["cloud", "up"]).assert_exit(0);
        let cloud = env.cloud();
        check(&env, Some(&cloud));
        let planted = env.state_dir().join("planted");
        fs_err::write(
            &planted,
            format!("before {} after", cloud.text("render_key")),
        )
        .unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| check(&env, Some(&cloud)))).is_err());
        fs_err::remove_file(planted).unwrap();
    }

    #[test]
    fn a_test_leaves_nothing_behind() {
        let env = TestEnv::new();
        env.xtask(&["cloud", "up"]).assert_exit(0);
        let (folder, cloud) = (env.root(), env.cloud());
        assert!(cloud.is_running());
        drop(env);
        assert!(!cloud.is_running() && !folder.exists());
    }
}
