"""A checkpoint: one safetensors file with the network as it is, and all that goes on from there to the same bit.

Under PyTorch's names lie the network's weights, those of the latest step while it trains and the best ones once it is
finished; under `resume.…` what only training needs (the optimiser's memory, carried states, a gradient being gathered,
the best weights so far). Chance needs no state: every draw follows from the seed and the step. `network_of` gives the
network alone, as it is opened, downloaded and traced.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gatescope.models.formats.safetensors import read_tensors
from gatescope.models.network.network import BadNetwork, Network

PREFIX = "resume."


class BadCheckpoint(ValueError):
    """Bytes that are no checkpoint of this training; the message says what is wrong."""


@dataclass
class Progress:
    """Where a training stands after a step; plain numbers.

    best: the lowest validation loss and `best_at` the number of the validation that found it; curve: a point a
    validation; loss_sum and loss_count: what the next report will average; last: the latest move of the weights, as
    reports tell it.
    """

    spec: str
    step: int = 0
    finished: bool = False
    reason: str | None = None
    best: float = math.inf
    best_at: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_count: int = 0
    seconds: float = 0.0
    last: dict[str, Any] = field(default_factory=dict)


def to_bytes(network: Network, progress: Progress, tensors: dict[str, np.ndarray]) -> bytes:
    """The file; tensors: what only training needs, by name."""
    known = asdict(progress) | {"best": progress.best if math.isfinite(progress.best) else None}
    arrays = network.parameters | {PREFIX + name: array for name, array in tensors.items()}
    facts = network.facts() | {"progress": json.dumps(known)}
    content: bytes = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, facts)
    return content


def network_of(content: bytes, id: str = "checkpoint") -> Network:
    """The network in a checkpoint; raises BadNetwork."""
    arrays, facts = read_tensors(content)
    parameters = {name: array for name, array in arrays.items() if not name.startswith(PREFIX)}
    return Network.of(parameters, facts, id, "the checkpoint")


def network_in(path: Path, id: str) -> Network:
    """The network in a checkpoint's file, of which nothing else is read; raises BadNetwork."""
    try:
        with safe_open(path, "np") as file:
            facts = file.metadata() or {}
            names = [name for name in file.keys() if not name.startswith(PREFIX)]  # noqa: SIM118 – not a dict
            parameters = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise BadNetwork("the checkpoint cannot be read") from error
    return Network.of(parameters, facts, id, "the checkpoint")


def resumed(content: bytes, spec: str) -> tuple[Network, Progress, dict[str, np.ndarray]]:
    """What `to_bytes` was given; raises BadCheckpoint where the bytes are damaged or of another training.

    spec: the digest that the checkpoint must carry.
    """
    try:
        arrays, facts = read_tensors(content)
        known = json.loads(facts["progress"])
        progress = Progress(**known | {"best": math.inf if known["best"] is None else known["best"]})
        network = network_of(content)
    except (BadNetwork, KeyError, TypeError, ValueError) as error:
        raise BadCheckpoint(f"the checkpoint cannot be read: {error}") from error
    if progress.spec != spec:
        raise BadCheckpoint("the checkpoint belongs to another training")
    tensors = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
    return network, progress, tensors
