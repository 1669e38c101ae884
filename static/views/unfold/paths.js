// The unfolded network as a few polygons: x in steps of the text, y in pixels from the top.

/** Collects polygons into one filled path; a null parts one from the next. */
export class Path {
  constructor() {
    [this.x, this.y] = [[], []];
  }

  polygon(points) {
    for (const [x, y] of points) {
      this.x.push(x);
      this.y.push(y);
    }
    this.x.push(points[0][0], null);
    this.y.push(points[0][1], null);
  }

  box(left, top, right, bottom) {
    this.polygon([
      [left, top],
      [right, top],
      [right, bottom],
      [left, bottom],
    ]);
  }

  trace(fillcolor, more = {}) {
    return {
      type: "scatter",
      mode: "none",
      x: this.x,
      y: this.y,
      fill: "toself",
      fillcolor,
      hoverinfo: "skip",
      ...more,
    };
  }
}

const WIDEST_GAP = 22; // px

/** Half of a tile's width, in columns. */
export const halfTile = (column) => 0.5 - tileGap(column) / column / 2;
export const tileGap = (column) => Math.max(3, Math.min(WIDEST_GAP, Math.round(column * 0.34)));

export const LETTER = 0.62; // of its size: how wide a letter is at most
const SMALLEST = 5; // px

/** How large a text of a few letters may be set to stand within a width. */
export const fitting = (text, width) => Math.max(SMALLEST, width / (LETTER * [...text].length));

/** An arrow from column t to the next, or back from the next, between the tiles. */
export function arrow(path, t, middle, column, reverse = false) {
  const long = ((reverse ? -1 : 1) * Math.min(6, tileGap(column) - 1)) / column / 2;
  const tall = Math.min(4.5, tileGap(column) * 0.6 + 1);
  const x = t + 0.5;
  path.polygon([
    [x - long, middle - tall],
    [x + long, middle],
    [x - long, middle + tall],
    [x - long * 0.3, middle],
  ]);
}

/** A short upright line from one band to the next. */
export function stub(path, t, top, bottom, column) {
  if (bottom - top < 5) return;
  const half = 0.6 / column;
  path.box(t - half, top + 2, t + half, bottom - 2);
}

const HAIR = 1;

/**
 * Width of the gradient's ribbon: by the square root, so that a tenth is still seen as a third; never thinner than a
 * hair.
 */
export function ribbonWidth(norm, most, widest) {
  return norm > 0 && most > 0 ? Math.max(HAIR, widest * Math.sqrt(norm / most)) : 0;
}

/**
 * The gradient on its way from column t to the one before (`reverse`: to the next): an arrow head first, notched where
 * the next one follows.
 */
export function ribbon(path, t, middle, [before, here, after], column, reverse = false) {
  if (!here) return;
  if (reverse) [before, after] = [after, before];
  const way = reverse ? -1 : 1;
  const left = (before + here) / 2;
  const right = (after + here) / 2;
  const gap = 1.5 / column;
  const head = Math.min(7, 2 + here / 5) / column;
  const [start, end] = [t + way * (0.5 - gap), t - way * 0.5];
  path.polygon([
    [end, middle],
    [end + way * head, middle - left / 2],
    [start + way * head, middle - right / 2],
    [start, middle],
    [start + way * head, middle + right / 2],
    [end + way * head, middle + left / 2],
  ]);
}
