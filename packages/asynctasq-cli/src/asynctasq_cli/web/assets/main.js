// Starts the page: capabilities, snapshots, and the view for the current URL.
import { get, post } from "./api.js";
import { tell } from "./ask.js";
import { put, say } from "./dom.js";
import { Live } from "./live.js";
import { overview } from "./overview.js";
import { queue } from "./queue.js";
import { here, to } from "./route.js";
import { settings } from "./settings.js";
import { task } from "./task.js";
import { workers } from "./workers.js";

const main = document.getElementById("main");
const live = new Live(() => get("api/facts").catch(signIn));
let context = null;
let view = null;

function choose([name, ...parts]) {
  if (name === "workers") return workers(context);
  if (name === "settings") return settings(context);
  if (name === "queue" && parts.length) return queue(context, ...parts);
  if (name === "task" && parts.length === 2) return task(context, ...parts);
  if (name === "find" && parts.length === 1) return task(context, null, parts[0]);
  return overview(context);
}

function open() {
  view?.close?.();
  view = choose(here());
  put(main, view.node);
  view.update();
  document.title = `${view.title} · AsyncTasQ`;
  const [name = ""] = here();
  for (const link of document.querySelectorAll("#nav a")) {
    const target = link.getAttribute("href").slice(2);
    const current = target === name || (target === "" && ["queue", "task", "find"].includes(name));
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function show() {
  view?.update();
  const { problem } = live;
  const pulse = document.getElementById("pulse");
  pulse.dataset.state = problem ? "away" : live.snapshot ? "live" : "connecting";
  say(pulse, problem ? "Disconnected" : live.snapshot ? "Live" : "Connecting");
  const banner = document.getElementById("banner");
  banner.hidden = !problem;
  if (problem) banner.dataset.where = problem.where;
  main.classList.toggle("stale", Boolean(problem));
  say(banner, problem ? describe(problem) : "");
}

function describe({ where, reason }) {
  const cause = where === "broker" ? `The broker does not respond: ${reason}` : reason;
  const stale = live.at ? " The data shown is out of date." : "";
  return `${cause}${stale} Retrying.`;
}

function signIn(error) {
  if (error.status !== 401) return false;
  location.assign(new URL("login", document.baseURI));
  return true;
}

async function start() {
  try {
    const facts = await get("api/facts");
    context = { facts, live };
    say(document.getElementById("broker"), `${facts.driver} · ${facts.location}`);
    document.getElementById("sign-out").hidden = !facts.sessions;
  } catch (error) {
    if (signIn(error)) return;
    tell(error.message, true);
    setTimeout(start, 3000);
    return;
  }
  live.listeners.add(show);
  addEventListener("hashchange", () => {
    open();
    main.focus({ preventScroll: true }); // the focused element was removed
    scrollTo(0, 0);
  });
  open();
  live.start();
}

document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = document.getElementById("find-id").value.trim();
  if (id) location.hash = to("find", id);
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment of the URL selects the view
  main.focus();
});

document.getElementById("sign-out").addEventListener("click", async () => {
  try {
    await post("logout", {});
    location.assign(new URL("login", document.baseURI));
  } catch (error) {
    tell(error.message, true);
  }
});

start();
