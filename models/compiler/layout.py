"""Where the vectors of a cell lie in memory, and in which order its matrix maps are stacked.

Gates lie side by side so that one call squashes several; a stack's blocks lie in the order of the gates that read them.
"""

from __future__ import annotations

import numpy as np

from gatescope.models.compiler.schedule import Place
from gatescope.models.graph.cell import Cell
from gatescope.models.graph.graph import Node


class Layout:
    """Where each vector of a cell lies: gates side by side in one array (sigmoids first), each state in a record of its
    own.
    """

    def __init__(self, cell: type[Cell]):
        graph = cell.graph()
        self.cell, self.graph = cell, graph
        self._readers: dict[Node, Node] = {}
        squashed = [
            name for name in graph.signals if graph.pre_activation(name) is not None and name not in cell.memories()
        ]
        ordered = sorted(squashed, key=lambda name: graph.signals[name].op != "sigmoid")
        others = [name for name in graph.signals if name not in squashed and name not in cell.memories()]
        self.gates = ordered + others
        self.place: dict[Node, Place] = {}
        for index, name in enumerate(self.gates):
            self.place[graph.signals[name]] = Place("gates", index, index + 1)
        for state in cell.memories():
            self.place[graph.after[state]] = Place(state)
            self.place[graph.before[state]] = Place(state, kind="before")
        for node in graph.parameters:
            self.place[node] = Place(node.name, kind="fixed")
        # each stack of matrix maps, its blocks in the order in which their readers lie
        self.stacks: dict[str, tuple[Node, list[Node]]] = {}
        for name, (source, blocks) in cell.stacks().items():
            self.stacks[name] = (source, sorted(blocks, key=lambda block: self.place[self.reader(block)]))

    def reader(self, linear: Node) -> Node:
        """The one signal whose equation a matrix map belongs to; TypeError where none or several read it."""
        if linear not in self._readers:
            self._readers[linear] = linear if linear.signal else self._reader(linear)
        return self._readers[linear]

    def _reader(self, linear: Node) -> Node:
        readers = [node for node in self.graph.signals.values() if self._reads(node, linear)]
        if len(readers) != 1:
            names = " and ".join(str(node.signal) for node in readers) or "no signal"
            raise TypeError(
                f"{self.cell.__name__}: the map {linear.name} must belong to one signal; it is read by {names}"
            )
        return readers[0]

    def _reads(self, signal: Node, linear: Node) -> bool:
        pending = list(signal.reads)
        while pending:
            at = pending.pop()
            if at is linear:
                return True
            if not at.is_record or at.op == "linear":
                pending.extend(at.reads)
        return False

    def is_plain(self, linear: Node) -> bool:
        """Whether a map is a summand of its reader's activation (and not multiplied by something first)."""
        return linear in (self.graph.pre_activation(self.reader(linear).signal) or [])

    def original_rows(self, stack: str, hidden: int) -> np.ndarray:
        """Row numbers of the stored weights in the order in which the program stacks them."""
        stored = list(self.cell.stacks()[stack][1])
        if stored[0].width:
            return np.arange(stored[0].width)
        return np.concatenate([np.arange(hidden) + stored.index(block) * hidden for block in self.stacks[stack][1]])

    def widths(self) -> dict[str, int]:
        """The arrays whose size does not follow the number of units: those of what a projection makes."""
        found: dict[str, int] = {}
        for state, node in self.graph.after.items():
            if node.width:
                found |= {f"{kind}{state}": node.width for kind in ("", "d_", "mask_", "value_")}
                found |= {f"{kind}weight_hr": node.width for kind in ("", "d_")}
        return found
