//! A booking as a client sends it, checked field by field so that one answer names everything
//! that is wrong with it.

use serde_json::{Map, Value};

use crate::{currency, date::Date, fields::FieldErrors};

/// A booking is at most ten billion of a currency with two decimals: larger ones are typing
/// errors, and sums of this many stay far inside 64 bits.
pub(crate) const MAX_AMOUNT_MINOR: i64 = 1_000_000_000_000;
/// The longest note, in Unicode scalar values, as the table's own check counts them.
const MAX_NOTE_CHARS: usize = 500;
const FIELDS: [&str; 4] = ["date", "amount_minor", "currency", "note"];

/// A valid booking that has not been stored yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewEntry {
    pub(crate) date: Date,
    /// In the currency's minor unit; negative for refunds, never zero.
    pub(crate) amount_minor: i64,
    /// An ISO 4217 alphabetic code.
    pub(crate) currency: String,
    pub(crate) note: Option<String>,
}

impl NewEntry {
    /// Checks a JSON object.
    ///
    /// # Errors
    /// Every field that is missing, wrong or unknown, with the reason.
    pub(crate) fn from_json(object: &Map<String, Value>) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let date = errors.check("date", parse_date(object.get("date")));
        let amount_minor = errors.check("amount_minor", parse_amount(object.get("amount_minor")));
        let currency = errors.check("currency", parse_currency(object.get("currency")));
        let note = errors.check("note", parse_note(object.get("note")));
        for name in object
            .keys()
            .filter(|name| !FIELDS.contains(&name.as_str()))
        {
            errors.add(name, "is not a field of a booking");
        }
        match (date, amount_minor, currency, note) {
            (Some(date), Some(amount_minor), Some(currency), Some(note)) if errors.is_empty() => {
                Ok(Self {
                    date,
                    amount_minor,
                    currency,
                    note,
                })
            }
            _ => Err(errors),
        }
    }
}

fn parse_date(value: Option<&Value>) -> Result<Date, &'static str> {
    let value = value.ok_or("is required")?;
    Date::parse(value.as_str().ok_or("must be a string")?)
}

fn parse_amount(value: Option<&Value>) -> Result<i64, &'static str> {
    let value = value.ok_or("is required")?;
    match value.as_i64() {
        Some(0) => Err("must not be 0"),
        Some(amount) if amount.unsigned_abs() <= MAX_AMOUNT_MINOR.unsigned_abs() => Ok(amount),
        Some(_) => Err("must be between -1000000000000 and 1000000000000"),
        None if value.is_u64() => Err("must be between -1000000000000 and 1000000000000"),
        None => Err("must be a whole number of minor units, such as 1234 for 12.34"),
    }
}

fn parse_currency(value: Option<&Value>) -> Result<String, &'static str> {
    let code = value
        .ok_or("is required")?
        .as_str()
        .ok_or("must be a string")?;
    if currency::is_known(code) {
        Ok(code.to_owned())
    } else {
        Err("must be an ISO 4217 code in capitals, such as EUR")
    }
}

fn parse_note(value: Option<&Value>) -> Result<Option<String>, &'static str> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_str().ok_or("must be a string")?,
    };
    // SQLite's length() stops at a NUL, and no note needs one.
    if text.contains('\0') {
        Err("must not contain a NUL character")
    } else if text.chars().count() > MAX_NOTE_CHARS {
        Err("must have at most 500 characters")
    } else {
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: &Value) -> Result<NewEntry, Value> {
        NewEntry::from_json(value.as_object().unwrap()).map_err(|errors| errors.to_json())
    }

    #[test]
    fn a_complete_booking_is_taken_as_it_is() {
        let value = json!({"date": "2026-11-01", "amount_minor": -1_000_000_000_000_i64, "currency": "EUR", "note": "é"});
        let entry = check(&value).unwrap();
        assert_eq!(
            (entry.amount_minor, entry.note.as_deref()),
            (-MAX_AMOUNT_MINOR, Some("é"))
        );
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let value = json!({"date": "2026-02-30", "amount_minor": 12.5, "currency": "eur", "note": 1, "amount": 3});
        assert_eq!(
            check(&value).unwrap_err(),
            json!({
                "amount": "is not a field of a booking",
                "amount_minor": "must be a whole number of minor units, such as 1234 for 12.34",
                "currency": "must be an ISO 4217 code in capitals, such as EUR",
                "date": "is not a day of the calendar",
                "note": "must be a string",
            })
        );
    }

    #[test]
    fn amounts_are_whole_not_zero_and_bounded() {
        for amount in [
            json!(0),
            json!(1.0),
            json!("5"),
            json!(null),
            json!(true),
            json!(MAX_AMOUNT_MINOR + 1),
            json!(u64::MAX),
            json!(i64::MIN),
        ] {
            let value = json!({"date": "2026-11-01", "amount_minor": amount, "currency": "EUR"});
            assert!(check(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn notes_are_counted_in_characters() {
        let with = |note: String| {
            check(
                &json!({"date": "2026-11-01", "amount_minor": 1, "currency": "EUR", "note": note}),
            )
        };
        assert!(with("é".repeat(500)).is_ok());
        assert!(with("é".repeat(501)).is_err());
        assert!(with("a\0b".into()).is_err());
        assert_eq!(with(String::new()).unwrap().note, None);
    }
}
