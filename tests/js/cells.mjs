// Descriptions of cells as the service gives them, with equations in which every operation occurs.

const row = (arity, symbol, kind) => ({ arity, symbol, kind });
export const OPERATIONS = {
  input: row(0, null, "leaf"),
  state: row(0, null, "leaf"),
  parameter: row(0, null, "leaf"),
  constant: row(0, null, "leaf"),
  linear: row(1, null, "map"),
  sigmoid: row(1, "σ", "activation"),
  tanh: row(1, "tanh", "activation"),
  relu: row(1, "relu", "activation"),
  exp: row(1, "exp", "activation"),
  sqrt: row(1, "√", "activation"),
  identity: row(1, "", "activation"),
  add: row(2, "+", "arithmetic"),
  sub: row(2, "−", "arithmetic"),
  mul: row(2, "×", "arithmetic"),
  div: row(2, "/", "arithmetic"),
  mean: row(1, "mean", "reduction"),
};

/** A graph from nodes [op, reads, signal or name]; of leaves and maps the third is the name. */
function graphOf(nodes) {
  return nodes.map(([op, reads, name = null]) => {
    const isNamed = ["leaf", "map"].includes(OPERATIONS[op].kind);
    return { op, reads, signal: isNamed ? null : name, name: isNamed ? name : null };
  });
}

const signal = (id, role, more = {}) => ({ id, role, title: `title of ${id}`, range: null, road: false, ...more });

/** A gate, a candidate that nothing squashes, and a state that is a mixture: h' = (1 − z) × h + z × n. */
export const MIXING = {
  id: "mixing",
  states: ["h"],
  signals: [signal("z", "gate", { range: [0, 1] }), signal("n", "candidate"), signal("h", "state", { road: true })],
  operations: OPERATIONS,
  graph: graphOf([
    ["input", [], "x"],
    ["linear", [0], "z"],
    ["sigmoid", [1], "z"],
    ["linear", [0], "n"],
    ["identity", [3], "n"],
    ["state", [], "h"],
    ["constant", [], "1"],
    ["sub", [6, 2]],
    ["mul", [7, 5]],
    ["mul", [2, 4]],
    ["add", [8, 9], "h"],
  ]),
};

/**
 * Exponential gates: i = exp(Wx − m) and the state before the step, m; two roads, c' = i × tanh(Wx) + c and n' = i + n;
 * what is shown is a quotient, h' = o × (c' / n'), and m' = relu(m − 2) × mean(c') is written off the roads.
 */
export const QUOTIENT = {
  id: "quotient",
  states: ["h", "c", "n", "m"],
  signals: [
    signal("i", "gate"),
    signal("o", "gate", { range: [0, 1] }),
    signal("c", "state", { road: true }),
    signal("n", "state", { road: true }),
    signal("h", "state"),
    signal("m", "state"),
  ],
  operations: OPERATIONS,
  graph: graphOf([
    ["input", [], "x"], // 0
    ["linear", [0], "i"],
    ["state", [], "m"], // 2
    ["sub", [1, 2]],
    ["exp", [3], "i"], // 4
    ["linear", [0], "o"],
    ["sigmoid", [5], "o"], // 6
    ["linear", [0], "g"],
    ["tanh", [7]], // 8
    ["mul", [4, 8]],
    ["state", [], "c"], // 10
    ["add", [9, 10], "c"],
    ["state", [], "n"], // 12
    ["add", [4, 12], "n"],
    ["div", [11, 13]], // 14
    ["mul", [6, 14], "h"],
    ["constant", [], "2"], // 16
    ["sub", [2, 16]],
    ["relu", [17]], // 18
    ["mean", [11]],
    ["mul", [18, 19], "m"], // 20
  ]),
};
