"""The derived programs against PyTorch: the same weights, text, embedding, readout and loss on both sides."""

import ctypes
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import torch

from gatescope.models.cells import cells
from gatescope.models.compiler.aligned import side_by_side
from gatescope.models.compiler.backend import choose_kernel
from gatescope.models.compiler.llvm_ir import LoopBuilder, new_module
from gatescope.models.compiler.llvm_jit import machine
from gatescope.models.compiler.llvm_rows import product
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import Network, untrained
from tests.bench.measure import Result, compare, in_turn

STEPS, HIDDEN, EMBEDDING, CHARACTERS = 1000, 128, 64, 65
TOKENS = np.random.default_rng(0).integers(0, CHARACTERS, STEPS).tolist()
SEEN = torch.tensor(TOKENS)


def network(cell: str, hidden: int = HIDDEN) -> Network:
    """A network of the size that is measured."""
    return untrained(cells()[cell], 1, hidden, [chr(64 + number) for number in range(CHARACTERS)], EMBEDDING)


def ours(cell: str, loss: str = "every", hidden: int = HIDDEN, kernel: str = "compiled") -> Callable[[], object]:
    """Forward and backward with everything recorded."""
    read = network(cell, hidden)

    def run() -> None:
        choose_kernel(kernel)
        trace(read, TOKENS, loss=loss)

    return run


class Around(torch.nn.Module):
    """What lies around the recurrence, the same for every contestant of PyTorch's."""

    def __init__(self, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.embedding, self.readout = torch.nn.Embedding(CHARACTERS, EMBEDDING), torch.nn.Linear(hidden, CHARACTERS)

    def learn(self, output: torch.Tensor) -> None:
        """The loss of every step and its backward pass."""
        torch.nn.functional.cross_entropy(self.readout(output)[:-1], SEEN[1:], reduction="sum").backward()


def blind(cell: str, hidden: int = HIDDEN) -> Callable[[], object]:
    """torch.nn's own module: nothing of its inside is recorded."""
    around = Around(hidden)
    module = getattr(torch.nn, cells()[cell].reference.split(".")[-1])(EMBEDDING, hidden)

    def run() -> None:
        module.zero_grad()
        output, _ = module(around.embedding(SEEN)[:, None])
        around.learn(output[:, 0])

    return run


def loop() -> Callable[[], object]:
    """What people write today to see inside: a loop over LSTMCell, `retain_grad` on every state."""
    around, cell = Around(), torch.nn.LSTMCell(EMBEDDING, HIDDEN)

    def run() -> None:
        cell.zero_grad()
        inputs, states = around.embedding(SEEN), (torch.zeros(1, HIDDEN), torch.zeros(1, HIDDEN))
        kept = []
        for given in inputs:
            states = cell(given[None], states)
            for state in states:
                state.retain_grad()
            kept.append(states)
        around.learn(torch.cat([h for h, _ in kept]))

    return run


def memory() -> Result:
    """The highest memory while a trace is made, against the arrays it returns."""
    read = network("lstm")
    trace(read, TOKENS)
    tracemalloc.start()
    made = trace(read, TOKENS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    recorded = sum(array.nbytes for array in made.tensors.values())
    detail = f"{peak / 1e6:.1f} MB at most for {recorded / 1e6:.1f} MB recorded"
    return Result("memory of a trace / its recorded arrays", peak / recorded, 1.3, detail)


def recorder(weights: np.ndarray) -> Callable[[], object]:
    """Weights read from the cache a hundred times: machine code that multiplies a vector with them and does no more."""
    module, lanes = new_module(), machine().lanes("float32")
    product(module, "once", "float32", lanes, 1, (16, 4, 1))
    code = LoopBuilder(module, "often", "*x *w *out reads writes", "float32", lanes)
    x, w, out, reads, writes = code.arguments
    with code.loop(code.variable(0), 100):
        code.call(module.get_global("once"), x, 0, w, writes, out, 0, 1, reads, writes)
    code.finish()
    engine = machine().compile(str(module))
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 5)(engine.get_function_address("often"))
    given, out = np.ones(len(weights), np.float32), np.empty(weights.shape[1], np.float32)

    def read() -> None:
        assert engine  # the machine code lives as long as it
        run(given.ctypes.data, weights.ctypes.data, out.ctypes.data, len(given), len(out))

    return read


def limit(cell: str, hidden: int) -> str:
    """What the machine needs at the least, in words: every step reads the state's weights from the cache once in each
    direction, and all other multiply-adds are one large matrix product.
    """
    rows = network(cell, hidden).parameters["rnn.weight_hh_l0"].shape[0]
    arrays = side_by_side({"weights": (hidden, rows), "left": (512, 512), "right": (512, 512)}, np.float32)
    for array in arrays.values():
        array[...] = 1
    times = in_turn(recorder(arrays["weights"]), lambda: arrays["left"] @ arrays["right"], rounds=15)
    once, large = (float(np.median(seconds)) for seconds in times)
    multiply_adds = STEPS * hidden * (rows + 3 * CHARACTERS) + 3 * CHARACTERS * EMBEDDING * rows
    least = 2 * STEPS * once / 100 + large * multiply_adds / 512**3
    return f"; the machine's own limit is {least * 1000:.1f} ms"


def against_blind(cell: str, bar: float, kernel: str, hidden: int = HIDDEN, rounds: int = 21) -> Result:
    """Everything recorded against PyTorch's module, of which nothing is."""
    name = f"{cell}, {hidden} units, everything recorded, {kernel} / blind {cells()[cell].reference}"
    found = compare(name, bar, ours(cell, hidden=hidden, kernel=kernel), blind(cell, hidden), rounds=rounds)
    found.detail += limit(cell, hidden)
    return found


def results() -> Iterator[Result]:
    """Every line of the table that needs no server; leaves the kernel to be chosen by itself."""
    torch.set_num_threads(1)
    yield compare("lstm, everything recorded / torch loop over LSTMCell", 1 / 6, ours("lstm"), loop(), rounds=7)
    for kernel, bars in (("compiled", (1.0, 1.0, 1.0)), ("numpy", (5.0, 2.5, 1.8))):
        for hidden, bar in zip((32, 128, 256), bars, strict=True):
            yield against_blind("lstm", bar, kernel, hidden)
    for kernel, bar in (("compiled", 0.1), ("numpy", 0.3)):
        for cell in ("gru", "elman"):
            yield against_blind(cell, bar, kernel, rounds=11)
    for cell in ("lstm", "gru", "elman"):
        name = f"{cell}, loss at the last step / at every step"
        yield compare(name, 1.0, ours(cell, "last"), ours(cell, "every"), rounds=31)
    choose_kernel("auto")
    yield memory()
