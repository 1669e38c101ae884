"""The forward and the backward program of one layer of a cell, derived from its graph.

Forward: every matrix map of the input is hoisted out of the time loop; every matrix map of a state is one product with
the stacked weights; what remains runs in place in the records (see `models.compiler.forward`). Backward: see
`models.compiler.backward`. Weight gradients are one matrix product a time chunk.

`Program.source` is the program as Python. It leaves out what lies around a layer (tokens, readout, loss): see
`models.network.bptt`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from cachetools import LRUCache

from gatescope.models.compiler.backward import Backward
from gatescope.models.compiler.forward import Forward
from gatescope.models.compiler.layout import Layout
from gatescope.models.compiler.schedule import Call, Place, number_of, statement, variable
from gatescope.models.graph.cell import Cell
from gatescope.models.graph.node import Node
from gatescope.models.graph.operations import FUNCTIONS

Loop = Callable[[dict[str, np.ndarray], int], None]
ALWAYS = ("one", "half", "minus_one")
KEPT = 256  # of programs, and of machine code made of them, which takes a megabyte each


class Program:
    """One cell's two loops, compiled from source it wrote itself.

    intervened: signals that an intervention may overwrite: for them the records `mask_<signal>` (1, or 0 where
    overwritten) and `value_<signal>` (0, or the value there) are read. An overwritten value is a constant: no gradient
    passes through it. kept: maps that the backward pass must know besides the records. hoisted: for each run of the
    input's stack the record it is written into. numbers: what lies in the arrays that hold one number. widths: of
    arrays that hold no whole blocks. All arrays are time-major, (steps, batch, units).
    """

    def __init__(self, cell: type[Cell], intervened: frozenset[str] = frozenset()):
        self.cell, self.layout, self.intervened = cell, Layout(cell), intervened
        self.forward = Forward(self.layout, intervened)
        self.backward = Backward(self.layout, self.forward, intervened)
        self.forward_schedule, self.kept = self.forward.schedule, self.forward.kept
        self.slopes, self.backward_schedule, self.after = self.backward.slopes, self.backward.loop, self.backward.after
        self.same_as_input, self.has_input = self.backward.same_as_input, self.forward.has_input
        schedules = (self.forward_schedule, self.slopes, self.backward_schedule, self.after)
        self.numbers = {name: number_of(name) for name in ALWAYS}
        for schedule in schedules:
            self.numbers |= schedule.numbers()
        self.hoisted = self._hoisted()
        self.widths = self.layout.widths() | self.forward_schedule.widths | self.backward_schedule.widths
        self.source = "\n\n\n".join(
            (
                self._print("forward", [], self.forward_schedule.merged(), []),
                self._print("backward", self.slopes.merged(), self.backward_schedule.merged(), self.after.merged()),
            )
        )
        names: dict[str, Any] = {name: getattr(np, name) for name in FUNCTIONS if name != "mean"}
        names["mean"] = _mean
        exec(compile(self.source, f"<{cell.id} program>", "exec"), names)  # noqa: S102 – our own derived source
        self.run_forward: Loop = names["forward"]
        self.run_backward: Loop = names["backward"]

    def _hoisted(self) -> list[tuple[Place, int, int]]:
        """(record, first block, last block) for each run of the input stack that lies side by side in one record."""
        runs: list[tuple[Place, int, int]] = []
        for index, block in enumerate(self.layout.stacks["weight_ih"][1]):
            place = self.layout.place[self.layout.reader(block)]
            if runs and runs[-1][0].joins(place):
                runs[-1] = (runs[-1][0].joined(place), runs[-1][1], index + 1)
            else:
                runs.append((place, index, index + 1))
        return runs

    def _print(self, name: str, before: list[Call], loop: list[Call], after: list[Call]) -> str:
        """The source of `name(a, H)`: calls on whole time chunks, the loop over steps, calls on whole chunks again."""
        places = _places([*before, *loop, *after])
        views = {place: variable(place) for place in places}
        lines = [f"def {name}(a, H):", *(f"    {self._view(place)}" for place in places)]
        lines += [f"    {statement(call, views.__getitem__)}" for call in before]
        moving = [place for place in _places(loop) if place.kind in ("record", "before")]
        order = "[::-1]" if name == "backward" else ""
        step = {place: f"{view}_t" if place in moving else view for place, view in views.items()}
        if loop:
            lines.append(f"    for {', '.join(step[place] for place in moving)}, in zip(")
            lines.append(f"            {', '.join(views[place] + order for place in moving)}, strict=True):")
            lines += [f"        {statement(call, step.__getitem__)}" for call in loop]
        lines += [f"    {statement(call, views.__getitem__)}" for call in after]
        return "\n".join(lines)

    def _view(self, place: Place) -> str:
        """The line that gives a place a variable."""
        state = place.array.removeprefix("d_") in self.cell.memories()
        rows = "[:-1]" if place.kind == "before" else "[1:]" if state else ""
        whole = place.array.startswith("back_") or place.array in self.widths
        units = "" if whole else f"[..., {place.first} * H:{place.last} * H]"
        return f"{variable(place)} = a[{place.array!r}]{rows}{units}"

    def reads(self, stack: str) -> Node:
        """The vector that a stack of maps reads."""
        return self.layout.stacks[stack][0]


def _places(calls: list[Call]) -> list[Place]:
    """Everything that calls read and write, in the order of the alphabet."""
    return sorted({place for call in calls for place in (call.out, *call.reads)})


def _mean(vector: np.ndarray, out: np.ndarray) -> None:
    """The mean over the units of each row, for every unit."""
    out[...] = vector.mean(axis=-1, keepdims=True)


_DERIVING = threading.RLock()
# the latest: strangers may choose any of a cell's options and open any set of its signals
_PROGRAMS: LRUCache[tuple[type[Cell], frozenset[str]], Program] = LRUCache(KEPT)


def program(cell: type[Cell], intervened: Iterable[str] = ()) -> Program:
    """The program of a cell, with these signals open to interventions; derived once."""
    key = cell, frozenset(intervened)
    with _DERIVING:
        found = _PROGRAMS.get(key)
        if found is None:
            found = _PROGRAMS[key] = Program(*key)
        return found
