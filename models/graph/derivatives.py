"""Local derivatives between records, as nodes: between two signals lies a diagonal known from the forward pass."""

from __future__ import annotations

from gatescope.models.graph.node import ONE, Node, constant
from gatescope.models.graph.operations import OPERATIONS

# between these and what they read lies no diagonal but a matrix
MATRICES = ("linear", "mean")


class Derivatives:
    """Makes derivatives; equal expressions become the same node, so that a factor needed twice is computed once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | int, ...], Node] = {}

    def node(self, op: str, *reads: Node, name: str = "") -> Node:
        """The expression `op(reads)`; the same one for the same reads, and nothing for a product with 1."""
        if op == "constant":
            return constant(float(name))
        if op == "mul" and ONE in reads:
            return reads[0] if reads[1] is ONE else reads[1]
        key: tuple[str | int, ...] = (op, *map(id, reads))
        return self._known.setdefault(key, Node(op, reads))

    def slopes(self, node: Node) -> tuple[tuple[int, Node], ...]:
        """∂node/∂(each vector it reads) as (sign, node), written with the node's own value where that is shorter."""
        slopes = OPERATIONS[node.op].slopes
        if slopes is None:
            raise TypeError(f"the operation {node.op} has no derivative")
        return slopes(self.node, node)

    def of(self, signal: Node) -> dict[Node, list[tuple[int, Node]]]:
        """∂signal/∂record for each record its equation reads: a list of signed factors, to be summed."""
        found: dict[Node, list[tuple[int, Node]]] = {}

        def spread(node: Node, sign: int, factor: Node) -> None:
            if node.is_record and node is not signal:
                if node.op != "constant":
                    found.setdefault(node, []).append((sign, factor))
                return
            for read, (own, slope) in zip(node.reads, self.slopes(node), strict=True):
                spread(read, sign * own, self.node("mul", factor, slope))

        if signal.op not in MATRICES:
            spread(signal, 1, ONE)
        return found

    def total(self, factors: list[tuple[int, Node]]) -> tuple[int, Node]:
        """Several signed factors as one: (sign, node)."""
        (sign, total), *rest = sorted(factors, key=lambda signed: -signed[0])
        for other_sign, other in rest:
            total = self.node("add" if sign == other_sign else "sub", total, other)
        return sign, total
