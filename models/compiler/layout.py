"""Where the vectors of a cell lie in memory, and in which order its matrix maps are stacked.

Gates lie side by side so that one call squashes several; a stack's blocks lie in the order of the gates that read them.
"""

from __future__ import annotations

import numpy as np

from gatescope.models.compiler.schedule import Place
from gatescope.models.graph.cell import Cell
from gatescope.models.graph.node import Node


class Layout:
    """Where each vector of a cell lies: gates side by side in one array (sigmoids first), each state in a record of its
    own.

    gates: names of the records in that array. place: of each record. stacks: as `Cell.stacks`, the blocks in the order
    in which the records that read them lie.
    """

    def __init__(self, cell: type[Cell]):
        graph, memories = cell.graph(), cell.memories()
        self.cell, self.graph = cell, graph
        self._readers: dict[Node, Node] = {}
        squashed = [name for name in graph.records if graph.pre_activation(name) is not None and name not in memories]
        ordered = sorted(squashed, key=lambda name: graph.records[name].op != "sigmoid")
        others = [name for name in graph.records if name not in squashed and name not in memories]
        self.gates = ordered + others
        self.place: dict[Node, Place] = {}
        for index, name in enumerate(self.gates):
            self.place[graph.records[name]] = Place("gates", index, index + 1)
        for state in memories:
            self.place[graph.after[state]] = Place(state)
            self.place[graph.before[state]] = Place(state, kind="before")
        for node in graph.parameters:
            self.place[node] = Place(str(node.name), kind="fixed")
        self.stacks: dict[str, tuple[Node, list[Node]]] = {}
        for name, (source, blocks) in cell.stacks().items():
            self.stacks[name] = (source, sorted(blocks, key=lambda block: self.place[self.reader(block)]))

    def reader(self, linear: Node) -> Node:
        """The one record whose equation a matrix map belongs to (tracing makes sure that there is one)."""
        if linear not in self._readers:
            self._readers[linear] = linear if linear.signal else self._reader_of(linear)
        return self._readers[linear]

    def signal_of(self, linear: Node) -> str:
        """The signal in whose equation people see a matrix map: the one that bears its name where several read it."""
        reader = self.reader(linear)
        if reader.hidden and linear.name in self.graph.signals:
            return str(linear.name)
        while reader.hidden:
            reader = self._reader_of(reader)
        return str(reader.signal)

    def _reader_of(self, wanted: Node) -> Node:
        return next(record for record in self.graph.records.values() if _reads(record, wanted))

    def is_plain(self, linear: Node) -> bool:
        """Whether a map is a summand of its reader's activation (and not multiplied by something first)."""
        return linear in (self.graph.pre_activation(str(self.reader(linear).signal)) or [])

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


def _reads(record: Node, wanted: Node) -> bool:
    """Whether a node occurs in a record's own expression."""
    pending = list(record.reads)
    while pending:
        at = pending.pop()
        if at is wanted:
            return True
        if not at.signal:
            pending.extend(at.reads)
    return False
