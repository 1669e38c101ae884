"""Tasks on which recurrent networks were first told apart, made as files of lessons (see `models.lessons`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from models.form import Form
from models.lessons import written

# The Reber grammar: from each state the two symbols that may follow, and the state each leads to.
REBER = {
    0: (("T", 1), ("P", 2)),
    1: (("S", 1), ("X", 3)),
    2: (("T", 2), ("V", 4)),
    3: (("X", 2), ("S", 5)),
    4: (("P", 3), ("V", 5)),
}
END = 5


def reber(random: np.random.Generator, steps: int) -> Iterator[dict]:
    """Strings of the embedded Reber grammar: the last symbol but one repeats the second, over a whole string between
    them (Hochreiter & Schmidhuber 1997, experiment 1). The step that must predict it is asked for.

    steps: the longest string.
    """
    while True:
        inner, state = "B", 0
        while state != END:
            symbol, state = REBER[state][random.integers(2)]
            inner += symbol
        turn = "TP"[random.integers(2)]
        text = f"B{turn}{inner}E{turn}E"
        if len(text) <= steps:
            yield {"input": text, "asks": [len(text) - 3]}


def adding(random: np.random.Generator, steps: int) -> Iterator[dict]:
    """The adding problem: of a long row of numbers two are marked, and their sum is to be told at the end (Hochreiter &
    Schmidhuber 1997, experiment 4): one mark in the first half, one in the second; the target is half the sum.
    """
    while True:
        numbers = random.random(steps).round(2)
        marks = np.zeros(steps, int)
        chosen = [random.integers(steps // 2), random.integers(steps // 2, steps)]
        marks[chosen] = 1
        rows = [[float(number), int(mark)] for number, mark in zip(numbers, marks, strict=True)]
        yield {"input": rows, "target": round(float(numbers[chosen].sum()) / 2, 3)}


TASKS: dict[str, tuple[Callable[[np.random.Generator, int], Iterator[dict]], Form, int]] = {
    "reber": (reber, Form("characters", "next"), 40),
    "adding": (adding, Form("values", "values", "many-to-one", ("half the sum",)), 100),
}


def task(name: str, count: int, steps: int | None = None, seed: int = 0) -> str:
    """A file of so many lessons of a task; steps: how long they are (the longest), the usual length unless said.

    Raises ValueError naming the parameter.
    """
    if name not in TASKS:
        raise ValueError(f"task: must be one of {', '.join(TASKS)}")
    make, form, usual = TASKS[name]
    steps = usual if steps is None else steps
    if not 10 <= steps <= 1000:
        raise ValueError("steps: must be between 10 and 1,000")
    if not 2 <= count <= 1_000_000:
        raise ValueError("count: must be between 2 and 1,000,000")
    return written(form, make(np.random.default_rng(seed), steps), count)
