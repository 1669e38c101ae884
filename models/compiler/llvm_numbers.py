"""Numbers in LLVM's intermediate representation: vectors of them, and the operations of one unit.

Vectors are explicit, so that nothing depends on what a compiler recognises. The operations take and give values of the
present lane type: `<lanes x float>`, or a single number where the units do not fill a vector.

The exponential and the hyperbolic tangent follow Cody & Waite, Software Manual for the Elementary Functions (1980):
x = n ln 2 + r with a whole number n and |r| ≤ ln 2 / 2, where ln 2 is given in two parts so that n times the first is
exact; then e^x = 2^n e^r, and e^r is a short series. See also Muller et al., Handbook of Floating-Point Arithmetic
(2nd edition, 2018), chapter 10.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from gatescope.models.compiler.llvm import llvm

if TYPE_CHECKING:
    from llvmlite.ir import Block, Constant, Type, Value


class Format(NamedTuple):
    """How numbers are kept in one precision, and what e^x needs there.

    bits: of a number. mantissa, bias: bits of the one, and the offset of an exponent. ln2: as a part whose multiples
    are exact and a rest. terms: of the series of e^r − 1 for |r| ≤ ln 2 / 2. tanh_limit: tanh is 1 beyond. exp_limits:
    e^x is 0 below the first and infinite above the second.
    """

    bits: int
    mantissa: int
    bias: int
    ln2: tuple[float, float]
    terms: int
    tanh_limit: float
    exp_limits: tuple[float, float]

    @property
    def magic(self) -> float:
        """1.5 · 2^mantissa: added to a number it leaves the nearest whole one in the lowest bits."""
        return 1.5 * 2.0**self.mantissa


FORMATS = {
    "float32": Format(32, 23, 127, (0.693359375, -2.1219444005469057e-4), 7, 10.0, (-104.0, 89.0)),
    "float64": Format(64, 52, 1023, (0.693147180369123816490, 1.90821492927058770002e-10), 13, 20.0, (-746.0, 710.0)),
}


class VectorBuilder:
    """Instructions on vectors of numbers, written at the end of a block of a function.

    register: how many numbers a register of the machine holds. lanes: how many the operations work on at present.
    """

    def __init__(self, block: Block, precision: str, register: int):
        self._ir, self.format, self.register = llvm().ir, FORMATS[precision], register
        self._build, self.module = self._ir.IRBuilder(block), block.module
        self.number: Type = self._ir.FloatType() if self.format.bits == 32 else self._ir.DoubleType()
        self.size: Type = self._ir.IntType(64)
        self._types: dict[tuple[Type, int], Type] = {}
        self._constants: dict[tuple[float, int], Constant] = {}
        self.lanes = 1

    @property
    def lane_type(self) -> Type:
        """The type that is computed with: a vector, or a single number."""
        return self._lanes_of(self.number)

    def _lanes_of(self, each: Type) -> Type:
        """A value of some type for every lane."""
        key = each, self.lanes
        if key not in self._types:
            self._types[key] = self._ir.VectorType(each, self.lanes) if self.lanes > 1 else each
        return self._types[key]

    def constant(self, value: float) -> Constant:
        """A number, in every lane."""
        key = value, self.lanes
        if key not in self._constants:
            self._constants[key] = self._splat(self.number(value))
        return self._constants[key]

    def _splat(self, constant: Constant) -> Constant:
        return self._ir.Constant(self._lanes_of(constant.type), constant) if self.lanes > 1 else constant

    def broadcast(self, number: Value) -> Value:
        """One number in every lane."""
        if self.lanes == 1:
            return number
        nothing = self._ir.Constant(self.lane_type, self._ir.Undefined)
        first = self._build.insert_element(nothing, number, self.size(0))
        zeros = self._ir.Constant(self._lanes_of(self._ir.IntType(32)), 0)
        return self._build.shuffle_vector(first, nothing, zeros)

    def sum_of_lanes(self, vector: Value) -> Value:
        """The numbers of a vector added up: upper half to lower half until one is left."""
        while vector.type != self.number:
            half, nothing = vector.type.count // 2, self._ir.Constant(vector.type, self._ir.Undefined)
            if half == 1:
                parts = [self._build.extract_element(vector, self.size(lane)) for lane in (0, 1)]
            else:
                kind = self._ir.VectorType(self._ir.IntType(32), half)
                lanes = list(range(half)), list(range(half, 2 * half))
                parts = [self._build.shuffle_vector(vector, nothing, self._ir.Constant(kind, each)) for each in lanes]
            vector = self._build.fadd(*parts)
        return vector

    def number_of(self, count: Value | int) -> Value:
        """A whole number as a number that is computed with."""
        return self.number(count) if isinstance(count, int) else self._build.sitofp(count, self.number)

    # -- operations ---------------------------------------------------------------------------------------------------

    def copy(self, value: Value) -> Value:
        """The value itself."""
        return value

    def add(self, left: Value, right: Value) -> Value:
        """left + right."""
        return self._build.fadd(left, right)

    def sub(self, left: Value, right: Value) -> Value:
        """left − right."""
        return self._build.fsub(left, right)

    def mul(self, left: Value, right: Value) -> Value:
        """left · right."""
        return self._build.fmul(left, right)

    def div(self, left: Value, right: Value) -> Value:
        """left / right."""
        return self._build.fdiv(left, right)

    def multiply_add(self, left: Value, right: Value, total: Value) -> Value:
        """left · right + total, rounded once where the processor can."""
        product = self._build.fmul(left, right, flags=("contract",))
        return self._build.fadd(product, total, flags=("contract",))

    def sqrt(self, value: Value) -> Value:
        """The square root, rounded correctly; not a number below 0."""
        kind = self.lane_type
        name = f"llvm.sqrt.{f'v{self.lanes}' if self.lanes > 1 else ''}f{self.format.bits}"
        known = self.module.globals.get(name)
        root = known or self._ir.Function(self.module, self._ir.FunctionType(kind, [kind]), name)
        return self._build.call(root, [value])

    def relu(self, value: Value) -> Value:
        """The larger of the value and 0."""
        return self._replaced(value, "<", 0, 0)

    def maximum(self, left: Value, right: Value) -> Value:
        """The larger of two; the first where one is not a number."""
        return self._build.select(self._build.fcmp_ordered("<", left, right), right, left)

    def sign(self, value: Value) -> Value:
        """1, 0 or −1."""
        return self._replaced(self._replaced(value, ">", 0, 1), "<", 0, -1)

    def _replaced(self, value: Value, comparison: str, limit: float, chosen: float) -> Value:
        """`chosen` where a value lies beyond a limit, else the value (also where it is not a number)."""
        beyond = self._build.fcmp_ordered(comparison, value, self.constant(limit))
        return self._build.select(beyond, self.constant(chosen), value)

    def _between(self, value: Value, lowest: float, highest: float) -> Value:
        return self._replaced(self._replaced(value, ">", highest, highest), "<", lowest, lowest)

    def exp(self, value: Value) -> Value:
        """e^x to 2 units in the last place (1.1 where products and sums are rounded once); results below the normal
        range are as exact where the processor keeps them.
        """
        how = self.format
        raised, minus_one = self._exponential(self._between(value, *how.exp_limits))
        # 2^n itself may lie beyond every exponent; half of n never does
        magic = self.constant(how.magic)
        half = self.multiply_add(self.sub(raised, magic), self.constant(0.5), magic)
        rest = self.add(self.sub(raised, half), magic)
        grown = self.add(minus_one, self.constant(1))
        return self.mul(self.mul(grown, self._power(half)), self._power(rest))

    def tanh(self, value: Value) -> Value:
        """The hyperbolic tangent by way of e^2x − 1, which stays exact near 0: to 3 units in the last place."""
        value = self._between(value, -self.format.tanh_limit, self.format.tanh_limit)
        raised, minus_one = self._exponential(self.add(value, value))
        power = self._power(raised)
        grown = self.multiply_add(power, minus_one, self.sub(power, self.constant(1)))
        return self.div(grown, self.add(grown, self.constant(2)))

    def _exponential(self, value: Value) -> tuple[Value, Value]:
        """e^x = 2^n (1 + (e^r − 1)) by Cody & Waite: (n in the lowest bits of a number, e^r − 1).

        Adding 1.5 · 2^mantissa rounds to a whole number, since numbers of that size have no places after the point.
        """
        how = self.format
        raised = self.multiply_add(value, self.constant(1 / math.log(2)), self.constant(how.magic))
        n = self.sub(raised, self.constant(how.magic))
        rest = self.multiply_add(n, self.constant(-how.ln2[0]), value)
        rest = self.multiply_add(n, self.constant(-how.ln2[1]), rest)
        series = self.constant(1 / math.factorial(how.terms))
        for term in reversed(range(2, how.terms)):
            series = self.multiply_add(series, rest, self.constant(1 / math.factorial(term)))
        return raised, self.multiply_add(self.mul(rest, rest), series, rest)

    def _power(self, raised: Value) -> Value:
        """2^n, of the whole number n in the lowest bits: put where a number keeps its exponent, plus the bias.

        The shift drops what lies above n, so the result is a number's bits with an empty mantissa (Handbook of
        Floating-Point Arithmetic, chapter 3: the binary interchange formats).
        """
        how, each = self.format, self._ir.IntType(self.format.bits)
        bits = self._build.bitcast(raised, self._lanes_of(each))
        bits = self._build.shl(bits, self._splat(each(how.mantissa)))
        bits = self._build.add(bits, self._splat(each(how.bias << how.mantissa)))
        return self._build.bitcast(bits, self.lane_type)
