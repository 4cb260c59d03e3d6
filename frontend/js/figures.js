// Draws what was earned: totals, table and the blank states. Kept apart from render.js because it redraws only when the
// data or the filters change, not on every event; a table rebuilt each second would lose the reader's scroll position.

import { currencyName, formatAmount, formatCount, formatDate, formatPeriod, formatRange } from "./format.js";
import { phase } from "./state.js";

// css/base.css defines this many series colours.
const SERIES_COLOURS = 6;

/** A new element with properties, `data-*` values and children; text always as text nodes, never as markup. */
export function element(tag, { data = {}, ...properties } = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  Object.assign(node.dataset, data);
  node.append(...children);
  return node;
}

/** Every currency the backend reported, sorted. A currency's place in it gives its colour, whatever is filtered. */
export function allCurrencies(data) {
  const codes = [...data.summary.totals, ...data.revenue.series].map((entry) => entry.currency);
  return [...new Set(codes)].sort();
}

/** Number of the series colour (1 to 6) of `currency`. */
export function seriesNumber(data, currency) {
  return (allCurrencies(data).indexOf(currency) % SERIES_COLOURS) + 1;
}

/** Redraws totals, notes, table and blank state from `state` and the aligned series `model`. */
export function renderFigures(root, state, model) {
  renderTotals(root, state);
  renderBlank(root, state);
  const hasPoints = model.periods.length > 0;
  root.getElementById("data").hidden = !hasPoints;
  root.getElementById("table").replaceChildren(...(hasPoints ? [revenueTable(model)] : []));
  root.getElementById("chart-note").textContent = hasPoints ? rangeText(state, model) : "";
}

function rangeText(state, model) {
  const from = state.data.revenue.from || state.data.summary.first_date || model.periods[0];
  const to = state.data.revenue.to || state.data.summary.last_date || model.periods.at(-1);
  return `${formatRange(from, to)}, by ${model.group}`;
}

// The backend's summary covers everything; a total for chosen dates is the sum of the points it sent for them.
function renderTotals(root, state) {
  const { summary, revenue, filters } = state.data;
  const isRange = Boolean(filters.from || filters.to);
  const totals = summary.totals
    .filter((total) => state.filters.currency === "" || total.currency === state.filters.currency)
    .sort((a, b) => (a.currency < b.currency ? -1 : 1))
    .map((all) => ({ all, shown: isRange ? rangeTotal(revenue, all.currency) : all }));
  root.getElementById("totals").replaceChildren(...totals.map((total) => totalCard(state, total, isRange)));
  root.getElementById("totals").closest("section").hidden = totals.length === 0;
  const covers = summary.first_date ? `, ${formatRange(summary.first_date, summary.last_date)}` : "";
  root.getElementById("totals-note").textContent = isRange ? "Chosen dates" : `All bookings${covers}`;
}

function rangeTotal(revenue, currency) {
  const points = revenue.series.find((entry) => entry.currency === currency)?.points ?? [];
  const add = (key) => points.reduce((sum, point) => sum + point[key], 0);
  return { amount_minor: add("amount_minor"), count: add("count") };
}

function totalCard(state, { all, shown }, isRange) {
  const { currency } = all;
  const extra = isRange ? `${formatCount(shown.count)} · all time ${formatAmount(all.amount_minor, currency)}` : formatCount(shown.count);
  const swatch = element("span", { className: "swatch", data: { series: seriesNumber(state.data, currency) } });
  const name = currencyName(currency);
  return element(
    "li",
    { className: "total", data: { testid: `total-${currency}`, amountMinor: shown.amount_minor, count: shown.count } },
    element("p", { className: "total-name" }, swatch, element("b", {}, currency), name === currency ? "" : name),
    element("p", { className: "total-amount", data: { testid: `total-amount-${currency}` } }, formatAmount(shown.amount_minor, currency)),
    element("p", { className: "total-extra" }, extra),
  );
}

function renderBlank(root, state) {
  const { summary } = state.data;
  const isEmpty = summary.totals.length === 0;
  const currency = state.filters.currency;
  const shown = state.data.revenue.series.filter((entry) => currency === "" || entry.currency === currency);
  root.getElementById("blank").hidden = !isEmpty && shown.some((entry) => entry.points.length > 0);
  root.getElementById("blank-title").textContent = isEmpty ? "No revenue recorded yet" : "No revenue for this choice";
  root.getElementById("blank-text").textContent = isEmpty
    ? "The first booking appears here as soon as the backend has stored it."
    : `There are bookings for ${formatRange(summary.first_date, summary.last_date)}: widen the dates or choose another currency.`;
  root.getElementById("blank-clear").hidden = isEmpty;
}

// Newest first, since that is what people look for; the totals row answers the same question as the cards.
function revenueTable({ periods, group, columns }) {
  const rows = periods.map((period, index) => element(
    "tr",
    {},
    element("th", { scope: "row" }, group === "month" ? formatPeriod(period, group) : formatDate(period)),
    ...columns.map((column) => element("td", {}, formatAmount(column.amounts[index], column.currency))),
  ));
  const heads = columns.map((column) => element("th", { scope: "col" }, column.currency));
  const sums = columns.map((column) => element("td", {}, formatAmount(column.total, column.currency)));
  const label = group === "day" ? "Day" : group === "week" ? "Week of" : "Month";
  return element(
    "table",
    {},
    element("caption", {}, `Revenue per ${group} and currency, newest first`),
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, label), ...heads)),
    element("tbody", {}, ...rows.reverse()),
    element("tfoot", {}, element("tr", {}, element("th", { scope: "row" }, "Sum"), ...sums)),
  );
}

/** Removes the loading blocks when there will be no figures for now. */
export function renderNoFigures(root, state) {
  const isWaiting = phase(state) === "loading";
  root.getElementById("totals").closest("section").hidden = !isWaiting;
  root.getElementById("chart").closest("section").hidden = !isWaiting;
}
