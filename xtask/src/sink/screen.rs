//! The live display's way to standard error. What is drawn is collected until the drawing is complete, so that the redactor
//! sees whole texts and a terminal never shows half a picture.

use crate::console::Console;
use indicatif::TermLike;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Columns when nobody knows how many there are.
const COLUMNS_DEFAULT: u16 = 80;
/// Rows, as far as the display is concerned: it draws three lines at most.
const ROWS: u16 = 24;

/// A terminal on standard error.
pub(super) struct Screen {
    console: Console,
    pending: Mutex<String>,
}

impl Screen {
    pub(super) fn new(console: Console) -> Self {
        Self {
            console,
            pending: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, text: &str) {
        self.lock().push_str(text);
    }

    fn step(&self, count: usize, direction: char) {
        if count > 0 {
            self.push(&format!("\u{1b}[{count}{direction}"));
        }
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Screen")
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(self.console.columns)
            .ok()
            .filter(|columns| *columns > 0)
            .unwrap_or(COLUMNS_DEFAULT)
    }

    fn height(&self) -> u16 {
        ROWS
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.step(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.step(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.step(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.step(n, 'D');
        Ok(())
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.push(s);
        self.push("\n");
        Ok(())
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.push(s);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.push("\r\u{1b}[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let text = std::mem::take(&mut *self.lock());
        let mut stream = io::stderr().lock();
        stream.write_all(self.console.redact(&text).as_bytes())?;
        stream.flush()
    }
}
