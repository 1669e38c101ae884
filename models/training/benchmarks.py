"""Tasks on which recurrent networks were first told apart, made as files of lessons (see `models.training.dataset`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gatescope.models.network.task import Task
from gatescope.models.refused import Refused
from gatescope.models.training.examples import dump_dataset

# The Reber grammar: from each state the two symbols that may follow, and the state each leads to.
REBER = {
    0: (("T", 1), ("P", 2)),
    1: (("S", 1), ("X", 3)),
    2: (("T", 2), ("V", 4)),
    3: (("X", 2), ("S", 5)),
    4: (("P", 3), ("V", 5)),
}
END = 5


def reber(random: np.random.Generator, steps: int) -> Iterator[dict[str, Any]]:
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


def adding(random: np.random.Generator, steps: int) -> Iterator[dict[str, Any]]:
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


WILD = (("bear", "fox", "owl", "deer", "badger", "lynx"), "in the forest {} and {} and {} live together .")
TAME = (("cat", "hamster", "parrot", "rabbit", "pony", "hen"), "at the farm {} and {} and {} live together .")
MEANWHILE = (
    "it rains and the wind is cold .",
    "the moon is bright .",
    "leaves fall from an old tree .",
    "far away a bell rings .",
    "somebody makes a fire .",
    "the night is long and quiet .",
)
LOOKS = ("grey fur and sharp teeth", "a long tail and bright eyes", "strong legs and a wet nose")


def forest(random: np.random.Generator, steps: int) -> Iterator[dict[str, Any]]:
    """A story told in words, which ends with an animal that might be a dog or a wolf: only its beginning says which.

    steps: the longest story.
    """
    while True:
        wild = bool(random.integers(2))
        names, begin_event = WILD if wild else TAME
        story = [begin_event.format(*random.permutation(names)[:3])]
        story += random.permutation(MEANWHILE)[: random.integers(4)].tolist()
        story.append(f"now somebody comes with {LOOKS[random.integers(len(LOOKS))]}")
        text = " ".join(story)
        if len(text.split()) <= steps:
            yield {"input": text, "target": "wolf" if wild else "dog"}


def _corners(points: list[tuple[float, float]]) -> np.ndarray:
    """A path along straight lines, (48, 2)."""
    ends = np.array(points, float)
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(ends, axis=0), axis=1))])
    at = np.linspace(0, lengths[-1], 48)
    return np.stack([np.interp(at, lengths, ends[:, axis]) for axis in (0, 1)], axis=1)


def _shapes() -> dict[str, np.ndarray]:
    """What is drawn, as paths (48, 2)."""
    turn = np.linspace(0, 2 * np.pi, 48)
    return {
        "circle": np.stack([np.cos(turn), np.sin(turn)], axis=1),
        "eight": np.stack([np.sin(turn), np.sin(2 * turn) / 2], axis=1),
        "line": _corners([(-1, 0), (1, 0)]),
        "square": _corners([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]),
        "triangle": _corners([(-1, -0.8), (1, -0.8), (0, 1), (-1, -0.8)]),
        "zigzag": _corners([(-1, -0.5), (-0.5, 0.5), (0, -0.5), (0.5, 0.5), (1, -0.5)]),
    }


def gestures(random: np.random.Generator, steps: int) -> Iterator[dict[str, Any]]:
    """Shapes drawn with a shaking hand, as the way (right, up) that the finger goes in each step; the shape's name is
    to be told at the end. Size, proportions, slant, direction and pace differ.
    """
    shapes = _shapes()
    while True:
        name = random.choice(list(shapes))
        path = shapes[name][:: random.choice([-1, 1])] * random.uniform(0.7, 1.3, 2)
        slant = random.normal(0, 0.2)
        path = path @ np.array([[np.cos(slant), np.sin(slant)], [-np.sin(slant), np.cos(slant)]])
        pace = np.cumsum(random.uniform(0.4, 1.6, steps + 1))
        at = (pace - pace[0]) / (pace[-1] - pace[0]) * (len(path) - 1)
        drawn = np.stack([np.interp(at, np.arange(len(path)), path[:, axis]) for axis in (0, 1)], axis=1)
        moves = np.diff(drawn, axis=0) * steps / 8 + random.normal(0, 0.05, (steps, 2))
        yield {"input": moves.round(2).tolist(), "target": str(name)}


def signal(random: np.random.Generator, steps: int) -> Iterator[dict[str, Any]]:
    """A wave of two periods, which change in the middle; the next number is to be told at every step."""
    while True:
        periods, loud = random.uniform(6, 24, 2), random.uniform(0.3, 0.6, 2)
        slow = np.where(np.arange(steps) < steps // 2, periods[0], periods[1])
        phase = np.cumsum(2 * np.pi / slow) + random.uniform(0, 2 * np.pi)
        wave = loud[0] * np.sin(phase) + loud[1] * np.sin(2 * phase + random.uniform(0, 2 * np.pi))
        yield {"input": wave.round(3).tolist()}


STORY = "in the forest bear and owl and fox live together . the moon is bright . now somebody comes with grey fur "
STORY += "and sharp teeth"
BENCHMARKS: dict[str, tuple[Callable[[np.random.Generator, int], Iterator[dict[str, Any]]], Task, int]] = {
    "reber": (reber, Task("characters", "next"), 40),
    "adding": (adding, Task("values", "values", "many-to-one", ("half the sum",)), 100),
    "forest": (forest, Task("words", "classes", "many-to-one", example=STORY, example_target="dog"), 50),
    "gestures": (gestures, Task("values", "classes", "many-to-one"), 32),
    "signal": (signal, Task("values", "next"), 96),
}


def benchmark(name: str, count: int, steps: int | None = None, seed: int = 0) -> str:
    """A file of so many lessons of a task; steps: how long they are (the longest), the usual length unless said.

    Raises Refused.
    """
    if name not in BENCHMARKS:
        raise Refused("task", f"must be one of {', '.join(BENCHMARKS)}")
    make, task, usual = BENCHMARKS[name]
    steps = usual if steps is None else steps
    if not 10 <= steps <= 1000:
        raise Refused("steps", "must be between 10 and 1,000")
    if not 2 <= count <= 1_000_000:
        raise Refused("count", "must be between 2 and 1,000,000")
    if task.reads != "words":
        task = replace(task, **_example(task, next(make(np.random.default_rng(seed + 1), steps))))
    return dump_dataset(task, make(np.random.default_rng(seed), steps), count)


def _example(task: Task, drawn: dict[str, Any]) -> dict[str, Any]:
    """What a network of the task opens with: a lesson that it has not seen, asked for another shape than was drawn, and
    without what is the same at every end: what it finds easy sends no gradient back.
    """
    shown = drawn["input"]
    if task.reads == "characters":
        return {"example": shown[:-1]}
    rows = tuple(tuple(row) if isinstance(row, list) else (row,) for row in shown)
    aim = str(drawn.get("target", ""))
    if task.gives == "classes":
        aim = "line" if aim == "zigzag" else "zigzag"
    return {"example": rows, "example_target": aim}
