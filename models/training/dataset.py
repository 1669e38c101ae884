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
from gatescope.models.network.bptt import NetworkWeights, Pass
from gatescope.models.network.losses import judge
from gatescope.models.network.task import NOTHING, Form, lesson
from gatescope.models.training.corpus import Batch, Evaluation
from gatescope.models.training.recipe import Recipe, held_out

MARK = '{"lessons":'
CLOSE = 0.04


class Lessons:
    """The lessons of a file, shuffled into batches anew in each epoch, the last of them held out.

    Raises ValueError naming the line for what is no lesson, and for fewer than two.
    """

    held_out = trained_on = 0

    def __init__(self, text: str, recipe: Recipe | None = None):
        head, *lines = text.splitlines()
        self.form = form_of(head)
        stored = [_parsed(line, number) for number, line in enumerate(lines, 2) if line.strip()]
        if len(stored) < 2:
            raise ValueError("text: at least two lessons are needed after the first line")
        self.vocabulary, self.channels, self.form = _known(self.form, stored)
        self.outputs = _outputs(self.form, self.vocabulary, self.channels, stored)
        self.size, self._number = len(stored), {token: index for index, token in enumerate(self.vocabulary)}
        rows = [self._rows(one, number) for number, one in enumerate(stored, 2)]
        self.longest = max(len(given) for given, _, _ in rows)
        self.given, self.targets, self.asked = self._padded(rows)
        self.start = self.given[0, 0]
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
        if (target is None) != (self.form.gives == "next"):
            raise ValueError(f"text: line {number}: a target {'is needed' if target is None else 'is not wanted'}")
        if not self.channels:
            inputs = [self._number[token] for token in self.form.cut(inputs)]
        if target is not None:
            target = target if isinstance(target, list) else [target]
            if self.form.counts and self.form.pattern == "many-to-one" and not isinstance(target[0], list):
                target = [target]
            if not self.form.counts:
                target = [_label(self.form, one, number) for one in target]
        try:
            found = lesson(self.form, len(self.vocabulary), self.channels, self.outputs, inputs, target)
        except ValueError as error:
            raise ValueError(f"text: line {number}: {error}") from None
        asked = np.zeros(len(found.inputs), bool)
        steps = stored.get("asks", list(range(len(asked))[found.scored]))
        if not all(isinstance(step, int) and 0 <= step < len(asked) for step in steps):
            raise ValueError(f"text: line {number}: asks must be steps of the lesson")
        asked[steps] = True
        return found.inputs, found.targets, asked

    def _padded(self, rows: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All lessons side by side, (steps, lessons, …), with nothing after the end of the shorter ones."""
        shape = (self.longest, self.size)
        given = np.zeros((*shape, self.channels), np.float32) if self.channels else np.full(shape, NOTHING)
        targets = np.full((*shape, self.outputs), np.nan, np.float32) if self.form.counts else np.full(shape, NOTHING)
        asked = np.zeros(shape, bool)
        for index, (inputs, wanted, steps) in enumerate(rows):
            given[: len(inputs), index], targets[: len(inputs), index] = inputs, wanted
            asked[: len(inputs), index] = steps
        return given, targets, asked

    def batch(self, step: int) -> Batch:
        """The batch of step 1, 2, …: the lessons in an order drawn anew for each epoch."""
        order = np.random.default_rng((self.seed, self.epoch_of(step))).permutation(self.trained_on)
        first = (step - 1) % self.epoch * self.batch_size
        chosen = order[first : first + self.batch_size]
        return Batch(self.given[:, chosen], self.targets[:, chosen], True)

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
            given, targets = self.given[:, columns], self.targets[:, columns]
            read = Pass(weights, self.longest, given.shape[1], backward=False)
            with flushed(), np.errstate(over="ignore", invalid="ignore"):
                read.forward(given)
                found, _ = judge(self.form.counts)[0](read.logits, targets)
            judged, where = ~np.isnan(found), self.asked[:, columns]
            losses, count = losses + float(found[judged].sum(dtype=np.float64)), count + int(judged.sum())
            if self.form.counts:
                answers = (np.abs(read.logits - targets) < CLOSE).all(axis=-1)
            else:
                answers = read.logits.argmax(axis=-1) == targets
            right, asked = right + int((answers & judged & where).sum()), asked + int((judged & where).sum())
        return Evaluation(losses / max(count, 1), right / max(asked, 1))


def are_lessons(text: str) -> bool:
    """Whether a text is a file of lessons and not one to be learnt by its characters."""
    return text.startswith(MARK)


def form_of(line: str) -> Form:
    """The form that the first line of a file of lessons names; raises ValueError."""
    try:
        return Form.of(json.loads(line)["lessons"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"text: the first line does not say what the lessons are: {error}") from None


def written(form: Form, lessons, count: int) -> str:
    """A file of so many lessons, each a dict as described above."""
    head = json.dumps({"lessons": {key: value for key, value in form.to_dict().items() if value}})
    return "\n".join([head, *(json.dumps(one, ensure_ascii=False) for one in islice(lessons, count))]) + "\n"


def _parsed(line: str, number: int) -> dict:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "input" not in found or not set(found) <= {"input", "target", "asks"}:
        raise ValueError(f'text: line {number} is no lesson: {{"input": …, "target": …}}')
    return found


def _known(form: Form, stored: list[dict]) -> tuple[list[str], int | None, Form]:
    """The vocabulary, or the numbers a step, and the form with its labels filled in."""
    if form.gives == "classes" and not form.labels:
        targets = [one.get("target") for one in stored]
        names = {name for target in targets for name in (target if isinstance(target, list) else [target])}
        form = Form.of(form.to_dict() | {"labels": sorted(map(str, names))})
    if form.reads == "values":
        first = stored[0]["input"]
        width = len(first[0]) if isinstance(first, list) and first and isinstance(first[0], list) else 1
        return [], width, form
    if not all(isinstance(one["input"], str) and one["input"] for one in stored):
        raise ValueError("text: the input of a lesson that reads characters or words must be a text")
    return sorted({token for one in stored for token in form.cut(one["input"])}), None, form


def _outputs(form: Form, vocabulary: list[str], channels: int | None, stored: list[dict]) -> int:
    if form.gives == "next":
        return channels or len(vocabulary)
    if form.gives == "classes":
        return len(form.labels)
    target = stored[0].get("target")
    while isinstance(target, list) and target and isinstance(target[0], list):
        target = target[0]
    return len(target) if isinstance(target, list) and form.pattern == "many-to-one" else 1


def _label(form: Form, name: object, number: int) -> int:
    if str(name) not in form.labels:
        raise ValueError(f"text: line {number}: the target must be one of {', '.join(form.labels[:20])}")
    return form.labels.index(str(name))
