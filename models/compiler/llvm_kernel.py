"""The two loops of a layer as machine code, made from the same schedule as the NumPy program.

All array calls of a step that lie between two matrix products become one loop over the units, in which values stay in
registers; diagonals that the NumPy program computes for a block at once are computed where they are needed. LLVM, by
way of llvmlite (an optional package), turns the assembly into instructions of the machine at hand.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import cache

import numpy as np

from gatescope.models.compiler.llvm_ir import Assembly, declaration
from gatescope.models.compiler.llvm_jit import TOGETHER, machine, products
from gatescope.models.compiler.program import Program
from gatescope.models.compiler.schedule import Call, Place

NUMBERS = {"one": 1.0, "half": 0.5, "minus_one": -1.0}
_COMPILING = threading.Lock()


class Kernel:
    """The loops of a program as machine code, called like the NumPy ones: with arrays by name and the number of units.

    source: their LLVM assembly.
    """

    def __init__(self, program: Program, precision: str):
        lanes = machine().lanes(precision)
        forward, back = program.forward_schedule.calls, [*program.backward_schedule.calls, *program.after.calls]
        self.forward = Loop(program, precision, lanes, forward, [])
        self.backward = Loop(program, precision, lanes, back, program.slopes.calls, falling=True)
        self.source = "\n\n".join(
            (*map(declaration, products(precision)), self.forward.write("forward"), self.backward.write("backward"))
        )
        self._engine = machine().compile(self.source)
        self.run_forward, self.run_backward = self._callable("forward"), self._callable("backward")

    def _callable(self, name: str) -> Callable[[dict[str, np.ndarray], int], None]:
        clock = "d_gates" if name == "backward" else "gates"
        function, wanted = self._engine.get_function_address(name), getattr(self, name).arrays
        run, table = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(function), len(wanted) * 3

        def call(arrays: dict[str, np.ndarray], hidden: int) -> None:
            steps, rows, _ = arrays[clock].shape
            entries = []
            for array in map(arrays.__getitem__, wanted):
                size, strides = array.itemsize, array.strides
                step = strides[0] // size if len(strides) == 3 else 0
                row = strides[-2] // size if len(strides) > 1 and array.shape[-2] > 1 else 0  # one row counts for all
                entries += [array.ctypes.data, step, row]
            run((ctypes.c_int64 * table)(*entries), steps, rows, hidden)

        return call


class Loop:
    """One loop through the steps of a block, as assembly.

    ahead: calls that the NumPy program makes for a block at once before the loop. arrays: names, in the order in which
    the written function wants for each its address and how many numbers apart two steps and two rows of it lie.
    """

    def __init__(
        self, program: Program, precision: str, lanes: int, calls: list[Call], ahead: list[Call], falling: bool = False
    ):
        self.program, self.precision, self.lanes, self.falling = program, precision, lanes, falling
        self.ahead = [each for call in ahead for each in _single(call)]
        self.groups: list[list[Call]] = []
        for call in calls:
            if call.kind == "dot":
                self.groups.append([call])
            elif self.groups and self.groups[-1][0].kind != "dot" and self._fits(self.groups[-1][0], call):
                self.groups[-1] += _single(call)
            else:
                self.groups.append(_single(call))
        self.groups = [group if group[0].kind == "dot" else self._needed(group) + group for group in self.groups]
        places = {place for group in self.groups for call in group for place in (call.out, *call.reads)}
        passing = {call.out.array for call in self.ahead}
        self.arrays = sorted({place.array for place in places if place.kind != "uniform"} - passing)

    def _width(self, array: str) -> int | None:
        return self.program.widths.get(array)

    def _fits(self, one: Call, other: Call) -> bool:
        return self._width(one.out.array) == self._width(other.out.array)

    def _needed(self, group: list[Call]) -> list[Call]:
        """Those calls of `ahead` that a group's values are made of."""
        wanted, found = {place for call in group for place in call.reads}, []
        for call in reversed(self.ahead):
            if call.out in wanted:
                found.insert(0, call)
                wanted |= set(call.reads)
        return found

    def write(self, name: str) -> str:
        """The loop as a function of a table of arrays, the steps, the rows of a step, and the units."""
        code = Assembly(self.precision)
        self._load_table(code)
        done = code.variable("i64", "0")
        with code.loop(done, "%steps") as step:
            if self.falling:
                step = code.whole("sub", code.whole("sub", "%steps", 1), step)
            times = {"record": step, "after": code.whole("add", step, 1)}
            for group in self.groups:
                if group[0].kind == "dot":
                    self._product(code, group[0], times)
                else:
                    self._units(code, group, times)
        return code.function(name, "ptr %arrays, i64 %steps, i64 %rows, i64 %H")

    def _load_table(self, code: Assembly) -> None:
        self.base, self.step, self.row = {}, {}, {}
        for index, array in enumerate(self.arrays):
            for place, target, kind in ((0, self.base, "ptr"), (1, self.step, "i64"), (2, self.row, "i64")):
                entry = code.let(f"getelementptr i64, ptr %arrays, i64 {3 * index + place}")
                target[array] = code.let(f"load {kind}, ptr {entry}")

    def _start(self, code: Assembly, place: Place, times: dict[str, str]) -> str:
        """Where a place begins at this step, in row 0."""
        base = self.base[place.array]
        if place.kind in ("record", "before"):
            state = place.array.removeprefix("d_") in self.program.cell.memories()
            at = times["after" if state and place.kind == "record" else "record"]
            base = code.at(base, code.whole("mul", at, self.step[place.array]))
        return code.at(base, code.whole("mul", "%H", place.first)) if place.first else base

    def _size(self, code: Assembly, place: Place) -> str:
        return str(self._width(place.array) or code.whole("mul", "%H", place.last - place.first))

    def _product(self, code: Assembly, call: Call, times: dict[str, str]) -> None:
        """A matrix product of all rows of a step, groups of rows first."""
        x, weights = call.reads
        out, given = self._start(code, call.out, times), self._start(code, x, times)
        x_row, out_row = self.row[x.array], self.row[call.out.array]
        sizes = f"i64 {self._size(code, x)}, i64 {self._size(code, call.out)}"
        matrix = f"ptr {self.base[weights.array]}, i64 {self.row[weights.array]}"

        def rows(function: str, first: str, count: str) -> None:
            mine = code.at(given, code.whole("mul", first, x_row))
            target = code.at(out, code.whole("mul", first, out_row))
            given_rows, out_rows = f"ptr {mine}, i64 {x_row}", f"ptr {target}, i64 {out_row}, i64 {count}"
            code.line(f"call void @{function}_{self.precision}({given_rows}, {matrix}, {out_rows}, {sizes})")

        single = code.let(f"urem i64 %rows, {TOGETHER}")
        grouped = code.whole("sub", "%rows", single)
        rows("more_rows", "0", grouped)
        rows("one_row", grouped, single)

    def _units(self, code: Assembly, group: list[Call], times: dict[str, str]) -> None:
        """A group of calls as one loop over the units of all rows: vectors first, then what does not fill one."""
        starts = {}
        for place in sorted({place for call in group for place in (call.out, *call.reads)}):
            if place.array in self.base:
                starts[place] = self._start(code, place, times)
        size, row = self._size(code, group[-1].out), code.variable("i64", "0")
        with code.loop(row, "%rows") as b:
            here = {
                place: code.at(start, code.whole("mul", b, self.row[place.array])) for place, start in starts.items()
            }
            unit = code.variable("i64", "0")
            for code.lanes in (self.lanes, 1):
                with code.loop(unit, size, code.lanes, code.lanes) as u:
                    self._values(code, group, here, u)

    def _values(self, code: Assembly, group: list[Call], here: dict[Place, str], unit: str) -> None:
        """The values of a group at some units: each read once, and written once where a record or another group wants
        it.
        """
        known: dict[Place, str] = {}
        written: dict[Place, None] = {}

        def value(place: Place) -> str:
            if place.kind == "uniform":
                return code.constant(NUMBERS[place.array])
            if place not in known:
                known[place] = code.get(code.kind, code.at(here[place], unit))
            return known[place]

        for call in group:
            values = [value(place) for place in call.reads]
            known[call.out] = values[0] if call.kind == "copy" else getattr(code, call.kind)(*values)
            written[call.out] = None
        for place in written:
            if place in here:
                code.put(code.kind, known[place], code.at(here[place], unit))


def _single(call: Call) -> list[Call]:
    """A call over several blocks as calls over one."""

    def block(place: Place, index: int) -> Place:
        return Place(place.array, place.first + index, place.first + index + 1, place.kind)

    return [
        Call(call.level, call.kind, block(call.out, index), tuple(block(read, index) for read in call.reads))
        for index in range(call.out.last - call.out.first)
    ]


@cache
def _kernel(program: Program, precision: str) -> Kernel:
    return Kernel(program, precision)


def compiled(program: Program, precision: str) -> Kernel:
    """A program's loops as machine code for one precision; made once."""
    with _COMPILING:
        return _kernel(program, precision)
