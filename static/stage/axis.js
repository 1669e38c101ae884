// The one time axis: one column a step, the same whole pixels in every track.

const NARROW = 640;
const WIDEST = 300;
const SMALLEST = 15;
const EDGE = 4;
const LETTER = 7.6; // px of a letter
const AROUND = 8; // px beside a word

export class Axis {
  constructor() {
    Object.assign(this, { gutter: 92, column: 40, letters: 1, first: 0, count: 1, steps: 1, element: 300 });
  }

  get width() {
    return this.column * this.count;
  }

  /** Fits a text of so many steps into an element so many pixels wide; a step's tile has room for so many `letters`. */
  fit(element, steps, letters = 1) {
    this.letters = letters;
    this.element = Math.max(120, Math.floor(element));
    this.steps = Math.max(1, steps);
    this.gutter = this.element < NARROW ? 56 : 92;
    const room = this.element - this.gutter - EDGE;
    // whole pixels: a fractional column would drift against the figures' own rounding
    this.column = Math.max(
      letters > 1 ? Math.ceil(letters * LETTER + AROUND) : SMALLEST,
      Math.min(WIDEST, Math.floor(room / this.steps)),
    );
    this.count = Math.max(1, Math.min(this.steps, Math.floor(room / this.column)));
    this.first = Math.min(this.first, this.steps - this.count);
  }

  /**
   * Turns the page so that character t is in sight; true when the window moved. The window depends on t alone, so that
   * a link shows the same one.
   */
  show(t) {
    const last = this.first;
    this.first = Math.max(0, Math.min(Math.floor(t / this.count) * this.count, this.steps - this.count));
    return this.first !== last;
  }

  shows(t) {
    return t >= this.first && t < this.first + this.count;
  }

  /** Centre of a column, in pixels from the left edge of the view's element. */
  x(t) {
    return this.gutter + (t - this.first + 0.5) * this.column;
  }

  /** The character under a pixel, or null beside the text. */
  at(x) {
    const t = this.first + Math.floor((x - this.gutter) / this.column);
    return x >= this.gutter && this.shows(t) ? t : null;
  }

  range() {
    return [this.first - 0.5, this.first + this.count - 0.5];
  }

  /** What every figure takes into its layout, so that all tracks stand above each other. */
  plotly() {
    return {
      xaxis: { range: this.range(), fixedrange: true, visible: false, autorange: false, automargin: false },
      margin: { l: this.gutter, r: this.element - this.gutter - this.width, t: 0, b: 0, pad: 0 },
      width: this.element,
    };
  }
}
