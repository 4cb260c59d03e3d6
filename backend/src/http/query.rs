//! Reads the parameters of a request's query, each known and given at most once.

use axum::{extract::Query, http::Uri};

use super::error::ApiError;
use crate::{date::Date, fields::FieldErrors, store::revenue::Group};

/// Which bookings a report is about. A missing end is the first or last booking's day.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SeriesQuery {
    pub(crate) from: Option<Date>,
    pub(crate) to: Option<Date>,
    pub(crate) group: Group,
}

impl SeriesQuery {
    /// Checks the query of `GET /api/revenue`. Parameters of other names are ignored, as
    /// everywhere on the web; `from` after `to` is not.
    ///
    /// # Errors
    /// Every parameter that is wrong, with the reason.
    pub(crate) fn parse(uri: &Uri) -> Result<Self, ApiError> {
        let parameters = parameters(uri)?;
        let mut errors = FieldErrors::default();
        let mut one = |name: &str| {
            let mut values = parameters
                .iter()
                .filter(|(n, _)| n == name)
                .map(|(_, value)| value.as_str());
            let first = values.next();
            if values.next().is_some() {
                errors.add(name, "must be given once");
            }
            first
        };
        let (from, to, group) = (one("from"), one("to"), one("group"));
        let from = errors.check("from", from.map(Date::parse).transpose());
        let to = errors.check("to", to.map(Date::parse).transpose());
        let group = errors.check("group", Group::parse(group.unwrap_or("day")));
        if let (Some(Some(from)), Some(Some(to))) = (from, to)
            && from > to
        {
            errors.add("from", "must not be after to");
        }
        match (from, to, group) {
            (Some(from), Some(to), Some(group)) if errors.is_empty() => {
                Ok(Self { from, to, group })
            }
            _ => Err(ApiError::BadQuery(errors)),
        }
    }
}

fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, ApiError> {
    let Query(parameters) = Query::try_from_uri(uri).map_err(|_| {
        ApiError::Status(
            axum::http::StatusCode::BAD_REQUEST,
            "the query cannot be read",
        )
    })?;
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(query: &str) -> Result<SeriesQuery, Value> {
        let uri: Uri = format!("/api/revenue{query}").parse().unwrap();
        SeriesQuery::parse(&uri).map_err(|error| match error {
            ApiError::BadQuery(fields) => fields.to_json(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn everything_has_a_default() {
        let expected = SeriesQuery {
            from: None,
            to: None,
            group: Group::Day,
        };
        assert_eq!(parse("").unwrap(), expected);
        assert_eq!(parse("?utm_source=x").unwrap(), expected);
    }

    #[test]
    fn a_range_of_one_day_is_a_range() {
        let query = parse("?from=2026-11-01&to=2026-11-01&group=week").unwrap();
        assert_eq!((query.from, query.group), (query.to, Group::Week));
    }

    #[test]
    fn every_wrong_parameter_is_named_at_once() {
        assert_eq!(
            parse("?from=2026-02-30&to=yesterday&group=year").unwrap_err(),
            json!({
                "from": "is not a day of the calendar",
                "group": "must be day, week or month",
                "to": "must be a date written as YYYY-MM-DD",
            })
        );
        assert_eq!(
            parse("?from=2026-02-02&to=2026-02-01").unwrap_err(),
            json!({"from": "must not be after to"})
        );
        assert_eq!(
            parse("?to=2026-02-02&to=2026-02-01").unwrap_err(),
            json!({"to": "must be given once"})
        );
        assert_eq!(
            parse("?group=").unwrap_err(),
            json!({"group": "must be day, week or month"})
        );
    }
}
