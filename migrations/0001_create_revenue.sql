-- One row per booking. Amounts are integers in the currency's minor unit (cents, pence, or
-- whole yen): floating point would lose money. `date(date)` normalises, so that the check
-- refuses both malformed and impossible dates such as 2026-02-30.
CREATE TABLE revenue (
    id           INTEGER PRIMARY KEY,
    date         TEXT    NOT NULL CHECK (length(date) = 10 AND date IS date(date)),
    amount_minor INTEGER NOT NULL CHECK (amount_minor <> 0 AND amount_minor BETWEEN -1000000000000 AND 1000000000000),
    currency     TEXT    NOT NULL CHECK (currency GLOB '[A-Z][A-Z][A-Z]' AND length(currency) = 3),
    note         TEXT             CHECK (length(note) BETWEEN 1 AND 500),
    created_at   TEXT    NOT NULL
) STRICT;

-- Serves the range of dates and carries every column the sums need, so that a report never
-- reads the table itself.
CREATE INDEX revenue_by_date ON revenue (date, currency, amount_minor);

-- Serves the totals of each currency in the order they are grouped.
CREATE INDEX revenue_by_currency ON revenue (currency, amount_minor);
