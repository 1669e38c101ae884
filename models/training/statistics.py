"""What a training shows of its inside: how open each gate is, and how much gradient reaches each signal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gatescope.models.graph.cell import Cell
from gatescope.models.graph.description import describe
from gatescope.models.training.batches import ReadLayer

BINS = 16
VALUES = 16_384


def signal_ranges(cell: type[Cell]) -> dict[str, tuple[float, float] | None]:
    """Each signal's range, None where it has no bound."""
    return {signal["id"]: signal["range"] and tuple(signal["range"]) for signal in describe(cell)["signals"]}


def gate_statistics(shares: Sequence[Sequence[ReadLayer]]) -> list[dict[str, Any]]:
    """For each layer and signal `mean`, `low`, `high` and `histogram`, of the batch that was just read.

    shares: the layers of each part of the batch. low and high are the fractions under 0.1 and over 0.9 of the range,
    the histogram counts the values in 16 equal parts of it; a signal without bound is measured by its tanh over −1…1
    (its mean is its own). Some 16 thousand values stand for all: steps at equal distances.
    """
    layers = []
    for layer_shares in zip(*shares, strict=True):
        found = {}
        for signal, span in signal_ranges(layer_shares[0].cell).items():
            records = [share.signal(signal) for share in layer_shares]
            stride = min(len(records[0]), max(1, sum(record.size for record in records) // VALUES))
            values = np.concatenate([record[stride // 2 :: stride].reshape(-1) for record in records])
            found[signal] = _spread(values, span)
        layers.append(found)
    return layers


def _spread(values: np.ndarray, span: tuple[float, float] | None) -> dict[str, Any]:
    mean = float(values.mean(dtype=np.float64))
    if span is None:
        values, span = np.tanh(values), (-1.0, 1.0)
    within = (values - np.float32(span[0])) * np.float32(BINS / (span[1] - span[0]))
    counts = np.bincount(np.clip(within, 0, BINS - 1).astype(np.intp), minlength=BINS)
    return {
        "mean": mean,
        "low": float(np.mean(within < 0.1 * BINS)),
        "high": float(np.mean(within > 0.9 * BINS)),
        "histogram": counts.tolist(),
    }


def signal_gradient_norms(shares: Sequence[Sequence[ReadLayer]]) -> list[dict[str, float]]:
    """‖∂L/∂signal‖ for each layer and signal of the batch that was just read; of a large one, steps at equal distances
    stand for all.
    """
    return [
        {
            signal: math.sqrt(sum(_square(share.gradient(signal)) for share in layer_shares))
            for signal in signal_ranges(layer_shares[0].cell)
        }
        for layer_shares in zip(*shares, strict=True)
    ]


def _square(record: np.ndarray) -> float:
    stride = min(len(record), max(1, record.size // (16 * VALUES)))
    some = record[stride // 2 :: stride]
    return float(np.einsum("sbh,sbh->s", some, some).sum(dtype=np.float64)) * len(record) / len(some)
