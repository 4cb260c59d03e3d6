// Puts the revenue series of all currencies on one time axis. The backend sends only periods that have bookings; a chart
// that skipped the empty ones would draw a quiet week as if it had not happened. Pure and free of imports.

// Above this many periods (ten years of days is 3,653) gaps are no longer filled: one typing slip in a date filter must
// not make the page build a row for every day since the year 1.
const PERIODS_FILLED_MAX = 5000;

/** Start of a period in seconds since the epoch, UTC; null when `period` is no ISO date or month. */
export function periodStart(period) {
  if (!/^\d{4}-\d{2}(-\d{2})?$/.test(period)) return null;
  const time_ms = Date.parse(period.length === 7 ? `${period}-01` : period);
  return Number.isNaN(time_ms) ? null : time_ms / 1000;
}

/** The period after `period`, written the way `period` is written. */
export function nextPeriod(period, group) {
  const date = new Date(periodStart(period) * 1000);
  if (group === "month") date.setUTCMonth(date.getUTCMonth() + 1);
  else date.setUTCDate(date.getUTCDate() + (group === "week" ? 7 : 1));
  return date.toISOString().slice(0, period.length);
}

/**
 * All periods from the first to the last of `periods`, sorted, with the missing ones added. When a period does not lie on
 * the regular grid the calendar is not what we think it is; then nothing is added.
 */
export function fillPeriods(periods, group) {
  const known = [...new Set(periods)].filter((period) => periodStart(period) !== null).sort();
  if (known.length < 2) return known;
  const last = known.at(-1);
  const filled = [];
  for (let period = known[0]; period <= last && filled.length <= PERIODS_FILLED_MAX; period = nextPeriod(period, group)) {
    filled.push(period);
  }
  const onGrid = new Set(filled);
  return filled.length <= PERIODS_FILLED_MAX && known.every((period) => onGrid.has(period)) ? filled : known;
}

/**
 * What chart and table show: `{periods, starts, group, columns: [{currency, amounts, counts, total, count}]}` with one
 * amount (minor units) per period, 0 where nothing was booked. `currency` "" means all.
 */
export function alignSeries(series, group, currency) {
  const chosen = series.filter((entry) => currency === "" || entry.currency === currency);
  const periods = fillPeriods(chosen.flatMap((entry) => entry.points.map((point) => point.period)), group);
  const columns = chosen
    .map((entry) => {
      const byPeriod = new Map(entry.points.map((point) => [point.period, point]));
      const amounts = periods.map((period) => byPeriod.get(period)?.amount_minor ?? 0);
      const counts = periods.map((period) => byPeriod.get(period)?.count ?? 0);
      return { currency: entry.currency, amounts, counts, total: sum(amounts), count: sum(counts) };
    })
    .sort((a, b) => (a.currency < b.currency ? -1 : 1));
  return { periods, starts: periods.map(periodStart), group, columns };
}

/**
 * Which periods get a label on the time axis: at most `countMax` (at least 1) of them, evenly spread. Over more than
 * about five months days and weeks are too fine to read, so only the first period of each month counts.
 */
export function axisTicks(periods, countMax) {
  const span_s = periods.length > 1 ? periodStart(periods.at(-1)) - periodStart(periods[0]) : 0;
  const byMonth = span_s > 150 * 86_400;
  const month = (period) => period.slice(0, 7);
  const candidates = byMonth ? periods.filter((period, at) => at > 0 && month(period) !== month(periods[at - 1])) : periods;
  const stride = Math.ceil(candidates.length / Math.max(1, countMax));
  return { byMonth, ticks: candidates.filter((_, at) => at % stride === 0) };
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
