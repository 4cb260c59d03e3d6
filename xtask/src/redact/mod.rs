//! Keeps registered credentials out of everything that leaves the process.
//!
//! A value is looked for as it is (`variants`), in base64 and hexadecimal (`encodings`), and in every *view* of
//! the text: what the text says once an escaping is undone (`codec`, `views`). Undoing escapes instead of listing
//! escaped spellings covers `%2f` and `%2F`, `\u00e9` and `é`, and a colour code in the middle, alike. Views keep
//! the source offsets of what they decode (`item`), so the original spelling is hidden.
//!
//! One pass (`scan`, `node`, with the tables of `layout` and `twins`) produces stretches to hide (`spans`); `writer` prints the rest. Credentials that
//! nobody registered are a matter for patterns, which can run as a second stage on what this one lets through:
//! its masks contain nothing that another stage could take for a credential.

use std::sync::{Arc, OnceLock};

mod ansi;
mod backslash;
mod codec;
mod encodings;
mod entity;
mod item;
mod layout;
pub mod ndjson;
mod needles;
mod node;
mod scan;
mod secret;
mod spans;
#[cfg(test)]
mod tests;
mod twins;
mod variants;
mod views;
mod writer;

use layout::Layout;
use needles::{MASK, Needle, Needles};
use scan::Program;
use writer::Stream;

pub use secret::Secret;
pub use writer::RedactingWriter;

/// Knows the values to hide. Register everything first: the first use after a registration prepares the search,
/// which takes about a millisecond per value.
#[derive(Default)]
pub struct Redactor {
    masks: Vec<String>,
    /// Strings in the clear, and the index of their mask.
    values: Vec<(String, usize)>,
    program: OnceLock<Option<Arc<Program>>>,
}

impl Redactor {
    /// A redactor that hides nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides `value` from now on, also without the white space and quotes around it, each of its lines of at
    /// least 8 characters, and, if it is a URL, the secret parts of that. `[REDACTED:NAME]` is shown instead, or
    /// `[REDACTED]` when `name` is empty.
    ///
    /// Values of fewer than 4 characters, and words such as `true`, are ignored: hiding them would ruin all other
    /// text. Returns whether there is anything to hide, so that a caller can warn.
    pub fn register(&mut self, name: &str, value: &str) -> bool {
        let variants = variants::of(value);
        if variants.is_empty() {
            return false;
        }
        let mask = mask_for(name);
        let index = self
            .masks
            .iter()
            .position(|known| *known == mask)
            .unwrap_or_else(|| {
                self.masks.push(mask);
                self.masks.len() - 1
            });
        self.values
            .extend(variants.into_iter().map(|variant| (variant, index)));
        self.program = OnceLock::new();
        true
    }

    /// `text` with a mask in place of every registered value.
    pub fn redact(&self, text: &str) -> String {
        let Some(program) = self.program() else {
            return text.to_owned();
        };
        let mut out = Vec::with_capacity(text.len());
        let mut stream = Stream::new(program);
        stream.push(text.as_bytes(), &mut out);
        stream.finish(&mut out);
        // Values are whole characters, and escapes are ASCII: what is hidden begins and ends between characters.
        String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// The compiled search; `None` when nothing is registered.
    fn program(&self) -> Option<Arc<Program>> {
        self.program
            .get_or_init(|| self.compile().map(Arc::new))
            .clone()
    }

    fn compile(&self) -> Option<Program> {
        let mut needles = Vec::new();
        for (value, mask) in &self.values {
            needles.push(Needle {
                text: value.clone(),
                mask: *mask,
                encoded: false,
            });
            let encodings = encodings::of(value).into_iter();
            needles.extend(encodings.map(|text| Needle {
                text,
                mask: *mask,
                encoded: true,
            }));
        }
        let needles = Needles::compile(needles, self.masks.clone())?;
        let layout = Layout::new(&needles);
        Some(Program { needles, layout })
    }
}

/// Shows how much is known, never what.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("masks", &self.masks.len())
            .finish_non_exhaustive()
    }
}

fn mask_for(name: &str) -> String {
    if name.is_empty() {
        return MASK.to_owned();
    }
    // Anything else could end the mask early or begin an escape.
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') {
            c
        } else {
            '_'
        }
    };
    format!("[REDACTED:{}]", name.chars().map(plain).collect::<String>())
}
