// The view of a queue: its messages in one state, page by page.
import { get } from "./api.js";
import { bulk } from "./bulk.js";
import { el, put, say } from "./dom.js";
import { count, STATE_NAMES, when } from "./format.js";
import { pauseButton, pausedMark } from "./pausing.js";
import { to } from "./route.js";
import { table } from "./table.js";

const PAGE = 50;
const NOTHING = {
  ready: "No ready tasks.",
  delayed: "No delayed tasks: none is scheduled for later or waits for a retry.",
  running: "No running tasks.",
  dead: "No dead tasks. Tasks that fail permanently are kept here, with their errors.",
};

export function queue({ facts, live }, name, chosen, page) {
  const state = chosen ?? (facts.states.includes("ready") ? "ready" : facts.states[0]);
  const offset = Math.max(0, Number.parseInt(page ?? "0", 10) || 0);
  const mark = pausedMark();
  const button = facts.actions && facts.pause ? pauseButton(name) : null;
  const tabs = stateTabs(facts, name, state);
  const tasks = taskList(facts, name, state, offset);
  const node = el("div", { class: "view" },
    el("nav", { class: "trail", "aria-label": "Breadcrumb" }, el("a", { href: "#/" }, "Queues")),
    el("div", { class: "title" }, el("h1", {}, name), mark, button),
    tabs,
    tasks.node,
  );
  const update = () => {
    const seen = live.queue(name);
    mark.hidden = !seen?.paused;
    button?.update(seen);
    tabs.show(seen);
    if (live.problem?.where !== "broker") tasks.refresh(seen);
  };
  return { node, title: name, update, close: tasks.close };
}

function stateTabs(facts, name, state) {
  const counts = new Map();
  const tab = (target) => {
    const number = el("span", { class: "count" });
    counts.set(target, number);
    const shown = facts.states.includes(target);
    return el(shown ? "a" : "span", {
      href: shown && to("queue", name, target),
      "aria-current": target === state && "page",
      title: !shown && "This broker counts these tasks but cannot show them",
    }, STATE_NAMES[target], number);
  };
  const node = el("nav", { class: "tabs", "aria-label": "States" }, ...Object.keys(STATE_NAMES).map(tab));
  node.show = (seen) => {
    for (const [target, number] of counts) say(number, count(seen ? seen[target] : 0));
  };
  return node;
}

function taskList(facts, name, state, offset) {
  const chosen = new Set();
  const bar = facts.actions ? bulk(name, state, facts, chosen, () => load(true)) : null;
  const list = table("Tasks", columns(facts, state, bar && chosen, () => bar.update()), (task) => task.id);
  const empty = el("p", { class: "empty", hidden: true });
  const pager = el("nav", { class: "pager", "aria-label": "Pages" });
  const node = el("section", { "aria-label": STATE_NAMES[state] ?? state }, bar, list, empty, pager);
  list.hidden = true;
  let asked = 0;
  let answered = 0;
  let open = true;
  let last = null;

  async function load(forced) {
    if (asked !== answered && !forced) {
      last = null; // the next snapshot triggers another request
      return;
    }
    const turn = ++asked;
    try {
      const found = await get("api/tasks", { queue: name, state, offset, limit: PAGE });
      if (open && turn === asked) show(found); // drops responses to older requests
    } catch (error) {
      last = null;
      if (open && list.hidden) {
        say(empty, error.message);
        empty.hidden = false;
      }
    } finally {
      if (turn === asked) answered = turn;
    }
  }

  function show({ tasks, more }) {
    list.show(tasks);
    list.hidden = tasks.length === 0;
    say(empty, offset ? "This page is empty now." : NOTHING[state]);
    empty.hidden = tasks.length > 0;
    const there = new Set(tasks.map((task) => task.id));
    for (const id of chosen) if (!there.has(id)) chosen.delete(id);
    bar?.update(tasks);
    put(pager, ...pages(name, state, offset, tasks.length, more));
  }

  return {
    node,
    close: () => { open = false; },
    // where reading scans all messages, reload only when their number changes
    refresh: (seen) => {
      const now = seen?.[state] ?? 0;
      const changed = now !== last;
      last = now;
      if (!facts.scans_everything || changed) load(false);
    },
  };
}

function pages(name, state, offset, length, more) {
  if (!offset && !more) return [];
  const link = (text, start, shown) =>
    shown ? el("a", { href: to("queue", name, state, start) }, text) : el("span", { "aria-disabled": "true" }, text);
  return [
    link("← Previous", Math.max(0, offset - PAGE), offset > 0),
    el("span", { class: "number" }, length ? `${count(offset + 1)} to ${count(offset + length)}` : "–"),
    link("Next →", offset + PAGE, more),
  ];
}

function columns(facts, state, chosen, changed) {
  const dead = state === "dead";
  const found = [
    {
      title: "Task",
      class: "task",
      make: (task) => el("span", {},
        el("a", { href: to("task", task.queue, task.id) }, task.task ?? "unreadable"),
        el("code", { class: "call" }, task.task ? `(${task.call})` : task.call),
        el("span", { class: "error", hidden: true })),
      update: (node, task) => {
        say(node.lastChild, task.error);
        node.lastChild.hidden = !dead || !task.error;
      },
    },
    { title: "Id", class: "id", make: (task) => el("code", { title: task.id }, task.id) },
    {
      title: "Attempts",
      number: true,
      make: () => el("span"),
      update: (node, task) => say(node, count(task.attempts)),
    },
    {
      title: { ready: "Waiting", delayed: "Due", running: "Lease", dead: "Died" }[state],
      number: true,
      make: () => el("span"),
      update: (node, task) => say(node, when(task)),
    },
  ];
  if (chosen) found.unshift(choice(chosen, changed));
  return found;
}

function choice(chosen, changed) {
  return {
    title: "Select",
    head: el("span", { class: "hidden" }, "Select"),
    class: "choose",
    make: (task) => el("input", {
      type: "checkbox",
      "aria-label": `Select ${task.id}`,
      onchange: (event) => {
        if (event.target.checked) chosen.add(task.id);
        else chosen.delete(task.id);
        changed();
      },
    }),
    update: (node, task) => { node.checked = chosen.has(task.id); },
  };
}
