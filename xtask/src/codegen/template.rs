//! A template is the text itself with a few marks: `@{name}` is replaced by a value, `@{uses NAME}` by a pinned action, and the
//! lines between `#? flag` (or `#? !flag`) and `#.` are there only if the flag is set (or not).

use super::pins::Pins;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;

/// What the marks of a template stand for.
pub(super) struct Values<'p> {
    pub(super) texts: BTreeMap<&'static str, String>,
    pub(super) flags: BTreeMap<&'static str, bool>,
    pub(super) pins: &'p Pins,
}

impl Values<'_> {
    /// Fills a template.
    ///
    /// # Errors
    /// When a mark has no value, or a condition no end.
    pub(super) fn fill(&self, template: &str) -> Result<String> {
        let mut text = String::new();
        // Whether the lines of the open condition are wanted.
        let mut open: Option<bool> = None;
        for line in template.lines() {
            if let Some(condition) = line.trim_start().strip_prefix("#? ") {
                ensure!(
                    open.is_none(),
                    "'{condition}' stands inside another condition"
                );
                open = Some(self.holds(condition)?);
            } else if line.trim() == "#." {
                ensure!(open.take().is_some(), "a condition ends that never began");
            } else if open != Some(false) {
                text.push_str(&self.fill_line(line)?);
                text.push('\n');
            }
        }
        ensure!(open.is_none(), "a condition has no end");
        Ok(text)
    }

    fn holds(&self, condition: &str) -> Result<bool> {
        let (flag, wanted) = match condition.strip_prefix('!') {
            Some(flag) => (flag, false),
            None => (condition, true),
        };
        let value = self.flags.get(flag);
        Ok(*value.with_context(|| format!("there is no flag '{flag}'"))? == wanted)
    }

    fn fill_line(&self, line: &str) -> Result<String> {
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let mut filled = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("@{") {
            let Some((name, behind)) = after.split_once('}') else {
                bail!("a mark has no end: {line}");
            };
            filled.push_str(before);
            match name.strip_prefix("uses ") {
                Some(action) => filled.push_str(&self.pins.uses(action)?),
                None => {
                    let value = self.texts.get(name);
                    let value = value.with_context(|| format!("there is no value '{name}'"))?;
                    // A value of several lines stands as deep as its mark.
                    filled.push_str(&value.replace('\n', &format!("\n{indent}")));
                }
            }
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str) -> Result<String> {
        let pins = Pins::default();
        let values = Values {
            texts: [("x", "1".to_owned()), ("two", "a\nb".to_owned())].into(),
            flags: [("yes", true), ("no", false)].into(),
            pins: &pins,
        };
        values.fill(template)
    }

    #[test]
    fn marks_are_filled_and_expressions_stay() {
        assert_eq!(
            fill("a @{x}@{x} ${{ b }} {c}\n").unwrap(),
            "a 11 ${{ b }} {c}\n"
        );
        assert_eq!(fill("- |\n  @{two}\nend").unwrap(), "- |\n  a\n  b\nend\n");
    }

    #[test]
    fn conditions_choose_lines() {
        let template = "1\n  #? yes\n2\n  #.\n#? !yes\n3\n#.\n#? no\n4\n#.\n#? !no\n5\n#.\n";
        assert_eq!(fill(template).unwrap(), "1\n2\n5\n");
    }

    #[test]
    fn a_template_with_a_mistake_is_refused() {
        for wrong in [
            "@{y}",
            "@{x",
            "#? z",
            "#? yes\n",
            "#.",
            "#? yes\n#? no\n#.\n",
            "@{uses no/where}",
        ] {
            assert!(fill(wrong).is_err(), "{wrong}");
        }
    }
}
