//! README.md is the only place where the commands stand that it promises; CI runs them from there.

use anyhow::{Context as _, Result};

/// The first shell block below a heading of the second level.
///
/// # Errors
/// When there is no such heading, or no block below it.
pub(super) fn shell_block(readme: &str, heading: &str) -> Result<String> {
    let head = format!("## {heading}");
    let below = readme.lines().skip_while(|line| *line != head).skip(1);
    let block: Vec<&str> = below
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| *line != "```sh")
        .skip(1)
        .take_while(|line| *line != "```")
        .collect();
    let script = block.join("\n");
    (!script.trim().is_empty())
        .then_some(script)
        .with_context(|| format!("README.md has no shell block below '{head}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_the_one_below_its_heading() {
        let readme = "# X\n## A\ntext\n```text\nno\n```\n```sh\none\ntwo\n```\n```sh\nlater\n```\n## B\n### C\n## D\n```sh\nfour\n```\n";
        assert_eq!(shell_block(readme, "A").unwrap(), "one\ntwo");
        assert_eq!(shell_block(readme, "D").unwrap(), "four");
        for heading in ["B", "C", "E"] {
            let error = shell_block(readme, heading).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("README.md has no shell block below '## {heading}'")
            );
        }
    }
}
