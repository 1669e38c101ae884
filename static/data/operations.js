// The value of each operation of a graph, for one unit at one step.

export const VALUES = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  tanh: (a) => Math.tanh(a),
  relu: (a) => Math.max(0, a),
  exp: (a) => Math.exp(a),
  sqrt: (a) => Math.sqrt(a),
  identity: (a) => a,
};
