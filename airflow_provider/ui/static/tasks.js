// Tasks of the provider: how they are recognised, and what their results mean. No function here sends a request.

// Operators that write files, by the class names that Airflow stores with each task instance.
export const EXPORTS = {
  AmigoCloudExportOperator: "AmigoCloud",
  AmigoCloudExportPhotosOperator: "AmigoCloud",
  CommitManifestOperator: "Warehouse",
  IoTStudioExportEventsOperator: "IoT Studio",
  IoTStudioExportHistoryOperator: "IoT Studio",
  IoTStudioExportThingsOperator: "IoT Studio",
  LeanIXExportSyncLogOperator: "LeanIX",
  LeanIXFetchResultsOperator: "LeanIX",
  LeanIXRunOperator: "LeanIX",
  MapsIndoorsExportGeodataOperator: "MapsIndoors",
};

// Operators and sensors that wait for work on a service, with the word for that work.
export const RUNS = {
  AmigoCloudJobSensor: ["AmigoCloud", "job"],
  AmigoCloudUploadOperator: ["AmigoCloud", "upload"],
  IoTStudioInvokeActionOperator: ["IoT Studio", "action"],
  LeanIXRunOperator: ["LeanIX", "run"],
  LeanIXRunSensor: ["LeanIX", "run"],
};

// Schemes of the assets' URIs.
export const SYSTEMS = {
  amigocloud: "AmigoCloud",
  iotstudio: "IoT Studio",
  leanix: "LeanIX",
  mapsindoors: "MapsIndoors",
};

// States in which a person can still answer; Airflow 3.1 refuses a question that names the last one.
export const OPEN = ["deferred", "queued", "running", "scheduled", "awaiting_input"];

// Fields of a plan's counts, in the order and with the words of its page.
const COUNTS = [
  ["create", "new"],
  ["update", "changed"],
  ["deactivate", "deactivated"],
  ["delete", "deleted"],
];

// Return the plain object of an XCom, which the API gives as an object or as its JSON; null for anything else.
export function readObject(value) {
  let found = value;
  if (typeof found === "string") {
    try {
      found = JSON.parse(found);
    } catch {
      return null;
    }
  }
  return found !== null && typeof found === "object" && !Array.isArray(found) ? found : null;
}

const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
const text = (value) => (typeof value === "string" && value ? value : null);

// Return the file that a task has written: rows, bytes and path; null when its result is no manifest.
export function readManifest(value) {
  const result = readObject(value);
  const manifest = result && text(result.uri) === null ? readObject(result.results) : result;
  if (!manifest || text(manifest.uri) === null) return null;
  return { rows: number(manifest.rows), bytes: number(manifest.bytes), path: shownPath(manifest.uri) };
}

// Return a location without user, password, connection id and query, any of which may be a credential.
export function shownPath(uri) {
  const found = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)([^?#]*)/i.exec(uri);
  return found ? found[1] + found[2].slice(found[2].lastIndexOf("@") + 1) + found[3] : uri;
}

// Return the changes of a plan as [kind, words]; null when the result has no counts.
export function readChanges(value) {
  const result = readObject(value);
  if (!result) return null;
  if (typeof result.changed === "boolean") return result.changed ? [["update", "1 to store"]] : [];
  if (!COUNTS.some(([kind]) => number(result[kind]) !== null)) return null;
  return COUNTS.filter(([kind]) => number(result[kind])).map(([kind, word]) => [kind, `${result[kind]} ${word}`]);
}

// Return the XCom entries of the nearest tasks upstream of a task, of those that have recorded a plan's page.
export function plansBefore(taskId, tasks, entries) {
  const upstream = new Map();
  for (const task of tasks) {
    for (const below of task.downstream_task_ids ?? []) {
      upstream.set(below, [...(upstream.get(below) ?? []), task.task_id]);
    }
  }
  const seen = new Set([taskId]);
  let level = [taskId];
  while (level.length) {
    level = level.flatMap((id) => upstream.get(id) ?? []).filter((id) => !seen.has(id) && seen.add(id));
    const found = entries.filter((entry) => level.includes(entry.task_id));
    if (found.length) return found;
  }
  return [];
}

// Return the latest task instance of each task, in the given order.
export function latest(instances) {
  const found = new Map();
  for (const one of instances) {
    const key = JSON.stringify([one.dag_id, one.task_id, one.map_index]);
    if (!found.has(key)) found.set(key, one);
  }
  return [...found.values()];
}

// Return an asset's URI without its scheme, and the name of its system; null for assets of others.
export function readAsset(uri) {
  const [scheme, rest] = String(uri).split("://", 2);
  return rest && Object.hasOwn(SYSTEMS, scheme) ? { system: SYSTEMS[scheme], name: rest } : null;
}

// Return whether one of an asset's DAGs is in a set; assets are not filtered by DAG in Airflow's API.
export function isOfDags(asset, dags) {
  const uses = [...(asset.producing_tasks ?? []), ...(asset.scheduled_dags ?? []), ...(asset.consuming_tasks ?? [])];
  return uses.some((use) => dags.has(use.dag_id));
}

// Return the DAGs in a set that make an asset.
export function makersOf(asset, dags) {
  return [...new Set(asset.producing_tasks.map((task) => task.dag_id))].filter((id) => dags.has(id));
}

// Return the count in an event's extra: rows of an export, or what a sync has written.
export function readEventCount(extra) {
  const found = readObject(extra) ?? {};
  if (number(found.rows) !== null) return `${found.rows.toLocaleString("en")} rows`;
  if (number(found.processed) !== null) return `${found.processed.toLocaleString("en")} items`;
  const changes = readChanges(found);
  if (changes !== null) return changes.map(([, words]) => words).join(", ") || "no changes";
  const known = ["updated", "written", "created", "deleted"].find((name) => number(found[name]) !== null);
  return known ? `${found[known].toLocaleString("en")} ${known}` : "";
}

export function shownAge(seconds) {
  const steps = [
    [60, 1, "s"],
    [3600, 60, "min"],
    [172800, 3600, "h"],
    [Infinity, 86400, "days"],
  ];
  const [, unit, name] = steps.find(([below]) => seconds < below);
  return `${Math.max(0, Math.floor(seconds / unit))} ${name}`;
}

export function freshness(seconds) {
  if (seconds === null) return ["never", "no event yet"];
  if (seconds < 86400) return ["fresh", "today"];
  return seconds < 604800 ? ["aging", "this week"] : ["old", "older than a week"];
}

export function shownBytes(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
