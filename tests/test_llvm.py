"""What machine code is made of, against NumPy in twice the precision: operations, means, and groups of calls."""

import copy
import ctypes
from collections.abc import Callable

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.compiler.llvm_ir import LoopBuilder, new_module
from gatescope.models.compiler.llvm_jit import machine
from gatescope.models.compiler.llvm_kernel import Loop
from gatescope.models.compiler.llvm_rows import mean_of_rows
from gatescope.models.compiler.program import program
from gatescope.models.compiler.schedule import Call, Place, uniform

PRECISIONS = pytest.mark.parametrize("precision", ["float32", "float64"])
FINITE = {"float32": 95, "float64": 720}


def run(arguments: str, precision: str, write: Callable[[LoopBuilder], None], *given: np.ndarray | int) -> None:
    """Write a function, compile it, and call it once."""
    module = new_module()
    code = LoopBuilder(module, "tested", arguments, precision, machine().lanes(precision))
    write(code)
    code.finish()
    engine = machine().compile(str(module))
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(given))(engine.get_function_address("tested"))
    function(*(each.ctypes.data if isinstance(each, np.ndarray) else each for each in given))


def applied(operation: str, *given: np.ndarray) -> np.ndarray:
    """An operation of the builder, for every number of some arrays."""
    precision, found = given[0].dtype.name, np.empty_like(given[0])
    names = [f"x{number}" for number in range(len(given))]

    def write(code: LoopBuilder) -> None:
        *reads, out, count = code.arguments
        for unit in code.units(count):
            values = [code.load(code.at(read, unit)) for read in reads]
            code.store(getattr(code, operation)(*values), code.at(out, unit))

    run(f"*{' *'.join(names)} *out count", precision, write, *given, found, len(found))
    return found


def hard(precision: str) -> np.ndarray:
    """Numbers of all sizes, both signs, at the ends of the range, and what is none; more than fill vectors."""
    how, limit = np.finfo(precision), FINITE[precision]
    ends = np.log([how.max, how.tiny, how.smallest_subnormal]).astype(precision)
    ends = np.concatenate([ends, np.nextafter(ends, 0), np.nextafter(ends, ends * 2)])
    sizes = np.exp2(np.linspace(np.log2(how.smallest_subnormal), np.log2(how.max) - 0.01, 1001)).astype(precision)
    values = np.concatenate([np.linspace(0, limit, 4001), sizes, ends, [0.0, how.max, np.inf, np.nan]])
    return np.concatenate([values, -values]).astype(precision)


def assert_near(found: np.ndarray, exact: np.ndarray, places: float) -> None:
    """So many units in the last place at most; what is no finite number is the same."""
    known = np.isfinite(exact)
    np.testing.assert_array_equal(found[~known], exact[~known])
    assert np.max(np.abs(found[known] - exact[known]) / np.spacing(np.abs(exact[known]))) <= places


@PRECISIONS
@pytest.mark.parametrize(("operation", "places"), [("exp", 2), ("tanh", 3)])
def test_functions_are_right_to_their_last_places(operation, places, precision):
    values = hard(precision)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        exact = getattr(np, operation)(values.astype(np.longdouble)).astype(precision)
    assert_near(applied(operation, values), exact, places)


@PRECISIONS
def test_the_exponential_ends_in_zero_and_in_infinity(precision):
    low, high = np.log([np.finfo(precision).smallest_subnormal, np.finfo(precision).max]) + [-1, 1e-4]
    found = applied("exp", np.array([-np.inf, -1e30, low, 0, high, 1e30, np.inf], precision))
    assert found.tolist() == [0, 0, 0, 1, np.inf, np.inf, np.inf]


@PRECISIONS
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
def test_arithmetic_is_rounded_once(operation, precision):
    left = hard(precision)
    right = np.random.default_rng(0).permutation(left)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(applied(operation[:3], left, right), getattr(np, operation)(left, right))
        np.testing.assert_array_equal(applied("sqrt", left), np.sqrt(left))


@PRECISIONS
def test_what_chooses(precision):
    values = hard(precision)
    np.testing.assert_array_equal(applied("relu", values), np.maximum(values, 0))
    np.testing.assert_array_equal(applied("sign", values), np.sign(values))
    np.testing.assert_array_equal(applied("copy", values), values)


@PRECISIONS
@pytest.mark.parametrize("count", [1, 7, 16, 37, 1024])
def test_a_mean_of_every_row(count, precision):
    chance = np.random.default_rng(count)
    rows = chance.normal([[0], [1e4], [-1e-30], [0]], [[1], [1], [1e-30], [1]], (4, count)).astype(precision)
    rows[3, count // 2] = np.inf
    found = np.empty(4, precision)

    def write(code: LoopBuilder) -> None:
        x, out, rows, count = code.arguments
        with code.loop(code.variable(0), rows) as row:
            given = code.at(x, code.whole("mul", row, count))
            code.store(mean_of_rows(code, count, lambda unit: code.load(code.at(given, unit))), code.at(out, row))

    run("*x *out rows count", precision, write, rows, found, 4, count)
    exact, size = (each.mean(axis=1) for each in (rows.astype(np.longdouble), np.abs(rows[:3])))
    assert (np.abs(found[:3] - exact[:3]) <= 4 * np.finfo(precision).eps * size).all()
    assert found[3] == np.inf


def looped(
    precision: str, calls: list[Call], ahead: list[Call], arrays: dict[str, np.ndarray], hidden: int, falling: bool
) -> None:
    """Run calls as a loop of an Elman layer would."""
    plain = copy.copy(program(cells()["elman"]))
    plain.numbers = {uniform(3).array: 3.0}
    loop, module = Loop("tested", plain, precision, calls, ahead, falling), new_module()
    loop.write(module)
    loop.function(machine().compile(str(module)))(arrays, hidden)


@PRECISIONS
@pytest.mark.parametrize("hidden", [1, 16, 37])
@pytest.mark.parametrize("falling", [False, True])
def test_a_mean_among_other_calls(precision, hidden, falling):
    steps, rows = 3, 5
    gates = "d_gates" if falling else "gates"
    spare, first, second = Place("spare0", 0, 2, "fixed"), Place("factor0"), Place("factor1")

    def block(index: int, last: int = 0) -> Place:
        return Place(gates, index, last or index + 1)

    ahead = [Call(1, "mul", first, (block(0), block(1))), Call(2, "mean", second, (first,))]
    calls = [
        Call(1, "tanh", spare, (block(0, 2),)),
        Call(2, "mean", block(2, 4), (spare,)),  # each block by itself
        Call(3, "sub", spare, (spare, block(2, 4))),
        Call(4, "mul", spare, (spare, spare)),
        Call(5, "mean", spare, (spare,)),  # in place
        Call(6, "div", block(2), (block(2), block(3))),
        Call(7, "mul", block(3), (Place("spare0", 1, 2, "fixed"), second)),
        Call(8, "mul", block(3), (block(3), uniform(3))),
        Call(9, "mean", block(4), (first,)),
        Call(10, "mean", block(5), (block(4),)),
    ]
    values = np.random.default_rng(hidden).normal(size=(steps, rows, 6 * hidden)).astype(precision)
    values[..., : 2 * hidden] += 0.5
    arrays = {gates: values.copy(), "spare0": np.empty((rows, 2 * hidden), precision)}
    looped(precision, calls, ahead, arrays, hidden, falling)

    a, b = np.split(values[..., : 2 * hidden].astype(np.float64), 2, axis=-1)

    def average(each: np.ndarray) -> np.ndarray:
        return each.mean(axis=-1, keepdims=True)

    spread = average((np.tanh(b) - average(np.tanh(b))) ** 2)
    wanted = [a, b, average(np.tanh(a)) / average(np.tanh(b)), 3 * spread * average(a * b), *[average(a * b)] * 2]
    for index, exact in enumerate(wanted):
        found = arrays[gates][..., index * hidden : (index + 1) * hidden]
        near = 1e-4 if precision == "float32" else 1e-11
        np.testing.assert_allclose(found, np.broadcast_to(exact, found.shape), rtol=near, atol=near / 10)
