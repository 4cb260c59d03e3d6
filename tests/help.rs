//! The command line as it explains itself, and how it answers what it does not understand.

use crate::env::TestEnv;
use insta::assert_snapshot;

/// Every command that has a help of its own.
const COMMANDS: [&[&str]; 25] = [
    &[],
    &["deploy"],
    &["plan"],
    &["why"],
    &["migrate"],
    &["rollback"],
    &["status"],
    &["history"],
    &["show"],
    &["report"],
    &["lock"],
    &["lock", "status"],
    &["lock", "take"],
    &["lock", "release"],
    &["cloud"],
    &["cloud", "up"],
    &["cloud", "down"],
    &["cloud", "status"],
    &["cloud", "logs"],
    &["cloud", "env"],
    &["match"],
    &["redact"],
    &["completions"],
    &["help"],
    &["probe"],
];

#[test]
fn every_command_explains_itself() {
    let env = TestEnv::without_git();
    for command in COMMANDS {
        let mut args = command.to_vec();
        args.push("--help");
        let help = env.xtask(&args);
        let name = if command.is_empty() { "all".to_owned() } else { command.join("-") };
        assert_snapshot!(format!("help-{name}"), help.assert_exit(0).stdout);
        assert_eq!(help.stderr, "");
    }
    assert!(!env.state_dir().exists(), "explaining leaves no trace");
}
