// The bar of actions on the selected messages of a page, and on all messages of a state.
import { confirmed, perform } from "./ask.js";
import { el, say } from "./dom.js";
import { plural, STATE_NAMES } from "./format.js";

export function bulk(queue, state, facts, chosen, done) {
  let shown = [];
  const everything = el("input", { type: "checkbox", "aria-label": "Select all on this page" });
  const count = el("span", { class: "chosen" });
  const selected = chosenButtons(state, facts).map(([text, action, danger]) =>
    button(text, danger, async (self) => {
      const ids = [...chosen];
      if (danger && !(await confirmed(`${text} ${plural(ids.length, "task")}?`, lost(state, queue), text))) return;
      if (await perform(self, action, { queue, ids })) chosen.clear();
      done();
    }));
  const all = allButtons(queue, state, done);
  const node = el("div", { class: "bulk" }, el("label", {}, everything, count), ...selected, el("span", { class: "gap" }), ...all);
  everything.addEventListener("change", () => {
    for (const task of shown) {
      if (everything.checked) chosen.add(task.id);
      else chosen.delete(task.id);
    }
    done();
    node.update();
  });
  node.update = (tasks = shown) => {
    shown = tasks;
    node.hidden = shown.length === 0;
    everything.checked = shown.length > 0 && chosen.size === shown.length;
    everything.indeterminate = chosen.size > 0 && !everything.checked;
    say(count, chosen.size ? `${chosen.size} selected` : "Select all");
    for (const button of selected) button.disabled = chosen.size === 0;
  };
  node.update();
  return node;
}

function chosenButtons(state, facts) {
  if (state === "dead") return [["Requeue", "requeue", false], ["Delete", "delete", true]];
  if (state === "running") return facts.pause ? [["Cancel", "cancel", true]] : [];
  return [["Cancel", "cancel", true]];
}

function allButtons(queue, state, done) {
  if (state === "running") return [];
  const ask = (title, yes) => confirmed(title, lost(state, queue), yes);
  const purge = button("Purge all", true, async (self) => {
    const title = `Purge all ${STATE_NAMES[state].toLowerCase()} tasks?`;
    if (await ask(title, "Purge all")) await perform(self, "purge", { queue, state });
    done();
  });
  if (state !== "dead") return [purge];
  const requeue = button("Requeue all", false, async (self) => {
    await perform(self, "requeue-all", { queue });
    done();
  });
  return [requeue, purge];
}

function lost(state, queue) {
  const effect = state === "running"
    ? "Their workers stop them within a third of a lease."
    : "They are removed permanently.";
  return `Queue ${queue}. ${effect}`;
}

function button(text, danger, act) {
  return el("button", { type: "button", class: danger && "danger", onclick: (event) => act(event.currentTarget) }, text);
}
