// Large numbers and times as people say them.

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
