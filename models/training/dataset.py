"""Lessons: many short sequences, each with what should come out, as training reads them; states begin anew with each.

A file of lessons is text, one JSON value a line: first the form ({"reads": "values", "gives": "classes", …}), then
{"input": …, "target": …} for each lesson. Characters and words are written as a text, numbers as a list for each step;
a target is a label, a number or a list of them, and is left out where the next input is predicted. `asks` may name the
steps that tell whether the network remembers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from gatescope.models.compiler.denormals import flushed
from gatescope.models.network.bptt import NetworkPass, NetworkWeights
from gatescope.models.network.inputs import NO_TOKEN
from gatescope.models.network.losses import criterion
from gatescope.models.network.task import Task, example_of
from gatescope.models.refused import Refused
from gatescope.models.training.corpus import Batch, Evaluation
from gatescope.models.training.recipe import Recipe, held_out

MARK = '{"lessons":'
CLOSE = 0.04
LISTED = 20  # labels, in a sentence


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
    asks: list[int] | None = None


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


class Row(NamedTuple):
    """A lesson as the network reads it: inputs, targets and whether a step is asked for, each with a row a step."""

    inputs: np.ndarray
    targets: np.ndarray
    asked: np.ndarray


class ExampleDataset:
    """The lessons of a file, shuffled into batches anew in each epoch, the last of them held out.

    Raises Refused naming the line for what is no lesson, and for fewer than two.
    """

    held_out = trained_on = 0

    def __init__(self, text: str, recipe: Recipe | None = None):
        head, *lines = text.split("\n")  # not splitlines: an input may hold other ends of lines
        task = _task_of(head)
        lessons = [_parsed(line, number) for number, line in enumerate(lines, 2) if line.strip()]
        if len(lessons) < 2:
            raise Refused("text", "at least two lessons are needed after the first line")
        self.vocabulary, self.channels, self.task = _known(task, lessons)
        self.outputs = _outputs(self.task, self.vocabulary, self.channels, lessons)
        self.size, self._number = len(lessons), {token: index for index, token in enumerate(self.vocabulary)}
        self._label = {label: index for index, label in enumerate(self.task.labels)}
        self.rows = [self._row(lesson, number) for number, lesson in enumerate(lessons, 2)]
        self.longest = max(len(row.inputs) for row in self.rows)
        self.start = self.rows[0].inputs[0]
        if recipe:
            self._divide(recipe)

    def _divide(self, recipe: Recipe) -> None:
        self.seed, self.batch_size = recipe.seed, recipe.batch_size
        self.held_out = held_out(self.size, recipe.validation)
        self.trained_on = self.size - self.held_out
        self.epoch = self.trained_on // recipe.batch_size
        if not self.epoch or recipe.sequence_length != self.longest:
            raise Refused(
                "text",
                f"holds {self.trained_on:,} lessons of at most {self.longest:,} steps to train on, which do not fit "
                f"batches of {recipe.batch_size:,} with {recipe.sequence_length:,} steps",
            )

    def _row(self, lesson: StoredExample, number: int) -> Row:
        inputs: Any = lesson.input
        if not self.channels:
            inputs = [self._number[token] for token in self.task.cut(inputs)]
        try:
            found = example_of(
                self.task, len(self.vocabulary), self.channels, self.outputs, inputs, self._target(lesson, number)
            )
        except Refused as refused:
            raise Refused("text", f"line {number}: {refused}") from None
        asked = np.zeros(len(found.inputs), bool)
        steps = lesson.asks if lesson.asks is not None else range(len(asked))[found.loss_steps]
        if not all(0 <= step < len(asked) for step in steps):
            raise Refused("text", f"line {number}: {MAY_BE['asks']}")
        asked[list(steps)] = True
        return Row(found.inputs, found.targets, asked)

    def _target(self, lesson: StoredExample, number: int) -> list[Any] | None:
        """What should come out, one entry a step: the numbers of classes, or numbers."""
        target = lesson.target
        if (target is None) != (self.task.gives == "next"):
            raise Refused("text", f"line {number}: a target {'is needed' if target is None else 'is not wanted'}")
        if target is None:
            return None
        target = target if isinstance(target, list) else [target]
        if self.task.is_regression:
            at_once = self.task.pattern == "many-to-one" and not (target and isinstance(target[0], list))
            return [target] if at_once else target
        if any(isinstance(name, list) for name in target):
            raise Refused("text", f"line {number}: {MAY_BE['target']}")
        names = [str(name) for name in target]
        if not all(name in self._label for name in names):
            listed = ", ".join(self.task.labels[:LISTED])
            raise Refused("text", f"line {number}: the target must be one of {listed}")
        return [self._label[name] for name in names]

    def side_by_side(self, chosen: Sequence[int] | np.ndarray) -> Row:
        """Some lessons as one array each, (longest, lessons, …), with nothing after the end of the shorter ones; padded
        only as they are read: a file of one long lesson and many short ones would fill any memory.
        """
        shape = (self.longest, len(chosen))
        inputs = np.zeros((*shape, self.channels), np.float32) if self.channels else np.full(shape, NO_TOKEN)
        targets = (
            np.full((*shape, self.outputs), np.nan, np.float32) if self.task.is_regression else np.full(shape, NO_TOKEN)
        )
        asked = np.zeros(shape, bool)
        for column, row in enumerate(map(self.rows.__getitem__, chosen)):
            steps = len(row.inputs)
            inputs[:steps, column], targets[:steps, column], asked[:steps, column] = row
        return Row(inputs, targets, asked)

    def batch(self, step: int) -> Batch:
        """The batch of step 1, 2, …: the lessons in an order drawn anew for each epoch."""
        order = np.random.default_rng((self.seed, self.epoch_of(step))).permutation(self.trained_on)
        first = (step - 1) % self.epoch * self.batch_size
        chosen = order[first : first + self.batch_size]
        inputs, targets, _ = self.side_by_side(chosen)
        return Batch(inputs, targets, True)

    def epoch_of(self, step: int) -> int:
        """Which reading of the lessons a step belongs to, from 1."""
        return (step - 1) // self.epoch + 1

    def evaluate(self, weights: NetworkWeights) -> Evaluation:
        """Mean loss a judged step over the held-out lessons (all of them where none are), and which part of the asked
        steps is right: the likeliest class, or numbers that are all closer than 0.04.
        """
        first = self.trained_on if self.held_out else 0
        losses, right, count, asked = 0.0, 0, 0, 0
        for start in range(first, self.size, 256):
            inputs, targets, where = self.side_by_side(range(start, min(start + 256, self.size)))
            read = NetworkPass(weights, self.longest, inputs.shape[1], backward=False)
            with flushed(), np.errstate(over="ignore", invalid="ignore"):
                read.forward(inputs)
                found, _ = criterion(self.task.is_regression)[0](read.logits, targets)
            judged = ~np.isnan(found)
            losses, count = losses + float(found[judged].sum(dtype=np.float64)), count + int(judged.sum())
            if self.task.is_regression:
                answers = (np.abs(read.logits - targets) < CLOSE).all(axis=-1)
            else:
                answers = read.logits.argmax(axis=-1) == targets
            right, asked = right + int((answers & judged & where).sum()), asked + int((judged & where).sum())
        return Evaluation(losses / max(count, 1), right / max(asked, 1))


def is_dataset(text: str) -> bool:
    """Whether a text is a file of lessons and not one to be learnt by its characters."""
    return text.startswith(MARK)


def dump_dataset(task: Task, examples: Iterable[dict[str, Any]], count: int) -> str:
    """A file of so many lessons, each a dict as described above."""
    head = json.dumps({"lessons": {key: value for key, value in task.to_dict().items() if value}})
    return "\n".join([head, *(json.dumps(one, ensure_ascii=False) for one in islice(examples, count))]) + "\n"


def _task_of(line: str) -> Task:
    """The task that the first line of a file of lessons names."""
    try:
        return _readers()[0].validate_json(line).lessons
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        cause = first.get("ctx", {}).get("error")
        reason = str(cause) if isinstance(cause, Refused) else f"{'.'.join(map(str, first['loc'][:2]))}: {first['msg']}"
        raise Refused("text", f"the first line does not say what the lessons are: {reason}") from None


def _parsed(line: str, number: int) -> StoredExample:
    try:
        return _readers()[1].validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    wrong = first["loc"][0] if first["loc"] and first["type"] not in ("extra_forbidden", "missing") else None
    if wrong in MAY_BE:
        raise Refused("text", f"line {number}: {MAY_BE[wrong]}")
    raise Refused("text", f'line {number} is no lesson: {{"input": …, "target": …}}')


def _known(task: Task, lessons: list[StoredExample]) -> tuple[list[str], int | None, Task]:
    """The vocabulary, or the numbers a step, and the task with its labels filled in."""
    if task.gives == "classes" and not task.labels:
        task = _with_labels(task, lessons)
    if task.reads == "values":
        return [], _width(lessons[0].input), task
    texts = [lesson.input for lesson in lessons if isinstance(lesson.input, str) and lesson.input]
    if len(texts) < len(lessons):
        raise Refused("text", "the input of a lesson that reads characters or words must be a text")
    return sorted({token for text in texts for token in task.cut(text)}), None, task


def _with_labels(task: Task, lessons: list[StoredExample]) -> Task:
    """The task with all targets as its labels, in the order of the alphabet."""
    targets = [lesson.target for lesson in lessons if lesson.target is not None]
    names = [name for target in targets for name in (target if isinstance(target, list) else [target])]
    try:
        return replace(task, labels=tuple(sorted({str(name) for name in names if not isinstance(name, list)})))
    except Refused as refused:
        raise Refused("text", str(refused)) from None


def _width(inputs: str | list[Any]) -> int:
    """How many numbers come in at a step of the first lesson."""
    if not (isinstance(inputs, list) and inputs and isinstance(inputs[0], list)):
        return 1
    if not inputs[0]:
        raise Refused("text", f"line 2: {MAY_BE['input']}")
    return len(inputs[0])


def _outputs(task: Task, vocabulary: list[str], channels: int | None, lessons: list[StoredExample]) -> int:
    """How many classes or numbers come out at a step."""
    if task.gives == "next":
        return channels or len(vocabulary)
    if task.gives == "classes":
        return len(task.labels)
    target: Any = lessons[0].target
    while isinstance(target, list) and target and isinstance(target[0], list):
        target = target[0]
    return len(target) or 1 if isinstance(target, list) and task.pattern == "many-to-one" else 1
