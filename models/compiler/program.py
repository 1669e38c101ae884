"""The forward and the backward program of one layer of a cell, derived from its graph.

Forward: every matrix map of the input is hoisted out of the time loop; every matrix map of a state is one product with
the stacked weights; what remains runs in place in the records. Backward: between two signals lies a diagonal that the
forward pass already knows, so all diagonals of a block of steps are computed at once, and in the loop remain one
product an arrow and one matrix product a state. Weight gradients are one matrix product a block.

`Program.source` is the program as Python. It leaves out what lies around a layer (characters, readout, loss): see
`models.network.bptt`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from gatescope.models.compiler.layout import Layout
from gatescope.models.compiler.schedule import Call, Place, Schedule, statement, uniform, variable
from gatescope.models.graph.cell import Cell
from gatescope.models.graph.graph import Derivatives, Node


class Program:
    """One cell's two loops, compiled from source it wrote itself.

    intervened: signals that an intervention may overwrite: for them the records `mask_<signal>` (1, or 0 where
    overwritten) and `value_<signal>` (0, or the value there) are read. An overwritten value is a constant: no gradient
    passes through it. kept: blocks of matrix maps that the backward pass must know besides the signals. hoisted: for
    each run of the input's stack the record it is written into. All arrays are time-major, (steps, batch, units).
    """

    def __init__(self, cell: type[Cell], intervened: frozenset[str] = frozenset()):
        self.cell, self.layout, self.intervened = cell, Layout(cell), intervened
        self.forward_schedule, self.kept = self._forward()
        self.hoisted = self._hoisted()
        self.slopes, self.backward_schedule, self.after = self._backward()
        self.widths = self.layout.widths() | self.forward_schedule.widths | self.backward_schedule.widths
        self.source = "\n\n\n".join(
            (
                self._print("forward", [], self.forward_schedule.merged(), []),
                self._print("backward", self.slopes.merged(), self.backward_schedule.merged(), self.after.merged()),
            )
        )
        names = {
            name: getattr(np, name)
            for name in ("add", "subtract", "multiply", "tanh", "sign", "copyto", "dot", "maximum")
        }
        exec(compile(self.source, f"<{cell.id} program>", "exec"), names)  # noqa: S102 – our own derived source
        self.run_forward, self.run_backward = names["forward"], names["backward"]

    # -- derivation ---------------------------------------------------------------------------------------------------

    def _hoisted(self) -> list[tuple[Place, int, int]]:
        """(record, first block, last block) for each run of the input stack that lies side by side in one record."""
        runs: list[tuple[Place, int, int]] = []
        for index, block in enumerate(self.layout.stacks["weight_ih"][1]):
            if not self.layout.is_plain(block):
                raise TypeError(f"{self.cell.__name__}: a map of the input must be a summand of its gate")
            place = self.layout.place[self.layout.reader(block)]
            if runs and runs[-1][0].joins(place):
                runs[-1] = (runs[-1][0].joined(place), runs[-1][1], index + 1)
            else:
                runs.append((place, index, index + 1))
        return runs

    def has_input(self, signal: Node) -> bool:
        """Whether a signal's record already holds the input's part when the loop begins."""
        return any(block.name and self.layout.reader(block) is signal for block in self.layout.stacks["weight_ih"][1])

    def _forward(self) -> tuple[Schedule, list[Node]]:
        layout, graph, schedule = self.layout, self.layout.graph, Schedule()
        derivatives, where = Derivatives(), dict(layout.place)
        factors = [
            node for signal in graph.signals.values() for found in derivatives.of(signal).values() for _, node in found
        ]
        needed = {leaf for factor in factors for leaf in _leaves(factor)}
        needed |= {source for source, _ in layout.stacks.values()}
        kept = [node for node in graph.linears if node in needed]
        for node in graph.nodes:
            if node.signal and node.op != "linear":
                self._signal(schedule, where, node)
            if node.signal in self.intervened:
                out = layout.place[node]
                schedule.call("mul", out, out, Place(f"mask_{node.signal}"))
                schedule.call("add", out, out, Place(f"value_{node.signal}"))
            for stack, (source, blocks) in layout.stacks.items():
                if node is source and source not in graph.lags:
                    self._product(schedule, stack, where, source, blocks, kept)
        return schedule, kept

    def _product(
        self, schedule: Schedule, stack: str, where: dict, source: Node, blocks: list[Node], kept: list[Node]
    ) -> None:
        if blocks[0].width:
            schedule.call("dot", where[blocks[0]], where[source], Place(stack, 0, 1, "fixed"))
            return
        out = schedule.call("dot", schedule.spare(len(blocks)), where[source], Place(stack, 0, len(blocks), "fixed"))
        for index, block in enumerate(blocks):
            where[block] = Place(out.array, index, index + 1, "fixed")
            if block in kept or not (self.layout.is_plain(block) and self.has_input(self.layout.reader(block))):
                target = Place("kept", kept.index(block), kept.index(block) + 1) if block in kept else where[block]
                bias = Place(stack.replace("weight", "bias"), index, index + 1, "fixed")
                where[block] = schedule.call("add", target, where[block], bias)

    def _signal(self, schedule: Schedule, where: dict, node: Node) -> None:
        out, summands = self.layout.place[node], self.layout.graph.pre_activation(node.signal)
        if summands is None:
            schedule.express(node, {known: place for known, place in where.items() if known is not node}, out)
            return
        ready = self.has_input(node)
        for summand in summands:
            if summand.op == "linear" and summand.reads[0] in self.layout.graph.lags:
                continue  # hoisted: it lies there already
            place = schedule.express(summand, where)
            if node.op == "sigmoid" and summand.op != "linear":
                place = schedule.call("mul", schedule.spare(), place, uniform("half"))
            schedule.call("add", out, out, place) if ready else schedule.call("copy", out, place)
            ready = True
        schedule.squash(node.op, out)

    def _backward(self) -> tuple[Schedule, Schedule, Schedule]:
        """The diagonals of a block of steps, the loop through it, and what can wait until after the loop."""
        layout, graph = self.layout, self.layout.graph
        slopes, after = Schedule("factor", "record"), Schedule("factor_after", "record")
        loop = Schedule("spare_back")
        derivatives, mapped = Derivatives(), {source for source, _ in layout.stacks.values()}
        where = layout.place | {node: Place("kept", index, index + 1) for index, node in enumerate(self.kept)}
        adjoint = {
            node: Place(f"d_{place.array}", place.first, place.last, place.kind) for node, place in layout.place.items()
        }
        for stack, (_, blocks) in layout.stacks.items():
            adjoint |= {
                block: Place(f"d_{stack}", at, at + 1)
                for at, block in enumerate(blocks)
                if block in mapped and not block.width
            }
        masks = {name: Node("mask", name=f"mask_{name}") for name in self.intervened}
        where |= {mask: Place(mask.name) for mask in masks.values()}
        readers: dict[Node, list[tuple[Node, int, Node]]] = {}
        for name, signal in graph.signals.items():
            for record, factors in derivatives.of(signal).items():
                sign, factor = derivatives.total(factors)
                factor = derivatives.node("mul", masks[name], factor) if name in masks else factor
                readers.setdefault(record, []).append((signal, sign, factor))

        def arrow(schedule: Schedule, out: Place, reader: Node, sign: int, factor: Place, earliest: int = 0) -> Place:
            place = schedule.call("mul", out, adjoint[reader], factor, earliest=earliest)
            return place if sign > 0 else schedule.call("mul", place, place, uniform("minus_one"))

        def stack_adjoint(schedule: Schedule, stack: str, blocks: list[Node]) -> Place:
            """∂L/∂(the stacked maps): all blocks at one level, so that they become one call."""
            if blocks[0].width:
                mask = [where[masks[name]] for name in masks if name == blocks[0].signal]
                return schedule.call("mul" if mask else "copy", Place(f"d_{stack}"), adjoint[blocks[0]], *mask)
            arrows = [(index, *readers[block][0]) for index, block in enumerate(blocks) if block in readers]
            earliest = max((schedule.level(adjoint[reader]) for _, reader, _, _ in arrows), default=0)
            for index, reader, sign, slope in arrows:
                factor = slopes.express(slope, where, Place(f"slope_{stack}", index, index + 1))
                arrow(schedule, Place(f"d_{stack}", index, index + 1), reader, sign, factor, earliest)
            return Place(f"d_{stack}", 0, len(blocks))

        # what the readout adds to the output state, and what the step after adds to a state it reads, lies there
        # already
        output = self.cell.memories()[0]
        begun = {adjoint[graph.after[output]], adjoint[graph.before[output]]}
        begun |= {
            adjoint[graph.after[state]]
            for state, leaf in graph.before.items()
            if leaf not in graph.lags
            and (leaf in readers or any(leaf is source for source, _ in layout.stacks.values()))
        }

        def contribute(node: Node, make) -> None:
            """The first contribution to a gradient is written, later ones are added."""
            out = adjoint[node]
            if out in begun:
                loop.call("add", out, out, make(loop.spare(width=node.width)))
            else:
                begun.add(out)
                make(out)

        def product(out: Place, stacked: Place, weights: Place) -> Place:
            """A matrix product; NumPy writes one only into rows that lie close together, not beside other gates."""
            if out.array != "d_gates":
                return loop.call("dot", out, stacked, weights)
            return loop.call("copy", out, loop.call("dot", loop.spare(), stacked, weights))

        for node in reversed(graph.nodes):
            if node in adjoint and node.op != "parameter":
                for reader, sign, slope in readers.get(node, []):
                    factor = slopes.express(slope, where)
                    contribute(
                        node,
                        lambda out, reader=reader, sign=sign, factor=factor: arrow(loop, out, reader, sign, factor),
                    )
                for stack, (source, blocks) in layout.stacks.items():
                    if node is source:
                        stacked = stack_adjoint(loop, stack, blocks)
                        weights = Place(f"back_{stack}", kind="fixed")
                        contribute(node, lambda out, stacked=stacked, weights=weights: product(out, stacked, weights))
            for reader, sign, slope in readers.get(node, []) if node.op == "parameter" else []:
                arrow(after, Place(f"d_{node.name}"), reader, sign, slopes.express(slope, where))
        self.same_as_input = self._same_as_input(readers)
        if not self.same_as_input:
            stack_adjoint(after, "weight_ih", layout.stacks["weight_ih"][1])
        return slopes, loop, after

    def _same_as_input(self, readers: dict) -> str | None:
        """A stack whose adjoint is also the input stack's (the lstm's weight_hh), so that it need not be computed
        twice.
        """

        def arrows(blocks: list[Node]) -> list[tuple]:
            return [readers[block][0] for block in blocks if block in readers]

        stacks = self.layout.stacks
        return next(
            (
                name
                for name, (source, blocks) in stacks.items()
                if source not in self.layout.graph.lags and arrows(blocks) == arrows(stacks["weight_ih"][1])
            ),
            None,
        )

    # -- printing -----------------------------------------------------------------------------------------------------

    def _print(self, name: str, before: list[Call], loop: list[Call], after: list[Call]) -> str:
        """The source of `name(a, H)`: calls on whole blocks, the loop over its steps, calls on whole blocks again."""
        calls = [*before, *loop, *after]
        views = {
            place: variable(place) for place in sorted({place for call in calls for place in (call.out, *call.reads)})
        }
        lines = [f"def {name}(a, H):"]
        for place, view in views.items():
            rows = "[:-1]" if place.kind == "before" else "[1:]" if self._is_state(place.array) else ""
            whole = place.array.startswith("back_") or place.array in self.widths
            units = "" if whole else f"[..., {place.first} * H:{place.last} * H]"
            lines.append(f"    {view} = a[{place.array!r}]{rows}{units}")
        lines += [f"    {statement(call, views.__getitem__)}" for call in before]
        moving = sorted(
            {place for call in loop for place in (call.out, *call.reads) if place.kind in ("record", "before")}
        )
        order = "[::-1]" if name == "backward" else ""
        step = {place: f"{view}_t" if place in moving else view for place, view in views.items()}
        if loop:
            lines.append(f"    for {', '.join(step[place] for place in moving)}, in zip(")
            lines.append(f"            {', '.join(views[place] + order for place in moving)}, strict=True):")
            lines += [f"        {statement(call, step.__getitem__)}" for call in loop]
        lines += [f"    {statement(call, views.__getitem__)}" for call in after]
        return "\n".join(lines)

    def _is_state(self, array: str) -> bool:
        return array.removeprefix("d_") in self.cell.memories()


def _leaves(node: Node) -> list[Node]:
    return [node] if node.is_record else [leaf for read in node.reads for leaf in _leaves(read)]


@cache
def _programs(cell: type[Cell], intervened: frozenset[str]) -> Program:
    return Program(cell, intervened)


def program(cell: type[Cell], intervened: Iterable[str] = ()) -> Program:
    """The program of a cell, with these signals open to interventions; derived once."""
    return _programs(cell, frozenset(intervened))
