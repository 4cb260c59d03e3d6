//! The one owner of stdout and stderr: one plain line per event. The platform that collects
//! the lines adds the time, and what could forge a second line is replaced.

use std::{
    fmt::Display,
    io::{Write as _, stderr, stdout},
};

/// Reports an ordinary event on stdout.
pub(crate) fn info(event: impl Display) {
    // A closed pipe must not end the service: it still has requests to answer.
    writeln!(stdout().lock(), "{}", one_line(&event.to_string())).ok();
}

/// Reports on stderr what a person should look at.
pub(crate) fn warn(event: impl Display) {
    writeln!(stderr().lock(), "{}", one_line(&event.to_string())).ok();
}

/// Prints a text of several lines, such as the usage, as it is.
pub(crate) fn text(text: &str) {
    writeln!(stdout().lock(), "{text}").ok();
}

fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_forge_a_second_line() {
        assert_eq!(
            one_line("a\r\nlistening on x\u{1b}[2J"),
            "a  listening on x [2J"
        );
    }
}
