// The page "Digital twin": four sections, each read on its own, so that a failure of one leaves the others.
// Everything from the API becomes text, never markup.

import { EXPORTS, RUNS, freshness, readAsset, shownAge, shownBytes } from "./tasks.js";
import { Problem, pageLink, readAssets, readExports, readPlans, readRuns, taskLink, uiLink } from "./sections.js";

const REFRESH_SECONDS = 30;
const MOST_PAGES = 5; // links to pages of plans of one question

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

const quiet = (...children) => make("span", { class: "quiet" }, ...children);
const link = (href, text, attributes = {}) => make("a", { href, ...attributes }, text);
const chip = (kind, text) => make("span", { class: `chip ${kind}` }, text);
const away = { target: "_blank", rel: "noopener noreferrer" };

function time(moment) {
  if (!moment) return quiet("not yet");
  const date = new Date(moment);
  const shown = `${shownAge((Date.now() - date) / 1000)} ago`;
  return make("time", { datetime: moment, title: date.toLocaleString() }, shown);
}

function taskName(task, tab) {
  const mapped = task.map_index >= 0 ? ` [${task.rendered_map_index ?? task.map_index}]` : "";
  const name = link(taskLink(task, tab), `${task.task_display_name ?? task.task_id}${mapped}`, { class: "main" });
  return [name, make("div", { class: "quiet" }, task.dag_display_name ?? task.dag_id)];
}

// -- rows: each gives the cells of its section's columns

function planRow({ detail, task, plans, changes, reason }) {
  const users = detail.assigned_users.map((user) => user.name || user.id).join(", ");
  const chips = (changes ?? []).map(([kind, words]) => chip(kind, words));
  const nothing = reason || (changes ? "Nothing changes." : "See the page.");
  const nameOf = (plan) => (plans.length > 1 ? `Page of ${plan.task_display_name ?? plan.task_id}` : "Plan's page");
  const pages = plans.slice(0, MOST_PAGES).map((plan) => link(pageLink("plan", plan), nameOf(plan), away));
  return [
    [link(taskLink(task, "required_actions"), detail.subject, { class: "main" }), ...taskName(task).slice(1)],
    chips.length ? chips : [quiet(nothing)],
    [time(detail.created_at)],
    [users || quiet("all who may edit the DAG's tasks")],
    [link(taskLink(task, "required_actions"), "Answer", { class: "button" }), ...pages],
  ];
}

const WHERE = {
  deferred: "waits in the triggerer",
  running: "waits on a worker",
  up_for_reschedule: "waits for its next poll",
};

function runRow({ task, links }) {
  const [system, word] = RUNS[task.operator];
  const outside = Object.entries(links)
    .filter(([, url]) => typeof url === "string" && /^https?:\/\//i.test(url))
    .map(([name, url]) => link(url, name, away));
  const where = WHERE[task.state];
  const state = [chip("live", word), " ", quiet(where)];
  return [taskName(task), [system], state, [time(task.start_date)], outside];
}

function exportRow({ task, manifest, reason, report }) {
  const path = reason ? quiet(reason) : make("code", {}, manifest.path);
  const rows = manifest?.rows ?? null;
  const size = manifest?.bytes ?? null;
  return [
    taskName(task),
    [EXPORTS[task.operator]],
    [time(task.end_date)],
    [rows === null ? quiet("–") : rows.toLocaleString("en")],
    [size === null ? quiet("–") : shownBytes(size)],
    [path],
    report ? [link(pageLink("report", task), "Report", away)] : [],
  ];
}

function assetRow({ asset, event, makers }) {
  const { system, name } = readAsset(asset.uri);
  const last = asset.last_asset_event?.timestamp ?? null;
  const [kind, words] = freshness(last ? (Date.now() - new Date(last)) / 1000 : null);
  const heading = link(uiLink("assets", String(asset.id)), name, { class: "main" });
  const links = event?.source ? [link(taskLink(event.source), "Last task")] : [];
  return [
    [heading, make("div", { class: "quiet" }, makers.join(", "))],
    [system],
    [chip(kind, words)],
    [last ? time(last) : quiet("never")],
    [event?.count || quiet("–")],
    links,
  ];
}

const SECTIONS = [
  {
    id: "plans",
    title: "Plans waiting for approval",
    tile: "plans wait",
    columns: ["Question", "Changes", "Asked", "Who may answer", ""],
    read: readPlans,
    row: planRow,
    empty:
      "No plan waits for a person. One appears when a sync with mode=\"plan\" and a plan_output is followed by an" +
      " ApprovalOperator, and the approval is not answered yet.",
    more: "Only the oldest questions are shown; all are below Required Actions.",
  },
  {
    id: "runs",
    title: "Live runs on the services",
    tile: "live runs",
    columns: ["Task", "System", "State", "Started", ""],
    read: readRuns,
    row: runRow,
    empty:
      "No task waits for a service. LeanIX runs, actions of IoT Studio and jobs of AmigoCloud appear while a task" +
      " of this provider waits for them.",
    more: "Only the oldest runs are shown.",
  },
  {
    id: "exports",
    title: "Last exports",
    tile: "exports",
    columns: ["Task", "System", "Finished", "Rows", "Size", "File", ""],
    read: readExports,
    row: exportRow,
    empty: "No export has finished. The last file of each export task appears when the task has succeeded.",
    more: "Only the latest export tasks among the last 100 successes are shown.",
  },
  {
    id: "assets",
    title: "Assets",
    tile: "assets",
    columns: ["Asset", "System", "Freshness", "Last event", "Last count", ""],
    read: readAssets,
    row: assetRow,
    empty:
      "No asset of the four services. One appears when a DAG that you may see has it as an outlet or schedule," +
      " such as mapsindoors_asset(solution=…).",
    more: "Only 100 assets of each service are shown.",
  },
];

function build(section) {
  const links = make("span", { class: "hidden" }, "Links");
  const heads = section.columns.map((name) => make("th", { scope: "col" }, name || links));
  section.body = make("tbody");
  section.table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), section.body);
  section.problem = make("p", { class: "problem", role: "alert", hidden: "" });
  section.note = make("p", { class: "note" }, "Reading…");
  section.count = make("b", {}, "…");
  section.table.hidden = true;
  const heading = make("h2", { id: `${section.id}-title` }, section.title);
  const attributes = { id: section.id, "aria-labelledby": `${section.id}-title`, tabindex: "-1" };
  const parts = [heading, section.problem, section.table, section.note];
  document.getElementById("sections").append(make("section", attributes, ...parts));
  const tile = make("a", { href: `#${section.id}`, class: section.id }, section.count, section.tile);
  document.getElementById("tiles").append(tile);
}

function show(section, { rows, more }) {
  const made = rows.map((row) => {
    const cells = section.row(row).map((cell, at) => {
      return make("td", { "data-label": section.columns[at] }, make("div", {}, ...cell));
    });
    return make("tr", {}, ...cells);
  });
  section.body.replaceChildren(...made);
  section.table.hidden = !rows.length;
  section.note.textContent = more ? section.more : rows.length ? "" : section.empty;
  section.shownAt = new Date().toLocaleTimeString();
  section.count.textContent = more ? `${rows.length}+` : String(rows.length);
  section.problem.hidden = true;
}

function fail(section, error) {
  if (!(error instanceof Problem)) console.error(error);
  const reason = error instanceof Problem ? error.message : "Airflow's answer is not of the expected form.";
  const rows = section.body.childElementCount ? ` The rows are those of ${section.shownAt}.` : "";
  const words = reason + rows;
  if (section.problem.hidden || section.problem.textContent !== words) section.problem.textContent = words;
  section.problem.hidden = false;
  if (!section.body.childElementCount) {
    section.note.textContent = "";
    section.count.textContent = "?";
  }
}

let reading = null;

// Read all sections. Focus stays where it is, unless its row is gone.
function refresh() {
  reading ??= Promise.all(
    SECTIONS.map(async (section) => {
      try {
        const found = await section.read();
        const focused = section.body.contains(document.activeElement) ? document.activeElement.href : null;
        show(section, found);
        if (focused) [...section.body.querySelectorAll("a")].find((one) => one.href === focused)?.focus();
        return true;
      } catch (error) {
        fail(section, error);
        return false;
      }
    }),
  ).then((done) => {
    const words = done.every(Boolean) ? `Updated ${new Date().toLocaleTimeString()}` : "Not all is up to date";
    document.getElementById("updated").textContent = words;
    reading = null;
  });
  return reading;
}

// Return the window of Airflow's UI around this page; null outside of it.
function outerWindow() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
}

// Airflow's UI shows this page in a frame that may neither leave itself nor open windows: links are followed outside.
function followOutside(event) {
  const target = event.target.closest?.("a[href]");
  const outer = outerWindow();
  if (!target || !outer || target.getAttribute("href").startsWith("#") || event.button > 1) return;
  event.preventDefault();
  const apart = target.target === "_blank" || event.button === 1 || event.ctrlKey || event.metaKey || event.shiftKey;
  const copy = outer.document.createElement("a");
  copy.href = target.href;
  if (apart) Object.assign(copy, away);
  copy.hidden = true;
  outer.document.body.append(copy);
  copy.click();
  copy.remove();
}

// Show the colours that are chosen in Airflow's UI.
function followColours() {
  const outer = outerWindow();
  if (!outer) return;
  const root = outer.document.documentElement;
  const apply = () => {
    const scheme = root.classList.contains("dark") ? "dark" : "light";
    document.documentElement.dataset.scheme = scheme;
  };
  apply();
  new MutationObserver(apply).observe(root, { attributes: true, attributeFilter: ["class"] });
}

followColours();
SECTIONS.forEach(build);
document.addEventListener("click", followOutside);
document.addEventListener("auxclick", followOutside);
document.getElementById("refresh").addEventListener("click", refresh);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || refresh(), REFRESH_SECONDS * 1000);
refresh();
