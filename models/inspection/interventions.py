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
from gatescope.models.refused import Refused


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
        """Raise Refused, naming the range, for what this network or a text of so many steps does not have."""
        try:
            spec = network.layer_spec(self.layer)
        except Refused as refused:
            raise Refused("interventions", f"layer {refused.detail}") from None
        signals = list(spec.cell.graph().signals)
        if self.signal not in signals:
            raise Refused("interventions", f"signal must be one of {', '.join(signals)}")
        if not math.isfinite(self.value) or abs(self.value) > 1e6:
            raise Refused("interventions", "value must be a number between -1,000,000 and 1,000,000")
        width = spec.cell.width(self.signal, spec.hidden)
        if self.units is not None and not all(0 <= unit < width for unit in self.units):
            raise Refused("interventions", f"units must be between 0 and {width - 1}")
        last = steps if self.last is None else self.last
        if not 0 <= self.first < last <= steps:
            raise Refused("interventions", f"from and to must satisfy 0 <= from < to <= {steps}")


def intervention_records(
    network: Network, steps: int, interventions: Sequence[Intervention], precision: str
) -> list[dict[str, tuple[np.ndarray, np.ndarray]]]:
    """For each of the network's layers the overwritten signals' (mask, value) records; of two for one place the later
    counts.
    """
    layer_specs = network.layer_specs
    found: list[dict[str, tuple[np.ndarray, np.ndarray]]] = [{} for _ in layer_specs]
    for each in interventions:
        each.check(network, steps)
        spec = layer_specs[each.layer]
        shape = (steps, 1, spec.cell.width(each.signal, spec.hidden))
        fresh = np.ones(shape, precision), np.zeros(shape, precision)
        mask, value = found[each.layer].setdefault(each.signal, fresh)
        units = slice(None) if each.units is None else list(each.units)
        mask[each.first : each.last, 0, units] = 0
        value[each.first : each.last, 0, units] = each.value
    return found
