// Wires the page together: the one place that holds the current state, the timer and the event listeners. All decisions
// are in state.js, all drawing in render.js, figures.js and chart.js.

import { loadDashboard, loadRelease } from "./api.js";
import { createChart } from "./chart.js";
import { allCurrencies, renderFigures, renderNoFigures, seriesNumber } from "./figures.js";
import { alignSeries } from "./period.js";
import { fillForm, offerCurrencies, renderFrame } from "./render.js";
import { DEFAULT_FILTERS, announcement, filterProblems, filtersFromQuery, initialState, queryFromFilters, reduce, refreshDelayMs } from "./state.js";

// A date typed digit by digit fires an event for each valid step on the way.
const FILTER_SETTLE_MS = 250;

const byId = (id) => document.getElementById(id);
const chart = createChart(byId("chart"));
let state = initialState(filtersFromQuery(location.search));
let drawnKey = null;
let timer = null;
let settling = null;
let request = null; // AbortController of the refresh under way
let hasRelease = true; // until the site says that no releaser wrote one

function dispatch(event) {
  const before = state;
  state = reduce(state, event);
  const news = announcement(before, state);
  if (news !== "") byId("announcer").textContent = news;
  renderFrame(document, state);
  drawFigures();
}

// Drawing is skipped while nothing that it shows has changed, which is most refreshes.
function drawFigures() {
  if (state.data === null) return renderNoFigures(document, state);
  const { revenue, summary, filters } = state.data;
  const key = JSON.stringify([revenue, summary, filters, state.filters.currency]);
  if (key === drawnKey) return undefined;
  drawnKey = key;
  byId("chart").closest("section").hidden = false;
  offerCurrencies(document, allCurrencies(state.data));
  const model = alignSeries(revenue.series, filters.group, state.filters.currency);
  renderFigures(document, state, model);
  return model.periods.length > 0 ? chart.draw(model, (currency) => seriesNumber(state.data, currency)) : chart.clear();
}

// A newer call replaces one under way: its answer would be for filters that no longer hold.
async function refresh() {
  clearTimeout(timer);
  request?.abort();
  const mine = new AbortController();
  request = mine;
  const { filters } = state;
  dispatch({ type: "refresh-started" });
  const [results] = await Promise.all([loadDashboard(filters, { signal: mine.signal }), checkRelease(mine.signal)]);
  if (request !== mine) return;
  request = null;
  dispatch({ type: "refresh-finished", results, filters, at_ms: Date.now() });
  plan();
}

// In a hidden tab nothing is planned; becoming visible refreshes at once.
function plan() {
  clearTimeout(timer);
  if (document.hidden) return dispatch({ type: "refresh-planned", next_ms: null });
  const delay_ms = refreshDelayMs(state, Math.random());
  timer = setTimeout(refresh, delay_ms);
  return dispatch({ type: "refresh-planned", next_ms: Date.now() + delay_ms });
}

// Where there is no release file, as in development, asking again would only fill the browser's console.
async function checkRelease(signal) {
  if (!hasRelease) return;
  const result = await loadRelease({ signal });
  if (result.status === 404 && state.loaded === null) hasRelease = false;
  if (result.kind === "ok" && typeof result.body.release === "string") dispatch({ type: "release-seen", release: result.body });
}

function applyFilters(filters) {
  const fields = filterProblems(filters);
  if (Object.keys(fields).length > 0) return dispatch({ type: "filters-rejected", message: "the dates do not fit together", fields });
  dispatch({ type: "filters-changed", filters });
  history.replaceState(null, "", location.pathname + queryFromFilters(filters));
  return refresh();
}

function clearFilters() {
  fillForm(document, DEFAULT_FILTERS);
  applyFilters({ ...DEFAULT_FILTERS });
}

function listen() {
  byId("refresh").addEventListener("click", refresh);
  byId("retry").addEventListener("click", refresh);
  byId("reload").addEventListener("click", () => location.reload());
  byId("clear").addEventListener("click", clearFilters);
  byId("blank-clear").addEventListener("click", clearFilters);
  const form = byId("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => {
    clearTimeout(settling);
    settling = setTimeout(() => applyFilters(Object.fromEntries(new FormData(form))), FILTER_SETTLE_MS);
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? plan() : refresh()));
  addEventListener("online", refresh);
  // A page restored from the back-forward cache comes with the timers and figures of when it was left.
  addEventListener("pageshow", (event) => event.persisted && refresh());
}

fillForm(document, state.filters);
listen();
if (document.hidden) dispatch({ type: "refresh-planned", next_ms: null });
else refresh();
