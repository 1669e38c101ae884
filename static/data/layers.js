// The layers of a network as the page knows them: from the input on, each with its cell, its size and the name it is
// called by.

const LAYER = /^layer(\d+)(_reverse)?$/;

/**
 * The layers a `begin` event tells of: [{name, title, cell, hidden, reverse}], `cell` the description, the network's
 * own unless it says so.
 */
export function layersOf({ parts, layers, hidden }, cell) {
  const told =
    parts ?? Array.from({ length: layers }, (_, layer) => ({ name: `layer${layer}`, hidden, reverse: false }));
  const bothWays = told.some(({ reverse }) => reverse);
  return told.map(({ name, hidden: units, reverse, description }) => ({
    name,
    hidden: units,
    reverse,
    cell: description ?? cell,
    title: titleOf(name, reverse, bothWays),
  }));
}

function titleOf(name, reverse, bothWays) {
  const [, number] = LAYER.exec(name) ?? [];
  if (number === undefined) return name;
  return `layer ${Number(number) + 1}${bothWays ? (reverse ? " ←" : " →") : ""}`;
}
