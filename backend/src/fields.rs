//! Collects what is wrong with the fields of a request, so that one answer names all of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Which fields of a request are wrong, and why.
#[derive(Debug, Default)]
pub(crate) struct FieldErrors(BTreeMap<String, String>);

impl FieldErrors {
    /// Says what is wrong with a field; the first reason stays.
    pub(crate) fn add(&mut self, field: &str, why: &str) {
        self.0
            .entry(field.to_owned())
            .or_insert_with(|| why.to_owned());
    }

    /// Unwraps a checked value, or notes why it was refused.
    pub(crate) fn check<T>(&mut self, field: &str, value: Result<T, &str>) -> Option<T> {
        value.map_err(|why| self.add(field, why)).ok()
    }

    /// Whether nothing was wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The reasons by field, for the answer.
    pub(crate) fn to_json(&self) -> Value {
        json!(self.0)
    }
}
