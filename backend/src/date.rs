//! Calendar dates as the interface writes them: `YYYY-MM-DD`, and only days that exist.

use std::fmt;

use jiff::civil;

/// A day of the calendar. Its text sorts as it does, which the database relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(civil::Date);

impl Date {
    /// Parses exactly `YYYY-MM-DD`.
    ///
    /// # Errors
    /// Why the text is not such a date, as the end of a sentence about a field.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        // The parser also takes basic dates and times of day, so the shape is checked first.
        if !has_iso_shape(text.as_bytes()) {
            return Err("must be a date written as YYYY-MM-DD");
        }
        let date: Option<civil::Date> = text.parse().ok();
        // The calendar has no year zero, and what lies before it would no longer sort as text.
        let date = date.filter(|date| date.year() >= 1);
        date.map(Self).ok_or("is not a day of the calendar")
    }
}

impl Date {
    /// Which day of the week it is.
    #[cfg(test)]
    pub(crate) fn weekday(self) -> civil::Weekday {
        self.0.weekday()
    }
}

impl From<civil::Date> for Date {
    fn from(date: civil::Date) -> Self {
        Self(date)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn has_iso_shape(text: &[u8]) -> bool {
    text.len() == 10
        && text.iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_days_survive_the_round_trip() {
        for text in ["2026-11-01", "2024-02-29", "1999-12-31", "0001-01-01"] {
            assert_eq!(Date::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn days_that_do_not_exist_and_other_notations_are_refused() {
        for text in [
            "2026-02-30",
            "2025-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "0000-06-01",
        ] {
            assert_eq!(
                Date::parse(text),
                Err("is not a day of the calendar"),
                "{text}"
            );
        }
        for text in [
            "",
            "20261101",
            "2026-1-1",
            "2026-11-01T00:00",
            "01/11/2026",
            "+2026-11-1",
            "2026-11-0１",
        ] {
            assert_eq!(
                Date::parse(text),
                Err("must be a date written as YYYY-MM-DD"),
                "{text}"
            );
        }
    }
}
