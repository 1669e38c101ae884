"""Numbers of many examples as one long array, some of them each example's."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np


class Column:
    """What each lesson holds of one kind, any number of numbers, one after the other."""

    def __init__(self, kind: str):
        self.values, self.ends = array(kind), array("q", [0])

    def add(self, values: Iterable[float]) -> None:
        """Take the next lesson's."""
        self.values.extend(values)  # type: ignore[arg-type]  # an array of whole numbers is given such
        self.ends.append(len(self.values))

    def of(self, lesson: int) -> np.ndarray:
        """A lesson's, (n,), without a copy."""
        return np.frombuffer(self.values, self.values.typecode)[self.ends[lesson] : self.ends[lesson + 1]]

    def put_in_order(self, names: dict[str, int]) -> list[str]:
        """Number the names, whose numbers these are, in the order of the alphabet; gives them so."""
        ordered = sorted(names)
        places = np.empty(len(names), self.values.typecode)
        places[[names[name] for name in ordered]] = np.arange(len(names))
        values = np.frombuffer(self.values, self.values.typecode)
        values[...] = places[values]
        return ordered
