// Confirms destructive actions, runs actions, and shows their results.
import { act } from "./api.js";
import { say } from "./dom.js";

const dialog = document.getElementById("ask");
const said = document.getElementById("said");
let fading = 0;

export function confirmed(title, text, yes) {
  say(document.getElementById("ask-title"), title);
  say(document.getElementById("ask-text"), text);
  say(document.getElementById("ask-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

export function tell(text, wrong = false) {
  said.classList.toggle("wrong", wrong);
  say(said, text);
  clearTimeout(fading);
  fading = setTimeout(() => say(said, ""), wrong ? 12000 : 5000);
}

// Runs an action with its button disabled; returns whether it succeeded.
export async function perform(button, name, body) {
  button.disabled = true;
  try {
    tell(`${body.queue}: ${(await act(name, body)).said}`);
    return true;
  } catch (error) {
    tell(error.message, true);
    return false;
  } finally {
    button.disabled = false;
  }
}
