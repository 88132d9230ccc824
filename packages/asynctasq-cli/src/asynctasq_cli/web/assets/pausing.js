// The mark of a paused queue, and the button that pauses or resumes it.
import { perform } from "./ask.js";
import { el, say } from "./dom.js";

export function pausedMark() {
  return el("span", { class: "mark", hidden: true, title: "Its tasks are not delivered until it is resumed" }, "Paused");
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
      paused = !paused; // the next snapshot will confirm it
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
