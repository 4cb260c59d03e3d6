// Turns the backend's numbers, dates and ids into text. Pure and free of imports, so that it can be tested without a
// browser and so that money is formatted in exactly one place.

// Minor-unit exponents of ISO 4217 where they are not 2. Intl's own idea of a currency's digits follows how prices are
// usually written (it says 0 for HUF or PKR, and 0 for IQD instead of 3), which is wrong for converting minor units.
const DIGITS_BY_CURRENCY = new Map([
  ..."BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(" ").map((code) => [code, 0]),
  ..."BHD IQD JOD KWD LYD OMR TND".split(" ").map((code) => [code, 3]),
  ..."CLF UYW".split(" ").map((code) => [code, 4]),
]);

/** Digits after the decimal point that one minor unit of `currency` stands for. */
export function fractionDigits(currency) {
  return DIGITS_BY_CURRENCY.get(currency) ?? 2;
}

/** `amountMinor` as a decimal string in major units. Done on digits, because dividing by 100 would round large sums. */
export function decimalString(amountMinor, digits) {
  const whole = BigInt(Math.round(amountMinor));
  const sign = whole < 0n ? "-" : "";
  const text = (whole < 0n ? -whole : whole).toString().padStart(digits + 1, "0");
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/**
 * An amount as people read it, for instance "€1,234.50" or "¥1,235". `locale` undefined means the reader's own. The symbol
 * is the short one ("$" also for CAD), so the currency's code must stand near it.
 */
export function formatAmount(amountMinor, currency, locale) {
  const digits = fractionDigits(currency);
  return currencyFormat(currency, locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(decimalString(amountMinor, digits));
}

/** An amount for an axis: short, with as many digits as the size of the number deserves ("€1.2K"). */
export function formatCompact(amountMinor, currency, locale) {
  const major = amountMinor / 10 ** fractionDigits(currency);
  return currencyFormat(currency, locale, { notation: "compact", minimumFractionDigits: 0, maximumFractionDigits: 1 })
    .format(major);
}

// Intl objects are costly to make and the table formats hundreds of cells, hence the cache. A code that Intl refuses
// (not three letters) is shown as plain text after the number instead of breaking the page.
const formats = new Map();
function currencyFormat(currency, locale, options) {
  const key = JSON.stringify([currency, locale, options]);
  if (!formats.has(key)) {
    try {
      formats.set(key, new Intl.NumberFormat(locale, { style: "currency", currency, currencyDisplay: "narrowSymbol", ...options }));
    } catch {
      const plain = new Intl.NumberFormat(locale, options);
      formats.set(key, { format: (value) => `${plain.format(value)} ${currency}` });
    }
  }
  return formats.get(key);
}

/** "Euro" for "EUR"; the code itself when the browser knows no name for it. */
export function currencyName(currency, locale) {
  try {
    return new Intl.DisplayNames(locale, { type: "currency" }).of(currency) ?? currency;
  } catch {
    return currency;
  }
}

/** A count with its noun: "1 booking", "1,204 bookings". */
export function formatCount(count, locale) {
  return `${new Intl.NumberFormat(locale).format(count)} ${count === 1 ? "booking" : "bookings"}`;
}

/** An ISO date ("2026-11-01" or "2026-11") as text, unchanged when it is neither. Dates have no zone: read as UTC. */
export function formatDate(isoDate, locale, options = { year: "numeric", month: "short", day: "numeric" }) {
  const time = Date.parse(/^\d{4}-\d{2}$/.test(isoDate) ? `${isoDate}-01` : isoDate);
  if (Number.isNaN(time)) return String(isoDate);
  return new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" }).format(time);
}

/** Two dates as a range; one date when both are the same day. */
export function formatRange(from, to, locale) {
  return from === to ? formatDate(from, locale) : `${formatDate(from, locale)} to ${formatDate(to, locale)}`;
}

/** The name of one period of the chart: a day, "week of" its first day, or a month. */
export function formatPeriod(period, group, locale) {
  if (group === "month") return formatDate(period, locale, { year: "numeric", month: "long" });
  return group === "week" ? `week of ${formatDate(period, locale)}` : formatDate(period, locale);
}

/** Wall-clock time of day in the reader's zone, with seconds, since data here is seconds old. */
export function formatTime(epochMs, locale) {
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(epochMs);
}

/** The first 12 characters of a commit id: long enough to be unique, short enough to read. */
export function shortCommit(commit) {
  return commit ? commit.slice(0, 12) : "";
}
