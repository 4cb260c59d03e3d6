//! The redactor as a writer: everything the program prints, saves or sends passes through one of these.
//! It keeps back only text that may still turn out to be part of a value, so whole lines usually appear at once.

use std::io::{self, Write};
use std::sync::Arc;

use super::Redactor;
use super::scan::{Program, Scanner};
use super::spans::Held;

/// How much is scanned between two releases; bounds what a huge write needs in memory.
const BLOCK_LEN_BYTES: usize = 64 * 1024;

/// A redaction in progress, without a destination.
pub(super) struct Stream {
    program: Arc<Program>,
    scanner: Scanner,
    held: Held,
}

impl Stream {
    pub(super) fn new(program: Arc<Program>) -> Self {
        Self {
            scanner: Scanner::new(Arc::clone(&program)),
            program,
            held: Held::default(),
        }
    }

    /// Reads `text` and appends what may be printed to `out`.
    pub(super) fn push(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for block in text.chunks(BLOCK_LEN_BYTES) {
            self.held.push(block);
            self.scanner.push(block);
            self.release(self.scanner.settled(), out);
        }
    }

    /// Appends the rest.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.scanner.finish();
        self.release(u64::MAX, out);
    }

    fn release(&mut self, settled: u64, out: &mut Vec<u8>) {
        self.held.hide(self.scanner.take_found());
        self.held
            .release(settled, |mask| self.program.needles.mask(mask), out);
    }
}

/// Hides registered values in what is written to it, however the text is cut into writes.
///
/// Call [`close`](Self::close) at the end, which reports errors; dropping the writer writes the rest without.
/// `flush` passes on to the inner writer but does not force out text that is kept back.
pub struct RedactingWriter<W: Write> {
    /// Only absent after `close`.
    inner: Option<W>,
    /// Absent when nothing is registered.
    stream: Option<Stream>,
    ready: Vec<u8>,
}

impl<W: Write> RedactingWriter<W> {
    /// Hides what `redactor` knows now; values registered later need a new writer.
    pub fn new(inner: W, redactor: &Redactor) -> Self {
        Self {
            inner: Some(inner),
            stream: redactor.program().map(Stream::new),
            ready: Vec::new(),
        }
    }

    /// Writes what was kept back and returns the inner writer, flushed.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn close(mut self) -> io::Result<W> {
        self.write_rest()?;
        self.inner
            .take()
            .ok_or_else(|| io::Error::other("the writer was already closed"))
    }

    fn write_rest(&mut self) -> io::Result<()> {
        if let Some(mut stream) = self.stream.take() {
            stream.finish(&mut self.ready);
        }
        let Some(inner) = &mut self.inner else {
            return Ok(());
        };
        inner.write_all(&self.ready)?;
        self.ready.clear();
        inner.flush()
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else {
            return Ok(0);
        };
        match &mut self.stream {
            Some(stream) => {
                stream.push(text, &mut self.ready);
                // The text was taken whether or not this succeeds: a second attempt would show it twice.
                let result = inner.write_all(&self.ready);
                self.ready.clear();
                result?;
            }
            None => inner.write_all(text)?,
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for RedactingWriter<W> {
    fn drop(&mut self) {
        // Nobody is left to hear of an error; `close` reports them.
        drop(self.write_rest());
    }
}
