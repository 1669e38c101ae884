"""Functions in LLVM's intermediate representation: arguments, addresses, variables and loops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatescope.models.compiler.llvm import llvm
from gatescope.models.compiler.llvm_numbers import VectorBuilder

if TYPE_CHECKING:
    from llvmlite.ir import AllocaInstr, Function, Module, Value


def new_module() -> Module:
    """A module for functions to be written into, for the machine at hand."""
    module = llvm().ir.Module()
    module.triple = ""
    return module


def declared(module: Module, name: str, arguments: str) -> Function:
    """A function of a module, declared where it is not there yet: it gives nothing.

    arguments: their names, a star before that of an address; all others are whole numbers of 64 bits.
    """
    if name in module.globals:
        return module.globals[name]
    ir = llvm().ir
    kinds = [ir.PointerType() if argument.startswith("*") else ir.IntType(64) for argument in arguments.split()]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    for value, argument in zip(function.args, arguments.split(), strict=True):
        value.name = argument.removeprefix("*")
    return function


class LoopBuilder(VectorBuilder):
    """One function being written into a module; `finish` ends it.

    arguments: as for `declared`; then their values. precision, register: see `VectorBuilder`.
    """

    def __init__(self, module: Module, name: str, arguments: str, precision: str, register: int):
        function = declared(module, name, arguments)
        variables, begin = (function.append_basic_block(name) for name in ("variables", "begin"))
        super().__init__(begin, precision, register)
        self.arguments: tuple[Value, ...] = function.args
        # variables are reserved before all else, once, however deep in loops they are named
        self._reserve = self._ir.IRBuilder(variables)
        self._reserve.position_before(self._reserve.branch(begin))

    def finish(self) -> None:
        """End the function."""
        self._build.ret_void()

    def whole(self, operation: str, left: Value | int, right: Value | int) -> Value:
        """A whole number from two: add, sub, mul or urem."""
        return getattr(self._build, operation)(self._whole(left), self._whole(right))

    def _whole(self, value: Value | int) -> Value:
        return self.size(value) if isinstance(value, int) else value

    def at(self, base: Value, *offsets: Value | int) -> Value:
        """The address `offsets` numbers after `base`."""
        for offset in offsets:
            base = self._build.gep(base, [self._whole(offset)], source_etype=self.number)
        return base

    def entry(self, table: Value, index: Value | int, name: str = "", address: bool = False) -> Value:
        """An entry of a table of whole numbers, or of addresses."""
        place = self._build.gep(table, [self._whole(index)], source_etype=self.size)
        return self._build.load(place, name, typ=self._ir.PointerType() if address else self.size)

    def load(self, address: Value) -> Value:
        """As many numbers as there are lanes, from an address on."""
        return self._build.load(address, align=self.format.bits // 8, typ=self.lane_type)

    def load_one(self, address: Value) -> Value:
        """One number from an address, however many lanes there are."""
        return self._build.load(address, align=self.format.bits // 8, typ=self.number)

    def store(self, value: Value, address: Value) -> None:
        """Write numbers to an address."""
        self._build.store(value, address, align=self.format.bits // 8)

    def variable(self, value: Value | int) -> AllocaInstr:
        """A variable with a first value; see `get` and `put`."""
        value = self._whole(value)
        reserved = self._reserve.alloca(value.type)
        self.put(value, reserved)
        return reserved

    def get(self, variable: AllocaInstr) -> Value:
        """The present value of a variable."""
        return self._build.load(variable)

    def put(self, value: Value, variable: AllocaInstr) -> None:
        """Give a variable another value of the same type."""
        self._build.store(value, variable)

    def call(self, function: Function, *arguments: Value | int) -> None:
        """Call a function of the module."""
        self._build.call(function, [self._whole(argument) for argument in arguments])

    @contextmanager
    def loop(self, counter: AllocaInstr, stop: Value | int, stride: int = 1) -> Iterator[Value]:
        """Go on from a variable in strides while a whole one fits before `stop`; gives the variable's present value."""
        function = self._build.function
        head, body = (function.append_basic_block(name) for name in ("loop", "body"))
        end = self._ir.Block(function, "end")
        self._build.branch(head)
        self._build.position_at_end(head)
        now = self.get(counter)
        after = self.whole("add", now, stride)
        self._build.cbranch(self._build.icmp_signed("<=", after, self._whole(stop)), body, end)
        self._build.position_at_end(body)
        yield now
        self.put(after, counter)
        self._build.branch(head)
        function.blocks.append(end)  # after what the body holds: the text reads in the order in which it runs
        self._build.position_at_end(end)

    def units(self, count: Value | int) -> Iterator[Value]:
        """Two loops through `count` numbers, vectors first, then what does not fill one: gives each one's counter, for
        its body to be written.
        """
        unit = self.variable(0)
        for lanes in (self.register, 1):
            self.lanes = lanes
            with self.loop(unit, count, lanes) as first:
                yield first
