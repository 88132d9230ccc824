// The mark of a paused queue, and the button that pauses it.
import { perform } from "./ask.js";
import { el, say } from "./dom.js";

export function pausedMark() {
  return el("span", { class: "mark", hidden: true, title: "Nothing of it is delivered until it is resumed" }, "Paused");
}

export function pauseButton(queue) {
  let paused = false;
  const button = el("button", { type: "button" }, "Pause");
  const name = () => {
    say(button, paused ? "Resume" : "Pause");
    button.setAttribute("aria-label", `${button.textContent} ${queue}`);
  };
  button.addEventListener("click", async () => {
    if (await perform(button, paused ? "resume" : "pause", { queue })) {
      paused = !paused; // the next snapshot says the same
      name();
    }
  });
  button.update = (seen) => {
    paused = seen?.paused ?? false;
    name();
  };
  name();
  return button;
}
