// Scales and hues. One diverging scale for [−1, 1], grey at zero; one sequential scale for [0, 1], tinted by the
// signal; one hue a signal. The colours themselves live in style.css, so that a theme is one place.

const LEVELS = 255;
const RIGHTLY = 0.26;
const DASHES = {
  gate: ["solid", "dash", "dot", "dashdot"],
  candidate: ["longdash", "longdashdot"],
  state: ["solid", "dash"],
};
const HUES = { gate: 4, candidate: 2, state: 3 }; // how many of each style.css names

const mix = (a, b, share) => a.map((value, k) => value + (b[k] - value) * share);
const css = (rgb) => `rgb(${rgb.map(Math.round).join(",")})`;

function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);

/**
 * A table of colours between two ends: `css(value)`, `ink(value)` readable on it, `plotly` as a colorscale with `low`
 * and `high`.
 */
class Scale {
  constructor(low, high, stops, inks) {
    Object.assign(this, { low, high });
    const at = (share) => {
      const place = share * (stops.length - 1);
      const k = Math.min(Math.floor(place), stops.length - 2);
      return mix(stops[k], stops[k + 1], place - k);
    };
    const table = Array.from({ length: LEVELS }, (_, k) => at(k / (LEVELS - 1)));
    const brightness = inks.map(luminance);
    this.colours = table.map(css);
    this.inks = table.map((rgb) => {
      const ground = luminance(rgb);
      return css(inks[contrast(brightness[0], ground) >= contrast(brightness[1], ground) ? 0 : 1]);
    });
    this.plotly = stops.map((rgb, k) => [k / (stops.length - 1), css(rgb)]);
  }

  #index(value) {
    const share = (value - this.low) / (this.high - this.low);
    return Math.round(Math.max(0, Math.min(1, share)) * (LEVELS - 1));
  }

  css(value) {
    return Number.isFinite(value) ? this.colours[this.#index(value)] : "transparent";
  }
  ink(value) {
    return Number.isFinite(value) ? this.inks[this.#index(value)] : "inherit";
  }
}

const NAMED = "paper panel ink soft line tile ghost road band gradient right run-1 run-2 run-3".split(" ");
const UNKNOWN = { role: "state", place: 0 };

export class Colour {
  /** `themed` is the element whose style.css properties count. */
  constructor(themed = document.documentElement) {
    this.themed = themed;
    this.signals = new Map();
    this.scales = new Map();
    this.refresh();
  }

  /** Reads the theme's colours again. */
  refresh() {
    const probe = document.createElement("i");
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    probe.hidden = true;
    probe.style.forcedColorAdjust = "none"; // what is data keeps its colours
    this.themed.append(probe);
    // a property may hold light-dark(): only the computed colour of an element says which, only a canvas puts it into
    // numbers
    this.rgb = (name) => {
      probe.style.color = `var(--${name})`;
      pen.fillStyle = getComputedStyle(probe).color;
      pen.fillRect(0, 0, 1, 1);
      return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    for (const name of NAMED) this[name] = css(this.rgb(name));
    this.inks = [this.rgb("on-light"), this.rgb("on-dark")];
    this.hues = {};
    for (const [role, many] of Object.entries(HUES))
      this.hues[role] = Array.from({ length: many }, (_, k) => this.rgb(`${role}-${k}`));
    this.diverging = new Scale(-1, 1, [this.rgb("negative"), this.rgb("zero"), this.rgb("positive")], this.inks);
    this.ground = this.rgb("tile");
    this.rightTint = css(mix(this.ground, this.rgb("right"), RIGHTLY)); // behind what was guessed rightly
    probe.remove();
    this.rgb = null;
    this.scales.clear();
  }

  /**
   * Learns the signals of cells: hue, dash and scale go by their role and order; what two cells have, the first one
   * says.
   */
  learn(...descriptions) {
    this.signals.clear();
    this.scales.clear();
    const seen = {};
    for (const signal of descriptions.flatMap(({ signals }) => signals)) {
      if (this.signals.has(signal.id)) continue;
      const place = (seen[signal.role] ?? -1) + 1;
      seen[signal.role] = place;
      this.signals.set(signal.id, { ...signal, place });
    }
  }

  /** The same colours for the signals of another cell. */
  of(description) {
    const other = Object.assign(Object.create(this), { signals: new Map(), scales: new Map() });
    other.learn(description);
    return other;
  }

  /** The signal's own colour, dark enough (light enough) to write with. */
  hue(id) {
    return css(hueOf(this, id));
  }

  /** A hue for the k-th of things that are no signals. */
  any(k) {
    const hues = Object.values(this.hues).flat();
    return css(hues[k % hues.length]);
  }

  /** Plotly's dash for lines of this signal, so that hue is never alone. */
  dash(id) {
    const { role, place } = this.signals.get(id) ?? UNKNOWN;
    return DASHES[role][place % DASHES[role].length];
  }

  /** Paper to ink for [0, 1], in the signal's hue. */
  sequential(id) {
    if (!this.scales.has(id)) this.scales.set(id, new Scale(0, 1, [this.ground, hueOf(this, id)], this.inks));
    return this.scales.get(id);
  }

  /** The scale a signal's values are read on: sequential where they never go below zero, else diverging. */
  scale(id) {
    const range = this.signals.get(id)?.range;
    return range && range[0] === 0 && range[1] === 1 ? this.sequential(id) : this.diverging;
  }
}

function hueOf({ signals, hues }, id) {
  const { role, place } = signals.get(id) ?? UNKNOWN;
  return hues[role][place % hues[role].length];
}
