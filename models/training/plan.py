"""From what is to be learnt to a recipe that suits it and what that will cost: a text, or a file of lessons."""

from __future__ import annotations

from typing import Any

from gatescope.models.training.dataset import ExampleDataset
from gatescope.models.training.examples import is_dataset
from gatescope.models.training.recipe import LARGEST_MEMORY, LONGEST_SECONDS, Cost, Recipe, affordable


def plan(
    text: str,
    longest_seconds: float = LONGEST_SECONDS,
    epochs: int | None = None,
    memory: int = LARGEST_MEMORY,
    **chosen: Any,
) -> tuple[Recipe, Cost]:
    """The recipe for a text or a file of lessons, what is chosen being kept, and its estimate; see `Recipe.for_text`.

    memory: bytes that the training may hold. Raises Refused naming what cannot be, or is too much.
    """
    if not is_dataset(text):
        size, tokens = len(text), len(set(text))
        recipe = Recipe.for_text(size, tokens, epochs=epochs, **chosen)
        return recipe, affordable(recipe, size, tokens, longest_seconds, memory)
    dataset = ExampleDataset(text)
    tokens = max(len(dataset.vocabulary), dataset.channels or 0, dataset.outputs)
    recipe = Recipe.for_dataset(dataset.size, dataset.longest, tokens, epochs=epochs, **chosen)
    return recipe, affordable(recipe, dataset.size * dataset.longest, tokens, longest_seconds, memory)
