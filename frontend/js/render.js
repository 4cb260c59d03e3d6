// Brings the page's frame in line with the state: health, notices, filters, footer. Every function writes what the state
// says and remembers nothing, so the page cannot drift from it. Text goes in as text nodes only.

import { formatTime, shortCommit } from "./format.js";
import { element } from "./figures.js";
import { healthWord, isAway, isOutdated, phase } from "./state.js";

const HEALTH_TEXT = {
  healthy: "Backend healthy",
  degraded: "Backend degraded",
  unhealthy: "Backend unhealthy",
  away: "Backend away",
  unknown: "Backend health unknown",
};

/** Redraws the frame around the figures. `root` is the document. */
export function renderFrame(root, state) {
  const word = phase(state);
  root.body.dataset.phase = word;
  root.getElementById("totals").ariaBusy = root.getElementById("chart").ariaBusy = String(word === "loading");
  root.getElementById("refresh").classList.toggle("is-busy", state.busy);
  for (const tag of root.querySelectorAll("[data-stale-tag]")) tag.hidden = word !== "stale";
  renderHealth(root, state);
  renderAway(root, state);
  renderReload(root, state);
  renderProblems(root, state);
  renderFoot(root, state);
}

function renderHealth(root, state) {
  const word = healthWord(state);
  root.getElementById("health").dataset.status = word;
  root.getElementById("health-text").textContent = phase(state) === "loading" ? "Checking the backend" : HEALTH_TEXT[word];
  root.getElementById("updated").textContent = state.data ? `Updated ${formatTime(state.data.at_ms)}` : "";
}

function renderAway(root, state) {
  root.getElementById("away").hidden = !isAway(state);
  if (!isAway(state)) return;
  const { message, since_ms } = state.failure;
  root.getElementById("away-title").textContent = state.health ? "The backend answers, but without figures." : "The backend is away.";
  const figures = state.data ? `The figures below are from ${formatTime(state.data.at_ms)} and may be out of date.` : "There are no figures to show yet.";
  const next = state.next_ms ? `Next try at ${formatTime(state.next_ms)}.` : "Trying again now.";
  root.getElementById("away-text").textContent = `${figures} ${message}. Away since ${formatTime(since_ms)}. ${next}`;
}

function renderReload(root, state) {
  root.getElementById("reload-notice").hidden = !isOutdated(state);
  if (!isOutdated(state)) return;
  root.getElementById("reload-text").textContent = `This page is from release ${state.loaded.release}; the site now serves ${state.live.release}.`;
}

// A refused filter is explained beside its field, in the backend's words, which continue the field's name ("To is not a
// day of the calendar"); what names no field of ours is said below the form.
function renderProblems(root, state) {
  const { message, fields } = state.problems ?? { message: "", fields: {} };
  let placed = false;
  for (const name of ["from", "to", "group"]) {
    const why = fields[name] ?? "";
    const problem = root.getElementById(`problem-${name}`);
    problem.textContent = why && `${root.querySelector(`label[for="filter-${name}"]`).textContent} ${why}.`;
    problem.hidden = why === "";
    root.getElementById(`filter-${name}`).ariaInvalid = String(why !== "");
    placed ||= why !== "";
  }
  const rest = root.getElementById("problem-form");
  rest.hidden = placed || message === "";
  rest.textContent = rest.hidden ? "" : message;
}

function renderFoot(root, state) {
  const release = root.getElementById("release-id");
  release.textContent = state.loaded ? state.loaded.release : "not released";
  release.title = state.loaded?.commit ? `Commit ${state.loaded.commit}` : "";
  release.dataset.commit = state.loaded?.commit ?? "";
  const commit = state.version?.commit ?? state.health?.version ?? "";
  const version = root.getElementById("backend-version");
  version.textContent = shortCommit(commit) || "unknown";
  version.title = commit ? `Commit ${commit}` : "";
  version.dataset.commit = commit;
  const schema = state.version?.schema;
  root.getElementById("schema").textContent = schema?.latest ? `${schema.latest} (${schema.generation} applied)` : schema ? "none applied" : "unknown";
}

/** Puts `filters` into the form. Only on load and on "clear": at other times the form is the reader's. */
export function fillForm(root, filters) {
  offerCurrencies(root, [filters.currency]);
  for (const [name, value] of Object.entries(filters)) root.getElementById(`filter-${name}`).value = value;
}

/** Makes `currencies` choosable; the chosen one stays, even when it has no bookings. */
export function offerCurrencies(root, currencies) {
  const select = root.getElementById("filter-currency");
  const chosen = select.value;
  const wanted = [...new Set([...currencies, chosen])].filter(Boolean).sort();
  const offered = [...select.options].slice(1).map((option) => option.value);
  if (wanted.join() === offered.join()) return;
  select.replaceChildren(select.options[0], ...wanted.map((code) => element("option", { value: code }, code)));
  select.value = chosen;
}
