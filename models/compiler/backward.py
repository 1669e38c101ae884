"""The backward loop of a cell, as schedules: reverse mode over the same graph (Linnainmaa 1970; through time: Werbos
1990).

Between two records lies a diagonal that the forward pass knows. All diagonals of a time chunk are computed at once, and
in the loop remain one product an arrow and one matrix product a vector that is mapped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gatescope.models.compiler.forward import Forward
from gatescope.models.compiler.layout import Layout
from gatescope.models.compiler.schedule import Place, Schedule, uniform
from gatescope.models.graph.derivatives import Derivatives
from gatescope.models.graph.node import Node

Arrow = tuple[Node, int, Node]  # a record, and the sign and the factor of ∂record/∂(what it reads)


class Backward:
    """slopes: the diagonals of a time chunk. loop: the calls of one step, in falling time. after: what can wait until
    the loop is done. same_as_input: a stack whose adjoint is also that of the input's stack (the lstm's weight_hh), so
    that it need not be computed twice.
    """

    def __init__(self, layout: Layout, forward: Forward, intervened: frozenset[str]):
        self.layout, self.graph = layout, layout.graph
        self.slopes, self.after = Schedule("factor", "record"), Schedule("factor_after", "record")
        self.loop = Schedule("spare_back")
        self.masks = {name: Node("mask", name=f"mask_{name}") for name in intervened}
        self._where = layout.place | {node: Place("kept", at, at + 1) for at, node in enumerate(forward.kept)}
        self._where |= {mask: Place(str(mask.name)) for mask in self.masks.values()}
        self._adjoint = self._adjoints()
        self._readers = self._arrows()
        self._begun = self._begun_before()
        for node in reversed(self.graph.nodes):
            if node.op == "parameter":
                for arrow in self._readers.get(node, []):
                    self._along(self.after, Place(f"d_{node.name}"), arrow, self._factor(arrow))
            elif node in self._adjoint:
                self._collect(node)
        self.same_as_input = self._same_as_input()
        if not self.same_as_input:
            self._stack_adjoint(self.after, "weight_ih", layout.stacks["weight_ih"][1])

    def _adjoints(self) -> dict[Node, Place]:
        """Where ∂L/∂record lies, and ∂L/∂(a map that is mapped again)."""
        places = {node: Place(f"d_{at.array}", at.first, at.last, at.kind) for node, at in self.layout.place.items()}
        mapped = {source for source, _ in self.layout.stacks.values()}
        for stack, (_, blocks) in self.layout.stacks.items():
            for at, block in enumerate(blocks):
                if block in mapped and not block.width:
                    places[block] = Place(f"d_{stack}", at, at + 1)
        return places

    def _arrows(self) -> dict[Node, list[Arrow]]:
        """For each record the records whose equations read it, with the factor between; an overwritten one is a
        constant, so nothing passes through it.
        """
        derivatives = Derivatives()
        readers: dict[Node, list[Arrow]] = {}
        for name, record in self.graph.records.items():
            for read, factors in derivatives.of(record).items():
                sign, factor = derivatives.total(factors)
                if name in self.masks:
                    factor = derivatives.node("mul", self.masks[name], factor)
                readers.setdefault(read, []).append((record, sign, factor))
        return readers

    def _begun_before(self) -> set[Place]:
        """Adjoints that hold something when a step begins: what the readout adds to the output, and what the step after
        adds to a state that it reads.
        """
        output, sources = self.layout.cell.memories()[0], {source for source, _ in self.layout.stacks.values()}
        averaged = {node.reads[0] for node in self.graph.nodes if node.op == "mean"}
        begun = {self._adjoint[self.graph.after[output]], self._adjoint[self.graph.before[output]]}
        for state, leaf in self.graph.before.items():
            if leaf not in self.graph.lags and (leaf in self._readers or leaf in sources or leaf in averaged):
                begun.add(self._adjoint[self.graph.after[state]])
        return begun

    def _collect(self, node: Node) -> None:
        """Everything that comes back to a record: along arrows, through matrices, through means."""
        for arrow in self._readers.get(node, []):
            factor = self._factor(arrow)
            self._contribute(node, partial(self._along, self.loop, arrow=arrow, factor=factor))
        for stack, (source, blocks) in self.layout.stacks.items():
            if node is source:
                stacked = self._stack_adjoint(self.loop, stack, blocks)
                weights = Place(f"back_{stack}", kind="fixed")
                self._contribute(node, partial(self._product, stacked=stacked, weights=weights))
        for average in self.graph.nodes:
            if average.op == "mean" and average.reads[0] is node:
                self._contribute(node, partial(self._averaged, average=average))
        if self._adjoint[node] not in self._begun and node.op != "state":
            self.loop.call("copy", self._adjoint[node], uniform(0))  # nothing depends on it

    def _factor(self, arrow: Arrow) -> Place:
        return self.slopes.express(arrow[2], self._where)

    def _along(self, schedule: Schedule, out: Place, arrow: Arrow, factor: Place, earliest: int = 0) -> Place:
        """∂L/∂(a record) times the factor between it and what it reads."""
        reader, sign, _ = arrow
        place = schedule.call("mul", out, self._adjoint[reader], factor, earliest=earliest)
        return place if sign > 0 else schedule.call("mul", place, place, uniform(-1))

    def _contribute(self, node: Node, make: Callable[[Place], Place]) -> None:
        """The first contribution to an adjoint is written, later ones are added."""
        out = self._adjoint[node]
        if out in self._begun:
            self.loop.call("add", out, out, make(self.loop.spare(width=node.width)))
        else:
            self._begun.add(out)
            make(out)

    def _stack_adjoint(self, schedule: Schedule, stack: str, blocks: list[Node]) -> Place:
        """∂L/∂(the stacked maps): all blocks at one level, so that they become one call."""
        if blocks[0].width:
            mask = [self._where[self.masks[name]] for name in self.masks if name == blocks[0].signal]
            return schedule.call("mul" if mask else "copy", Place(f"d_{stack}"), self._adjoint[blocks[0]], *mask)
        arrows = [(at, self._readers[block][0]) for at, block in enumerate(blocks) if block in self._readers]
        earliest = max((schedule.level(self._adjoint[arrow[0]]) for _, arrow in arrows), default=0)
        for at, arrow in arrows:
            factor = self.slopes.express(arrow[2], self._where, Place(f"slope_{stack}", at, at + 1))
            self._along(schedule, Place(f"d_{stack}", at, at + 1), arrow, factor, earliest)
        return Place(f"d_{stack}", 0, len(blocks))

    def _product(self, out: Place, stacked: Place, weights: Place) -> Place:
        """A matrix product; NumPy writes one only into rows that lie close together, not beside other gates."""
        if out.array != "d_gates":
            return self.loop.call("dot", out, stacked, weights)
        return self.loop.call("copy", out, self.loop.call("dot", self.loop.spare(), stacked, weights))

    def _averaged(self, out: Place, average: Node) -> Place:
        """What comes back through a mean: its matrix, 1/H everywhere, is its own transpose."""
        adjoint = self._adjoint[average]
        if average.signal in self.masks:
            mask = self._where[self.masks[average.signal]]
            adjoint = self.loop.call("mul", self.loop.spare(), adjoint, mask)
        return self.loop.call("mean", out, adjoint)

    def _same_as_input(self) -> str | None:
        def arrows(blocks: list[Node]) -> list[Arrow]:
            return [self._readers[block][0] for block in blocks if block in self._readers]

        stacks = self.layout.stacks
        return next(
            (
                name
                for name, (source, blocks) in stacks.items()
                if source not in self.graph.lags and arrows(blocks) == arrows(stacks["weight_ih"][1])
            ),
            None,
        )
