//! The command line as it explains itself. A command that is new is found by itself and wants a snapshot.

use crate::env::TestEnv;
use insta::assert_snapshot;

#[test]
fn every_command_explains_itself() {
    let env = TestEnv::without_git();
    let mut waiting = vec![Vec::new()];
    while let Some(command) = waiting.pop() {
        let args: Vec<&str> = command
            .iter()
            .map(String::as_str)
            .chain(["--help"])
            .collect();
        let help = env.xtask(&args);
        help.assert_exit(0);
        assert_eq!(help.stderr, "");
        for name in commands(&help.stdout) {
            waiting.push([command.clone(), vec![name]].concat());
        }
        let name = if command.is_empty() {
            "all".to_owned()
        } else {
            command.join("-")
        };
        assert_snapshot!(format!("help-{name}"), help.stdout);
    }
    assert!(!env.state_dir().exists(), "explaining leaves no trace");
}

/// The names in the list of commands; `help` explains the others and nothing of its own.
fn commands(help: &str) -> Vec<String> {
    let list = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    // Two spaces begin an entry, more of them go on with its description.
    let names = list
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}
