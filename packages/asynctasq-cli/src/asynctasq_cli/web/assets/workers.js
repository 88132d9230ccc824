// The view of live workers: their queues, load and last heartbeats.
import { el, say } from "./dom.js";
import { count, duration } from "./format.js";
import { to } from "./route.js";
import { table } from "./table.js";

export function workers({ facts, live }) {
  const list = table("Workers", COLUMNS, (worker) => worker.id);
  const empty = el("p", { class: "empty" });
  const hint = el("p", { class: "note" }, "Numbers are as of each worker's last heartbeat.");
  const node = el("div", { class: "view" }, el("h1", {}, "Workers"), list, empty, hint);
  const update = () => {
    const found = live.snapshot?.workers ?? [];
    list.show(found);
    list.hidden = hint.hidden = found.length === 0;
    empty.hidden = found.length > 0;
    say(empty, facts.workers
      ? "No live workers. Start one with: asynctasq worker"
      : `The ${facts.driver} broker does not list workers; they run nevertheless.`);
  };
  return { node, title: "Workers", update };
}

const text = (title, show, more = {}) => ({
  title,
  make: () => el("span"),
  update: (node, worker) => say(node, show(worker)),
  ...more,
});

const COLUMNS = [
  text("Worker", (worker) => worker.id, { class: "name" }),
  text("Host", (worker) => worker.host),
  text("Process", (worker) => worker.pid, { number: true }),
  {
    title: "Queues",
    wide: true,
    make: (worker) => {
      const links = worker.queues.map((queue) => el("a", { href: to("queue", queue) }, queue));
      return el("span", { class: "links" }, ...links);
    },
  },
  {
    title: "Running",
    number: true,
    class: "load",
    make: () => el("span", {}, el("span"), el("meter", { min: 0, "aria-hidden": "true" })),
    update: (node, worker) => {
      say(node.firstChild, `${count(worker.running)} of ${count(worker.concurrency)}`);
      node.lastChild.max = worker.concurrency;
      node.lastChild.value = worker.running;
    },
  },
  text("Done", (worker) => count(worker.done), { number: true }),
  text("Uptime", (worker) => duration(worker.uptime), { number: true }),
  text("Heartbeat", (worker) => `${duration(worker.heard)} ago`, { number: true }),
];
