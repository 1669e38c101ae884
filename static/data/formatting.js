// Numbers, times and names as they are written on the page.

import { shown } from "./foreign.js";

/** A text of at most so many characters, the rest an ellipsis. */
export function shortened(text, most) {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, Math.max(1, most - 1)).join("")}…`;
}

/** Text that Plotly may show as a label: it reads a little HTML there. */
export function escapeLabel(text) {
  return shown(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const MINUS = "−";

/** A number in three or four characters' worth of digits. */
export function number(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const written =
    size === 0 ? "0" : size >= 1000 || size < 0.001 ? value.toExponential(1) : value.toPrecision(size < 0.1 ? 2 : 3);
  return written.replaceAll("-", MINUS).replace("e+", "e");
}

/** The same with its sign always there, two decimals: what a sum is made of. */
export function signed(value) {
  if (!Number.isFinite(value)) return "–";
  return `${value < 0 ? MINUS : "+"}${Math.abs(value).toFixed(2)}`;
}

/** A probability in per cent; small ones are not called nothing. */
export function percent(probability) {
  if (!Number.isFinite(probability)) return "–";
  return probability > 0 && probability < 0.005 ? "<1%" : `${Math.round(100 * probability)}%`;
}

/** “signal 17” as a unit is called: the letter with its number. */
export function unitName(signal, unit) {
  return `${signal}${unit}`;
}

const grouped = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** A whole number with its thousands apart. */
export const whole = (value) => grouped.format(value);

/** A large number in few digits: 34.1K. */
export const rounded = (value) => (Number.isFinite(value) ? compact.format(value) : "–");

/** Seconds as people say them. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = seconds / 60;
  if (minutes < 90) return `${minutes < 10 ? Math.round(2 * minutes) / 2 : Math.round(minutes)} min`;
  return `${Math.round(minutes / 6) / 10} h`;
}
