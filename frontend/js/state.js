// What the page knows, and how each event changes it: one pure reducer and the questions asked of its result. All times
// come in with the events, so every situation (away, stale, reload) can be tested by replaying a list. No imports.

// How often figures are refreshed while the page is visible.
const REFRESH_MS = 30_000;
// While the backend is away: quick at first, because a release replaces it within seconds, then no faster than usual.
const RETRY_FIRST_MS = 3_000;

/** The groupings the backend knows. */
export const GROUPS = ["day", "week", "month"];

/** The filters a page without parameters starts with: everything, by week. */
export const DEFAULT_FILTERS = Object.freeze({ from: "", to: "", group: "week", currency: "" });

/** The state before anything was asked. */
export function initialState(filters) {
  return {
    filters, // what the form says
    data: null, // {revenue, summary, filters, at_ms} of the last complete refresh
    failure: null, // {message, since_ms, attempts} while the backend gives no figures
    problems: null, // {message, fields} of filters that were refused; the figures stay those of the last good ones
    next_ms: null, // when the next refresh is due, null while one runs or the tab is hidden
    busy: false,
    health: null, // last body of /api/health, null when the last attempt got none
    version: null, // last known body of /api/version
    loaded: null, // the release this page came from
    live: null, // the release the site serves now
  };
}

/** The state after `event`; an unknown event is a bug and changes nothing. */
export function reduce(state, event) {
  switch (event.type) {
    case "filters-changed":
      return { ...state, filters: event.filters, problems: null };
    case "filters-rejected":
      return { ...state, problems: { message: event.message, fields: event.fields } };
    case "refresh-started":
      return { ...state, busy: true, next_ms: null };
    case "refresh-finished":
      return finished({ ...state, busy: false }, event);
    case "refresh-planned":
      return { ...state, next_ms: event.next_ms };
    case "release-seen":
      return { ...state, loaded: state.loaded ?? event.release, live: event.release };
    default:
      return state;
  }
}

function finished(state, { results, filters, at_ms }) {
  const { revenue, summary, health, version } = results;
  const known = {
    ...state,
    health: health.kind === "ok" ? health.body : null,
    version: version.kind === "ok" ? version.body : state.version,
  };
  const failed = [revenue, summary].find((result) => result.kind !== "ok");
  if (failed === undefined) {
    return { ...known, failure: null, data: { revenue: revenue.body, summary: summary.body, filters, at_ms } };
  }
  if (failed.kind === "rejected") {
    // Back to the filters that worked, so that the next refreshes do not repeat a request known to be refused.
    const problems = { message: failed.message, fields: failed.fields };
    return { ...known, failure: null, problems, filters: state.data?.filters ?? state.filters };
  }
  const before = state.failure ?? { since_ms: at_ms, attempts: 0 };
  return { ...known, failure: { message: failed.message, since_ms: before.since_ms, attempts: before.attempts + 1 } };
}

/** Milliseconds until the next automatic refresh. `random` in [0, 1) spreads the retries of many open pages. */
export function refreshDelayMs(state, random) {
  if (!isAway(state)) return REFRESH_MS;
  const backoff_ms = Math.min(REFRESH_MS, RETRY_FIRST_MS * 2 ** (state.failure.attempts - 1));
  return Math.round(backoff_ms * (0.8 + 0.4 * random));
}

/** True while the backend gives no usable figures. */
export function isAway(state) {
  return state.failure !== null;
}

/** One word for the page: "loading"; "away" or "refused", with nothing to show; "stale", "empty", "no-match", "ready". */
export function phase(state) {
  if (state.data === null && isAway(state)) return "away";
  if (state.data === null) return state.problems ? "refused" : "loading";
  if (isAway(state)) return "stale";
  if (state.data.summary.totals.length === 0) return "empty";
  const { currency } = state.filters;
  const shown = state.data.revenue.series.filter((entry) => currency === "" || entry.currency === currency);
  return shown.some((entry) => entry.points.length > 0) ? "ready" : "no-match";
}

/** One word for the backend: what it says of itself, "away" when it does not answer, "unknown" before the first answer. */
export function healthWord(state) {
  const said = state.health?.status;
  if (said === "healthy" || said === "degraded" || said === "unhealthy") return said;
  return isAway(state) ? "away" : "unknown";
}

/** True when the site serves another release than the one this page was loaded from. */
export function isOutdated(state) {
  return state.live !== null && state.live.release !== state.loaded.release;
}

/** `{field: why}` for filters that cannot be asked for; empty when they can. */
export function filterProblems({ from, to }) {
  return from && to && from > to ? { to: "must not be before the first day" } : {};
}

/** Filters from a page address such as "?from=2026-01-01&group=day"; whatever is not valid is left at its default. */
export function filtersFromQuery(query) {
  const given = new URLSearchParams(query);
  const date = (name) => (/^\d{4}-\d{2}-\d{2}$/.test(given.get(name) ?? "") ? given.get(name) : "");
  const group = GROUPS.includes(given.get("group")) ? given.get("group") : DEFAULT_FILTERS.group;
  const currency = /^[A-Z]{3}$/.test(given.get("currency") ?? "") ? given.get("currency") : "";
  return { from: date("from"), to: date("to"), group, currency };
}

/** The query that `filtersFromQuery` reads back; "" for the defaults, so that the plain address stays plain. */
export function queryFromFilters(filters) {
  const changed = Object.entries(filters).filter(([name, value]) => value !== DEFAULT_FILTERS[name]);
  return changed.length === 0 ? "" : `?${new URLSearchParams(changed)}`;
}

/**
 * What a screen reader should be told about the step from `before` to `after`, or "". Only changes count: a page that
 * announced each refresh would speak twice a minute.
 */
export function announcement(before, after) {
  if (after.problems && after.problems !== before.problems) {
    return `The filters were not applied: ${Object.entries(after.problems.fields).map((pair) => pair.join(" ")).join(", ") || after.problems.message}.`;
  }
  if (isOutdated(after) && !isOutdated(before)) return "Another release of this page is live. Reload to use it.";
  if (isAway(after) && !isAway(before)) {
    return after.data ? "The backend is away. The figures shown are stale." : "The backend is away. No figures yet.";
  }
  if (isAway(before) && !isAway(after) && after.data !== before.data) return "The backend is back. Figures are up to date.";
  if (after.data !== null && after.data !== before.data && after.data.filters !== before.data?.filters) {
    const texts = { empty: "No revenue recorded yet.", "no-match": "No revenue in the chosen range." };
    return texts[phase(after)] ?? "Figures loaded.";
  }
  const word = healthWord(after);
  return word !== healthWord(before) && (word === "degraded" || word === "unhealthy") ? `The backend is ${word}.` : "";
}
