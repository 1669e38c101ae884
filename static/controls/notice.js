// One quiet line that says what could not be done, in words, where the page has room for it.

const PATIENCE = 500; // ms before waiting is worth a word

/** Appends the line to an element and keeps it up to date with the stage; `first` are sentences to begin with. */
export function showNotice(element, stage, first = []) {
  const line = document.createElement("p");
  line.className = "notice";
  line.setAttribute("role", "alert");
  const say = (text, quiet = false) => {
    line.classList.toggle("quiet", quiet);
    line.textContent = text ?? "";
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
    say(event.detail);
  });
  stage.addEventListener("told", (event) => {
    wait(false);
    say(event.detail, true);
  });
  stage.addEventListener("reading", () => wait(true));
  stage.addEventListener("taken", () => wait(false));
  say(first.filter(Boolean).join(" "));
  element.append(line);
}
