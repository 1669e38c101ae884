"""Weights of other makers, on this machine: a PyTorch checkpoint or Keras' HDF5 file made into a network.

Nothing in such a file is run: PyTorch reads it with `weights_only`, and HDF5 holds numbers only.
"""

from __future__ import annotations

import json
import pickle
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from gatescope.models.formats.keras import MAGIC, keras_network
from gatescope.models.formats.safetensors import is_name
from gatescope.models.formats.torch_module import describe_import, recognise
from gatescope.models.network.network import BadNetwork, Network
from gatescope.models.refused import LISTED, listed_names, printable

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_VOCABULARY = 16 * 2**20  # bytes
LARGEST_GROWTH = 16  # bytes unpacked for each of a file
DEEPEST, MOST_MAPPINGS = 32, 20_000
RESERVED = "__metadata__"  # in a safetensors file no name of a tensor


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
    if path.exists() and not path.is_file():
        raise BadNetwork(f"{path.name} is no regular file")
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
    if path.exists() and (not path.is_file() or path.stat().st_size > LARGEST_VOCABULARY):
        raise BadNetwork(f"{path.name} must be a file of at most {LARGEST_VOCABULARY:,} bytes")
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

    _check_size(path)
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
    found = list(islice(_state_dicts(loaded, "", {}), LISTED + 1))
    if len(found) != 1:
        where = listed_names([place or "the file itself" for place, _ in found]) or "nowhere"
        raise BadNetwork(f"{path.name} must hold one state_dict with a recurrent module; found in: {where}")
    return _arrays({name: tensor for name, tensor in found[0][1].items() if isinstance(tensor, torch.Tensor)}, path)


def _arrays(tensors: dict[Any, Tensor], path: Path) -> dict[str, np.ndarray]:
    """A checkpoint's tensors as arrays; raises BadNetwork naming those that are no weights."""
    import torch

    if bad := [str(name) for name in tensors if not isinstance(name, str) or not is_name(name) or name == RESERVED]:
        raise BadNetwork(f"{listed_names(bad)} in {path.name} cannot be the names of weights")
    if whole := [name for name, tensor in tensors.items() if not tensor.is_floating_point()]:
        raise BadNetwork(f"{listed_names(whole)} in {path.name} hold no weights but whole numbers")
    for name, tensor in tensors.items():
        if reason := _unreadable(tensor):
            raise BadNetwork(f"{printable(name)} in {path.name} {reason}: save the weights as usual tensors")
    wide = (torch.float32, torch.float64)
    widened = {name: tensor if tensor.dtype in wide else tensor.float() for name, tensor in tensors.items()}
    try:
        return {name: tensor.detach().contiguous().resolve_neg().numpy() for name, tensor in widened.items()}
    except (RuntimeError, TypeError, ValueError):  # of tensors of further kinds
        raise BadNetwork(f"{path.name} holds tensors whose numbers cannot be had: save them as usual ones") from None


def _check_size(path: Path) -> None:
    """Raise BadNetwork where what is packed in a checkpoint is far larger than the file."""
    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):  # older checkpoints are no zip
        return
    if unpacked > LARGEST_GROWTH * path.stat().st_size + 2**20:
        raise BadNetwork(f"{path.name} would unpack to {unpacked:,} bytes, far more than it has")


def _unreadable(tensor: Tensor) -> str:
    """Why a tensor's numbers cannot be had, or are not all there; nothing where they can and are."""
    if tensor.is_meta:
        return "has no numbers (it is a meta tensor)"
    if tensor.is_sparse or tensor.is_nested or str(tensor.layout) != "torch.strided":
        return "is sparse or nested"
    if tensor.is_quantized:
        return "is quantized"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return "repeats its numbers (it is expanded)"
    return ""


def _state_dicts(
    value: object, place: str, seen: dict[int, object], depth: int = 0
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping in a checkpoint that has recurrent weights among its keys, and where it lies; each is looked at
    once. seen: those that were.
    """
    if not isinstance(value, Mapping) or id(value) in seen:
        return
    if depth > DEEPEST or len(seen) >= MOST_MAPPINGS:
        raise BadNetwork(f"the checkpoint has dicts more than {DEEPEST} deep, or more than {MOST_MAPPINGS:,}")
    seen[id(value)] = value
    if any(isinstance(name, str) and name.endswith("weight_hh_l0") for name in value):
        yield place, value
        return
    for name, inner in value.items():
        yield from _state_dicts(inner, f"{place}.{name}".lstrip("."), seen, depth + 1)
