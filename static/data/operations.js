// The value of each operation, for one unit at one step; printed from models/graph/operations.py.

export const VALUES = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  neg: (a) => -a,
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  tanh: (a) => Math.tanh(a),
  relu: (a) => Math.max(0, a),
  exp: (a) => Math.exp(a),
  sqrt: (a) => Math.sqrt(a),
  max: (a, b) => Math.max(a, b),
  identity: (a) => a,
};
