// The view of a single message.
import { get } from "./api.js";
import { confirmed, perform } from "./ask.js";
import { el, put, say } from "./dom.js";
import { count, size, STATE_NAMES, when } from "./format.js";
import { to } from "./route.js";

export function task({ facts }, queue, id) {
  const body = el("div", {}, el("p", { class: "empty" }, "Loading…"));
  const node = el("div", { class: "view" },
    el("nav", { class: "trail", "aria-label": "Breadcrumb" },
      el("a", { href: "#/" }, "Queues"), queue && el("a", { href: to("queue", queue) }, queue)),
    body);
  let open = true;

  async function load() {
    try {
      const found = await get("api/task", queue ? { queue, id } : { id });
      if (open) show(found);
    } catch (error) {
      if (open) put(body, el("h1", {}, "Not found"), el("p", { class: "empty" }, `${id}: ${error.message}`));
    }
  }

  function show(found) {
    put(body,
      el("div", { class: "title" },
        el("h1", {}, found.task ?? "Unreadable message"),
        el("span", { class: `state ${found.state}` }, STATE_NAMES[found.state]),
        ...(facts.actions ? buttons(found, facts, load) : [])),
      factList(found),
      found.error && el("p", { class: "failure" }, found.error),
      el("h2", {}, found.unreadable ? "Bytes" : "Arguments"),
      found.unreadable && el("p", { class: "note" }, found.unreadable),
      el("pre", { tabindex: "0" }, found.call || "none"),
      found.note && el("h2", {}, "Error"),
      found.note && el("pre", { tabindex: "0", class: "traceback" }, found.note));
  }

  load();
  return { node, title: id, update() {}, close: () => { open = false; } };
}

function factList(found) {
  const facts = {
    Id: found.id,
    Queue: found.queue,
    Attempts: count(found.attempts),
    [{ ready: "Waiting", delayed: "Due", running: "Lease", dead: "Died" }[found.state]]: when(found),
    Size: size(found.bytes),
    "Correlation id": found.correlation_id,
  };
  const shown = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined);
  return el("dl", { class: "facts" },
    ...shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function buttons(found, facts, load) {
  const body = { queue: found.queue, ids: [found.id] };
  const make = (text, action, question) =>
    el("button", {
      type: "button",
      class: question && "danger",
      onclick: async (event) => {
        const self = event.currentTarget;
        if (question && !(await confirmed(`${text} this task?`, question, text))) return;
        await perform(self, action, body);
        load();
      },
    }, text);
  if (found.state === "dead") {
    return [make("Requeue", "requeue"), make("Delete", "delete", "It is removed permanently.")];
  }
  if (found.state !== "running") return [make("Cancel", "cancel", "It is removed permanently.")];
  if (!facts.pause) return [el("span", { class: "note" }, "This broker cannot cancel running tasks.")];
  return [make("Cancel", "cancel", "Its worker stops it within a third of its lease.")];
}
