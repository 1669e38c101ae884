"""LLVM assembly written line by line: loops, vectors of numbers, activations, and the product of rows with a matrix.

The text is for `models.compiler.llvm_kernel`. Vectors are explicit, so that nothing depends on what a compiler
recognises. The product keeps its sums in registers and reads the weights once, in the order in which they lie: at one
row it costs what reading the weights from the cache costs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

COMPARISONS = {"above": "ogt", "below": "olt"}


@dataclass(frozen=True)
class Format:
    """How numbers are kept in one precision, and what e^x needs there.

    magic: added to a number it leaves the nearest whole one in the lowest bits. mantissa, bias: of an exponent. log2:
    ln 2 as a part whose multiples are exact and a rest. terms: of the series of e^r − 1 for |r| ≤ ln 2 / 2. limit: tanh
    is 1 beyond.
    """

    name: str
    bits: int
    mantissa: int
    bias: int
    log2: tuple[float, float]
    terms: int
    limit: float

    @property
    def magic(self) -> float:
        """1.5 · 2^mantissa."""
        return 1.5 * 2.0**self.mantissa


FORMATS = {
    "float32": Format("float", 32, 23, 127, (0.693359375, -2.1219444005469057e-4), 7, 10.0),
    "float64": Format("double", 64, 52, 1023, (0.693147180369123816490, 1.90821492927058770002e-10), 13, 20.0),
}


class Assembly:
    """One function being written. number: the type of one number; lanes: how many of them `kind` holds."""

    def __init__(self, precision: str):
        self.format = FORMATS[precision]
        self.number, self.lanes = self.format.name, 1
        self.lines: list[str] = []
        self._made = 0

    @property
    def kind(self) -> str:
        """The type that is computed with: a vector, or a single number where the units do not fill one."""
        return f"<{self.lanes} x {self.number}>" if self.lanes > 1 else self.number

    def new(self, name: str = "v") -> str:
        """A name not used before."""
        self._made += 1
        return f"%{name}{self._made}"

    def line(self, text: str) -> None:
        """Write a line."""
        self.lines.append(f"  {text}")

    def let(self, text: str) -> str:
        """Give what an instruction makes a name."""
        name = self.new()
        self.line(f"{name} = {text}")
        return name

    def function(self, name: str, arguments: str) -> str:
        """What was written, as a function."""
        reserved = [line for line in self.lines if " = alloca " in line]
        body = [line for line in self.lines if " = alloca " not in line]
        return "\n".join([f"define void @{name}({arguments}) {{", *reserved, *body, "  ret void", "}"])

    # -- whole numbers, places and loops ------------------------------------------------------------------------------

    def whole(self, operation: str, left: str | int, right: str | int) -> str:
        """A whole number from two: add, sub or mul."""
        return self.let(f"{operation} i64 {left}, {right}")

    def at(self, base: str, *offsets: str) -> str:
        """The place `offsets` numbers after `base`."""
        for offset in offsets:
            base = self.let(f"getelementptr {self.number}, ptr {base}, i64 {offset}")
        return base

    def variable(self, kind: str, value: str) -> str:
        """A variable with a first value; see `get` and `put`."""
        name = self.new("variable")
        self.line(f"{name} = alloca {kind}")
        self.put(kind, value, name)
        return name

    def get(self, kind: str, place: str) -> str:
        """The value at a place."""
        return self.let(f"load {kind}, ptr {place}, align {self.format.bits // 8}")

    def put(self, kind: str, value: str, place: str) -> None:
        """Write a value to a place."""
        self.line(f"store {kind} {value}, ptr {place}, align {self.format.bits // 8}")

    @contextmanager
    def loop(self, counter: str, stop: str | int, step: int = 1, room: int = 1) -> Iterator[str]:
        """Go on from the variable `counter` while `room` more fit before `stop`; gives its present value."""
        name = self.new("loop")
        label = name[1:]
        self.line(f"br label {name}")
        self.lines.append(f"{label}:")
        now = self.get("i64", counter)
        end = self.whole("add", now, room)
        fits = self.let(f"icmp sle i64 {end}, {stop}")
        self.line(f"br i1 {fits}, label {name}.body, label {name}.end")
        self.lines.append(f"{label}.body:")
        yield now
        self.put("i64", self.whole("add", now, step), counter)
        self.line(f"br label {name}")
        self.lines.append(f"{label}.end:")

    # -- numbers ------------------------------------------------------------------------------------------------------

    def constant(self, value: float) -> str:
        """A number, in every lane."""
        if self.number == "float":
            value = struct.unpack("f", struct.pack("f", value))[0]
        bits = f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
        return f"splat ({self.number} {bits})" if self.lanes > 1 else bits

    def add(self, left: str, right: str) -> str:
        """left + right."""
        return self.let(f"fadd {self.kind} {left}, {right}")

    def sub(self, left: str, right: str) -> str:
        """left − right."""
        return self.let(f"fsub {self.kind} {left}, {right}")

    def mul(self, left: str, right: str) -> str:
        """left · right."""
        return self.let(f"fmul {self.kind} {left}, {right}")

    def multiply_add(self, left: str, right: str, total: str) -> str:
        """left · right + total, rounded once where the processor can."""
        product = self.let(f"fmul contract {self.kind} {left}, {right}")
        return self.let(f"fadd contract {self.kind} {product}, {total}")

    def select(self, value: str, comparison: str, limit: str, chosen: str) -> str:
        """`chosen` where a value lies `above` or `below` a limit, else the value (also where it is not a number)."""
        truth = f"<{self.lanes} x i1>" if self.lanes > 1 else "i1"
        found = self.let(f"fcmp {COMPARISONS[comparison]} {self.kind} {value}, {limit}")
        return self.let(f"select {truth} {found}, {self.kind} {chosen}, {self.kind} {value}")

    def relu(self, value: str) -> str:
        """The larger of the value and 0."""
        return self.select(value, "below", self.constant(0), self.constant(0))

    def sign(self, value: str) -> str:
        """1, 0 or −1."""
        found = self.select(value, "above", self.constant(0), self.constant(1))
        return self.select(found, "below", self.constant(0), self.constant(-1))

    def tanh(self, value: str) -> str:
        """The hyperbolic tangent by way of e^2x − 1, which stays exact near 0: to 3 units in the last place."""
        how, limit = self.format, self.format.limit
        value = self.select(value, "above", self.constant(limit), self.constant(limit))
        value = self.select(value, "below", self.constant(-limit), self.constant(-limit))
        twice = self.add(value, value)
        # 2x = n ln 2 + r, the whole number n in the lowest bits of `raised`
        raised = self.multiply_add(twice, self.constant(1 / math.log(2)), self.constant(how.magic))
        n = self.sub(raised, self.constant(how.magic))
        rest = self.multiply_add(n, self.constant(-how.log2[0]), twice)
        rest = self.multiply_add(n, self.constant(-how.log2[1]), rest)
        series = self.constant(1 / math.factorial(how.terms))
        for term in reversed(range(2, how.terms)):
            series = self.multiply_add(series, rest, self.constant(1 / math.factorial(term)))
        minus_one = self.multiply_add(self.mul(rest, rest), series, rest)
        power = self._power(raised)
        grown = self.multiply_add(power, minus_one, self.sub(power, self.constant(1)))
        return self.let(f"fdiv {self.kind} {grown}, {self.add(grown, self.constant(2))}")

    def _power(self, raised: str) -> str:
        """2^n, of the whole number in the lowest bits."""
        how, bits = self.format, f"i{self.format.bits}"
        kind, each = (f"<{self.lanes} x {bits}>", "splat ({} {})") if self.lanes > 1 else (bits, "{1}")
        found = self.let(f"bitcast {self.kind} {raised} to {kind}")
        found = self.let(f"shl {kind} {found}, {each.format(bits, how.mantissa)}")
        found = self.let(f"add {kind} {found}, {each.format(bits, how.bias << how.mantissa)}")
        return self.let(f"bitcast {kind} {found} to {self.kind}")


PRODUCT = "ptr %x, i64 %x_row, ptr %w, i64 %w_row, ptr %out, i64 %out_row, i64 %rows, i64 %reads, i64 %writes"


def declaration(name: str) -> str:
    """A product that is to be found elsewhere."""
    return f"declare void @{name}({PRODUCT})"


def product(name: str, precision: str, lanes: int, together: int, widths: tuple[int, ...]) -> str:
    """A function that gives `out = x @ w` for as many rows as groups of `together` fill: (rows, reads) by (reads,
    writes).

    widths: how many vectors of sums are kept in registers for each row, widest first; what is left is done by single
    numbers.
    """
    code = Assembly(precision)
    column = code.variable("i64", "0")
    for vectors, code.lanes in [*((width, lanes) for width in widths), (1, 1)]:
        with code.loop(column, "%writes", vectors * code.lanes, vectors * code.lanes) as j:
            row = code.variable("i64", "0")
            with code.loop(row, "%rows", together, together) as b:
                _tile(code, b, j, together, vectors)
    return code.function(name, PRODUCT)


def _tile(code: Assembly, b: str, j: str, together: int, vectors: int) -> None:
    """The sums of `together` rows from row b, `vectors` vectors from column j, over everything that is read."""
    # few sums wait for each other: then neighbouring reads have sums of their own
    apart = max(1, 8 // (together * vectors)) if code.lanes > 1 else 1
    places = [(part, row, at) for part in range(apart) for row in range(together) for at in range(vectors)]
    sums = {place: code.variable(code.kind, code.constant(0)) for place in places}
    rows = [code.at("%x", code.whole("mul", code.whole("add", b, row), "%x_row")) for row in range(together)]
    read = code.variable("i64", "0")
    for parts in sorted({apart, 1}, reverse=True):
        with code.loop(read, "%reads", parts, parts) as k:
            for part in range(parts):
                here = code.whole("add", k, part)
                weights = code.at("%w", code.whole("mul", here, "%w_row"), j)
                line = [code.get(code.kind, code.at(weights, str(at * code.lanes))) for at in range(vectors)]
                for row in range(together):
                    factor = _everywhere(code, code.get(code.number, code.at(rows[row], here)))
                    for at in range(vectors):
                        place = sums[part, row, at]
                        code.put(code.kind, code.multiply_add(factor, line[at], code.get(code.kind, place)), place)
    for row in range(together):
        out = code.at("%out", code.whole("mul", code.whole("add", b, row), "%out_row"), j)
        for at in range(vectors):
            total = code.get(code.kind, sums[0, row, at])
            for part in range(1, apart):
                total = code.add(total, code.get(code.kind, sums[part, row, at]))
            code.put(code.kind, total, code.at(out, str(at * code.lanes)))


def _everywhere(code: Assembly, number: str) -> str:
    """One number in every lane."""
    if code.lanes == 1:
        return number
    first = code.let(f"insertelement {code.kind} poison, {code.number} {number}, i64 0")
    return code.let(f"shufflevector {code.kind} {first}, {code.kind} poison, <{code.lanes} x i32> zeroinitializer")


def row_sums(name: str, precision: str, lanes: int) -> str:
    """A function that adds `count` rows of `width` numbers to the rows of a table that `which` names."""
    code = Assembly(precision)
    done = code.variable("i64", "0")
    with code.loop(done, "%count") as index:
        which = code.let(f"load i64, ptr {code.let(f'getelementptr i64, ptr %which, i64 {index}')}")
        total = code.at("%table", code.whole("mul", which, "%table_row"))
        given = code.at("%rows", code.whole("mul", index, "%rows_row"))
        unit = code.variable("i64", "0")
        for code.lanes in (lanes, 1):
            with code.loop(unit, "%width", code.lanes, code.lanes) as u:
                place = code.at(total, u)
                code.put(code.kind, code.add(code.get(code.kind, place), code.get(code.kind, code.at(given, u))), place)
    wanted = "ptr %table, i64 %table_row, ptr %which, ptr %rows, i64 %rows_row, i64 %count, i64 %width"
    return code.function(name, wanted)
