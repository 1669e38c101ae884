"""What is done with rows of numbers: their product with a matrix, their sums into a table, the mean of a row.

The product keeps its sums in registers and reads the weights once, in the order in which they lie: at one row it costs
what reading the weights from the cache costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gatescope.models.compiler.llvm_ir import LoopBuilder

if TYPE_CHECKING:
    from llvmlite.ir import AllocaInstr, Module, Value

PRODUCT = "*x x_row *w w_row *out out_row rows reads writes"
ROW_SUMS = "*table table_row *which *rows rows_row count width"


def product(module: Module, name: str, precision: str, register: int, together: int, widths: tuple[int, ...]) -> None:
    """Write a function that gives `out = x @ w` for as many rows as groups of `together` fill: (rows, reads) by (reads,
    writes).

    widths: how many vectors of sums are kept in registers for each row, widest first; what is left is done by single
    numbers. Arguments of the function: `PRODUCT`; `x_row` and the like say how many numbers apart two rows lie.
    """
    code = LoopBuilder(module, name, PRODUCT, precision, register)
    *_, rows, _, writes = code.arguments
    column = code.variable(0)
    for vectors, code.lanes in [*((width, register) for width in widths), (1, 1)]:
        with code.loop(column, writes, vectors * code.lanes) as j:
            with code.loop(code.variable(0), rows, together) as b:
                _tile(code, b, j, together, vectors)
    code.finish()


def _tile(code: LoopBuilder, b: Value, j: Value, together: int, vectors: int) -> None:
    """The sums of `together` rows from row b, `vectors` vectors from column j, over everything that is read.

    All sums of such a tile stay in registers until they are whole, so that of a row of weights each vector is read once
    for all rows, and what is written is written once (register blocking: Goto & van de Geijn, Anatomy of
    High-Performance Matrix Multiplication, 2008).
    """
    x, x_row, w, w_row, out, out_row, _, reads, _ = code.arguments
    # a sum waits for the one before it: where there are few, neighbouring reads have sums of their own
    apart = max(1, 8 // (together * vectors)) if code.lanes > 1 else 1
    places = [(part, row, at) for part in range(apart) for row in range(together) for at in range(vectors)]
    sums = {place: code.variable(code.constant(0)) for place in places}
    rows = [code.at(x, code.whole("mul", code.whole("add", b, row), x_row)) for row in range(together)]
    read = code.variable(0)
    for parts in sorted({apart, 1}, reverse=True):
        with code.loop(read, reads, parts) as k:
            for part in range(parts):
                here = code.whole("add", k, part)
                weights = code.at(w, code.whole("mul", here, w_row), j)
                line = [code.load(code.at(weights, at * code.lanes)) for at in range(vectors)]
                for row in range(together):
                    factor = code.broadcast(code.load_one(code.at(rows[row], here)))
                    for at in range(vectors):
                        total = sums[part, row, at]
                        code.put(code.multiply_add(factor, line[at], code.get(total)), total)
    for row in range(together):
        target = code.at(out, code.whole("mul", code.whole("add", b, row), out_row), j)
        for at in range(vectors):
            total = code.get(sums[0, row, at])
            for part in range(1, apart):
                total = code.add(total, code.get(sums[part, row, at]))
            code.store(total, code.at(target, at * code.lanes))


def row_sums(module: Module, name: str, precision: str, register: int) -> None:
    """Write a function that adds `count` rows of `width` numbers to the rows of a table that `which` names.

    Arguments of the function: `ROW_SUMS`.
    """
    code = LoopBuilder(module, name, ROW_SUMS, precision, register)
    table, table_row, which, rows, rows_row, count, width = code.arguments
    with code.loop(code.variable(0), count) as index:
        total = code.at(table, code.whole("mul", code.entry(which, index), table_row))
        given = code.at(rows, code.whole("mul", index, rows_row))
        for unit in code.units(width):
            place = code.at(total, unit)
            code.store(code.add(code.load(place), code.load(code.at(given, unit))), place)
    code.finish()


def mean_of_rows(code: LoopBuilder, count: Value | int, value: Callable[[Value], Value]) -> Value:
    """The mean of `count` numbers; `value(unit)` writes how those of the present lanes come about.

    Every lane has a sum of its own and the lanes are added in pairs, so the error grows with count / lanes only
    (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 4).
    """
    sums: dict[int, AllocaInstr] = {}
    for lanes in (code.register, 1):
        code.lanes = lanes
        sums[lanes] = code.variable(code.constant(0))
    for unit in code.units(count):
        total = sums[code.lanes]
        code.put(code.add(code.get(total), value(unit)), total)
    total = code.add(code.get(sums[1]), code.sum_of_lanes(code.get(sums[code.register])))
    return code.div(total, code.number_of(count))
