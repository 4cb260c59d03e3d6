//! The palette: colours by the role of a text, in one place. No text depends on its colour to be understood.

use anstyle::{AnsiColor, Style};

/// What a piece of text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It went well.
    Good,
    /// A person should look at it.
    Warn,
    /// It failed.
    Bad,
    /// An address, or a command to type.
    Accent,
    /// What matters in its line.
    Strong,
    /// What may be skipped when reading.
    Quiet,
    /// Everything else.
    Plain,
}

impl Role {
    /// How it looks. The basic colours only, which every terminal theme keeps readable.
    pub fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Accent => AnsiColor::Cyan.on_default(),
            Self::Strong => Style::new().bold(),
            Self::Quiet => Style::new().dimmed(),
            Self::Plain => Style::new(),
        }
    }

    /// The sign that stands for it, so that it is seen without colour too.
    pub fn mark(self) -> char {
        match self {
            Self::Good => '✓',
            Self::Warn => '!',
            Self::Bad => '✗',
            Self::Accent | Self::Strong | Self::Quiet | Self::Plain => '·',
        }
    }
}

/// `text` in the colours of its role. Whoever writes it decides whether they stay: the console takes them out where they
/// are not wanted.
pub fn paint(role: Role, text: &str) -> String {
    let style = role.style();
    if style.is_plain() || text.is_empty() {
        text.to_owned()
    } else {
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_end_where_the_text_ends() {
        assert_eq!(paint(Role::Good, "ok"), "\u{1b}[32mok\u{1b}[0m");
        assert_eq!(paint(Role::Plain, "ok"), "ok");
        assert_eq!(
            anstream::adapter::strip_str(&paint(Role::Bad, "no")).to_string(),
            "no"
        );
    }
}
