//! One migration file as it was read, and the two hashes that recognise it later.

use sha2::{Digest as _, Sha256};

/// A migration: its key in the history, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationFile {
    /// The key: the path relative to the migrations folder, with `/` between parts.
    pub name: String,
    /// The bytes as they are on disk; decoding them is the engine's business, because it reports what is wrong.
    pub text: Vec<u8>,
}

impl MigrationFile {
    /// A file from a key and its content.
    pub fn new(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// SHA-256 in hex over the text without a byte order mark and with LF line ends, so that a checkout
    /// on another system is still the same file.
    pub fn checksum(&self) -> String {
        let text = without_bom(&self.text);
        if !text.contains(&b'\r') {
            return hex(&Sha256::digest(text));
        }
        let mut normal = Vec::with_capacity(text.len());
        for (index, byte) in text.iter().enumerate() {
            if *byte != b'\r' || text.get(index + 1) != Some(&b'\n') {
                normal.push(*byte);
            }
        }
        hex(&Sha256::digest(&normal))
    }

    /// SHA-256 in hex over the bytes as they are: tells a changed line end from an untouched file.
    pub fn raw_checksum(&self) -> String {
        hex(&Sha256::digest(&self.text))
    }
}

/// The text without a leading UTF-8 byte order mark.
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let pair = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_a_byte_order_mark_change_only_the_raw_hash() {
        let unix = MigrationFile::new("a.sql", "SELECT 1;\nSELECT 2;\n");
        let windows = MigrationFile::new("a.sql", "\u{feff}SELECT 1;\r\nSELECT 2;\r\n");
        assert_eq!(unix.checksum(), windows.checksum());
        assert_ne!(unix.raw_checksum(), windows.raw_checksum());
        assert_ne!(
            unix.checksum(),
            MigrationFile::new("a.sql", "SELECT 1;\nSELECT 3;\n").checksum()
        );
    }
}
