import { post } from "./api.js";

const form = document.getElementById("login");
const token = document.getElementById("token");
const wrong = document.getElementById("wrong");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  wrong.textContent = "";
  try {
    await post("login", { token: token.value });
    location.assign(document.baseURI.split("#")[0]);
  } catch (error) {
    wrong.textContent = error.message;
    token.select();
  } finally {
    button.disabled = false;
  }
});
