"""Maps of all pairs of steps, and texts of a hundred thousand characters."""

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import torch

from gatescope.models.inspection.influence import influence
from gatescope.models.inspection.trace import trace
from tests.bench.measure import Result, compare, in_turn, spread
from tests.bench.programs import CHARACTERS, EMBEDDING, HIDDEN, Around, network

PAIRS, LONG = 200, 100_000
TEXT = np.random.default_rng(1).integers(0, CHARACTERS, LONG).tolist()


def one_by_one() -> Callable[[], object]:
    """The losses of all steps sent back one after another through torch.nn.LSTM, which shows nothing of its inside."""
    around, module, seen = Around(), torch.nn.LSTM(EMBEDDING, HIDDEN), torch.tensor(TEXT[:PAIRS])

    def run() -> None:
        module.zero_grad()
        output, _ = module(around.embedding(seen)[:, None])
        losses = torch.nn.functional.cross_entropy(around.readout(output[:-1, 0]), seen[1:], reduction="none")
        for loss in losses:
            loss.backward(retain_graph=True)

    return run


def linear() -> Result:
    """A text of 10⁵ characters against ten times one of 10⁴, forward and backward."""
    read = network("lstm")
    short, long = in_turn(
        lambda: trace(read, TEXT[: LONG // 10], signals=["c"]), lambda: trace(read, TEXT, signals=["c"]), rounds=11
    )
    detail = f"{spread(long)} against ten times {spread(short)}"
    return Result("10⁵ characters / 10 × 10⁴ characters", float(np.median(long) / np.median(short)) / 10, 1.1, detail)


def memory() -> Result:
    """The highest memory of a long trace of one signal, against what was asked for and what the way back needs."""
    read = network("lstm")
    trace(read, TEXT[:1000], signals=["c"])
    tracemalloc.start()
    made = trace(read, TEXT, signals=["c"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    asked = sum(array.nbytes for array in made.tensors.values())
    needed = LONG * HIDDEN * 6 * 4  # i, f, g, o, c and h: what the diagonals are made of
    detail = f"{peak / 1e6:.0f} MB at most for {asked / 1e6:.0f} MB asked for and {needed / 1e6:.0f} MB needed"
    return Result("memory of 10⁵ characters / asked for + needed", peak / (asked + needed), 1.1, detail)


def results() -> Iterator[Result]:
    """The lines about many steps."""
    torch.set_num_threads(1)
    tokens, read = TEXT[:PAIRS], network("lstm")
    name = f"who influences whom, {PAIRS} × {PAIRS} / {PAIRS} passes of torch.nn.LSTM"
    yield compare(name, 1 / 8, lambda: influence(read, tokens), one_by_one(), rounds=9)
    yield linear()
    yield memory()
