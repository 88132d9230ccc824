// What is in force, secrets masked, and what the broker can do.
import { get } from "./api.js";
import { el, put } from "./dom.js";
import { STATE_NAMES } from "./format.js";

export function settings({ facts }) {
  const list = el("dl", { class: "facts" });
  const node = el("div", { class: "view" },
    el("h1", {}, "Settings"),
    el("h2", {}, "This broker"),
    el("ul", { class: "abilities" }, ...abilities(facts).map((line) => el("li", {}, line))),
    el("h2", {}, "Configuration"),
    list,
  );
  load(list);
  return { node, title: "Settings", update() {} };
}

async function load(list) {
  try {
    const found = await get("api/settings");
    put(list, ...found.map(({ name, value }) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  } catch (error) {
    put(list, el("p", { class: "empty" }, error.message));
  }
}

function abilities(facts) {
  const names = facts.states.map((state) => STATE_NAMES[state].toLowerCase());
  return [
    names.length === 4
      ? "Messages of all states can be looked at."
      : `Only ${names.join(", ") || "no"} messages can be looked at: the broker shows no others without taking them out.`,
    facts.pause ? "Queues can be paused, and running tasks cancelled." : "It can neither pause queues nor cancel what runs.",
    facts.workers ? "It knows its workers." : "It keeps no list of workers.",
    facts.exact ? "Counts are exact." : "Counts lag by some seconds.",
    facts.actions ? "This dashboard may change things." : "This dashboard is read-only; start it with --allow-actions to change things.",
  ];
}
