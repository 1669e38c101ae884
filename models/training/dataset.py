"""Lessons: many short sequences, each with what should come out, as training reads them; states begin anew with each.

A file of lessons is text, one JSON value a line: first the form ({"reads": "values", "gives": "classes", …}), then
{"input": …, "target": …} for each lesson. Characters and words are written as a text, numbers as a list for each step;
a target is a label, a number or a list of them, and is left out where the next input is predicted. `asks` may name the
steps that tell whether the network remembers.
"""

from __future__ import annotations

import json
from itertools import islice

import numpy as np

from gatescope.models.compiler.denormals import flushed
from gatescope.models.network.bptt import NetworkPass, NetworkWeights
from gatescope.models.network.losses import criterion
from gatescope.models.network.task import NO_TOKEN, Task, example_of
from gatescope.models.training.corpus import Batch, Evaluation
from gatescope.models.training.recipe import Recipe, held_out

MARK = '{"lessons":'
CLOSE = 0.04


class ExampleDataset:
    """The lessons of a file, shuffled into batches anew in each epoch, the last of them held out.

    Raises ValueError naming the line for what is no lesson, and for fewer than two.
    """

    held_out = trained_on = 0

    def __init__(self, text: str, recipe: Recipe | None = None):
        head, *lines = text.splitlines()
        self.task = task_of(head)
        stored = [_parsed(line, number) for number, line in enumerate(lines, 2) if line.strip()]
        if len(stored) < 2:
            raise ValueError("text: at least two lessons are needed after the first line")
        self.vocabulary, self.channels, self.task = _known(self.task, stored)
        self.outputs = _outputs(self.task, self.vocabulary, self.channels, stored)
        self.size, self._number = len(stored), {token: index for index, token in enumerate(self.vocabulary)}
        rows = [self._rows(one, number) for number, one in enumerate(stored, 2)]
        self.longest = max(len(inputs) for inputs, _, _ in rows)
        self.inputs, self.targets, self.asked = self._padded(rows)
        self.start = self.inputs[0, 0]
        if recipe:
            self._divide(recipe)

    def _divide(self, recipe: Recipe) -> None:
        self.seed, self.batch_size = recipe.seed, recipe.batch_size
        self.held_out = held_out(self.size, recipe.validation)
        self.trained_on = self.size - self.held_out
        self.epoch = self.trained_on // recipe.batch_size
        if not self.epoch or recipe.sequence_length != self.longest:
            raise ValueError(
                f"text: holds {self.trained_on:,} lessons of at most {self.longest:,} steps to train on, which do not "
                f"fit batches of {recipe.batch_size:,} with {recipe.sequence_length:,} steps"
            )

    def _rows(self, stored: dict, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A lesson's inputs, targets and asked steps, one row a step."""
        inputs, target = stored["input"], stored.get("target")
        if (target is None) != (self.task.gives == "next"):
            raise ValueError(f"text: line {number}: a target {'is needed' if target is None else 'is not wanted'}")
        if not self.channels:
            inputs = [self._number[token] for token in self.task.cut(inputs)]
        if target is not None:
            target = target if isinstance(target, list) else [target]
            if self.task.is_regression and self.task.pattern == "many-to-one" and not isinstance(target[0], list):
                target = [target]
            if not self.task.is_regression:
                target = [_label(self.task, one, number) for one in target]
        try:
            found = example_of(self.task, len(self.vocabulary), self.channels, self.outputs, inputs, target)
        except ValueError as error:
            raise ValueError(f"text: line {number}: {error}") from None
        asked = np.zeros(len(found.inputs), bool)
        steps = stored.get("asks", list(range(len(asked))[found.loss_steps]))
        if not all(isinstance(step, int) and 0 <= step < len(asked) for step in steps):
            raise ValueError(f"text: line {number}: asks must be steps of the lesson")
        asked[steps] = True
        return found.inputs, found.targets, asked

    def _padded(self, rows: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All lessons side by side, (steps, lessons, …), with nothing after the end of the shorter ones."""
        shape = (self.longest, self.size)
        inputs = np.zeros((*shape, self.channels), np.float32) if self.channels else np.full(shape, NO_TOKEN)
        targets = (
            np.full((*shape, self.outputs), np.nan, np.float32) if self.task.is_regression else np.full(shape, NO_TOKEN)
        )
        asked = np.zeros(shape, bool)
        for index, (given, wanted, steps) in enumerate(rows):
            inputs[: len(given), index], targets[: len(given), index] = given, wanted
            asked[: len(given), index] = steps
        return inputs, targets, asked

    def batch(self, step: int) -> Batch:
        """The batch of step 1, 2, …: the lessons in an order drawn anew for each epoch."""
        order = np.random.default_rng((self.seed, self.epoch_of(step))).permutation(self.trained_on)
        first = (step - 1) % self.epoch * self.batch_size
        chosen = order[first : first + self.batch_size]
        return Batch(self.inputs[:, chosen], self.targets[:, chosen], True)

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
            columns = slice(start, min(start + 256, self.size))
            inputs, targets = self.inputs[:, columns], self.targets[:, columns]
            read = NetworkPass(weights, self.longest, inputs.shape[1], backward=False)
            with flushed(), np.errstate(over="ignore", invalid="ignore"):
                read.forward(inputs)
                found, _ = criterion(self.task.is_regression)[0](read.logits, targets)
            judged, where = ~np.isnan(found), self.asked[:, columns]
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


def task_of(line: str) -> Task:
    """The form that the first line of a file of lessons names; raises ValueError."""
    try:
        return Task.of(json.loads(line)["lessons"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"text: the first line does not say what the lessons are: {error}") from None


def dump_dataset(task: Task, examples, count: int) -> str:
    """A file of so many lessons, each a dict as described above."""
    head = json.dumps({"lessons": {key: value for key, value in task.to_dict().items() if value}})
    return "\n".join([head, *(json.dumps(one, ensure_ascii=False) for one in islice(examples, count))]) + "\n"


def _parsed(line: str, number: int) -> dict:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "input" not in found or not set(found) <= {"input", "target", "asks"}:
        raise ValueError(f'text: line {number} is no lesson: {{"input": …, "target": …}}')
    return found


def _known(task: Task, stored: list[dict]) -> tuple[list[str], int | None, Task]:
    """The vocabulary, or the numbers a step, and the form with its labels filled in."""
    if task.gives == "classes" and not task.labels:
        targets = [one.get("target") for one in stored]
        names = {name for target in targets for name in (target if isinstance(target, list) else [target])}
        task = Task.of(task.to_dict() | {"labels": sorted(map(str, names))})
    if task.reads == "values":
        first = stored[0]["input"]
        width = len(first[0]) if isinstance(first, list) and first and isinstance(first[0], list) else 1
        return [], width, task
    if not all(isinstance(one["input"], str) and one["input"] for one in stored):
        raise ValueError("text: the input of a lesson that reads characters or words must be a text")
    return sorted({token for one in stored for token in task.cut(one["input"])}), None, task


def _outputs(task: Task, vocabulary: list[str], channels: int | None, stored: list[dict]) -> int:
    if task.gives == "next":
        return channels or len(vocabulary)
    if task.gives == "classes":
        return len(task.labels)
    target = stored[0].get("target")
    while isinstance(target, list) and target and isinstance(target[0], list):
        target = target[0]
    return len(target) if isinstance(target, list) and task.pattern == "many-to-one" else 1


def _label(task: Task, name: object, number: int) -> int:
    if str(name) not in task.labels:
        raise ValueError(f"text: line {number}: the target must be one of {', '.join(task.labels[:20])}")
    return task.labels.index(str(name))
