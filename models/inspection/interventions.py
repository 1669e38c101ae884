"""Reaching into a network while it runs: a signal overwritten before anything reads it.

What is overwritten is a constant: the backward pass gives its gradient and passes none on to what it would have been
made of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatescope.models.network.network import Network


@dataclass(frozen=True)
class Intervention:
    """One signal of one layer set to `value`, for some units (None for all), at steps first…last−1 (last None: to the
    end).
    """

    layer: int
    signal: str
    value: float
    units: tuple[int, ...] | None = None
    first: int = 0
    last: int | None = None

    def check(self, network: Network, steps: int) -> None:
        """Raise ValueError, naming the range, for what this network or a text of so many steps does not have."""
        parts = network.parts
        if not 0 <= self.layer < len(parts):
            raise ValueError(f"interventions: layer must be between 0 and {len(parts) - 1}")
        part = parts[self.layer]
        signals = list(part.cell.graph().signals)
        if self.signal not in signals:
            raise ValueError(f"interventions: signal must be one of {', '.join(signals)}")
        if not math.isfinite(self.value) or abs(self.value) > 1e6:
            raise ValueError("interventions: value must be a number between -1,000,000 and 1,000,000")
        width = part.cell.width(self.signal, part.hidden)
        if self.units is not None and not all(0 <= unit < width for unit in self.units):
            raise ValueError(f"interventions: units must be between 0 and {width - 1}")
        last = steps if self.last is None else self.last
        if not 0 <= self.first < last <= steps:
            raise ValueError(f"interventions: from and to must satisfy 0 <= from < to <= {steps}")


def clamps(
    network: Network, steps: int, interventions: Sequence[Intervention], precision: str
) -> list[dict[str, tuple[np.ndarray, np.ndarray]]]:
    """For each of the network's parts the overwritten signals' (keep, set) records; of two for one place the later
    counts.
    """
    parts = network.parts
    found: list[dict[str, tuple[np.ndarray, np.ndarray]]] = [{} for _ in parts]
    for each in interventions:
        each.check(network, steps)
        part = parts[each.layer]
        shape = (steps, 1, part.cell.width(each.signal, part.hidden))
        fresh = np.ones(shape, precision), np.zeros(shape, precision)
        keep, value = found[each.layer].setdefault(each.signal, fresh)
        units = slice(None) if each.units is None else list(each.units)
        keep[each.first : each.last, 0, units] = 0
        value[each.first : each.last, 0, units] = each.value
    return found
