// One quiet line that says what could not be done, in words, where the page has room for it.

/** Appends the line to an element and keeps it up to date with the stage; `first` are sentences to begin with. */
export function showNotice(element, stage, first = []) {
  const line = document.createElement("p");
  line.className = "notice";
  line.setAttribute("role", "alert");
  const say = (text) => {
    line.textContent = text ?? "";
    line.hidden = !text;
  };
  stage.addEventListener("notice", (event) => say(event.detail));
  stage.addEventListener("reading", () => line.classList.add("waiting"));
  for (const name of ["taken", "notice"]) stage.addEventListener(name, () => line.classList.remove("waiting"));
  say(first.filter(Boolean).join(" "));
  element.append(line);
}
