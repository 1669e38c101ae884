// Slots and levels of a wired cell turned into pixels, and the wires between them into paths.

const BOX = { width: 46, height: 48 };
const ROAD = { height: 24, top: 34 };
export const RADIUS = 11;
const SIDE = 62; // px left and right of the slots: the states come in and go out there

/** Everything placed in a width × height: {boxes, operators, roads, buses, wires, taps, outputs}; y of the bus at the bottom. */
export function placeCell(cell, wiring, width, height) {
  const { graph, elements } = wiring, slot = (width - 2 * SIDE) / Math.max(1, wiring.slots);
  const roadsHigh = wiring.roads.length ? ROAD.top + wiring.roads.length * (ROAD.height + 14) : 8;
  const box = { width: Math.min(BOX.width, slot - 6), height: Math.min(BOX.height, height * 0.2) };
  const bus = height - 30, floor = bus - 22 - box.height / 2, ceiling = roadsHigh + 12;
  const levels = Math.max(1, ...[...elements.values()].map(({ level }) => level ?? 0));
  const level = (k) => (k ? floor - box.height / 2 - 22 - ((floor - box.height / 2 - 22 - ceiling - RADIUS) * (k - 1)) / Math.max(1, levels - 0.4) : floor);
  const x = (at) => SIDE + (at + 0.5) * slot;
  const placed = { box, bus, roads: [], boxes: [], operators: [], wires: [], taps: [], outputs: [], side: SIDE, width, height };
  const roadY = Object.fromEntries(wiring.roads.map(({ state }, k) => [state, ROAD.top + k * (ROAD.height + 14)]));
  const at = new Map();
  for (const [index, element] of elements) {
    const spot = { ...element, x: x(element.slot), y: element.road ? roadY[element.road] : level(element.level) };
    at.set(index, spot);
    (element.kind === "box" ? placed.boxes : placed.operators).push(spot);
  }
  for (const { state, end } of wiring.roads) placed.roads.push({ state, y: roadY[state], height: ROAD.height, end: at.get(end).x });
  for (const spot of placed.operators) {
    if (spot.hangs) placed.wires.push(`M${spot.x} ${roadY[spot.hangs] + ROAD.height / 2}V${spot.y - RADIUS}`);
    for (const feeder of spot.feeders) placed.wires.push(feed(at.get(feeder), spot, box));
  }
  for (const spot of placed.boxes) reads(spot, { graph, at, placed, roadY, box });
  for (const { state, end } of wiring.outputs) {
    const from = at.get(end), y = from.kind === "box" ? from.y - box.height / 2 - 18 : from.y;
    placed.wires.push(from.kind === "box" ? `M${from.x} ${from.y - box.height / 2}V${y}H${width - 30}` : `M${from.x + RADIUS} ${y}H${width - 30}`);
    placed.outputs.push({ state, x: width - 26, y });
  }
  placed.buses = buses(cell, graph, placed.boxes);
  placed.busFrom = SIDE - 40;
  placed.busTo = Math.max(...placed.boxes.map((spot) => spot.x), SIDE);
  for (const spot of placed.boxes) if (spot.reads.maps.size) placed.wires.push(`M${spot.x} ${bus}V${spot.y + box.height / 2}`);
  placed.wires.push(`M${placed.busFrom} ${bus}H${placed.busTo}`);
  return placed;
}

// Up to the height of what takes it, then across; from above, down.
function feed(from, to, box) {
  const top = from.kind === "box" ? from.y - box.height / 2 : from.y - RADIUS;
  if (from.hangs) return `M${from.x} ${from.y + RADIUS}V${to.y - RADIUS}`;
  if (Math.abs(from.x - to.x) < RADIUS) return `M${from.x} ${top}V${to.y + RADIUS}`;
  const edge = to.x + (from.x < to.x ? -RADIUS : RADIUS);
  return `M${from.x} ${top}V${to.y}H${edge}`;
}

// What a box reads besides the bus: signals of the same step, and memories as they are, without a matrix.
function reads(spot, { graph, at, placed, roadY, box }) {
  const top = spot.y - box.height / 2, half = box.width / 2, aside = Math.min(12, half - 5);
  for (const index of spot.reads.signals) {
    const road = placed.roads.find(({ state }) => state === graph[index].signal), from = at.get(index);
    if (road) placed.taps.push(`M${spot.x + aside} ${road.y + road.height / 2}V${top}`);
    else if (Math.abs(from.slot - spot.slot) <= 1) placed.wires.push(`M${from.x + (from.x < spot.x ? half : -half)} ${from.y}H${spot.x + (from.x < spot.x ? -half : half)}`);
    else placed.wires.push(`M${from.x} ${top}V${top - 10}H${spot.x - aside}V${top}`);
  }
  for (const index of spot.reads.direct) {
    const { name, op } = graph[index], y = roadY[name];
    if (op === "state" && y !== undefined) placed.taps.push(`M${placed.side - 14} ${y + ROAD.height / 2}V${top - 12}H${spot.x + aside}V${top}`);
  }
}

/** The names on the bus: everything a matrix maps, before the step. */
function buses(cell, graph, boxes) {
  const names = new Map();
  for (const spot of boxes) for (const index of spot.reads.maps) if (!graph[index].signal) names.set(`${graph[index].op} ${graph[index].name}`, graph[index]);
  return [...names.values()].sort((a, b) => Number(a.op === "input") - Number(b.op === "input"));
}
