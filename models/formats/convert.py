"""Weights of other makers, on this machine: a PyTorch checkpoint or Keras' HDF5 file made into a network.

Nothing in such a file is run: PyTorch reads it with `weights_only`, and HDF5 holds numbers only.
"""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from gatescope.models.formats.keras import MAGIC, keras_network
from gatescope.models.formats.torch_module import describe_import, recognise
from gatescope.models.network.network import BadNetwork, Network


def convert(
    path: Path,
    vocabulary: list[str] | None = None,
    title: str = "",
    nonlinearity: str | None = None,
    **said: str | None,
) -> tuple[Network, dict[str, Any]]:
    """The network in a PyTorch checkpoint (a state_dict, or a dict that holds one) or in Keras' HDF5 weights, and what
    was recognised, as `recognise` says it.

    nonlinearity: `tanh` or `relu`, of an nn.RNN or SimpleRNN. said: `reads`, `gives`, `pattern`, `labels`, as the
    metadata of an upload has them. Raises BadNetwork, and OSError for an unreadable file.
    """
    facts = {"vocabulary": json.dumps(vocabulary or []), "title": title or path.name.partition(".")[0]}
    facts |= {key: fact for key, fact in (said | {"nonlinearity": nonlinearity}).items() if fact}
    with path.open("rb") as file:
        is_keras = file.read(len(MAGIC)) == MAGIC
    if is_keras:
        network, names = keras_network(path, facts)
        network.card = {"recognised": describe_import(network, names)}
        return network, network.card["recognised"]
    return recognise(save(_state_dict(path), facts))


def read_vocabulary(path: Path) -> list[str]:
    """A vocabulary from a JSON file: a list of texts, or an object that gives each text its number. Raises
    BadNetwork.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise BadNetwork(f"{path.name} is not JSON in UTF-8") from None
    if isinstance(value, dict):
        numbers = [number for number in value.values() if type(number) is int]
        if sorted(numbers) != list(range(len(value))):
            raise BadNetwork(f"{path.name} must give its {len(value):,} texts the numbers 0 to {len(value) - 1:,}")
        value = sorted(value, key=value.__getitem__)
    if not isinstance(value, list):
        raise BadNetwork(f"{path.name} must be a list of texts, or an object that gives each text its number")
    return value


def _state_dict(path: Path) -> dict[str, np.ndarray]:
    """The tensors in a PyTorch checkpoint, as arrays."""
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):  # of formats that are refused below
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise BadNetwork(
            f"{path.name} holds more than weights, and what it holds could run a program: save the weights alone, with "
            "torch.save(model.state_dict(), …)"
        ) from None
    except Exception:  # what is no checkpoint at all makes the reader stumble in any way
        raise BadNetwork(f"{path.name} is neither a PyTorch checkpoint nor Keras' HDF5 weights") from None
    found = list(_state_dicts(loaded, ""))
    if len(found) != 1:
        where = ", ".join(place or "the file itself" for place, _ in found) or "nowhere"
        raise BadNetwork(f"{path.name} must hold one state_dict with a recurrent module; found in: {where}")
    tensors = {name: tensor for name, tensor in found[0][1].items() if isinstance(tensor, torch.Tensor)}
    whole = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    if whole:
        raise BadNetwork(f"{', '.join(whole[:10])} in {path.name} hold no weights but whole numbers")
    wide = (torch.float32, torch.float64)
    widened = {name: tensor if tensor.dtype in wide else tensor.float() for name, tensor in tensors.items()}
    return {name: tensor.detach().contiguous().numpy() for name, tensor in widened.items()}


def _state_dicts(value: object, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping in a checkpoint that has recurrent weights among its keys, and where it lies."""
    if not isinstance(value, Mapping):
        return
    if any(isinstance(name, str) and name.endswith("weight_hh_l0") for name in value):
        yield place, value
        return
    for name, inner in value.items():
        yield from _state_dicts(inner, f"{place}.{name}".lstrip("."))
