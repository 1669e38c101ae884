"""The two loops of a layer as machine code, made from the same schedule as the NumPy program.

All elementwise calls of a step that lie between two calls that need whole vectors (matrix products, means) become one
loop over the units, in which values stay in registers; diagonals that the NumPy program computes for a block at once
are computed where they are needed. LLVM, by way of llvmlite (an optional package), turns what is written here into
instructions of the machine at hand.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gatescope.models.compiler.llvm_ir import LoopBuilder, declared, new_module
from gatescope.models.compiler.llvm_jit import TOGETHER, machine, products
from gatescope.models.compiler.llvm_rows import PRODUCT, mean_of_rows
from gatescope.models.compiler.program import KEPT, Program
from gatescope.models.compiler.schedule import Call, Place
from gatescope.models.graph.operations import OPERATIONS

if TYPE_CHECKING:
    from llvmlite.binding import ExecutionEngine
    from llvmlite.ir import Module, Value

LOOP = "*arrays steps rows H"
_COMPILING = threading.Lock()


class Kernel:
    """The loops of a program as machine code, called like the NumPy ones: with arrays by name and the number of
    units.
    """

    def __init__(self, program: Program, precision: str):
        forward, back = program.forward_schedule.calls, [*program.backward_schedule.calls, *program.after.calls]
        loops = (
            Loop("forward", program, precision, forward, []),
            Loop("backward", program, precision, back, program.slopes.calls, falling=True),
        )
        module = new_module()
        for loop in loops:
            loop.write(module)
        self._written = str(module)
        engine = machine().compile(self._written)
        self.run_forward, self.run_backward = (loop.function(engine) for loop in loops)

    @property
    def source(self) -> str:
        """The loops in LLVM's intermediate representation, before anything is made better."""
        return machine().readable(self._written)


class Loop:
    """One loop through the steps of a block; falling: from the last step to the first.

    ahead: calls that the NumPy program makes for a block at once before the loop; their means are made here once a row,
    in a register. groups: calls that are made together, a product alone, others in one loop over the units. arrays:
    names, in the order in which the written function wants for each its address and how many numbers apart two steps
    and two rows of it lie.
    """

    def __init__(
        self,
        name: str,
        program: Program,
        precision: str,
        calls: list[Call],
        ahead: list[Call],
        falling: bool = False,
    ):
        self.name, self.program, self.precision, self.falling = name, program, precision, falling
        self.numbers = program.numbers
        self.ahead = [each for call in ahead for each in _single(call)]
        self.groups = [
            group if group[0].kind == "dot" else self._needed(group) + group for group in self._grouped(calls)
        ]
        places = {place for group in self.groups for call in group for place in (call.out, *call.reads)}
        passing = {call.out.array for call in self.ahead}
        self.arrays = sorted({place.array for place in places if place.kind != "uniform"} - passing)

    def _grouped(self, calls: list[Call]) -> list[list[Call]]:
        """The calls in groups: what needs a whole vector begins one, since its other units must be there by then."""
        groups: list[list[Call]] = []
        for call in calls:
            if call.kind == "dot":
                groups.append([call])
            elif groups and self._joins(call, groups[-1]):
                groups[-1] += _single(call)
            else:
                groups.append(_single(call))
        return groups

    def _joins(self, call: Call, group: list[Call]) -> bool:
        kinds = {other.kind for other in group}
        may = kinds == {"mean"} if call.kind == "mean" else "dot" not in kinds
        return may and self._width(call.out.array) == self._width(group[0].out.array)

    def _width(self, array: str) -> int | None:
        return self.program.widths.get(array)

    def _needed(self, group: Iterable[Call]) -> list[Call]:
        """Those calls of `ahead` that a group's values are made of."""
        wanted = {place for call in group for place in call.reads}
        found: list[Call] = []
        for call in reversed(self.ahead):
            if call.out in wanted:
                found.insert(0, call)
                wanted |= set(call.reads)
        return found

    def function(self, engine: ExecutionEngine) -> Callable[[dict[str, np.ndarray], int], None]:
        """The loop, once it is machine code, as a function of arrays by name and the number of units."""
        clock = "d_gates" if self.falling else "gates"
        wanted, table = self.arrays, len(self.arrays) * 3
        address = engine.get_function_address(self.name)
        run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(address)

        def call(arrays: dict[str, np.ndarray], hidden: int) -> None:
            assert engine  # the machine code lives as long as it
            steps, rows, _ = arrays[clock].shape
            entries = []
            for array in map(arrays.__getitem__, wanted):
                size, strides = array.itemsize, array.strides
                step = strides[0] // size if len(strides) == 3 else 0
                row = strides[-2] // size if len(strides) > 1 and array.shape[-2] > 1 else 0  # one row counts for all
                entries += [array.ctypes.data, step, row]
            run((ctypes.c_int64 * table)(*entries), steps, rows, hidden)

        return call

    def write(self, module: Module) -> None:
        """Write the loop as a function of a table of arrays, the steps, the rows of a step, and the units."""
        code = LoopBuilder(module, self.name, LOOP, self.precision, machine().lanes(self.precision))
        table, steps, self.rows, self.units = code.arguments
        self._load_table(code, table)
        with code.loop(code.variable(0), steps) as step:
            if self.falling:
                step = code.whole("sub", code.whole("sub", steps, 1), step)
            times = {"record": step, "after": code.whole("add", step, 1)}
            for group in self.groups:
                if group[0].kind == "dot":
                    self._product(code, group[0], times)
                else:
                    self._loop(code, group, times)
        code.finish()

    def _load_table(self, code: LoopBuilder, table: Value) -> None:
        self.base: dict[str, Value] = {}
        self.step: dict[str, Value] = {}
        self.row: dict[str, Value] = {}
        for index, array in enumerate(self.arrays):
            self.base[array] = code.entry(table, 3 * index, array, address=True)
            self.step[array] = code.entry(table, 3 * index + 1, f"{array}_step")
            self.row[array] = code.entry(table, 3 * index + 2, f"{array}_row")

    def _start(self, code: LoopBuilder, place: Place, times: dict[str, Value]) -> Value:
        """Where a place begins at this step, in row 0."""
        base = self.base[place.array]
        if place.kind in ("record", "before"):
            state = place.array.removeprefix("d_") in self.program.cell.memories()
            at = times["after" if state and place.kind == "record" else "record"]
            base = code.at(base, code.whole("mul", at, self.step[place.array]))
        return code.at(base, code.whole("mul", self.units, place.first)) if place.first else base

    def _size(self, code: LoopBuilder, place: Place) -> Value | int:
        return self._width(place.array) or code.whole("mul", self.units, place.last - place.first)

    def _product(self, code: LoopBuilder, call: Call, times: dict[str, Value]) -> None:
        """A matrix product of all rows of a step, groups of rows first."""
        x, weights = call.reads
        out, given = self._start(code, call.out, times), self._start(code, x, times)
        x_row, out_row = self.row[x.array], self.row[call.out.array]
        sizes = self._size(code, x), self._size(code, call.out)
        single = code.whole("urem", self.rows, TOGETHER)
        grouped = code.whole("sub", self.rows, single)
        one, more = (declared(code.module, name, PRODUCT) for name in products(self.precision))
        for function, first, count in ((more, 0, grouped), (one, grouped, single)):
            mine = code.at(given, code.whole("mul", first, x_row))
            target = code.at(out, code.whole("mul", first, out_row))
            matrix = self.base[weights.array], self.row[weights.array]
            code.call(function, mine, x_row, *matrix, target, out_row, count, *sizes)

    def _loop(self, code: LoopBuilder, group: list[Call], times: dict[str, Value]) -> None:
        """A group of calls as one loop over the units of all rows; what they make is written where another group or a
        record wants it.
        """
        starts = {}
        for place in sorted({place for call in group for place in (call.out, *call.reads)}):
            if place.array in self.base:
                starts[place] = self._start(code, place, times)
        size = self._size(code, group[-1].out)
        with code.loop(code.variable(0), self.rows) as b:
            here = {
                place: code.at(start, code.whole("mul", b, self.row[place.array])) for place, start in starts.items()
            }
            means: dict[Place, Value] = {}
            for call in group:
                if call.kind == "mean":
                    means[call.out] = self._mean(code, call, means, here, size)
            for unit in code.units(size):
                value = self._values(code, group, means, here, unit)
                for place in {call.out: None for call in group}:
                    if place in here:
                        code.store(value(place), code.at(here[place], unit))

    def _mean(
        self,
        code: LoopBuilder,
        call: Call,
        means: dict[Place, Value],
        here: dict[Place, Value],
        size: Value | int,
    ) -> Value:
        """The mean over the units of a row, of what lies there or of what is made on the way."""
        needed, (read,) = self._needed([call]), call.reads
        return mean_of_rows(code, size, lambda unit: self._values(code, needed, means, here, unit)(read))

    def _values(
        self, code: LoopBuilder, calls: list[Call], means: dict[Place, Value], here: dict[Place, Value], unit: Value
    ) -> Callable[[Place], Value]:
        """Make calls at some units, each value read once at most; gives the value of a place after them."""
        known: dict[Place, Value] = {}

        def value(place: Place) -> Value:
            if place.kind == "uniform":
                return code.constant(self.numbers[place.array])
            if place not in known:
                known[place] = code.broadcast(means[place]) if place in means else code.load(code.at(here[place], unit))
            return known[place]

        for call in calls:
            if call.kind == "mean":
                known[call.out] = code.broadcast(means[call.out])
            else:
                known[call.out] = _made(code, call.kind, [value(read) for read in call.reads])
        return value


def _made(code: LoopBuilder, kind: str, values: list[Value]) -> Value:
    """What an elementwise call gives, as the table of operations says."""
    if kind == "copy":
        return values[0]
    made = OPERATIONS[kind].llvm
    if made is None:
        raise TypeError(f"the operation {kind} has no machine code")
    return made(code, *values)


def _single(call: Call) -> list[Call]:
    """A call over several blocks as calls over one."""

    def block(place: Place, index: int) -> Place:
        return Place(place.array, place.first + index, place.first + index + 1, place.kind)

    return [
        Call(call.level, call.kind, block(call.out, index), tuple(block(read, index) for read in call.reads))
        for index in range(call.out.last - call.out.first)
    ]


@lru_cache(KEPT)
def _kernel(program: Program, precision: str) -> Kernel:
    return Kernel(program, precision)


def compiled(program: Program, precision: str) -> Kernel:
    """A program's loops as machine code for one precision; made once."""
    with _COMPILING:
        return _kernel(program, precision)
