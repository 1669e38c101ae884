// Slots and levels of a wired cell turned into pixels, and the wires between them into paths.

const BOX = { width: 46, height: 48 };
const ROAD = { height: 24, top: 34 };
const NUMBER = 25; // px under a box for its number
// px of height at which the box of a cell that has only one is as large as others; it grows with the room
const LONE = 120;
const ROOM_OF_ONE = 80; // px above and below that box: where its state leaves, its number, the bus
const LOWEST_WITH_NUMBERS = 190;
const APART = 38; // px between two states that leave, each with its number
const SIDE = 62; // px left and right of the slots: the states come in and go out there

/**
 * Everything placed in a width × height: {boxes, operators, roads, buses, wires, taps, outputs}; y of the bus at the
 * bottom.
 */
export function placeCell(wiring, width, height) {
  const { graph, elements } = wiring;
  const slot = (width - 2 * SIDE) / Math.max(1, wiring.slots);
  // a very low frame has no room for the bus's names and the boxes' numbers
  const bare = height < LOWEST_WITH_NUMBERS;
  const lone = wiring.slots === 1 && !bare ? Math.min(2.2, height / LONE) : 1;
  const box = { width: Math.min(BOX.width * lone, slot - 6), height: bare ? 30 : BOX.height * lone };
  const radius = bare ? 8 : 11;
  const roadTop = bare ? ROAD.top - 6 : ROAD.top;
  // a cell of one box hangs in the middle
  const spare = lone > 1 && !wiring.roads.length ? Math.max(0, height - box.height - ROOM_OF_ONE) / 2 : 0;
  const bus = height - spare - (bare ? 3 : 30);
  const floor = bus - (bare ? 7 : NUMBER) - box.height / 2;
  const ceiling = wiring.roads.length
    ? roadTop + (wiring.roads.length - 1) * (ROAD.height + 14) + ROAD.height / 2 + radius + 2
    : radius;
  const levels = Math.max(1, ...[...elements.values()].map(({ level }) => level ?? 0));
  const lintel = floor - box.height / 2;
  const level = (k) =>
    k
      ? lintel -
        ((lintel - ceiling) * (k - (wiring.roads.length ? 0.35 : 0))) / (levels + (wiring.roads.length ? 0.35 : 0))
      : floor;
  const x = (at) => SIDE + (at + 0.5) * slot;
  // operators above each other that would touch stand a little aside in turn
  const isTight = (lintel - ceiling) / (levels + 0.35) < 2 * radius;
  const aside = ({ kind, road, level: k }) => (isTight && kind === "operator" && !road ? (k % 2 ? -1 : 1) * radius : 0);
  const placed = {
    bare,
    radius,
    box,
    bus,
    roads: [],
    boxes: [],
    operators: [],
    wires: [],
    heads: [],
    taps: [],
    sources: [],
    outputs: [],
    side: SIDE,
    width,
    height,
  };
  const roadY = Object.fromEntries(wiring.roads.map(({ state }, k) => [state, roadTop + k * (ROAD.height + 14)]));
  const at = new Map();
  for (const [index, element] of elements) {
    const spot = {
      ...element,
      x: x(element.slot) + aside(element),
      y: element.road ? roadY[element.road] : level(element.level),
    };
    at.set(index, spot);
    (element.kind === "box" ? placed.boxes : placed.operators).push(spot);
  }
  for (const { state, end } of wiring.roads)
    placed.roads.push({ state, y: roadY[state], height: ROAD.height, end: at.get(end).x });
  for (const spot of placed.operators) {
    if (spot.hangs) placed.wires.push(`M${spot.x} ${roadY[spot.hangs] + ROAD.height / 2}V${spot.y - radius}`);
    for (const feeder of spot.feeders) placed.wires.push(feed(at.get(feeder), spot, box, radius));
  }
  for (const spot of placed.operators) statesBefore(spot, placed, roadY);
  for (const spot of placed.boxes) reads(spot, { graph, at, placed, roadY, box });
  for (const { state, end } of wiring.outputs) leave(state, at.get(end), placed);
  placed.buses = buses(graph, placed.boxes);
  placed.busFrom = SIDE - 40;
  placed.busTo = Math.max(...placed.boxes.map((spot) => spot.x), SIDE);
  for (const spot of placed.boxes)
    if (spot.reads.maps.size) placed.wires.push(`M${spot.x} ${bus}V${spot.y + box.height / 2}`);
  placed.wires.push(`M${placed.busFrom} ${bus}H${placed.busTo}`);
  return placed;
}

// Up to the height of what takes it, then across; from above, down.
function feed(from, to, box, radius) {
  const top = from.kind === "box" ? from.y - box.height / 2 : from.y - radius;
  if (from.hangs) return `M${from.x} ${from.y + radius}V${to.y - radius}`;
  if (Math.abs(from.x - to.x) < radius) return `M${from.x} ${top}V${to.y + radius}`;
  const edge = to.x + (from.x < to.x ? -radius : radius);
  return `M${from.x} ${top}V${to.y}H${edge}`;
}

// The way of a state out of the cell, to the right; two never leave at one height.
function leave(state, from, placed) {
  const { width, radius, box, outputs } = placed;
  const isBox = from.kind === "box";
  const above = from.y - box.height / 2 - 18;
  let y = isBox ? above : from.y;
  const taken = (at) => outputs.find((other) => Math.abs(other.y - at) < APART);
  while (taken(y)) y = taken(y).y + APART;
  const start = isBox ? `M${from.x} ${from.y - box.height / 2}` : `M${from.x + radius} ${from.y}`;
  const bend = isBox || y === from.y ? "" : `H${width - 30 - APART / 2}`;
  placed.wires.push(`${start}${bend}V${y}H${width - 30}`);
  outputs.push({ state, x: width - 26, y });
}

// What an operator reads of the step before: tapped off the road where it has one, else it stands beside by its name.
function statesBefore({ before, x, y }, placed, roadY) {
  const { radius } = placed;
  for (const [k, state] of before.entries()) {
    const road = roadY[state];
    if (road !== undefined) {
      placed.taps.push(`M${placed.side - 14} ${road + ROAD.height / 2}V${y - radius - 8}H${x}V${y - radius}`);
      continue;
    }
    const corner = 0.7 * radius; // below, on the left
    placed.sources.push({ state, x: x - radius - 26, y: y + radius + 14 + 16 * k });
    placed.wires.push(`M${x - corner} ${y + corner}l-7 7`);
  }
}

// What a box reads besides the bus: signals of the same step, and memories as they are, without a matrix.
function reads(spot, { graph, at, placed, roadY, box }) {
  const top = spot.y - box.height / 2;
  const half = box.width / 2;
  const aside = Math.min(12, half - 5);
  for (const index of spot.reads.signals) {
    const road = placed.roads.find(({ state }) => state === graph[index].signal);
    const from = at.get(index);
    if (road) placed.taps.push(`M${spot.x + aside} ${road.y + road.height / 2}V${top}`);
    else if (Math.abs(from.slot - spot.slot) <= 1) {
      const side = from.x < spot.x ? -1 : 1;
      placed.wires.push(`M${from.x - side * half} ${from.y}H${spot.x + side * half}`);
      placed.heads.push(`M${spot.x + side * (half + 6)} ${from.y - 4}l${-side * 6} 4l${side * 6} 4z`);
    } else placed.wires.push(`M${from.x} ${top}V${top - 10}H${spot.x - aside}V${top}`);
  }
  for (const index of spot.reads.direct) {
    const { name, op } = graph[index];
    const y = roadY[name];
    if (op === "state" && y !== undefined)
      placed.taps.push(`M${placed.side - 14} ${y + ROAD.height / 2}V${top - 12}H${spot.x + aside}V${top}`);
  }
}

/** The names on the bus: everything a matrix maps, before the step. */
function buses(graph, boxes) {
  const names = new Map();
  for (const spot of boxes)
    for (const index of spot.reads.maps)
      if (!graph[index].signal) names.set(`${graph[index].op} ${graph[index].name}`, graph[index]);
  return [...names.values()].sort((a, b) => Number(a.op === "input") - Number(b.op === "input"));
}
