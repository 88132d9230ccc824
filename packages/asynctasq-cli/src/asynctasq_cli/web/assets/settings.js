// The view of the settings in force, secrets masked, and the broker's capabilities.
import { get } from "./api.js";
import { el, put } from "./dom.js";
import { STATE_NAMES } from "./format.js";

export function settings({ facts }) {
  const list = el("dl", { class: "facts" });
  const node = el("div", { class: "view" },
    el("h1", {}, "Settings"),
    el("h2", {}, "This broker"),
    el("ul", { class: "capabilities" }, ...capabilities(facts).map((line) => el("li", {}, line))),
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

function capabilities(facts) {
  const names = facts.states.map((state) => STATE_NAMES[state].toLowerCase());
  return [
    names.length === 4
      ? "It shows messages of all states."
      : `It shows ${names.length ? `only ${names.join(", ")}` : "no"} messages: reading others would deliver them.`,
    facts.pause ? "Queues can be paused, and running tasks cancelled." : "It cannot pause queues or cancel running tasks.",
    facts.workers ? "It lists its workers." : "It does not list workers.",
    facts.exact ? "Counts are exact." : "Counts lag by a few seconds.",
    facts.actions ? "Actions are enabled on this dashboard." : "This dashboard is read-only; --allow-actions enables actions.",
  ];
}
