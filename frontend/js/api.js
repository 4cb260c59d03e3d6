// The only module that talks to the network. It sorts every answer into three kinds, because the page does three
// different things with them: show data, point at a filter, or say that the backend is away. Nothing here throws.

// Longer than the backend's own handler limit of 10 s, shorter than the 26 s after which the site's proxy gives up.
const REQUEST_TIMEOUT_MS = 15_000;

/**
 * One GET. Resolves to `{kind: "ok", body}`, `{kind: "rejected", message, fields}` (the request itself is at fault),
 * `{kind: "away", message}` (no answer, or none that makes sense) or `{kind: "cancelled"}` (`signal` was aborted).
 * `acceptStatus` lists error statuses whose JSON body is an answer all the same.
 */
export async function getJson(path, { fetch = globalThis.fetch, signal, acceptStatus = [] } = {}) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), REQUEST_TIMEOUT_MS);
  const cancel = () => limit.abort();
  signal?.addEventListener("abort", cancel);
  try {
    const response = await fetch(path, {
      cache: "no-store", credentials: "omit", headers: { accept: "application/json" }, signal: limit.signal,
    });
    return classify(path, response.status, await response.text(), acceptStatus);
  } catch {
    if (signal?.aborted) return { kind: "cancelled" };
    const why = limit.signal.aborted ? `did not answer within ${REQUEST_TIMEOUT_MS / 1000} s` : "could not be reached";
    return { kind: "away", message: `${path.split("?")[0]} ${why}` };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}

/** Decides what an answer means from its status and body text. */
export function classify(path, status, text, acceptStatus = []) {
  const name = path.split("?")[0];
  const body = parseObject(text);
  if (body !== null && ((status >= 200 && status < 300) || acceptStatus.includes(status))) return { kind: "ok", body };
  if ((status === 400 || status === 422) && typeof body?.error?.message === "string") {
    return { kind: "rejected", message: body.error.message, fields: body.error.fields ?? {} };
  }
  const said = status >= 200 && status < 300 ? "sent something that is not JSON" : `answered HTTP ${status}`;
  return { kind: "away", status, message: `${name} ${said}` };
}

function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** The address of the revenue series for these filters. Currency is not sent: it is chosen from what is loaded. */
export function revenuePath({ from, to, group }) {
  const query = new URLSearchParams({ group });
  if (from) query.set("from", from);
  if (to) query.set("to", to);
  return `/api/revenue?${query}`;
}

/** Everything one refresh needs, asked for at the same time: `{revenue, summary, health, version}`, each as of getJson. */
export async function loadDashboard(filters, options) {
  const [revenue, summary, health, version] = await Promise.all([
    getJson(revenuePath(filters), options),
    getJson("/api/revenue/summary", options),
    // An unhealthy backend says so with 503 and a body; that is an answer about its health, not its absence.
    getJson("/api/health", { ...options, acceptStatus: [503] }),
    getJson("/api/version", options),
  ]);
  return {
    revenue: shaped(revenue, "/api/revenue", (body) => Array.isArray(body.series)),
    summary: shaped(summary, "/api/revenue/summary", (body) => Array.isArray(body.totals)),
    health,
    version,
  };
}

// JSON of the wrong shape (another service on the address, a proxy's own page) must not reach the code that draws.
function shaped(result, name, isExpected) {
  if (result.kind !== "ok" || isExpected(result.body)) return result;
  return { kind: "away", message: `${name} sent JSON that is not revenue data` };
}

/** The release this site is serving now; away with status 404 where no releaser wrote one, as in development. */
export function loadRelease(options) {
  return getJson("/.well-known/tandem.json", options);
}
