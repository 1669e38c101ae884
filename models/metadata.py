"""What a network's file says of itself beside its tensors: lists and objects as JSON, and the vocabulary."""

from __future__ import annotations

import json


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


def is_unicode(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which no file and no answer can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def stored(facts: dict[str, str], key: str, kind: type, name: str) -> list | dict:
    """A list or an object that the metadata holds as JSON, empty where it holds none."""
    try:
        value = json.loads(facts.get(key, "[]" if kind is list else "{}"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise BadNetwork(f"the {key} in {name} is not a JSON {'list' if kind is list else 'object'}")
    return value
