//! The place of a value in a configuration, as the keys that lead to it.

/// The keys and list positions from the top of the file to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At(Vec<String>);

impl At {
    /// The top of the file.
    pub fn root() -> Self {
        Self::default()
    }

    /// The value of `key` in this table.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(key.to_owned());
        Self(steps)
    }

    /// The item of this list at `index`, from 0.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.key(&index.to_string())
    }

    /// The keys; list positions in decimal.
    pub(super) fn steps(&self) -> &[String] {
        &self.0
    }

    /// The last key.
    pub(super) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The place of the table or list that holds this.
    pub(super) fn parent(&self) -> Self {
        Self(
            self.0
                .split_last()
                .map_or_else(Vec::new, |(_, parents)| parents.to_vec()),
        )
    }

    /// The header of this table as it is written in the file; empty for the top level.
    pub(super) fn header(&self) -> String {
        let keys: Vec<&str> = self
            .0
            .iter()
            .map(String::as_str)
            .filter(|step| step.parse::<usize>().is_err())
            .collect();
        match (keys.is_empty(), keys.len() == self.0.len()) {
            (true, _) => String::new(),
            (false, true) => format!("[{}]", keys.join(".")),
            (false, false) => format!("[[{}]]", keys.join(".")),
        }
    }

    /// Whether this is `other` or stands inside it.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}
