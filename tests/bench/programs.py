"""The derived programs against PyTorch: the same weights, text, embedding, readout and loss on both sides."""

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import torch

from models.cells import cells
from models.network import Network, untrained
from models.trace import trace
from tests.bench.measure import Result, compare

STEPS, HIDDEN, EMBEDDING, CHARACTERS = 1000, 128, 64, 65
TOKENS = np.random.default_rng(0).integers(0, CHARACTERS, STEPS).tolist()
SEEN = torch.tensor(TOKENS)


def network(cell: str, hidden: int = HIDDEN) -> Network:
    """A network of the size that is measured."""
    return untrained(cells()[cell], 1, hidden, [chr(64 + number) for number in range(CHARACTERS)], EMBEDDING)


def ours(cell: str, loss: str = "every", hidden: int = HIDDEN) -> Callable[[], object]:
    """Forward and backward with everything recorded."""
    read = network(cell, hidden)
    return lambda: trace(read, TOKENS, loss=loss)


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


def results() -> Iterator[Result]:
    """Every line of the table that needs no server."""
    torch.set_num_threads(1)
    yield compare("lstm, everything recorded / torch loop over LSTMCell", 1 / 6, ours("lstm"), loop(), rounds=7)
    for cell, bar in (("lstm", 3.0), ("gru", 0.3), ("elman", 0.3)):
        yield compare(f"{cell}, everything recorded / blind {cells()[cell].reference}", bar, ours(cell), blind(cell))
    for hidden, bar in ((32, 5.0), (256, 1.8)):
        name = f"lstm, everything recorded, {hidden} units / blind torch.nn.LSTM"
        yield compare(name, bar, ours("lstm", hidden=hidden), blind("lstm", hidden), rounds=11)
    for cell in ("lstm", "gru", "elman"):
        yield compare(
            f"{cell}, loss at the last step / at every step", 1.0, ours(cell, "last"), ours(cell, "every"), rounds=31
        )
    yield memory()
