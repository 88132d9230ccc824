// The view of all queues, with totals.
import { el, say } from "./dom.js";
import { count, duration, plural, rate } from "./format.js";
import { pauseButton, pausedMark } from "./pausing.js";
import { to } from "./route.js";
import { spark } from "./spark.js";
import { table } from "./table.js";

const EMPTY =
  "No queue holds a message. Dispatched tasks appear here within two seconds.";

export function overview({ facts, live }) {
  const sums = sumTiles(facts);
  const list = table("Queues", columns(facts), (queue) => queue.queue);
  const empty = el("p", { class: "empty", hidden: true }, EMPTY);
  const note = el("p", { class: "note", hidden: true });
  const node = el("div", { class: "view" }, el("h1", { class: "hidden" }, "Queues"), sums, list, empty, note);
  const update = () => {
    const seen = live.snapshot;
    list.hidden = !seen?.queues.length;
    empty.hidden = !seen || seen.queues.length > 0;
    if (!seen) return;
    sums.show(seen);
    list.show(seen.queues);
    say(note, seen.note);
    note.hidden = !seen.note;
  };
  return { node, title: "Queues", update };
}

function columns(facts) {
  const number = (title, name, more = {}) => ({
    title,
    number: true,
    make: () => el("span"),
    update: (node, queue) => say(node, count(queue[name])),
    ...more,
  });
  const found = [
    {
      title: "Queue",
      class: "name",
      make: (queue) => el("span", {}, el("a", { href: to("queue", queue.queue) }, queue.queue), pausedMark()),
      update: (node, queue) => {
        node.lastChild.hidden = !queue.paused;
      },
    },
    {
      title: "Last 2 min",
      class: "trend",
      make: () => spark(),
      update: (node, queue) => node.draw(queue.history),
    },
    number("Ready", "ready"),
    number("Delayed", "delayed"),
    number("Running", "running"),
    {
      ...number("Dead", "dead"),
      make: (queue) => el("a", { href: to("queue", queue.queue, "dead") }),
      update: (node, queue) => {
        say(node, count(queue.dead));
        node.classList.toggle("bad", queue.dead > 0);
      },
    },
    number("Oldest", "oldest", { update: (node, queue) => say(node, duration(queue.oldest)) }),
    number("Change per s", "rate", { update: (node, queue) => say(node, rate(queue.rate)) }),
  ];
  if (facts.actions && facts.pause) {
    found.push({
      title: "Actions",
      head: el("span", { class: "hidden" }, "Actions"),
      class: "act",
      make: (queue) => pauseButton(queue.queue),
      update: (node, queue) => node.update(queue),
    });
  }
  return found;
}

function sumTiles(facts) {
  const names = ["ready", "delayed", "running", "dead"];
  const tiles = names.map((name) => tile(name[0].toUpperCase() + name.slice(1)));
  const workers = facts.workers ? tile("Workers") : null;
  const node = el("dl", { class: "tiles" }, ...tiles, workers);
  node.show = (seen) => {
    names.forEach((name, n) => {
      const known = seen.queues.filter((queue) => queue[name] !== null);
      const sum = known.reduce((total, queue) => total + queue[name], 0);
      const unknown = seen.queues.length > 0 && known.length === 0;
      tiles[n].show(unknown ? "–" : count(sum), unknown ? "not counted by this broker" : hint(name, known));
      if (name === "dead") tiles[n].classList.toggle("bad", sum > 0);
    });
    const slots = seen.workers.reduce((total, worker) => total + worker.concurrency, 0);
    workers?.show(count(seen.workers.length), slots ? plural(slots, "slot") : "no live workers");
  };
  return node;
}

function hint(name, queues) {
  const holding = queues.filter((queue) => queue[name] > 0);
  if (holding.length === 0) return "none";
  if (name !== "ready") return `in ${plural(holding.length, "queue")}`;
  const oldest = Math.max(...holding.map((queue) => queue.oldest ?? 0));
  return oldest ? `oldest ${duration(oldest)}` : `in ${plural(holding.length, "queue")}`;
}

function tile(title) {
  const number = el("dd", {}, "–");
  const more = el("dd", { class: "more" }, "\u00a0");
  const node = el("div", { class: "tile" }, el("dt", {}, title), number, more);
  node.show = (value, beside) => {
    say(number, value);
    say(more, beside);
  };
  return node;
}
