"""The nodes of a graph, the arithmetic that makes them, and how to go through them.

A node is a vector (one number a unit) and says from which vectors it is made. It holds no numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

EPSILON = 1e-5


class Node:
    """One vector of the step: an operation, the nodes it reads, and the signal's name if it has one.

    width: how many numbers it holds where a projection gives it a size of its own; None for one a unit. bias: whether a
    matrix map adds one. role, within: of a signal, what it is for and the interval it stays in, where its author says
    so. hidden: a record that programs need and nobody is shown. shown: what stands for it in descriptions.
    """

    __slots__ = ("op", "reads", "name", "signal", "width", "bias", "role", "within", "hidden", "shown")

    def __init__(self, op: str, reads: tuple[Node, ...] = (), name: str | None = None, width: int | None = None):
        self.op, self.reads, self.name, self.width = op, reads, name, width
        self.signal: str | None = None
        self.role: str | None = None
        self.within: tuple[float, float] | None = None
        self.shown: Node | None = None
        self.bias = self.hidden = False

    def __add__(self, other: Node | float) -> Node:
        return Node("add", (self, as_node(other)))

    def __radd__(self, other: float) -> Node:
        return Node("add", (as_node(other), self))

    def __sub__(self, other: Node | float) -> Node:
        return Node("sub", (self, as_node(other)))

    def __rsub__(self, other: float) -> Node:
        return Node("sub", (as_node(other), self))

    def __mul__(self, other: Node | float) -> Node:
        return Node("mul", (self, as_node(other)))

    def __rmul__(self, other: float) -> Node:
        return Node("mul", (as_node(other), self))

    def __truediv__(self, other: Node | float) -> Node:
        return Node("div", (self, as_node(other)))

    def __rtruediv__(self, other: float) -> Node:
        return Node("div", (as_node(other), self))

    def __neg__(self) -> Node:
        return Node("neg", (self,))

    def __repr__(self) -> str:
        return self.signal or self.name or f"{self.op}{self.reads}"

    @property
    def is_record(self) -> bool:
        """Whether the vector keeps a place of its own: a leaf, a named signal, or what a matrix map gives."""
        return self.signal is not None or self.op == "linear" or not self.reads


def constant(number: float) -> Node:
    """A number, the same for every unit; the same node for the same number."""
    return _constant(repr(int(number)) if float(number).is_integer() else repr(float(number)))


@cache
def _constant(name: str) -> Node:
    return Node("constant", name=name)


ONE = constant(1)


def as_node(value: Node | float) -> Node:
    """A node, or a number as one; TypeError for anything else."""
    if isinstance(value, Node):
        return value
    if isinstance(value, int | float) and abs(value) < 1e30:
        return constant(value)
    raise TypeError(f"a cell's equations are made of vectors and finite numbers, not of {value!r}")


def sigmoid(node: Node) -> Node:
    """The logistic function, 1 / (1 + e^−x), between 0 and 1."""
    return Node("sigmoid", (node,))


def tanh(node: Node) -> Node:
    """The hyperbolic tangent, between −1 and 1."""
    return Node("tanh", (node,))


def relu(node: Node) -> Node:
    """The larger of x and 0."""
    return Node("relu", (node,))


def exp(node: Node) -> Node:
    """e^x."""
    return Node("exp", (node,))


def sqrt(node: Node) -> Node:
    """The square root; of nothing below 0."""
    return Node("sqrt", (node,))


def mean(node: Node) -> Node:
    """The mean over the layer's units, for every unit the same."""
    return Node("mean", (node,))


def maximum(left: Node, right: Node) -> Node:
    """The larger of two vectors, unit by unit."""
    return Node("max", (left, right))


def layer_norm(*pieces: Node) -> list[Node]:
    """Vectors that lie one under the other brought to mean 0 and variance 1 over all their units together (Ba, Kiros &
    Hinton 2016, equation 4); ε = 1e-5 keeps the variance from 0. Gains are for the cell to multiply with.
    """
    share = 1 / len(pieces)
    middle = mean(_total(pieces) * share if len(pieces) > 1 else pieces[0])
    from_middle = [piece - middle for piece in pieces]
    squares = _total([each * each for each in from_middle])
    spread = sqrt(mean(squares * share if len(pieces) > 1 else squares) + EPSILON)
    normal = [each / spread for each in from_middle]
    for node, piece in zip(normal, pieces, strict=True):
        node.shown = Node("layer_norm", (piece,))
    return normal


def _total(nodes: Iterable[Node]) -> Node:
    first, *others = nodes
    for other in others:
        first = first + other
    return first


def terms(node: Node) -> list[Node]:
    """The summands of a sum, looking through additions without a name."""
    if node.op == "add" and node.signal is None and node.shown is None:
        return [*terms(node.reads[0]), *terms(node.reads[1])]
    return [node]


def walk(roots: Iterable[Node]) -> list[Node]:
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
