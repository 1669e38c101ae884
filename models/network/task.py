"""What a network reads and what it gives, at which steps: characters, words or numbers in; the next of them, classes or
numbers out; at every step, at the last, or from one input on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from gatescope.models.network.inputs import NO_TOKEN

READS = ("characters", "words", "values")
GIVES = ("next", "classes", "values")
PATTERNS = ("many-to-many", "many-to-one", "one-to-many")
LONGEST = 10_000


@dataclass(frozen=True)
class Task:
    """reads: what one step's input is. gives: the input of the next step, a class, or numbers. pattern: when it gives
    something. labels: names of the classes, or of the numbers it gives, empty where they have none. steps: how many
    steps follow from one input. example: an input worth looking at, as text or as a list of numbers a step.
    """

    reads: str = "characters"
    gives: str = "next"
    pattern: str = "many-to-many"
    labels: tuple[str, ...] = ()
    steps: int = 1
    example: str | tuple[tuple[float, ...], ...] = ""

    def __post_init__(self) -> None:
        for name, allowed in (("reads", READS), ("gives", GIVES), ("pattern", PATTERNS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: must be one of {', '.join(allowed)}")
        if self.gives == "next" and self.pattern != "many-to-many":
            raise ValueError("pattern: what predicts the next input does so at every step")
        if not (isinstance(self.labels, tuple) and all(isinstance(label, str) for label in self.labels)):
            raise ValueError("labels: must be a list of names")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: hold a name twice")
        if not (isinstance(self.steps, int) and 1 <= self.steps <= LONGEST):
            raise ValueError(f"steps: must be between 1 and {LONGEST}")

    @property
    def is_regression(self) -> bool:
        """Whether what it gives is a number, judged by its squared error, and not a choice among classes."""
        return self.gives == "values" or (self.gives == "next" and self.reads == "values")

    def to_dict(self) -> dict:
        """The form as JSON can hold it."""
        return asdict(self)

    @classmethod
    def of(cls, stored: dict) -> Task:
        """The form that `to_dict` made; raises ValueError."""
        unknown = set(stored) - set(cls.__dataclass_fields__)
        if unknown:
            raise ValueError(f"{', '.join(sorted(map(str, unknown)))}: no part of what a network reads and gives")
        kept = dict(stored)
        if isinstance(kept.get("labels"), list):
            kept["labels"] = tuple(kept["labels"])
        if isinstance(kept.get("example"), list):
            kept["example"] = tuple(tuple(map(float, step)) for step in kept["example"])
        return cls(**kept)

    def cut(self, text: str) -> list[str]:
        """A text's tokens: its characters, or its words."""
        return text.split() if self.reads == "words" else list(text)

    def join(self, tokens: Sequence[str]) -> str:
        """The text of tokens."""
        return (" " if self.reads == "words" else "").join(tokens)


@dataclass
class Example:
    """What a network is rows and what it should give, one row a step.

    inputs: tokens (N,), −1 for nothing, or numbers (N, channels). targets: classes (N,), −1 where none is known, or
    numbers (N, outputs), NaN where none. scored: the steps at which a loss may fall.
    """

    inputs: np.ndarray
    targets: np.ndarray
    loss_steps: slice


def example_of(task: Task, tokens: int, channels: int | None, outputs: int, inputs, targets=None) -> Example:
    """The rows of a reading, checked and filled in: what predicts the next input is its own teacher.

    tokens: how many different ones there are; channels: numbers a step, None where tokens are read; outputs: rows of
    the readout. Raises ValueError naming the parameter and what it may be.
    """
    rows = _values("values", inputs, channels) if channels else _tokens("tokens", inputs, tokens)
    steps = len(rows)
    if task.pattern == "one-to-many":
        if steps != 1:
            raise ValueError(f"{'values' if channels else 'tokens'}: this network reads one input and goes on alone")
        steps = task.steps if targets is None else len(targets)
        if not 1 <= steps <= LONGEST:
            raise ValueError(f"targets: must have 1 to {LONGEST} steps")
        rest = np.zeros((steps - 1, *rows.shape[1:])) if channels else np.full(steps - 1, NO_TOKEN)
        rows = np.concatenate([rows, rest])
    first = steps - 1 if task.pattern == "many-to-one" else 0
    last = steps - 1 if task.gives == "next" else steps
    wanted = np.full((steps, outputs), np.nan) if task.is_regression else np.full(steps, NO_TOKEN)
    if targets is not None:
        found = _values("targets", targets, outputs) if task.is_regression else _tokens("targets", targets, outputs)
        if len(found) != last - first:
            raise ValueError(f"targets: {last - first} are needed, one for each step that is judged; not {len(found)}")
        wanted[first:last] = found
    elif task.gives == "next" and outputs == (channels or tokens):
        wanted[:-1] = rows[1:]
    return Example(rows, wanted, slice(first, last))


def _tokens(name: str, rows, count: int) -> np.ndarray:
    try:
        found = np.asarray(rows, np.intp)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: must be a list of whole numbers") from None
    if found.ndim != 1 or not len(found):
        raise ValueError(f"{name}: a text of at least one character is needed")
    if found.min() < 0 or found.max() >= count:
        raise ValueError(f"{name}: numbers must be between 0 and {count - 1}")
    return found


def _values(name: str, rows, width: int) -> np.ndarray:
    try:
        found = np.asarray(rows, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: must be a list of steps with {width} numbers each") from None
    if found.ndim == 1 and width == 1:
        found = found[:, None]
    if found.ndim != 2 or found.shape[1] != width or not len(found):
        raise ValueError(f"{name}: must be a list of steps with {width} number{'s' * (width > 1)} each")
    if not np.isfinite(found).all() or np.abs(found).max() > 1e6:
        raise ValueError(f"{name}: must be numbers between -1,000,000 and 1,000,000")
    return found
