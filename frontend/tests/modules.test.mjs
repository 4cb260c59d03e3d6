// Tests of the pure modules, for `node --test frontend/tests/`. The modules are loaded through data URLs because the
// published tree has no package.json that would tell node they are ES modules; it works since they import nothing.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const load = (name) => import(`data:text/javascript,${encodeURIComponent(readFileSync(new URL(`../js/${name}`, import.meta.url), "utf8"))}`);
const [api, format, period, state] = await Promise.all(["api.js", "format.js", "period.js", "state.js"].map(load));

const ok = (body) => ({ kind: "ok", body });
const away = { kind: "away", message: "/api/revenue answered HTTP 502" };
const totals = [{ currency: "EUR", amount_minor: 1234, count: 1 }];
const series = [{ currency: "EUR", points: [{ period: "2026-11-02", amount_minor: 1234, count: 1 }] }];
const good = { revenue: ok({ series }), summary: ok({ totals }), health: ok({ status: "healthy" }), version: ok({ commit: "a" }) };
const failing = { revenue: away, summary: away, health: away, version: away };
const replay = (...events) => events.reduce(state.reduce, state.initialState({ ...state.DEFAULT_FILTERS }));
const finish = (results, at_ms = 1000, filters = state.DEFAULT_FILTERS) => ({ type: "refresh-finished", results, filters, at_ms });

test("amounts keep the digits ISO 4217 gives the currency, without rounding", () => {
  const cases = [
    [123450, "EUR", "€1,234.50"], [-5, "EUR", "-€0.05"], [1235, "JPY", "¥1,235"], [1234567, "KWD", "KWD\u00a01,234.567"],
    [123450, "HUF", "Ft\u00a01,234.50"], [9007199254740991, "USD", "$90,071,992,547,409.91"], [150, "not a code", "1.50 not a code"],
  ];
  for (const [minor, currency, text] of cases) assert.equal(format.formatAmount(minor, currency, "en"), text, currency);
});

test("dates are read without a time zone and ranges of one day are one date", () => {
  assert.equal(format.formatRange("2026-11-01", "2026-11-01", "en"), "Nov 1, 2026");
  assert.equal(format.formatPeriod("2026-11", "month", "en"), "November 2026");
  assert.equal(format.formatDate("soon", "en"), "soon");
});

test("missing periods are filled with zero for every grouping", () => {
  assert.deepEqual(period.fillPeriods(["2026-03-01", "2026-02-27"], "day"), ["2026-02-27", "2026-02-28", "2026-03-01"]);
  assert.deepEqual(period.fillPeriods(["2026-01-05", "2026-01-19"], "week"), ["2026-01-05", "2026-01-12", "2026-01-19"]);
  assert.deepEqual(period.fillPeriods(["2025-12-01", "2026-02-01"], "month"), ["2025-12-01", "2026-01-01", "2026-02-01"]);
  assert.deepEqual(period.fillPeriods(["2025-12", "2026-02"], "month"), ["2025-12", "2026-01", "2026-02"]);
  const points = (...names) => names.map((name) => ({ period: name, amount_minor: 5, count: 1 }));
  const both = [{ currency: "USD", points: points("2026-01-03") }, { currency: "EUR", points: points("2026-01-01") }];
  const model = period.alignSeries(both, "day", "");
  assert.deepEqual(model.columns.map((column) => [column.currency, column.amounts]), [["EUR", [5, 0, 0]], ["USD", [0, 0, 5]]]);
  assert.deepEqual(period.alignSeries(both, "day", "EUR").periods, ["2026-01-01"]);
});

test("periods off the grid and absurd spans are left as they are", () => {
  assert.deepEqual(period.fillPeriods(["2026-01-05", "2026-01-14"], "week"), ["2026-01-05", "2026-01-14"]);
  assert.deepEqual(period.fillPeriods(["0001-01-01", "2026-01-14"], "day"), ["0001-01-01", "2026-01-14"]);
});

test("axis labels never exceed what fits", () => {
  const year = period.fillPeriods(["2025-11-21", "2026-11-20"], "day");
  for (const max of [1, 3, 12, 20]) assert.ok(period.axisTicks(year, max).ticks.length <= max, `${max}`);
  assert.equal(period.axisTicks(year, 12).ticks[0], "2025-12-01");
  assert.deepEqual(period.axisTicks(["2026-11-02"], 0).ticks, ["2026-11-02"]);
});

test("an answer is data, a refusal or an absence", () => {
  const kind = (...answer) => api.classify("/api/x?y=1", ...answer).kind;
  assert.equal(kind(200, "{}"), "ok");
  assert.equal(kind(200, "<html>"), "away");
  assert.equal(kind(503, '{"status":"unhealthy"}'), "away");
  assert.equal(kind(503, '{"status":"unhealthy"}', [503]), "ok");
  assert.equal(kind(404, '{"error":{"message":"no"}}'), "away");
  assert.deepEqual(api.classify("/api/x", 400, '{"error":{"message":"bad","fields":{"from":"why"}}}'), { kind: "rejected", message: "bad", fields: { from: "why" } });
  assert.equal(api.classify("/api/x?y=1", 502, "").message, "/api/x answered HTTP 502");
});

test("a request that fails or is cancelled is told apart, and wrong shapes count as away", async () => {
  const fail = () => Promise.reject(new TypeError("network"));
  assert.equal((await api.getJson("/api/x", { fetch: fail })).kind, "away");
  assert.equal((await api.getJson("/api/x", { fetch: fail, signal: AbortSignal.abort() })).kind, "cancelled");
  const answer = async () => new Response("{}", { status: 200 });
  assert.equal((await api.loadDashboard(state.DEFAULT_FILTERS, { fetch: answer })).revenue.kind, "away");
});

test("the page is loading, ready, empty, without match, away or stale", () => {
  assert.equal(state.phase(replay()), "loading");
  assert.equal(state.phase(replay(finish(good))), "ready");
  assert.equal(state.phase(replay(finish({ ...good, summary: ok({ totals: [] }), revenue: ok({ series: [] }) }))), "empty");
  assert.equal(state.phase(replay(finish({ ...good, revenue: ok({ series: [] }) }))), "no-match");
  assert.equal(state.phase(replay(finish(failing))), "away");
  const stale = replay(finish(good), finish(failing, 2000), finish(failing, 3000));
  assert.equal(state.phase(stale), "stale");
  assert.equal(stale.data.at_ms, 1000);
  assert.deepEqual([stale.failure.since_ms, stale.failure.attempts], [2000, 2]);
  assert.equal(state.phase(state.reduce(stale, finish(good, 4000))), "ready");
});

test("retries start quickly, slow down to the usual pace and never run faster than that allows", () => {
  const delays = [1, 2, 3, 4, 5, 50].map((attempts) => state.refreshDelayMs({ failure: { attempts } }, 0.5));
  assert.deepEqual(delays, [3000, 6000, 12000, 24000, 30000, 30000]);
  assert.equal(state.refreshDelayMs(replay(finish(good)), 0.9), 30000);
});

test("refused filters keep the figures and go back to what worked", () => {
  const bad = { ...state.DEFAULT_FILTERS, from: "2026-02-30" };
  const rejected = { kind: "rejected", message: "bad", fields: { from: "why" } };
  const after = replay(finish(good), { type: "filters-changed", filters: bad }, finish({ ...good, revenue: rejected }, 2000, bad));
  assert.equal(after.problems.fields.from, "why");
  assert.equal(after.filters.from, "");
  assert.equal(state.phase(after), "ready");
  assert.equal(state.phase(replay(finish({ ...good, revenue: rejected }))), "refused");
});

test("another release is noticed, the same one is not", () => {
  const seen = (release) => ({ type: "release-seen", release: { release } });
  assert.equal(state.isOutdated(replay(seen("r1"), seen("r1"))), false);
  const after = replay(seen("r1"), seen("r2"));
  assert.equal(state.isOutdated(after), true);
  assert.equal(after.loaded.release, "r1");
});

test("only changes are announced", () => {
  const first = replay(finish(good));
  assert.equal(state.announcement(replay(), first), "Figures loaded.");
  assert.equal(state.announcement(first, state.reduce(first, finish(good, 2000))), "");
  const stale = state.reduce(first, finish(failing, 2000));
  assert.match(state.announcement(first, stale), /stale/);
  assert.equal(state.announcement(stale, state.reduce(stale, finish(failing, 3000))), "");
  assert.match(state.announcement(stale, state.reduce(stale, finish(good, 3000))), /back/);
});

test("filters survive the address bar and nonsense in it is dropped", () => {
  const filters = { from: "2026-01-01", to: "", group: "day", currency: "EUR" };
  assert.deepEqual(state.filtersFromQuery(state.queryFromFilters(filters)), filters);
  assert.equal(state.queryFromFilters({ ...state.DEFAULT_FILTERS }), "");
  assert.deepEqual(state.filtersFromQuery("?from=x&group=year&currency=<b>"), { ...state.DEFAULT_FILTERS });
});
