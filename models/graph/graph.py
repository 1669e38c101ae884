"""The small graph that a cell's `step` becomes when it is traced once.

A node is a vector (one number a unit) and says from which vectors it is made. Seven operations are enough for every
cell here: a matrix map, sigmoid, tanh, relu, +, − and ×. The graph holds no numbers; the programs, the derivatives, the
description and the drawing are all read off it.
"""

from __future__ import annotations

LEAVES = ("input", "state", "parameter", "constant", "mask")
ACTIVATIONS = ("sigmoid", "tanh", "relu")


class Node:
    """One vector of the step: an operation, the nodes it reads, and the signal's name if it has one.

    width: how many numbers it holds where a projection gives it a size of its own; None for one a unit.
    """

    __slots__ = ("op", "reads", "name", "signal", "width")

    def __init__(self, op: str, reads: tuple[Node, ...] = (), name: str | None = None, width: int | None = None):
        self.op, self.reads, self.name, self.signal, self.width = op, reads, name, None, width

    def __add__(self, other: Node) -> Node:
        return Node("add", (self, as_node(other)))

    def __sub__(self, other: Node) -> Node:
        return Node("sub", (self, as_node(other)))

    def __rsub__(self, other: float) -> Node:
        return Node("sub", (as_node(other), self))

    def __mul__(self, other: Node) -> Node:
        return Node("mul", (self, as_node(other)))

    def __repr__(self) -> str:
        return self.signal or self.name or f"{self.op}{self.reads}"

    @property
    def is_record(self) -> bool:
        """Whether the vector keeps a place of its own: a leaf, a named signal, or what a matrix map gives."""
        return self.signal is not None or self.op == "linear" or self.op in LEAVES


ONE = Node("constant", name="1")


def as_node(value: Node | int) -> Node:
    """A node, or the constant 1 (the only number the equations need)."""
    if isinstance(value, Node):
        return value
    if value == 1:
        return ONE
    raise TypeError(f"a cell's equations may use the constant 1 only, not {value!r}")


def sigmoid(node: Node) -> Node:
    """The logistic function, 1 / (1 + e^−x), between 0 and 1."""
    return Node("sigmoid", (node,))


def tanh(node: Node) -> Node:
    """The hyperbolic tangent, between −1 and 1."""
    return Node("tanh", (node,))


def relu(node: Node) -> Node:
    """The larger of x and 0."""
    return Node("relu", (node,))


def terms(node: Node) -> list[Node]:
    """The summands of a sum, looking through unnamed additions."""
    if node.op == "add" and node.signal is None:
        return [*terms(node.reads[0]), *terms(node.reads[1])]
    return [node]


def walk(roots: list[Node]) -> list[Node]:
    """Every node the roots are made of, each after the nodes it reads."""
    order: dict[int, Node] = {}

    def visit(node: Node) -> None:
        if id(node) not in order:
            for read in node.reads:
                visit(read)
            order[id(node)] = node

    for root in roots:
        visit(root)
    return list(order.values())


class Graph:
    """A traced step: its input, its states before and after, its signals, in evaluation order.

    `before[s]` is the leaf that stands for state s at step t−1, `after[s]` the node that becomes it at step t.
    """

    def __init__(self, given: Node, before: dict[str, Node], after: dict[str, Node], named: list[Node]):
        self.input, self.before, self.after = given, before, after
        for state, leaf in before.items():
            leaf.width = after[state].width
        self.lags = self._delays()
        self.nodes = walk([*named, *after.values()])
        self.signals = {node.signal: node for node in self.nodes if node.signal}
        self.parameters = [node for node in self.nodes if node.op == "parameter"]
        self.linears = [node for node in self.nodes if node.op == "linear"]

    def _delays(self) -> dict[Node, int]:
        """The input and the states that only hand it on (a delay line), with how many steps ago it came in."""
        lags = {self.input: 0}
        for state, after in self.after.items():
            if after in lags:
                lags[self.before[state]] = lags[after] + 1
        return lags

    def label(self, node: Node) -> str:
        """What a page calls a vector that is read: `x`, `x−2` for an earlier input, `h_prev`, or the signal's id."""
        if self.lags.get(node):
            return f"x−{self.lags[node]}"
        return f"{node.name}_prev" if node.op == "state" else node.signal or node.name or ""

    def pre_activation(self, signal: str) -> list[Node] | None:
        """The summands inside a signal's activation if a matrix map is among them, else None."""
        node = self.signals[signal]
        if node.op in ACTIVATIONS:
            summands = terms(node.reads[0])
            if any(summand.op == "linear" for summand in summands):
                return summands
        return None


class Derivatives:
    """Local derivatives between records, as nodes: between two signals lies a diagonal known from the forward pass.

    Equal expressions become the same node, so that a factor needed twice is computed once.
    """

    def __init__(self) -> None:
        self._known: dict[tuple, Node] = {}

    def node(self, op: str, *reads: Node) -> Node:
        """The expression `op(reads)`; the same one for the same reads, and nothing for a product with 1."""
        if op == "mul" and ONE in reads:
            return reads[0] if reads[1] is ONE else reads[1]
        key = (op, *map(id, reads))
        return self._known.setdefault(key, Node(op, reads))

    def slope(self, node: Node) -> Node:
        """An activation's derivative, written with the activation's own value."""
        if node.op == "sigmoid":
            return self.node("mul", node, self.node("sub", ONE, node))
        if node.op == "tanh":
            return self.node("sub", ONE, self.node("mul", node, node))
        return self.node("sign", node)

    def of(self, signal: Node) -> dict[Node, list[tuple[int, Node]]]:
        """∂signal/∂record for each record its equation reads: a list of signed factors, to be summed."""
        found: dict[Node, list[tuple[int, Node]]] = {}
        if signal.op == "linear":
            return found  # a matrix lies between it and what it reads, not a diagonal

        def spread(node: Node, sign: int, factor: Node) -> None:
            if node.is_record and node is not signal:
                if node is not ONE:
                    found.setdefault(node, []).append((sign, factor))
            elif node.op == "add":
                spread(node.reads[0], sign, factor)
                spread(node.reads[1], sign, factor)
            elif node.op == "sub":
                spread(node.reads[0], sign, factor)
                spread(node.reads[1], -sign, factor)
            elif node.op == "mul":
                left, right = node.reads
                spread(left, sign, self.node("mul", factor, right))
                spread(right, sign, self.node("mul", factor, left))
            else:
                spread(node.reads[0], sign, self.node("mul", factor, self.slope(node)))

        spread(signal, 1, ONE)
        return found

    def total(self, factors: list[tuple[int, Node]]) -> tuple[int, Node]:
        """Several signed factors as one: (sign, node)."""
        (sign, total), *rest = sorted(factors, key=lambda signed: -signed[0])
        for other_sign, other in rest:
            total = self.node("add" if sign == other_sign else "sub", total, other)
        return sign, total
