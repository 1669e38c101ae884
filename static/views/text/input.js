// Numbers that are read, over the columns that read them: a line a channel, or a strip of tiles a channel where there
// are many.

const SPACE = "http://www.w3.org/2000/svg";
const MOST_LINES = 3; // more channels than these are strips
const STRIPS = 0.7; // of the tile: below them its own colour is seen
const PAD = 5; // px

/** Draws the input of the columns in sight over the tiles of a text view; nothing where tokens are read. */
export function drawInput(sheet, stage, { first, count }) {
  sheet.querySelector("svg")?.remove();
  const { timeline, axis, colour, task } = stage;
  const { inputValues } = timeline;
  if (!inputValues) return;
  const { column } = axis;
  const width = count * column;
  const height = sheet.clientHeight;
  const svg = document.createElementNS(SPACE, "svg");
  for (const [name, value] of Object.entries({ width, height, class: "input-lines" })) svg.setAttribute(name, value);
  const many = inputValues[0].length;
  const steps = Array.from({ length: timeline.steps }, (_, t) => t).filter((t) => task.hasInput(t));
  const all = steps.flatMap((t) => inputValues[t]);
  const low = all.reduce((a, b) => Math.min(a, b), Infinity);
  const high = all.reduce((a, b) => Math.max(a, b), -Infinity);
  const most = Math.max(-low, high) || 1;
  const row = (STRIPS * height) / many;
  const seen = steps.filter((t) => t >= first - 1 && t <= first + count);
  const x = (t) => (t - first + 0.5) * column;
  const share = (value) => (high > low ? (value - low) / (high - low) : 0.5);
  for (let channel = 0; channel < many; channel++) {
    if (many > MOST_LINES)
      for (const t of seen)
        put(svg, "rect", {
          x: x(t) - column / 2 + 1,
          y: channel * row,
          width: column - 2,
          height: row,
          fill: colour.diverging.css(inputValues[t][channel] / most),
        });
    else {
      const points = seen.map((t) => [x(t), PAD + (1 - share(inputValues[t][channel])) * (height - 2 * PAD)]);
      for (const kind of ["halo", "line"])
        put(svg, "polyline", { points: points.map(String).join(" "), class: `${kind} channel-${channel}` });
      for (const [cx, cy] of points) put(svg, "circle", { cx, cy, r: 2.2 });
    }
  }
  sheet.append(svg);
}

function put(parent, name, attributes) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
}
