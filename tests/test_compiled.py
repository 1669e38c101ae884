"""Machine code against NumPy; that both equal autograd is for test_cells.py and others, which run with either."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.compiler import llvm_jit as machine
from gatescope.models.compiler.aligned import LINE, side_by_side
from gatescope.models.compiler.backend import VARIABLE, choose_kernel, chosen_kernel
from gatescope.models.compiler.llvm_kernel import compiled
from gatescope.models.compiler.program import program
from gatescope.models.inspection.trace import stream, trace
from gatescope.models.network.bptt import NetworkPass, NetworkWeights
from gatescope.models.network.network import untrained
from tests.oracle import furthest, least

EVERY_CELL = pytest.mark.parametrize("cell", cells().values(), ids=cells())
PRECISIONS = pytest.mark.parametrize(("precision", "near"), [("float32", 2e-5), ("float64", 1e-12)])
# a memory that only grows, or is divided by something small, spreads its last places: in float64 too, but there is room
SPREADS = {"lstm1997": 5, "slstm": 5, "layernorm-lstm": 5}
LETTERS = [chr(97 + number) for number in range(11)]


def run_of(kernel: str, monkeypatch, read):
    monkeypatch.setenv(VARIABLE, kernel)
    return read()


@EVERY_CELL
@PRECISIONS
@pytest.mark.parametrize("hidden", [1, 16, 37])
def test_both_kernels_record_the_same(cell, precision, near, hidden, monkeypatch):
    network = untrained(cell, 2, hidden, LETTERS, 5)
    tokens = np.random.default_rng(0).integers(0, len(LETTERS), 130).tolist()
    one, other = (
        run_of(kernel, monkeypatch, lambda: trace(network, tokens, precision=precision)).tensors
        for kernel in ("numpy", "compiled")
    )
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert other[name].dtype == array.dtype == precision
        assert furthest(other[name], array, least(cell, name, precision)) <= near * SPREADS.get(cell.id, 1), name


@EVERY_CELL
@pytest.mark.parametrize("batch", [3, 4, 9])
def test_sequences_side_by_side(cell, batch, monkeypatch):
    network, chance = untrained(cell, 2, 19, LETTERS), np.random.default_rng(1)
    tokens = chance.integers(0, len(LETTERS), (20, batch))
    gradient = chance.normal(size=(20, batch, len(LETTERS))).astype(np.float32)

    def read() -> dict[str, np.ndarray]:
        work = NetworkPass(NetworkWeights(cell, 2, 19, network.parameters, np.float32), 20, batch)
        work.forward(tokens)
        work.backward(gradient, 0, 20)
        return work.gradients | {"logits": work.logits}

    one, other = (run_of(kernel, monkeypatch, read) for kernel in ("numpy", "compiled"))
    for name, array in one.items():
        assert furthest(other[name], array) <= 5e-6, name


def test_rows_are_added_to_the_rows_they_name():
    table, rows = np.zeros((4, 21), np.float32), np.arange(63, dtype=np.float32).reshape(3, 21)
    machine.row_adder("float32")(table, np.array([2, 0, 2]), rows)
    assert (table == [rows[1], np.zeros(21), rows[0] + rows[2], np.zeros(21)]).all()


def test_arrays_begin_where_a_cache_line_begins():
    arrays = side_by_side({"a": (3, 5), "b": (7,), "c": (0, 4), "d": (2, 2, 2)}, np.float32)
    assert [array.shape for array in arrays.values()] == [(3, 5), (7,), (0, 4), (2, 2, 2)]
    assert all(array.ctypes.data % LINE == 0 for name, array in arrays.items() if name != "c")
    for number, array in enumerate(arrays.values()):
        array[...] = number
    assert [set(array.flat) for array in arrays.values()] == [{0}, {1}, set(), {3}]


def test_a_kernel_is_made_once_whoever_asks():
    derived = program(cells()["lstm"].with_options(("projection", 3)))
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: compiled(derived, "float32"), range(4)))
    assert all(kernel is made[0] for kernel in made)
    assert "define void @forward(" in made[0].source and "define void @backward(" in made[0].source


def test_a_trace_says_which_kernel_it_was(each_kernel):
    network = untrained(cells()["elman"], 1, 4, LETTERS)
    assert trace(network, [1, 2]).metadata["kernel"] == each_kernel
    assert next(stream(network, [1, 2]))[1]["kernel"] == each_kernel


def test_what_cannot_be_chosen_is_refused_with_what_may(monkeypatch):
    monkeypatch.setenv(VARIABLE, "auto")
    assert chosen_kernel() == "compiled"
    with pytest.raises(ValueError, match="GATESCOPE_KERNEL: must be one of auto, numpy, compiled"):
        choose_kernel("fast")
    choose_kernel("numpy")
    assert chosen_kernel() == "numpy"


WITHOUT = """
import sys
sys.modules["llvmlite"] = None
from gatescope.models.compiler.backend import choose_kernel, chosen_kernel
from gatescope.models.pretrained import load_pretrained
from gatescope.models.inspection.trace import trace
print(chosen_kernel(), trace(load_pretrained("shakespeare-elman"), [1, 2, 3]).metadata["kernel"])
choose_kernel("compiled")
"""


def test_without_the_compiler_numpy_does_it():
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, env={VARIABLE: "auto"})
    assert ran.stdout == "numpy numpy\n"
    assert "GATESCOPE_KERNEL: compiled needs the package llvmlite" in ran.stderr


def test_a_service_that_has_read_nothing_has_not_imported_the_compiler():
    look = "import sys, app.server; print(sorted({'llvmlite', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "[]\n"
