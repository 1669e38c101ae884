"""What a file of lessons holds, read once from its beginning to its end into a few long arrays: nothing is padded here,
and what is kept is a small multiple of the file, however its lessons are cut.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from gatescope.models.network.inputs import NO_TOKEN
from gatescope.models.network.task import LABEL_LENGTH, LARGEST_VALUE, MOST_NAMES, Task, value_rows
from gatescope.models.refused import Refused, listed_names
from gatescope.models.training.columns import Column
from gatescope.models.training.recipe import LIMITS

MARK = '{"lessons":'
LINE = re.compile(r"[^\n]+")  # an input may hold other ends of lines
LONGEST_HEAD, LONGEST_LINE = 2**21, 2**22  # characters
LARGEST_NAMES = 15 * 2**17  # bytes of a vocabulary, or of labels, in a header of 4 MiB
LONGEST = LIMITS["sequence_length"][1]
# what JSON may hold as it is, and other programs take for the end of a line
ESCAPED = str.maketrans({character: f"\\u{ord(character):04x}" for character in "\x7f\x85\u2028\u2029"})

Numbers = Annotated[list[float], Field(fail_fast=True)]
Scalar = bool | int | float | str


@dataclass(frozen=True)
class StoredExample:
    """A line of the file: what comes in, what should come out, and the steps that tell whether it was remembered."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    input: str | Numbers | Annotated[list[Numbers], Field(fail_fast=True)]
    target: (
        Scalar | Annotated[list[Scalar], Field(fail_fast=True)] | Annotated[list[Numbers], Field(fail_fast=True)] | None
    ) = None
    asks: Annotated[list[int], Field(fail_fast=True)] | None = None


@dataclass(frozen=True)
class Head:
    """The first line of the file."""

    lessons: Task


@cache
def _readers() -> tuple[TypeAdapter[Head], TypeAdapter[StoredExample]]:
    """What reads the first line and the others; built when the first file is read, as serving a page needs none."""
    return TypeAdapter(Head), TypeAdapter(StoredExample)


MAY_BE = {
    "input": "the input must be a text, a list of numbers, or a list of numbers for each step",
    "target": "the target must be a label, a number, or a list of them",
    "asks": "asks must be steps of the lesson",
}


class NoExample(ValueError):
    """What a line holds is no lesson of this file; the message says why."""


class Row(NamedTuple):
    """A lesson as the network reads it: inputs, targets and whether a step is asked for, each with a row a step."""

    inputs: np.ndarray
    targets: np.ndarray
    asked: np.ndarray


class Examples:
    """The lessons of a file; raises Refused naming the line for what is no lesson, and for fewer than two.

    vocabulary: the tokens, empty where numbers come in, `channels` a step. outputs: how many classes or numbers come
    out at a step. steps: the length of each, (count,). longest: of the longest. task: with the labels there are.
    """

    def __init__(self, text: str):
        lines = LINE.finditer(text)
        head = next(lines, None)
        self.task: Task = _task_of(head[0] if head else "")
        self.channels: int | None = None
        self.outputs = 0
        self.ends_in_one, self.goes_on = self.task.pattern == "many-to-one", self.task.pattern == "one-to-many"
        self._tokens: dict[str, int] = {}
        self._labels = {label: number for number, label in enumerate(self.task.labels)}
        self._open = self.task.gives == "classes" and not self.task.labels
        self._inputs = Column("f" if self.task.reads == "values" else "i")
        self._targets = Column("f" if self.task.is_regression else "i")
        self._asked, self._has_asks, lengths = Column("i"), bytearray(), array("i")
        number, at = 1, 0
        for line in lines:
            number, at = number + text.count("\n", at, line.start()), line.start()
            if not line[0].isspace():
                lengths.append(self._add(_parsed(line[0], number), number))
        if len(lengths) < 2:
            raise Refused("text", "at least two lessons are needed after the first line")
        self.steps = np.frombuffer(lengths, "i")
        self.longest = int(self.steps.max())
        self.vocabulary = [] if self.channels else self._inputs.put_in_order(self._tokens)
        if self._open:
            try:
                self.task = replace(self.task, labels=tuple(self._targets.put_in_order(self._labels)))
            except Refused as refused:
                raise Refused("text", str(refused)) from None
        _check_names(self.vocabulary)
        _check_names(self.task.labels)
        if self.task.gives == "next":
            self.outputs = self.channels or len(self.vocabulary)
        elif self.task.gives == "classes":
            self.outputs = len(self.task.labels)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, lesson: int) -> Row:
        """A lesson, the steps at which nothing comes in or out filled up."""
        steps, given = int(self.steps[lesson]), self._inputs.of(lesson)
        inputs, targets = np.full(steps, NO_TOKEN), np.full(steps, NO_TOKEN)
        if self.channels:
            given, inputs = given.reshape(-1, self.channels), np.zeros((steps, self.channels), np.float32)
        inputs[: len(given)] = given
        wanted, first = self._targets.of(lesson), steps - 1 if self.ends_in_one else 0
        if self.task.is_regression:
            wanted, targets = wanted.reshape(-1, self.outputs), np.full((steps, self.outputs), np.nan, np.float32)
        is_next = self.task.gives == "next"
        targets[first : steps - is_next] = inputs[1:] if is_next else wanted
        asked = np.zeros(steps, bool)
        asked[self._asked.of(lesson) if self._has_asks[lesson] else slice(first, steps - is_next)] = True
        return Row(inputs, targets, asked)

    def _add(self, stored: StoredExample, number: int) -> int:
        """Take over one lesson; gives how many steps it has."""
        try:
            given = self._given(stored.input)
            wanted, count = self._wanted(stored.target)
            steps = count if self.goes_on else given
            if self.goes_on and given != 1:
                raise NoExample("one input is needed, from which the network goes on alone")
            needed = 1 if self.ends_in_one else steps
            if stored.target is not None and count != needed:
                raise Refused("targets", f"{needed} are needed, one for each step that is judged; not {count}")
            if not 1 <= steps <= LONGEST:
                raise NoExample(f"must have 1 to {LONGEST:,} steps; this has {steps:,}")
            asks = stored.asks or []
            if not all(0 <= step < steps for step in asks):
                raise NoExample(MAY_BE["asks"])
        except (Refused, NoExample) as wrong:
            raise Refused("text", f"line {number}: {wrong}") from None
        self._targets.add(wanted)
        self._asked.add(asks)
        self._has_asks.append(stored.asks is not None)
        return steps

    def _given(self, given: str | list[Any]) -> int:
        """Take over what comes in; gives for how many steps."""
        if self.task.reads == "values":
            if self.channels is None:
                self.channels = _width(given)
                if not 1 <= self.channels <= MOST_NAMES:
                    wide = f"a step has more than {MOST_NAMES:,} numbers"
                    raise NoExample(wide if self.channels else MAY_BE["input"])
            rows = _flat("values", given, self.channels)
            self._inputs.add(rows)
            return len(rows) // self.channels
        if not isinstance(given, str):
            raise NoExample("the input of a lesson that reads characters or words must be a text")
        cut = self.task.cut(given)
        if not cut:
            raise NoExample(f"the input has no {self.task.reads}")
        if self.task.reads == "words" and len(max(cut, key=len)) > LABEL_LENGTH:
            raise NoExample(f"a word has more than {LABEL_LENGTH} characters")
        number = self._tokens.setdefault
        self._inputs.add([number(token, len(self._tokens)) for token in cut])
        if len(self._tokens) > MOST_NAMES:
            raise NoExample(f"there are more than {MOST_NAMES:,} different {self.task.reads}")
        return len(cut)

    def _wanted(self, target: Any) -> tuple[Sequence[float], int]:
        """What should come out, the numbers of classes or numbers, and for how many steps."""
        if (target is None) != (self.task.gives == "next"):
            raise NoExample(f"a target {'is needed' if target is None else 'is not wanted'}")
        if target is None:
            return [], 0
        target = target if isinstance(target, list) else [target]
        if self.task.is_regression:
            at_once = self.ends_in_one and not (target and isinstance(target[0], list))
            rows = [target] if at_once else target
            if not self.outputs:
                self.outputs = min(_width(rows) or 1, MOST_NAMES)
            flat = _flat("targets", rows, self.outputs)
            return flat, len(flat) // self.outputs
        found = self._numbers(target)
        return found, len(found)

    def _numbers(self, target: list[Any]) -> list[int]:
        """The numbers of classes by their names, which are learnt where the file does not list them."""
        if any(isinstance(name, list) for name in target):
            raise NoExample(MAY_BE["target"])
        names = [name if isinstance(name, str) else str(name) for name in target]
        if self._open:
            number = self._labels.setdefault
            found = [number(name, len(self._labels)) for name in names]
            if len(self._labels) > MOST_NAMES:
                raise NoExample(f"there are more than {MOST_NAMES:,} labels")
            return found
        if not all(name in self._labels for name in names):
            raise NoExample(f"the target must be one of {listed_names(self.task.labels)}")
        return [self._labels[name] for name in names]


def is_dataset(text: str) -> bool:
    """Whether a text is a file of lessons and not one to be learnt by its characters."""
    return text.startswith(MARK)


def dump_dataset(task: Task, examples: Iterable[dict[str, Any]], count: int) -> str:
    """A file of so many lessons, each a dict as the module `dataset` describes it."""
    head = json.dumps({"lessons": {key: value for key, value in task.to_dict().items() if value}})
    lines = (json.dumps(one, ensure_ascii=False).translate(ESCAPED) for one in islice(examples, count))
    return "\n".join([head, *lines]) + "\n"


def _task_of(line: str) -> Task:
    """The task that the first line of a file of lessons names."""
    try:
        if len(line) > LONGEST_HEAD:
            raise Refused("text", f"the first line has more than {LONGEST_HEAD:,} characters")
        return _readers()[0].validate_json(line).lessons
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        cause = first.get("ctx", {}).get("error")
        reason = str(cause) if isinstance(cause, Refused) else f"{'.'.join(map(str, first['loc'][:2]))}: {first['msg']}"
        raise Refused("text", f"the first line does not say what the lessons are: {reason}") from None


def _parsed(line: str, number: int) -> StoredExample:
    if len(line) > LONGEST_LINE:
        raise Refused("text", f"line {number} has more than {LONGEST_LINE:,} characters")
    try:
        return _readers()[1].validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    wrong = first["loc"][0] if first["loc"] and first["type"] not in ("extra_forbidden", "missing") else None
    if wrong in MAY_BE:
        raise Refused("text", f"line {number}: {MAY_BE[wrong]}")
    raise Refused("text", f'line {number} is no lesson: {{"input": …, "target": …}}')


def _check_names(names: Sequence[str]) -> None:
    """Raise Refused where no file of weights could name these words, or labels."""
    if len(json.dumps(json.dumps(names))) > LARGEST_NAMES:
        raise Refused("text", "its words or labels are too many and too long for a file of weights to name")


def _width(rows: object) -> int:
    """How many numbers there are at a step of the first lesson."""
    if not (isinstance(rows, list) and rows and isinstance(rows[0], list)):
        return 1
    return len(rows[0])


def _flat(name: str, rows: Any, width: int) -> list[float]:
    """Rows of numbers, or numbers where a row has one, one after the other; raises Refused naming them so."""
    flat = rows
    if isinstance(rows, list) and rows and isinstance(rows[0], list):
        flat = [number for row in rows for number in row] if all(len(row) == width for row in rows) else None
    elif width > 1 or not isinstance(rows, list):
        flat = None
    if not flat or not all(type(number) is float and -LARGEST_VALUE <= number <= LARGEST_VALUE for number in flat):
        flat = value_rows(name, rows, width).ravel().tolist()
    return list(flat)
