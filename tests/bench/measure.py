"""Measuring two ways of doing one thing fairly: in one process, on one thread, in turn."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class Result:
    """One line of the table: `ratio` of our figure to the other's must not exceed `bar`; `detail` says both figures."""

    name: str
    ratio: float
    bar: float
    detail: str

    @property
    def held(self) -> bool:
        """Whether the bar is held."""
        return self.ratio <= self.bar


def in_turn(
    *ways: Callable[[], object], rounds: int = 21, clock: Callable[[], float] = time.process_time
) -> list[np.ndarray]:
    """Seconds of each way in each round; the ways take turns, so that a slow moment of the machine meets all of them.

    clock: the processor's time by default, which other programs on the machine do not lengthen.
    """
    seconds = np.zeros((len(ways), rounds))
    for way in ways:
        way()
    gc.disable()
    try:
        for number in range(rounds):
            for index, way in enumerate(ways):
                began = clock()
                way()
                seconds[index, number] = clock() - began
    finally:
        gc.enable()
    return list(seconds)


def compare(
    name: str, bar: float, ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 21, **how
) -> Result:
    """The ratio of two medians, with both medians and quartiles in words."""
    mine, other = in_turn(ours, theirs, rounds=rounds, **how)
    return Result(name, float(np.median(mine) / np.median(other)), bar, f"{spread(mine)} against {spread(other)}")


def spread(seconds: np.ndarray) -> str:
    """Median and quartiles in milliseconds."""
    low, middle, high = np.percentile(seconds, [25, 50, 75]) * 1000
    return f"{middle:.1f} ms ({low:.1f}–{high:.1f})"
