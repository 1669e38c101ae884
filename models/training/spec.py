"""What is asked of a training: the text, the recipe and a title, as one line of JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from gatescope.models.training.recipe import Recipe


@dataclass(frozen=True)
class Spec:
    """A training whole: the text, the recipe, and what the network is to be called."""

    text: str
    recipe: Recipe
    title: str = ""

    def to_json(self) -> str:
        """The specification as one line of JSON."""
        return json.dumps({"text": self.text, "recipe": self.recipe.to_json(), "title": self.title})

    @classmethod
    def from_json(cls, stored: str | bytes) -> Spec:
        """The specification that `to_json` wrote."""
        found = json.loads(stored)
        return cls(found["text"], Recipe.from_json(found["recipe"]), found["title"])

    @property
    def digest(self) -> str:
        """SHA-256 of the specification, by which a checkpoint knows its training."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()
