// Signals held at a value while the network reads: as the address, the requests and the page have them.

export const MOST_INTERVENTIONS = 4;
const SHAPE =
  /^(\d{1,2})\.(\w{1,20})\.(all|\d{1,5}(?:,\d{1,5}){0,63})\.(-?\d{1,6}(?:\.\d{1,6})?)\.(\d{1,5})\.(\d{1,5}|end)$/;

/**
 * One intervention in the address: layer.signal.units.value.from.to, units `all` or numbers with commas, `to` exclusive
 * or `end`.
 */
export const interventionInAddress = {
  many: MOST_INTERVENTIONS,
  read(text) {
    const found = SHAPE.exec(text);
    if (!found) return undefined;
    const [, layer, signal, units, value, from, to] = found;
    const intervention = {
      layer: +layer,
      signal,
      units: units === "all" ? units : units.split(",").map(Number),
      value: +value,
      from: +from,
      to: to === "end" ? null : +to,
    };
    return intervention.to === null || intervention.to > intervention.from ? intervention : undefined;
  },
  write: ({ layer, signal, units, value, from, to }) => [layer, signal, units, value, from, to ?? "end"].join("."),
  expected: "layer.signal.units.value.from.to, as in 0.name.12.0.5.0.end",
};

/** Whether a network has what an intervention reaches; `cells` are the descriptions the page knows. */
export function fitsNetwork({ layer, signal, units }, { parts: layers }, cells) {
  const reached = layers[layer];
  const signals = reached && cells.find(({ id }) => id === reached.cell).signals;
  return (
    Boolean(signals?.some(({ id }) => id === signal)) &&
    (units === "all" || units.every((unit) => unit < reached.hidden))
  );
}

/** What a request says of them over so many steps; one that begins after the end says nothing. */
export function interventionsOver(interventions, steps) {
  return interventions
    .filter(({ from }) => from < steps)
    .map(({ to, ...intervention }) => ({ ...intervention, to: to === null || to >= steps ? null : to }));
}

/** At which steps the likeliest guess is another one than in a trace that was left alone. */
export function changedGuesses(timeline, untouched) {
  const changed = [];
  for (let t = 0; t < timeline.forwardTo; t++) {
    const [now, before] = [timeline, untouched].map(({ top, outputs }) => top[t]?.[0]?.[0] ?? outputs[t]?.join());
    if (now !== undefined && before !== undefined && now !== before) changed.push(t);
  }
  return changed;
}
