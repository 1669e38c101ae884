// The text as the plot: each character coloured by one unit of one signal, and what was guessed to come after the one at the cursor.

import { number, percent, unitName, visible } from "../core/words.js";

const GUESSES = 5, TALL = 150; // px: from there on a lone text is set in lines

function mount(element, stage) {
  element.innerHTML = `
    <div class="text-view" role="img"><div class="gutter"><b>text</b><span></span></div><div class="tiles" aria-hidden="true"></div>
    <div class="gutter next">next</div><div class="guesses" aria-hidden="true"></div><div class="legend" aria-hidden="true"></div></div>`;
  const find = (selector) => element.querySelector(selector);
  const [root, row, guessRow, legend] = [".text-view", ".tiles", ".guesses", ".legend"].map(find), by = find(".gutter span");
  const slots = Array.from({ length: GUESSES }, () => makeSlot(guessRow)), came = document.createElement("span");
  came.className = "came";
  guessRow.append(came);
  let tiles = [], lines = null, first = 0, painted = null, shownTo = null;

  // In lines the text has its own places; in a row it stands on the axis like every other track.
  function lay() {
    const { axis, timeline } = stage, width = element.clientWidth, height = element.clientHeight;
    const tall = stage.layout === "alone" && height >= TALL && timeline.steps > axis.count;
    const bottom = guessRow.offsetHeight + legend.offsetHeight + 16;
    lines = tall ? { column: 18, height: 30, columns: Math.max(1, Math.floor((width - 16) / 18)), rows: Math.max(1, Math.floor((height - bottom - 12) / 30)) } : null;
    root.classList.toggle("lines", tall);
    element.toggleAttribute("data-own-cursor", tall);
    const many = Math.min(timeline.steps, lines ? lines.columns * lines.rows : axis.count);
    row.style.width = lines ? `${lines.columns * lines.column}px` : `${axis.width}px`;
    row.style.height = lines ? `${Math.ceil(many / lines.columns) * lines.height}px` : "";
    root.style.setProperty("--gutter", `${axis.gutter}px`);
    root.style.setProperty("--column", `${lines ? lines.column : axis.column}px`);
    root.style.setProperty("--room", `${axis.width}px`);
    while (tiles.length < many) tiles.push(row.appendChild(document.createElement("span")));
    for (const tile of tiles.splice(many)) tile.remove();
    tiles.forEach((tile, k) => {
      const x = lines ? (k % lines.columns) * lines.column : k * axis.column, y = lines ? Math.floor(k / lines.columns) * lines.height : 0;
      tile.style.transform = `translate(${x}px, ${y}px)`;
    });
  }

  // The first character in sight: the axis's own, or, in lines, the line that keeps the cursor in the frame.
  function firstInSight(t) {
    if (!lines) return stage.axis.first;
    const perFrame = lines.columns * lines.rows;
    return Math.floor(t / perFrame) * perFrame;
  }

  function paint(unit) {
    const { timeline, network, colour, state } = stage, scale = colour.scale(state.signal), values = timeline.values(state.layer, state.signal);
    tiles.forEach((tile, k) => {
      const t = first + k, value = values[t * timeline.hidden + unit], there = t < timeline.steps;
      tile.hidden = !there;
      if (!there) return;
      tile.textContent = visible(network.vocabulary[timeline.tokens[t]]);
      tile.style.setProperty("--fill", scale.css(value));
      tile.style.setProperty("--on-fill", scale.ink(value));
    });
    painted = { unit, first };
    const own = Float32Array.from({ length: timeline.forwardTo }, (_, t) => values[t * timeline.hidden + unit]);
    const [low, high] = [Math.min(...own), Math.max(...own)], name = unitName(state.signal, unit);
    by.textContent = `by ${name}`;
    by.style.color = colour.hue(state.signal);
    legend.innerHTML = `<span></span><i></i><span></span>`;
    legend.children[0].textContent = number(scale.low);
    legend.children[1].style.background = `linear-gradient(to right, ${scale.plotly.map(([, stop]) => stop).join(", ")})`;
    legend.children[2].textContent = `${number(scale.high)} · ${name} runs from ${number(low)} to ${number(high)}`;
    root.setAttribute("aria-label", `The text “${state.text.slice(0, 200)}”, each character coloured by unit ${unit} of ${state.signal}, which runs from ${number(low)} to ${number(high)}.`);
  }

  function guess(t) {
    const { timeline, network } = stage, guesses = timeline.top[t] ?? [], next = timeline.tokens[t + 1];
    slots.forEach((slot, k) => slot(guesses[k], network, guesses[k]?.[0] === next));
    const outside = next !== undefined && guesses.length && !guesses.some(([token]) => token === next);
    came.textContent = outside ? `came: ${visible(network.vocabulary[next])} ${percent(Math.exp(-timeline.losses[t]))}` : "";
  }

  function step(position) {
    const { t, pass } = position, unit = stage.hovered?.unit ?? stage.state.unit;
    const start = firstInSight(t);
    if (start !== first || painted?.unit !== unit || painted?.first !== start) {
      first = start;
      paint(unit);
      shownTo = null;
    }
    const reached = pass === "forward" ? t : stage.timeline.steps, key = `${reached} ${t}`;
    if (key === shownTo) return;
    shownTo = key;
    tiles.forEach((tile, k) => {
      const ahead = first + k > reached, here = first + k === t;
      if (tile.ahead !== ahead) tile.classList.toggle("ahead", tile.ahead = ahead);
      if (tile.here !== here) tile.classList.toggle("here", tile.here = here);
    });
    guess(t);
  }

  function draw() {
    lay();
    painted = null;
  }

  // In lines the axis says nothing about where a character is; the tile itself does.
  const pointed = (event) => (lines && row.contains(event.target) && event.target !== row ? first + tiles.indexOf(event.target) : null);
  root.addEventListener("pointermove", (event) => {
    if (!lines) return;
    event.preventDefault();
    const t = pointed(event);
    stage.hover(t === null ? null : { t });
  });
  root.addEventListener("click", (event) => {
    if (!lines) return;
    event.preventDefault();
    const t = pointed(event);
    if (t === null) return;
    stage.clock.pause();
    stage.choose({ t });
  });
  return { draw, step, page() { painted = null; }, destroy() { element.replaceChildren(); } };
}

// One guess: the character, its probability as a bar and in per cent; returns what fills it.
function makeSlot(parent) {
  const slot = parent.appendChild(document.createElement("span"));
  slot.className = "guess";
  slot.innerHTML = "<b></b><i></i><span></span>";
  const [glyph, bar, share] = slot.children;
  return (guessed, network, right) => {
    slot.classList.toggle("none", !guessed);
    slot.classList.toggle("right", Boolean(guessed) && right);
    if (!guessed) return;
    glyph.textContent = visible(network.vocabulary[guessed[0]]);
    bar.style.setProperty("--share", guessed[1]);
    share.textContent = percent(guessed[1]);
  };
}

export default { id: "text", title: "Text", mount };
