"""The graph that a cell's `step` becomes when it is traced once: its input, states, signals and parameters.

The graph holds no numbers; the programs, the derivatives, the description and the drawing are all read off it.
"""

from __future__ import annotations

from gatescope.models.graph.node import Node, terms, walk
from gatescope.models.graph.operations import ACTIVATIONS


class Graph:
    """A traced step, in evaluation order.

    before[s]: the leaf that stands for state s at step t−1; after[s]: the node that becomes it at step t. lags: the
    input and the states that only hand it on, with how many steps ago it came in. signals: what the cell's author
    named, and its states; records: also the vectors that programs keep and nobody is shown.
    """

    def __init__(self, x: Node, before: dict[str, Node], after: dict[str, Node], named: list[Node]):
        self.input, self.before, self.after = x, before, after
        for state, leaf in before.items():
            leaf.width = after[state].width
        self.lags = delay_lines(x, before, after)
        self.roots = [*named, *after.values()]
        self.nodes = walk(self.roots)
        self.records = {node.signal: node for node in self.nodes if node.signal}
        self.signals = {name: node for name, node in self.records.items() if not node.hidden}
        self.parameters = [node for node in self.nodes if node.op == "parameter"]
        self.linears = [node for node in self.nodes if node.op == "linear"]

    def label(self, node: Node) -> str:
        """What a page calls a vector that is read: `x`, `x−2` for an earlier input, `h_prev`, or the signal's id."""
        if self.lags.get(node):
            return f"x−{self.lags[node]}"
        return f"{node.name}_prev" if node.op == "state" else node.signal or node.name or ""

    def pre_activation(self, record: str) -> list[Node] | None:
        """The summands inside a record's activation if a matrix map is among them, else None."""
        node = self.records[record]
        if node.op in ACTIVATIONS:
            summands = terms(node.reads[0])
            if any(summand.op == "linear" for summand in summands):
                return summands
        return None


def delay_lines(x: Node, before: dict[str, Node], after: dict[str, Node]) -> dict[Node, int]:
    """The input and the states that only hand it on (a delay line), with how many steps ago it came in."""
    lags = {x: 0}
    for state, node in after.items():
        if node in lags:
            lags[before[state]] = lags[node] + 1
    return lags
