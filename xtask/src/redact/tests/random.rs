//! Seeded random choices for tests: the same cases on every run and machine. Credentials are built here at run
//! time, so that no file holds one.

/// xorshift64*: small, and good enough to pick test cases.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(mixed).unwrap() % limit
    }

    /// A number from `low` to `high`.
    pub(super) fn range(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// Letters and digits.
    pub(super) fn token(&mut self, len: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..len)
            .map(|_| char::from(LETTERS[self.below(LETTERS.len())]))
            .collect()
    }

    /// A credential as a password generator or a person makes them: letters and digits with `specials` inside.
    pub(super) fn value(&mut self, specials: &[&str]) -> String {
        let (first, last) = (self.range(3, 8), self.range(4, 9));
        let mut value = self.token(first);
        for _ in 0..self.range(1, 5) {
            value.push_str(self.pick(specials));
            let between = self.below(5);
            value.push_str(&self.token(between));
        }
        value + &self.token(last)
    }

    /// Lines of base64, as in a key file.
    pub(super) fn key_file(&mut self) -> String {
        let lines: Vec<String> = (0..self.range(1, 3)).map(|_| self.token(64)).collect();
        let last_len = self.range(9, 60);
        format!(
            "-----BEGIN {0}-----\n{1}\n{2}\n-----END {0}-----",
            "PRIVATE KEY",
            lines.join("\n"),
            self.token(last_len)
        )
    }

    /// Words that are no secrets.
    pub(super) fn words(&mut self, count: usize) -> String {
        let words = [
            "lorem", "ipsum", "dolor", "sit", "amet", "enim", "minim", "nostrud", "elit", "aliqua",
        ];
        (0..count)
            .map(|_| self.pick(&words))
            .collect::<Vec<_>>()
            .join(" ")
    }
}
