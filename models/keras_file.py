"""Keras' HDF5 weights as a network: its order of gates, its transposed kernels, its two layouts of the file.

Keras 3 writes `layers/<layer>/cell/vars/0` (`*.weights.h5`), older ones `<layer>/…/kernel:0` with the order of layers
in an attribute, inside `model_weights` where the whole model was saved. Only the whole model says which activations
there are; elsewhere Keras' own, tanh and sigmoid, are taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from models.cell import Cell
from models.cells import cells
from models.network import BadNetwork, Network, parameter_shapes, vocabulary_of

MAGIC = b"\x89HDF\r\n\x1a\n"
# by how many blocks are stacked: the cell, and Keras' order of its blocks
KINDS = {1: ("elman", ("h",)), 3: ("gru", ("z", "r", "n")), 4: ("lstm", ("i", "f", "g", "o"))}
NOT_WEIGHTS = re.compile(r"optimizer|seed_generator")
BOTH_WAYS = re.compile(r"(?:forward|backward)_")
RECURRENT_CLASSES = ("SimpleRNN", "GRU", "LSTM")

Layers = dict[str, list[np.ndarray]]  # each layer's arrays in Keras' order: kernel, recurrent kernel, bias


def keras_network(path: Path, facts: dict[str, str]) -> tuple[Network, dict[str, str]]:
    """The network in Keras' weights, and which of the file's layers became which parameter; raises BadNetwork.

    facts: `vocabulary`, `title` and `nonlinearity` as the metadata of a safetensors file has them.
    """
    try:
        import h5py
    except ImportError:
        raise BadNetwork("reading Keras' weights needs h5py: pip install 'gatescope[keras]'") from None
    try:
        with h5py.File(path, "r") as file:
            layers, config = _layers(file), file.attrs.get("model_config", "{}")
            squashing = _check_config(json.loads(config), None)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, BadNetwork):
            raise
        raise BadNetwork(f"{path.name} is not readable as Keras' HDF5 weights") from error
    recurrent = [name for name, arrays in layers.items() if _is_recurrent(arrays)]
    if not recurrent:
        raise BadNetwork(f"no SimpleRNN, GRU or LSTM in {path.name}, which has: {', '.join(layers) or 'no layers'}")
    kernel, memory = layers[recurrent[0]][:2]
    hidden = memory.shape[0]
    cell, order = _cell(recurrent[0], memory, facts.get("nonlinearity") or squashing)
    found: dict[str, tuple[str, np.ndarray]] = {}
    for index, name in enumerate(recurrent):
        if layers[name][1].shape != memory.shape:
            raise BadNetwork(f"{name} is not of the same kind and size as {recurrent[0]}")
        stacked = _stacked(name, layers[name], cell, order)
        found |= {f"rnn.{part}_l{index}": (name, array) for part, array in stacked.items()}
    found |= _around({name: arrays for name, arrays in layers.items() if name not in recurrent})
    tokens, width = found["embedding.weight"][1].shape if "embedding.weight" in found else (len(kernel), None)
    wanted = parameter_shapes(cell, len(recurrent), hidden, tokens, width)
    for parameter, (name, array) in found.items():
        if array.shape != wanted[parameter]:
            raise BadNetwork(f"{name} has shape {array.shape[::-1]} where {wanted[parameter][::-1]} would fit")
    vocabulary = vocabulary_of(facts, "the vocabulary file")
    if vocabulary and len(vocabulary) != tokens:
        raise BadNetwork(f"the vocabulary has {len(vocabulary):,} entries, and the network is made for {tokens:,}")
    parameters = {name: np.ascontiguousarray(found[name][1]) for name in wanted if name in found}
    absent = tuple(name for name in wanted if name not in found)
    made = Network("", facts["title"], cell, len(recurrent), hidden, vocabulary, parameters, width, absent=absent)
    return made, {parameter: name for parameter, (name, _) in found.items()}


def _layers(file: Mapping) -> Layers:
    """Every layer that has weights, first to last."""
    root = file.get("model_weights", file)
    if "layer_names" in root.attrs:
        found: Layers = {}
        for layer in map(_text, root.attrs["layer_names"]):
            for name in map(_text, root[layer].attrs["weight_names"]):
                place = name.rpartition("/")[0] if BOTH_WAYS.search(name) else layer
                found.setdefault(place, []).append(np.asarray(root[layer][name]))
        _check_directions(found)
        return found
    found = dict(_variables(root, ""))
    _check_directions(found)
    recurrent = [name for name, arrays in found.items() if _is_recurrent(arrays)]
    if len({re.sub(r"(_\d+)?(/cell)?$", "", name) for name in recurrent}) > 1:
        raise BadNetwork(f"the file does not say which of these layers comes first: {', '.join(recurrent)}")
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in re.findall(r"\d+", item[0])]))


def _check_directions(layers: Layers) -> None:
    if both := [name for name in layers if BOTH_WAYS.search(name)]:
        raise BadNetwork(f"bidirectional networks are not read yet; these layers are: {', '.join(both)}")


def _variables(group: Mapping, place: str) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The arrays in every group `vars`, by the path of what they belong to."""
    for name, inner in group.items():
        path = f"{place}/{name}".removeprefix("/")
        if not isinstance(inner, Mapping) or NOT_WEIGHTS.search(path):
            continue
        if name == "vars" and len(inner):
            yield place, [np.asarray(inner[str(index)]) for index in range(len(inner))]
        elif name != "vars":
            yield from _variables(inner, path)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _is_recurrent(arrays: list[np.ndarray]) -> bool:
    """Whether a layer has a kernel and a recurrent kernel, both (…, blocks·H)."""
    return len(arrays) in (2, 3) and arrays[0].ndim == arrays[1].ndim == 2


def _check_config(config: object, found: str | None) -> str | None:
    """The squashing function that a whole model's configuration names, if any; refuses what has no equal here."""
    for inner in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        found = _check_config(inner, found)
    if isinstance(config, dict) and config.get("class_name") in RECURRENT_CLASSES:
        kind, chosen = config["class_name"], config["config"]
        allowed = {"activation": ("tanh", "relu") if kind == RECURRENT_CLASSES[0] else ("tanh",)}
        allowed |= {"recurrent_activation": ("sigmoid",), "go_backwards": (False,)}
        for option, values in allowed.items():
            if option in chosen and chosen[option] not in values:
                raise BadNetwork(f"{option} of {chosen.get('name', kind)} must be {' or '.join(map(str, values))}")
        return chosen["activation"] if kind == RECURRENT_CLASSES[0] else found
    return found


def _cell(name: str, memory: np.ndarray, squashing: str | None) -> tuple[type[Cell], tuple[str, ...]]:
    """The cell, and Keras' order of its blocks."""
    blocks = memory.shape[1] / memory.shape[0] if memory.shape[0] else 0
    if blocks not in KINDS:
        raise BadNetwork(f"the recurrent kernel of {name} must be (H, H), (H, 3·H) or (H, 4·H), not {memory.shape}")
    id, order = KINDS[blocks]
    try:
        return cells()[id].with_options(*({"nonlinearity": squashing} if squashing else {}).items()), order
    except ValueError as error:
        raise BadNetwork(str(error)) from None


def _stacked(name: str, arrays: list[np.ndarray], cell: type[Cell], order: tuple[str, ...]) -> dict[str, np.ndarray]:
    """One recurrent layer's arrays by torch's names, their blocks in torch's order."""

    def reordered(array: np.ndarray) -> np.ndarray:
        blocks = dict(zip(order, np.split(array, len(order), axis=-1), strict=True))
        return np.concatenate([blocks[block] for block in cell.blocks], axis=-1).T

    found = {"weight_ih": reordered(arrays[0]), "weight_hh": reordered(arrays[1])}
    bias = arrays[2] if len(arrays) == 3 else None
    # a reset gate that multiplies after the matrix needs a bias of its own there, which Keras writes as a second row
    if cell.id == "gru" and (bias is None or bias.ndim == 1):
        raise BadNetwork(
            f"{name} is a GRU with reset_after=False (or has no bias, which would tell): its reset gate multiplies the "
            "memory before the matrix does, and no cell here computes that"
        )
    if bias is None:
        return found
    if bias.ndim == 1:
        return found | {"bias_ih": reordered(bias)}
    return found | {"bias_ih": reordered(bias[0]), "bias_hh": reordered(bias[1])}


def _around(layers: Layers) -> dict[str, tuple[str, np.ndarray]]:
    """The embedding and the readout among the layers that are not recurrent: layer and array by parameter."""
    found: dict[str, tuple[str, np.ndarray]] = {}
    for name, arrays in layers.items():
        is_embedding = len(arrays) == 1 and "emb" in name.lower()
        parts = (
            {"embedding.weight": arrays[0]} if is_embedding else dict(zip(("readout.weight", "readout.bias"), arrays))
        )
        if len(parts) < len(arrays) or set(parts) & set(found) or arrays[0].ndim != 2:
            raise BadNetwork(
                f"cannot place {name}: there may be one Embedding and one Dense readout, and it is neither"
            )
        if not is_embedding:
            parts["readout.weight"] = parts["readout.weight"].T
        found |= {parameter: (name, array) for parameter, array in parts.items()}
    return found
