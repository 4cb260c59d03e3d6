// Draws one bar chart per currency under a shared time axis. Amounts in different currencies do not belong on one scale
// (a yen line would flatten every other), so each gets its own; moving over one shows the same period in all of them.

import { element } from "./figures.js";
import { formatAmount, formatCompact, formatCount, formatDate, formatPeriod, fractionDigits } from "./format.js";
import { axisTicks, periodStart } from "./period.js";

const DAY_S = 86_400;
const STEP_S = { day: DAY_S, week: 7 * DAY_S, month: 30 * DAY_S };
const AXIS_FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const AXIS_HEIGHT_PX = 28;
// Room for the widest time label, such as "Nov 2026".
const TICK_WIDTH_PX = 72;

// A static import would stop the whole page when this file cannot be had; the figures and the table work without it.
async function loadPlot() {
  return (await import("/vendor/uplot/uplot-1.6.32.esm.js")).default;
}

/** A chart in `container`: `{draw(model, numberOf), clear()}`; `numberOf(currency)` names its series colour. */
export function createChart(container) {
  let panels = [];
  let drawn = null; // what draw() was last given, to draw it again when size or theme change
  let turn = 0; // draw() awaits the library; only the newest call may touch the container

  function clear() {
    turn += 1;
    for (const panel of panels) panel.plot.destroy();
    panels = [];
    container.replaceChildren();
  }

  async function draw(model, numberOf) {
    drawn = [model, numberOf];
    const mine = ++turn;
    const Plot = await loadPlot().catch(() => null);
    if (mine !== turn) return;
    clear();
    if (Plot === null) {
      container.append(element("p", { className: "section-note" }, "The chart could not be loaded. The table below has the same figures."));
      return;
    }
    const show = (index) => panels.forEach((panel) => panel.show(index));
    panels = model.columns.map((column, at) => {
      const isLast = at === model.columns.length - 1;
      return createPanel(Plot, container, model, column, { number: numberOf(column.currency), isLast, show });
    });
  }

  const redraw = () => {
    if (drawn !== null && panels.length > 0) draw(...drawn);
  };
  let width_px = container.clientWidth;
  new ResizeObserver(() => {
    if (container.clientWidth === width_px || container.clientWidth === 0) return;
    width_px = container.clientWidth;
    for (const { plot } of panels) plot.setSize({ width: width_px, height: plot.height });
  }).observe(container);
  // Canvas pixels do not follow CSS: colours are read again when the theme changes.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  return { draw, clear };
}

function createPanel(Plot, container, model, column, { number, isLast, show }) {
  const { currency } = column;
  const value = element("span", { className: "panel-value" });
  const head = element(
    "div",
    { className: "panel-head" },
    element("span", { className: "swatch", data: { series: number } }),
    element("b", {}, currency),
    value,
  );
  const canvas = element("div", { role: "img", ariaLabel: describe(model, column) });
  container.append(element("div", { className: "panel", data: { testid: `chart-${currency}` } }, head, canvas));

  const height = panelHeight(model.columns.length) + (isLast ? AXIS_HEIGHT_PX : 0);
  const options = plotOptions(Plot, model, currency, { number, isLast, show, width: container.clientWidth, height });
  const plot = new Plot(options, [model.starts, column.amounts], canvas);
  const showPeriod = (index) => {
    value.textContent = index === null
      ? `${formatAmount(column.total, currency)} · ${formatCount(column.count)}`
      : `${formatPeriod(model.periods[index], model.group)}: ${formatAmount(column.amounts[index], currency)} · ${formatCount(column.counts[index])}`;
  };
  showPeriod(null);
  return { plot, show: showPeriod };
}

// Few currencies get tall panels; many still fit on a screen or two.
function panelHeight(panels) {
  return { 1: 320, 2: 190, 3: 140 }[panels] ?? 112;
}

function plotOptions(Plot, model, currency, { number, isLast, show, width, height }) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const half_s = STEP_S[model.group] / 2;
  const unit = 10 ** fractionDigits(currency);
  const axis = { stroke: colour("--text-soft"), font: AXIS_FONT, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    padding: [8, 8, isLast ? 0 : 8, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false }, sync: { key: "revenue" } },
    hooks: { setCursor: [(plot) => show(plot.cursor.idx ?? null)] },
    scales: {
      // Half a period on both sides, or the first and last bar would be cut in two. The library's own limits are not
      // used, because it spreads a single period over years.
      x: { time: true, range: () => [model.starts[0] - half_s, model.starts.at(-1) + half_s] },
      // Bars mean nothing without their zero line.
      y: { range: (_plot, min, max) => valueRange(min, max, unit) },
    },
    series: [{}, {
      fill: colour(`--series-${number}`),
      width: 0,
      points: { show: false },
      paths: Plot.paths.bars({ size: [0.72, 56], radius: 0.1 }),
    }],
    axes: [
      { ...axis, size: isLast ? AXIS_HEIGHT_PX : 0, ...timeTicks(model, isLast) },
      { ...axis, size: 64, gap: 8, space: 28, values: (_plot, splits) => splits.map((split) => formatCompact(split, currency)) },
    ],
  };
}

function valueRange(min, max, unit) {
  const low = Math.min(0, min ?? 0);
  const high = Math.max(0, max ?? 0);
  return low === high ? [0, unit] : [low * 1.08, high * 1.08];
}

// Ticks stand on periods, so that a label always names the bar above it; the library would place them on round dates.
function timeTicks(model, isLabelled) {
  const choose = (plot) => axisTicks(model.periods, Math.floor((plot.width - 64) / TICK_WIDTH_PX));
  return {
    splits: (plot) => choose(plot).ticks.map(periodStart),
    values: (plot) => {
      const { ticks, byMonth } = choose(plot);
      return ticks.map((tick, at) => (isLabelled ? timeLabel(tick, ticks[at - 1], byMonth || model.group === "month") : ""));
    },
  };
}

// The year is named where it begins or changes, not on every label.
function timeLabel(tick, before, isMonth) {
  const year = isMonth && tick.slice(0, 4) !== before?.slice(0, 4) ? { year: "numeric" } : {};
  return formatDate(tick, undefined, isMonth ? { month: "short", ...year } : { month: "short", day: "numeric" });
}

function describe({ periods, group }, { currency, amounts, total }) {
  const top = amounts.indexOf(Math.max(...amounts));
  return `${currency} per ${group}, ${formatPeriod(periods[0], group)} to ${formatPeriod(periods.at(-1), group)}: ` +
    `${formatAmount(total, currency)} in all. Highest: ${formatPeriod(periods[top], group)}, ${formatAmount(amounts[top], currency)}.`;
}
