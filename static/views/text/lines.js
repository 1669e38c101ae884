// A text set in lines: where each character stands when it is not on the time axis.

const SMALLEST = 18;
const LARGEST = 46;
const LEADING = 1.55;

/**
 * Sets characters (or words, `letters` of them wide) into a frame of so many pixels, as large as fits, breaking lines
 * at spaces where a word allows it.
 */
export function setInLines(characters, width, height, letters = 1) {
  for (let size = LARGEST; size > SMALLEST; size -= 2) {
    const set = place(characters, size, letters, width, height);
    if (set.starts.length <= set.rows) return set;
  }
  return place(characters, SMALLEST, letters, width, height); // longer than the frame: it turns like a page
}

function place(characters, size, letters, width, height) {
  const column = Math.min(width, Math.round(size * letters));
  const columns = Math.max(1, Math.floor(width / column));
  const leading = Math.round(size * LEADING);
  const row = new Int32Array(characters.length);
  const col = new Int32Array(characters.length);
  const starts = [0];
  let line = 0;
  let at = 0;
  let wordFrom = 0;
  characters.forEach((character, t) => {
    if (at === columns) {
      // the word moves to the new line as a whole, unless it fills the line or is a space
      const from = character !== " " && col[wordFrom] > 0 && row[wordFrom] === line && wordFrom < t ? wordFrom : t;
      line += 1;
      starts.push(from);
      for (let moved = from; moved < t; moved++) [row[moved], col[moved]] = [line, moved - from];
      at = t - from;
    }
    [row[t], col[t]] = [line, at];
    at += 1;
    if (character === " " || character === "\n") wordFrom = t + 1;
    if (character === "\n") at = columns;
  });
  const widest = col.reduce((most, place) => Math.max(most, place + 1), 1);
  return { size, column, widest, leading, row, col, starts, rows: Math.max(1, Math.floor(height / leading)) };
}

/** The characters of the page on which one of them stands: {first, count}. */
export function pageOf({ row, starts, rows }, t) {
  const page = Math.floor(row[t] / rows);
  const first = starts[page * rows];
  return { first, count: (starts[(page + 1) * rows] ?? row.length) - first };
}
