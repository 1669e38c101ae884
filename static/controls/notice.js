// One quiet line that says what could not be done, in words, where the page has room for it.

import { quoted } from "../data/foreign.js";
import { write } from "../figures/writing.js";

const PATIENCE = 500; // ms before waiting is worth a word

/** Appends the line to an element and keeps it up to date with the stage; `first` are sentences to begin with. */
export function showNotice(element, stage, first = []) {
  const line = document.createElement("p");
  line.className = "notice";
  line.setAttribute("role", "alert");
  const words = document.createElement("span");
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "plain hold", textContent: "Ask again" });
  line.append(words, " ", button);
  let again = null;
  button.addEventListener("click", () => again());
  const say = (text, { quiet = false, ask = null } = {}) => {
    line.classList.toggle("quiet", quiet);
    again = ask;
    button.hidden = !ask;
    write(words, quoted(text ?? ""));
    line.hidden = !text;
  };
  let timer = 0;
  const wait = (waiting) => {
    clearTimeout(timer);
    if (line.classList.contains("waiting")) say("");
    line.classList.remove("waiting");
    if (!waiting) return;
    timer = setTimeout(() => {
      line.classList.add("waiting");
      say("Reading …");
    }, PATIENCE);
  };
  stage.addEventListener("notice", (event) => {
    wait(false);
    say(event.detail.text, { ask: event.detail.again });
  });
  stage.addEventListener("told", (event) => {
    wait(false);
    say(event.detail, { quiet: true });
  });
  stage.addEventListener("reading", () => wait(true));
  stage.addEventListener("taken", () => wait(false));
  say(first.filter(Boolean).join(" "));
  element.append(line);
}
