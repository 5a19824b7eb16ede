// Reads Airflow's public REST API with the viewer's own session. Nothing is written, and each read is bounded:
// at most DETAILS rows of a section are looked up one by one, and what cannot change is looked up once.

import { EXPORTS, OPEN, RUNS, SYSTEMS, isOfDags, latest, makersOf, plansBefore, readAsset } from "./tasks.js";
import { readChanges, readEventCount, readManifest } from "./tasks.js";

export const DETAILS = 20; // rows of a section with requests of their own
const PAGE = 100; // Airflow's usual maximum of one reply
const MOST_DAGS = 1000;
const SHORT_SECONDS = 300; // how long is used what changes rarely: DAGs, tasks, pages of plans, links
const MOST_KNOWN = 2000; // remembered values of a page that stays open
const AT_ONCE = 6;
const TIMEOUT_SECONDS = 30;
const ROOT = new URL("../", document.baseURI); // of Airflow, also below a path

// A failed read, in words.
export class Problem extends Error {}

let free = AT_ONCE;
const waiting = [];

async function inTurn(work) {
  if (free > 0) free -= 1;
  else await new Promise((resolve) => waiting.push(resolve));
  try {
    return await work();
  } finally {
    if (waiting.length) waiting.shift()();
    else free += 1;
  }
}

const STATUS = {
  401: "You are signed out. Reload Airflow to sign in again.",
  403: "You may not see this: Airflow does not allow it to your user.",
  404: "Airflow has none of this: it may have been deleted just now.",
};

// Read a resource of the API; parts of the path are encoded, "~" stands for all.
async function get(parts, params = []) {
  const url = new URL(`api/v2/${parts.map(encodeURIComponent).join("/")}`, ROOT);
  url.search = new URLSearchParams(params).toString();
  const options = { cache: "no-store", credentials: "same-origin", headers: { Accept: "application/json" } };
  return inTurn(async () => {
    let reply;
    try {
      reply = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000) });
    } catch (error) {
      const late = error.name === "TimeoutError" ? `did not answer within ${TIMEOUT_SECONDS} s` : "cannot be reached";
      throw new Problem(`Airflow's API server ${late}. The page keeps asking.`);
    }
    if (!reply.ok) {
      const problem = new Problem(STATUS[reply.status] ?? `Airflow's API server failed (status ${reply.status}).`);
      problem.status = reply.status;
      throw problem;
    }
    try {
      return await reply.json();
    } catch {
      throw new Problem("Airflow's API server sent something other than JSON.");
    }
  });
}

const known = new Map();

// Return what was read before under a key, unless it is too old; failures are not kept.
async function once(key, read, seconds = Infinity) {
  const found = known.get(key);
  if (found && Date.now() - found.at < seconds * 1000) return found.value;
  const value = await read();
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(key, { value, at: Date.now() });
  return value;
}

const listed = (name, values) => values.map((value) => [name, value]);
const ids = (one) => ["dags", one.dag_id, "dagRuns", one.dag_run_id ?? one.run_id, "taskInstances", one.task_id];
const keyOf = (...parts) => JSON.stringify(parts);

function readXCom(one, key) {
  const params = [["map_index", one.map_index ?? -1]];
  return get([...ids(one), "xcomEntries", key], [...params, ["deserialize", "false"], ["stringify", "false"]]);
}

const UNREADABLE = {
  403: "You may not read the XComs of this DAG.",
  404: "Airflow has no XCom of this: it was deleted, or never pushed.",
};

// Return why something of a row cannot be read, in words; throw what concerns the whole section.
function reasonOf(error) {
  if (!Object.hasOwn(UNREADABLE, error.status)) throw error;
  return UNREADABLE[error.status];
}

// Return the value of an XCom, or the reason why it cannot be read.
async function valueOf(one, key, version) {
  try {
    const found = await once(keyOf(...ids(one), one.map_index, key, version), () => readXCom(one, key));
    return { value: found.value, reason: "" };
  } catch (error) {
    return { value: null, reason: reasonOf(error) };
  }
}

export function uiLink(...parts) {
  return new URL(parts.map(encodeURIComponent).join("/"), ROOT).href;
}

export function taskLink(one, tab) {
  const mapped = one.map_index >= 0 ? ["mapped", String(one.map_index)] : [];
  const path = ["dags", one.dag_id, "runs", one.dag_run_id ?? one.run_id, "tasks", one.task_id, ...mapped];
  return uiLink(...path, ...(tab ? [tab] : []));
}

export function pageLink(kind, one) {
  const run = one.dag_run_id ?? one.run_id;
  const query = { dag_id: one.dag_id, run_id: run, task_id: one.task_id, map_index: one.map_index ?? -1 };
  return new URL(`${kind}?${new URLSearchParams(query)}`, document.baseURI).href;
}

// -- sections: each returns its rows, and whether there are more

let open = OPEN;

// Return the oldest questions that can be answered. Those whose task has ended stay without an answer for ever.
async function readQuestions() {
  const params = [["response_received", "false"], ...listed("state", open)];
  const path = ["dags", "~", "dagRuns", "~", "hitlDetails"];
  try {
    return await get(path, [...params, ["order_by", "created_at"], ["limit", DETAILS]]);
  } catch (error) {
    if (error.status !== 422 || open.length < OPEN.length) throw error;
    open = OPEN.slice(0, -1);
    return readQuestions();
  }
}

export async function readPlans() {
  const { hitl_details: questions, total_entries: total } = await readQuestions();
  const rows = await Promise.all(questions.map(readPlan));
  return { rows: rows.filter((row) => row !== null), more: total > questions.length };
}

async function readPlan(detail) {
  const task = detail.task_instance;
  const row = { detail, task, plans: [], changes: null, reason: "" };
  try {
    const run = [...ids(task).slice(0, 5), "~", "xcomEntries"];
    const params = [["xcom_key", "plan_page"], ["limit", PAGE]];
    const key = keyOf("plan", ...run, detail.created_at);
    const { xcom_entries: entries } = await once(key, () => get(run, params), SHORT_SECONDS);
    if (!entries.length) return null;
    const tasks = await once(keyOf("tasks", task.dag_id), () => get(["dags", task.dag_id, "tasks"]), SHORT_SECONDS);
    row.plans = plansBefore(task.task_id, tasks.tasks, entries);
  } catch (error) {
    return { ...row, reason: reasonOf(error) };
  }
  if (!row.plans.length) return null;
  if (row.plans.length === 1) {
    const [plan] = row.plans;
    row.changes = readChanges((await valueOf(plan, "return_value", plan.timestamp)).value);
  }
  return row;
}

export async function readRuns() {
  const states = ["deferred", "running", "up_for_reschedule"];
  const filters = [...listed("operator", Object.keys(RUNS)), ...listed("state", states)];
  const params = [...filters, ["order_by", "start_date"], ["limit", PAGE]];
  const found = await get(["dags", "~", "dagRuns", "~", "taskInstances"], params);
  const rows = await Promise.all(
    found.task_instances.map(async (task, index) => ({ task, links: index < DETAILS ? await readLinks(task) : {} })),
  );
  return { rows, more: found.total_entries > rows.length };
}

// Return the links of a run's task into the service, such as LeanIX's sync log.
async function readLinks(task) {
  if (!task.operator.startsWith("LeanIX")) return {};
  try {
    const params = [["map_index", task.map_index]];
    const key = keyOf("links", ...ids(task), task.map_index, task.start_date, task.state);
    return (await once(key, () => get([...ids(task), "links"], params), SHORT_SECONDS)).extra_links;
  } catch (error) {
    if (error.status === 403 || error.status === 404) return {};
    throw error;
  }
}

export async function readExports() {
  const filters = [...listed("operator", Object.keys(EXPORTS)), ["state", "success"]];
  const params = [...filters, ["order_by", "-end_date"], ["limit", PAGE]];
  const found = await get(["dags", "~", "dagRuns", "~", "taskInstances"], params);
  const tasks = latest(found.task_instances);
  const shown = tasks.slice(0, DETAILS);
  const [reports, rows] = await Promise.all([
    readReports(shown),
    Promise.all(shown.map(async (task) => ({ task, ...(await valueOf(task, "return_value", task.end_date)) }))),
  ]);
  const files = rows
    .map((row) => ({ ...row, manifest: readManifest(row.value) }))
    .filter((row) => row.reason || row.manifest)
    .map((row) => ({ ...row, report: reports.has(reportKey(row.task)) }));
  return { rows: files, more: tasks.length > DETAILS || found.total_entries > PAGE };
}

const reportKey = (one) => keyOf(one.dag_id, one.dag_run_id ?? one.run_id, one.task_id, one.map_index);

// Return the keys of the tasks with a report's page, of those whose runs are not older than the shown ones.
async function readReports(tasks) {
  if (!tasks.length) return new Set();
  const since = tasks.map((task) => task.run_after).sort()[0];
  const params = [["xcom_key", "report_page"], ["run_after_gte", since], ["order_by", "-timestamp"], ["limit", PAGE]];
  try {
    const found = await get(["dags", "~", "dagRuns", "~", "taskInstances", "~", "xcomEntries"], params);
    return new Set(found.xcom_entries.map(reportKey));
  } catch (error) {
    if (error.status === 403) return new Set();
    throw error;
  }
}

export async function readAssets() {
  const schemes = Object.keys(SYSTEMS).map((scheme) =>
    get(["assets"], [["uri_pattern", `${scheme}://`], ["order_by", "-updated_at"], ["limit", PAGE]]),
  );
  const replies = await Promise.all(schemes);
  const ours = replies.flatMap((reply) => reply.assets).filter((asset) => readAsset(asset.uri));
  const dags = ours.length ? await once("dags", readDags, SHORT_SECONDS) : new Set();
  const seen = ours.filter((asset) => isOfDags(asset, dags)).sort((a, b) => (lastEvent(a) < lastEvent(b) ? 1 : -1));
  const events = seen.filter((asset) => asset.last_asset_event?.id).slice(0, PAGE);
  let lookups = 0;
  const details = new Map();
  await Promise.all(
    events.map(async (asset) => {
      const key = keyOf("event", asset.id, asset.last_asset_event.id);
      // What is not known yet is read in the following refreshes.
      if (!known.has(key) && ++lookups > DETAILS) return;
      details.set(asset.id, await once(key, () => readEvent(asset, dags)));
    }),
  );
  const more = replies.some((reply) => reply.total_entries > reply.assets.length);
  const rows = seen.map((asset) => ({ asset, event: details.get(asset.id) ?? null, makers: makersOf(asset, dags) }));
  return { rows, more };
}

const lastEvent = (asset) => asset.last_asset_event?.timestamp ?? "";

// Return the last event of an asset, when its DAG is one that the viewer may see.
async function readEvent(asset, dags) {
  const params = [["asset_id", asset.id], ["order_by", "-timestamp"], ["limit", 1]];
  const { asset_events: events } = await get(["assets", "events"], params);
  const [event] = events;
  if (!event || (event.source_dag_id && !dags.has(event.source_dag_id))) return null;
  const source = event.source_dag_id
    ? { dag_id: event.source_dag_id, run_id: event.source_run_id, task_id: event.source_task_id }
    : null;
  return { count: readEventCount(event.extra), source: source && { ...source, map_index: event.source_map_index } };
}

// Return the ids of the DAGs that the viewer may see.
async function readDags() {
  const found = new Set();
  for (let requests = 0; requests < MOST_DAGS / PAGE; requests += 1) {
    const reply = await get(["dags"], [["limit", PAGE], ["offset", found.size], ["order_by", "dag_id"]]);
    for (const dag of reply.dags) found.add(dag.dag_id);
    if (found.size >= reply.total_entries || !reply.dags.length) break;
  }
  return found;
}
