"""Training with everything told against the loop a user would write: the same sizes, text, steps and thread.

The loop is PyTorch's usual one: Embedding, nn.RNN/GRU/LSTM, Linear, Adam, clip_grad_norm_, states carried,
time-major as in PyTorch's own example of a language model (which is also its quicker layout here).
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from gatescope.models.cells import cells
from gatescope.models.training.learner import Learner
from gatescope.models.training.recipe import Recipe
from gatescope.models.training.spec import Spec
from gatescope.models.training.statistics import signal_gradient_norms
from tests.bench.measure import Result, compare, in_turn, spread

CHARACTERS, EMBEDDING = 65, 64
TEXT = "".join(map(chr, 65 + np.random.default_rng(0).integers(0, CHARACTERS, 200_000)))
SIZES = (
    {"batch_size": 32, "sequence_length": 64},
    {"layers": 2, "hidden": 256, "batch_size": 64, "sequence_length": 100},
)
ROUNDS = 15


def learner(cell: str, sizes: dict) -> Learner:
    """Our training, with a report as often as such a training makes one."""
    chosen = {"cell": cell, "embedding": EMBEDDING, "steps": 100_000}
    return Learner(Spec(TEXT, Recipe.for_text(len(TEXT), CHARACTERS, **chosen, **sizes)))


def ours(work: Learner) -> Callable[[], object]:
    """Steps until the next report, and all that it tells."""

    def run() -> None:
        for _ in range(work.recipe.report_every):
            work.step()
        work.report()
        work.gates()

    return run


def loop(kind: str, recipe: Recipe) -> Callable[[], object]:
    """As many steps of the loop a user would write."""
    embedding, readout = torch.nn.Embedding(CHARACTERS, EMBEDDING), torch.nn.Linear(recipe.hidden, CHARACTERS)
    rnn = getattr(torch.nn, kind)(EMBEDDING, recipe.hidden, recipe.layers)
    parameters = [*embedding.parameters(), *rnn.parameters(), *readout.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=recipe.learning_rate)
    shape = (recipe.sequence_length, recipe.batch_size)
    given, targets = torch.randint(CHARACTERS, shape), torch.randint(CHARACTERS, shape)
    carried = None

    def run() -> None:
        nonlocal carried
        for _ in range(recipe.report_every):
            output, states = rnn(embedding(given), carried)
            carried = tuple(state.detach() for state in states) if isinstance(states, tuple) else states.detach()
            logits = readout(output)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, recipe.clip)
            optimiser.step()
            loss.item()

    return run


def statistics(work: Learner, size: str) -> Result:
    """What is told of signals and gates costs so much of the steps that it tells of."""

    def steps() -> None:
        for _ in range(work.recipe.report_every):
            work.step()

    def told() -> None:
        signal_gradient_norms(work.batches.shares)
        work.gates()

    tell, step = in_turn(told, steps, rounds=ROUNDS)
    detail = f"{spread(tell)} for {work.recipe.report_every} steps of {spread(step)}"
    return Result(f"training {size}, statistics / steps", float(np.median(tell) / np.median(step)), 0.01, detail)


def results() -> Iterator[Result]:
    """Every cell at two sizes; those that PyTorch lacks against its LSTM."""
    torch.set_num_threads(1)
    for sizes in SIZES:
        for cell in cells():
            work = learner(cell, sizes)
            reference = cells()[cell].reference
            kind = (reference or "torch.nn.LSTM").removeprefix("torch.nn.")
            size = f"{cell} {work.recipe.layers}×{work.recipe.hidden}"
            name, bar = f"training {size}, everything told / a loop over nn.{kind}", 1.0 if reference else 1 / 0.7
            result = compare(name, bar, ours(work), loop(kind, work.recipe), rounds=ROUNDS)
            yield result
            if cell == "lstm":
                yield statistics(work, size)
