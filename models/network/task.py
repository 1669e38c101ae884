"""What a network reads and what it gives, at which steps: characters, words or numbers in; the next of them, classes or
numbers out; at every step, at the last, or from one input on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pydantic import ConfigDict

from gatescope.models.network.inputs import NO_TOKEN
from gatescope.models.refused import Refused, listed_names

READS = ("characters", "words", "values")
GIVES = ("next", "classes", "values")
PATTERNS = ("many-to-many", "many-to-one", "one-to-many")
LONGEST = 10_000
MOST_NUMBERS = 2**24
LARGEST_VALUE = 1_000_000
LONGEST_TARGET = 2000  # characters, as many as an address takes
LABEL_LENGTH = 200
MOST_NAMES = 65_536  # of labels, and of the entries of a vocabulary
WHOLE = re.compile(r"[0-9]{1,9}")
# what is read or should come out, one entry a step: numbers of tokens or classes, names of classes, or numbers
Rows = Sequence[float | str | Sequence[float | str]]


class UnknownCharacters(Refused):
    """A text holds characters (or words) the network has never seen; `characters` are they, in order of appearance."""

    def __init__(self, characters: list[str]):
        self.characters = characters
        named = [f"U+{ord(unknown):04X}" if len(unknown) == 1 else unknown for unknown in characters]
        super().__init__("text", f"the network has never seen {listed_names(named)}")


@dataclass(frozen=True)
class Task:
    """reads: what one step's input is. gives: the input of the next step, a class, or numbers. pattern: when it gives
    something. labels: names of the classes, or of the numbers it gives, empty where they have none. steps: how many
    steps follow from one input. example: an input worth looking at, as text or as a list of numbers a step;
    example_target: what should come out of it, where that is not simply what comes next, as an address says it.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # where one is read from JSON

    reads: str = "characters"
    gives: str = "next"
    pattern: str = "many-to-many"
    labels: tuple[str, ...] = ()
    steps: int = 1
    example: str | tuple[tuple[float, ...], ...] = ""
    example_target: str = ""

    def __post_init__(self) -> None:
        """Raises Refused naming what is none of the choices."""
        for name, allowed in (("reads", READS), ("gives", GIVES), ("pattern", PATTERNS)):
            if getattr(self, name) not in allowed:
                raise Refused(name, f"must be one of {', '.join(allowed)}")
        if self.gives == "next" and self.pattern != "many-to-many":
            raise Refused("pattern", "what predicts the next input does so at every step")
        if len(self.labels) > MOST_NAMES or not all(1 <= len(label) <= LABEL_LENGTH for label in self.labels):
            raise Refused("labels", f"must be names of 1 to {LABEL_LENGTH} characters, at most {MOST_NAMES:,}")
        if len(set(self.labels)) < len(self.labels):
            raise Refused("labels", "hold a name twice")
        if len(self.example_target) > LONGEST_TARGET:
            raise Refused("example_target", f"must have at most {LONGEST_TARGET:,} characters")
        if not 1 <= self.steps <= LONGEST:
            raise Refused("steps", f"must be between 1 and {LONGEST}")

    @property
    def is_regression(self) -> bool:
        """Whether what it gives is a number, judged by its squared error, and not a choice among classes."""
        return self.gives == "values" or (self.gives == "next" and self.reads == "values")

    def to_dict(self) -> dict[str, Any]:
        """The task as JSON can hold it."""
        return asdict(self)

    def cut(self, text: str) -> list[str]:
        """A text's tokens: its characters, or its words."""
        return text.split() if self.reads == "words" else list(text)

    def join(self, tokens: Sequence[str]) -> str:
        """The text of tokens."""
        return (" " if self.reads == "words" else "").join(tokens)


@dataclass
class Example:
    """What a network is given and what it should give, one row a step.

    inputs: tokens (N,), −1 for nothing, or numbers (N, channels). targets: classes (N,), −1 where none is known, or
    numbers (N, outputs), NaN where none. loss_steps: the steps at which a loss may fall.
    """

    inputs: np.ndarray
    targets: np.ndarray
    loss_steps: slice


def example_of(
    task: Task,
    tokens: int,
    channels: int | None,
    outputs: int,
    inputs: Rows,
    targets: Rows | None = None,
    classes: Mapping[str, int] = {},  # noqa: B006 – nobody writes into a mapping
) -> Example:
    """The rows of a reading, checked and filled in: what predicts the next input is its own teacher.

    tokens: how many different ones there are; channels: numbers a step, None where tokens are read; outputs: rows of
    the readout; classes: the numbers of the classes that have a name, by which a target may call them. Raises Refused
    naming `tokens`, `values` or `targets`.
    """
    rows = input_rows(task, tokens, channels, inputs)
    if task.pattern == "one-to-many":
        rows = _going_on_alone(task, rows, targets)
    steps = len(rows)
    first = steps - 1 if task.pattern == "many-to-one" else 0
    last = steps - 1 if task.gives == "next" else steps
    _check_size("targets", steps, outputs if task.is_regression else 1)
    wanted = np.full((steps, outputs), np.nan) if task.is_regression else np.full(steps, NO_TOKEN)
    if targets is not None:
        wanted[first:last] = _targets(task, targets, outputs, classes, last - first)
    elif task.gives == "next" and outputs == (channels or tokens):
        wanted[:-1] = rows[1:]
    return Example(rows, wanted, slice(first, last))


def input_rows(task: Task, tokens: int, channels: int | None, inputs: Rows) -> np.ndarray:
    """What comes in alone, checked: tokens (N,) or numbers (N, channels), without the steps that may follow. Raises
    Refused naming `tokens` or `values`.
    """
    rows = value_rows("values", inputs, channels) if channels else _tokens(inputs, tokens)
    if task.pattern == "one-to-many" and len(rows) != 1:
        raise Refused("values" if channels else "tokens", "this network reads one input and goes on alone")
    return rows


def _going_on_alone(task: Task, rows: np.ndarray, targets: Rows | None) -> np.ndarray:
    """One input followed by steps at which there is nothing: as many as are judged, else as the task says."""
    reads_numbers = rows.ndim == 2
    width = rows.shape[1] if reads_numbers else 1
    steps = task.steps if targets is None else len(targets)
    if not 1 <= steps <= LONGEST:
        raise Refused("targets", f"must have 1 to {LONGEST} steps")
    _check_size("targets", steps, width)
    nothing = np.zeros((steps - 1, width)) if reads_numbers else np.full(steps - 1, NO_TOKEN)
    return np.concatenate([rows, nothing])


def _check_size(name: str, steps: int, width: int) -> None:
    """Raise Refused for more numbers than are ever held: a few bytes of a file or a request may speak of millions."""
    if steps * width > MOST_NUMBERS:
        raise Refused(
            name, f"{steps:,} steps of {width:,} numbers are too many; at most {MOST_NUMBERS:,} numbers are held"
        )


def _targets(task: Task, targets: Rows, outputs: int, classes: Mapping[str, int], steps: int) -> np.ndarray:
    """What should come out at so many steps, (steps,) classes or (steps, outputs) numbers."""
    if not outputs:
        raise Refused("targets", "this network has no readout, so nothing comes out")
    found = value_rows("targets", targets, outputs) if task.is_regression else _classes(targets, outputs, classes)
    if len(found) != steps:
        raise Refused("targets", f"{steps} are needed, one for each step that is judged; not {len(found)}")
    return found


def _classes(targets: Rows, count: int, classes: Mapping[str, int]) -> np.ndarray:
    """The numbers of classes, which may be called by their names; a name goes before a number in digits."""
    digits = {each: int(each) for each in targets if isinstance(each, str) and WHOLE.fullmatch(each)}
    found = [classes.get(each, digits.get(each)) if isinstance(each, str) else each for each in targets]
    if not all(isinstance(each, int | np.integer) and 0 <= each < count for each in found):
        named = f"{listed_names(classes)} or " if classes else ""
        raise Refused("targets", f"each must be {named}a number from 0 to {count - 1}")
    return np.array(found, np.intp)


def _tokens(rows: Rows, count: int) -> np.ndarray:
    try:
        found = np.asarray(rows, np.intp)
    except (TypeError, ValueError, OverflowError):
        raise Refused("tokens", "must be a list of whole numbers") from None
    if found.ndim != 1 or not len(found):
        raise Refused("tokens", "a text of at least one character is needed")
    if found.min() < 0 or found.max() >= count:
        raise Refused("tokens", f"each must be 0 to {count - 1}")
    return found


def value_rows(name: str, rows: Rows, width: int) -> np.ndarray:
    """Numbers as rows of `width` a step, (N, width); raises Refused naming the parameter."""
    try:
        found = np.asarray(rows, np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.empty(0)
    if found.ndim == 1 and width == 1:
        found = found[:, None]
    if found.ndim != 2 or found.shape[1] != width or not len(found):
        raise Refused(name, f"must be {steps_of(width)}")
    if not np.isfinite(found).all() or np.abs(found).max() > LARGEST_VALUE:
        raise Refused(name, f"must be numbers between -{LARGEST_VALUE:,} and {LARGEST_VALUE:,}")
    return found


def steps_of(width: int) -> str:
    """What a list of numbers must be, in words."""
    return f"steps of {width:,} number{'s' if width > 1 else ''} each"
