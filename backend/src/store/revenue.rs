//! The queries over bookings. Sums are grouped in SQL and never mix currencies.

use anyhow::{Context as _, Result};
use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;

use crate::entry::NewEntry;

/// How bookings are put together along the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Group {
    Day,
    /// Weeks of ISO 8601, named by their Monday.
    Week,
    /// Months, named by their first day.
    Month,
}

impl Group {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            _ => Err("must be day, week or month"),
        }
    }

    /// The first day of the period a booking falls into, as an SQL expression.
    fn period_sql(self) -> &'static str {
        match self {
            Self::Day => "date",
            // The Sunday on or after the date, less six days, is the Monday on or before it.
            Self::Week => "date(date, 'weekday 0', '-6 days')",
            Self::Month => "substr(date, 1, 7) || '-01'",
        }
    }
}

/// A stored booking.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) date: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) note: Option<String>,
    pub(crate) created_at: String,
}

/// The bookings of one currency between two days.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Series {
    pub(crate) currency: String,
    pub(crate) points: Vec<Point>,
}

/// The bookings of one period. Periods without bookings have no point.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Point {
    /// The period's first day.
    pub(crate) period: String,
    pub(crate) amount_minor: i64,
    pub(crate) count: i64,
}

/// Everything ever booked in one currency.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Total {
    pub(crate) currency: String,
    pub(crate) amount_minor: i64,
    pub(crate) count: i64,
}

/// Stores a booking and returns it with its id.
///
/// # Errors
/// The database cannot be written.
pub(crate) fn insert(connection: &Connection, now: &str, entry: &NewEntry) -> Result<Entry> {
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO revenue (date, amount_minor, currency, note, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
             RETURNING id, date, amount_minor, currency, note, created_at",
        )
        .context("prepare to store a booking")?;
    let parameters = (
        entry.date.to_string(),
        entry.amount_minor,
        &entry.currency,
        &entry.note,
        now,
    );
    let to_entry = |row: &rusqlite::Row<'_>| {
        Ok(Entry {
            id: row.get(0)?,
            date: row.get(1)?,
            amount_minor: row.get(2)?,
            currency: row.get(3)?,
            note: row.get(4)?,
            created_at: row.get(5)?,
        })
    };
    statement
        .query_row(parameters, to_entry)
        .context("store a booking")
}

/// Sums the bookings from one day to another, both included, by currency and period.
///
/// # Errors
/// The database cannot be read.
pub(crate) fn series(
    connection: &Connection,
    from: &str,
    to: &str,
    group: Group,
) -> Result<Vec<Series>> {
    let sql = format!(
        "SELECT currency, {} AS period, sum(amount_minor), count(*) FROM revenue
         WHERE date BETWEEN ?1 AND ?2 GROUP BY currency, period ORDER BY currency, period",
        group.period_sql()
    );
    let mut statement = connection
        .prepare_cached(&sql)
        .context("prepare to sum bookings")?;
    let mut rows = statement.query((from, to)).context("sum bookings")?;
    let mut all: Vec<Series> = Vec::new();
    while let Some(row) = rows.next().context("read a sum of bookings")? {
        let currency: String = row.get(0)?;
        let point = Point {
            period: row.get(1)?,
            amount_minor: row.get(2)?,
            count: row.get(3)?,
        };
        match all.last_mut() {
            Some(series) if series.currency == currency => series.points.push(point),
            _ => all.push(Series {
                currency,
                points: vec![point],
            }),
        }
    }
    Ok(all)
}

/// Sums all bookings by currency.
///
/// # Errors
/// The database cannot be read.
pub(crate) fn totals(connection: &Connection) -> Result<Vec<Total>> {
    let sql = "SELECT currency, sum(amount_minor), count(*) FROM revenue GROUP BY currency ORDER BY currency";
    let mut statement = connection
        .prepare_cached(sql)
        .context("prepare to sum all bookings")?;
    let rows = statement.query_map([], |row| {
        Ok(Total {
            currency: row.get(0)?,
            amount_minor: row.get(1)?,
            count: row.get(2)?,
        })
    })?;
    rows.collect::<Result<_, _>>().context("sum all bookings")
}

/// The first and the last day with a booking, or `None` when there is no booking.
///
/// # Errors
/// The database cannot be read.
pub(crate) fn bounds(connection: &Connection) -> Result<Option<(String, String)>> {
    // Two subqueries, because SQLite answers min() and max() from an index only one at a time.
    let sql = "SELECT (SELECT min(date) FROM revenue), (SELECT max(date) FROM revenue)";
    let bounds: Option<(Option<String>, Option<String>)> = connection
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .context("find the first and last booking")?;
    Ok(bounds.and_then(|(first, last)| first.zip(last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Date;

    const SCHEMA: &str = include_str!("../../../migrations/0001_create_revenue.sql");

    fn with(bookings: &[(&str, i64, &str)]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        for (date, amount_minor, currency) in bookings {
            let entry = NewEntry {
                date: Date::parse(date).unwrap(),
                amount_minor: *amount_minor,
                currency: (*currency).to_owned(),
                note: None,
            };
            insert(&connection, "2026-11-01T00:00:00.000Z", &entry).unwrap();
        }
        connection
    }

    fn points(
        connection: &Connection,
        from: &str,
        to: &str,
        group: Group,
    ) -> Vec<(String, i64, i64)> {
        let all = series(connection, from, to, group).unwrap();
        all.into_iter()
            .flat_map(|s| s.points)
            .map(|p| (p.period, p.amount_minor, p.count))
            .collect()
    }

    #[test]
    fn both_ends_of_a_range_are_included() {
        let connection = with(&[
            ("2026-01-31", 1, "EUR"),
            ("2026-02-01", 2, "EUR"),
            ("2026-02-28", 4, "EUR"),
            ("2026-03-01", 8, "EUR"),
        ]);
        let days = points(&connection, "2026-02-01", "2026-02-28", Group::Day);
        assert_eq!(
            days,
            [("2026-02-01".into(), 2, 1), ("2026-02-28".into(), 4, 1)]
        );
    }

    #[test]
    fn weeks_run_from_monday_to_sunday_also_across_years() {
        // 2026-01-01 is a Thursday, so its week began on 2025-12-29.
        let connection = with(&[
            ("2025-12-28", 1, "EUR"),
            ("2025-12-29", 2, "EUR"),
            ("2026-01-04", 4, "EUR"),
            ("2026-01-05", 8, "EUR"),
        ]);
        let weeks = points(&connection, "2025-01-01", "2026-12-31", Group::Week);
        assert_eq!(
            weeks,
            [
                ("2025-12-22".into(), 1, 1),
                ("2025-12-29".into(), 6, 2),
                ("2026-01-05".into(), 8, 1)
            ]
        );
    }

    #[test]
    fn months_are_named_by_their_first_day_and_refunds_are_subtracted() {
        let connection = with(&[("2026-02-01", 500, "EUR"), ("2026-02-28", -200, "EUR")]);
        assert_eq!(
            points(&connection, "2026-01-01", "2026-12-31", Group::Month),
            [("2026-02-01".into(), 300, 2)]
        );
    }

    #[test]
    fn currencies_are_never_mixed() {
        let connection = with(&[
            ("2026-02-01", 1, "USD"),
            ("2026-02-01", 2, "EUR"),
            ("2026-02-02", 4, "USD"),
        ]);
        let all = series(&connection, "2026-02-01", "2026-02-28", Group::Day).unwrap();
        let shape: Vec<_> = all
            .iter()
            .map(|s| (s.currency.as_str(), s.points.len()))
            .collect();
        assert_eq!(shape, [("EUR", 1), ("USD", 2)]);
        let totals: Vec<_> = totals(&connection)
            .unwrap()
            .into_iter()
            .map(|t| (t.currency, t.amount_minor, t.count))
            .collect();
        assert_eq!(totals, [("EUR".into(), 2, 1), ("USD".into(), 5, 2)]);
    }

    #[test]
    fn an_empty_table_has_no_bounds_and_no_series() {
        let connection = with(&[]);
        assert_eq!(bounds(&connection).unwrap(), None);
        assert_eq!(
            series(&connection, "0001-01-01", "9999-12-31", Group::Week).unwrap(),
            []
        );
    }

    #[test]
    fn the_table_itself_refuses_what_the_service_would() {
        let connection = with(&[]);
        for values in [
            "'2026-02-30', 1, 'EUR'",
            "'2026-2-3', 1, 'EUR'",
            "'2026-02-03', 0, 'EUR'",
            "'2026-02-03', 1000000000001, 'EUR'",
            "'2026-02-03', 1.5, 'EUR'",
            "'2026-02-03', 1, 'eur'",
        ] {
            let sql = format!(
                "INSERT INTO revenue (date, amount_minor, currency, created_at) VALUES ({values}, 'now')"
            );
            assert!(connection.execute(&sql, []).is_err(), "{values}");
        }
    }

    #[test]
    fn a_range_is_summed_from_the_index_alone() {
        let connection = with(&[]);
        let sql =
            "EXPLAIN QUERY PLAN SELECT currency, date, sum(amount_minor), count(*) FROM revenue
                   WHERE date BETWEEN ?1 AND ?2 GROUP BY currency, date";
        let plan: String = connection
            .query_row(sql, ("2026-01-01", "2026-12-31"), |row| row.get(3))
            .unwrap();
        assert!(plan.contains("COVERING INDEX revenue_by_date"), "{plan}");
    }
}
