"""What a network's file says of itself beside its tensors: lists and objects as JSON, the vocabulary, and what the
network reads and gives.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gatescope.models.network.task import Task

LABEL_LENGTH = 200


class BadNetwork(ValueError):
    """A file or a set of weights that is not a network this product can read; the message says what is wrong."""


def vocabulary_of(facts: dict[str, str], name: str) -> list[str]:
    """The vocabulary in a file's metadata, empty where there is none; raises BadNetwork."""
    vocabulary = stored(facts, "vocabulary", list, name)
    if not all(isinstance(text, str) and text and is_unicode(text) for text in vocabulary):
        raise BadNetwork(f"the vocabulary in {name} must be a list of characters")
    if len(set(vocabulary)) < len(vocabulary):
        raise BadNetwork(f"the vocabulary in {name} holds a character twice")
    return vocabulary


def task_of(
    facts: dict[str, str], name: str, vocabulary: Sequence[str], embedded: bool, inputs: int, outputs: int | None
) -> Task:
    """What a network of anybody's making reads and gives: as its metadata says (`reads`, `gives`, `pattern`, and as
    JSON `labels`, `steps`, `example`), else as its sizes suggest. Raises BadNetwork.

    As many outputs as inputs are the next input at every step; a single one is a number, others are classes, told at
    the end. A vocabulary most of whose entries are longer than a character is one of words. Without vocabulary and
    embedding, what does not predict its next input reads numbers. outputs: None without a readout.
    """
    said: dict = {key: facts[key] for key in ("reads", "gives", "pattern") if key in facts}
    said |= {key: json_of(facts, key, name) for key in ("steps", "example") if key in facts}
    labels = stored(facts, "labels", list, name)
    if outputs is None and (labels or {"gives", "pattern"} & set(said)):
        raise BadNetwork(f"{name} names labels, gives or pattern, and the network has no readout")
    foretells = said.get("pattern", "many-to-many") == "many-to-many" and not labels and outputs in (None, inputs)
    foretells = said.get("gives", "next" if foretells else "") == "next"
    words = sum(len(entry) > 1 for entry in vocabulary) > len(vocabulary) / 2
    tokens = "words" if words else "characters"
    suggested = {
        "reads": tokens if vocabulary or embedded or foretells else "values",
        "gives": "next" if foretells else "values" if outputs == 1 else "classes",
        "pattern": "many-to-many" if foretells else "many-to-one",
        "labels": labels,
    }
    return checked_task(suggested | said, name)


def checked_task(stored_form: dict, name: str) -> Task:
    """The form that a file's metadata holds; raises BadNetwork saying what it may be."""
    try:
        task = Task.of(stored_form)
    except (ValueError, TypeError) as error:
        raise BadNetwork(f"{name}: {error}") from None
    if not all(label and len(label) <= LABEL_LENGTH and is_unicode(label) for label in task.labels):
        raise BadNetwork(f"{name}: labels must be names of 1 to {LABEL_LENGTH} characters")
    return task


def is_unicode(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which no file and no answer can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def stored(facts: dict[str, str], key: str, kind: type, name: str) -> list | dict:
    """A list or an object that the metadata holds as JSON, empty where it holds none."""
    value = json_of(facts, key, name) if key in facts else kind()
    if not isinstance(value, kind):
        raise BadNetwork(f"the {key} in {name} is not a JSON {'list' if kind is list else 'object'}")
    return value


def json_of(facts: dict[str, str], key: str, name: str) -> object:
    """What the metadata holds as JSON under a key that is there; raises BadNetwork."""
    try:
        return json.loads(facts[key])
    except (ValueError, RecursionError):
        raise BadNetwork(f"the {key} in {name} is not JSON") from None
