"""Keras' HDF5 weights as a network: its order of gates, its transposed kernels, its two layouts of the file.

Keras 3 writes `layers/<layer>/cell/vars/0` (`*.weights.h5`), older ones `<layer>/…/kernel:0` with the order of layers
in an attribute, inside `model_weights` where the whole model was saved. Only the whole model says which activations
there are and whether every step is given; elsewhere Keras' own are taken: tanh, sigmoid, the last step alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatescope.models.cells import cells
from gatescope.models.formats.assemble import Found, choose
from gatescope.models.formats.hdf5 import Hdf5
from gatescope.models.graph.cell import Cell
from gatescope.models.network.architecture import REVERSE
from gatescope.models.network.metadata import BadNetwork, Metadata
from gatescope.models.network.network import Network
from gatescope.models.refused import listed_names, printable

if TYPE_CHECKING:
    import h5py

MAGIC = b"\x89HDF\r\n\x1a\n"
# by how many blocks are stacked: the cell, and Keras' order of its blocks
KINDS = {1: ("elman", ("h",)), 3: ("gru", ("z", "r", "n")), 4: ("lstm", ("i", "f", "g", "o"))}
NOT_WEIGHTS = re.compile(r"optimizer|seed_generator")
DIRECTION = re.compile(r"(?:^|(?<=/))(forward|backward)_")
RECURRENT_CLASSES = ("SimpleRNN", "GRU", "LSTM")

Layers = dict[str, list[np.ndarray]]  # each layer's arrays in Keras' order: kernel, recurrent kernel, bias


def keras_network(path: Path, facts: dict[str, str]) -> tuple[Network, dict[str, str]]:
    """The network in Keras' weights, and which of the file's layers became which parameter; raises BadNetwork.

    facts: `vocabulary`, `title`, `nonlinearity`, `pattern` … as the metadata of a safetensors file has them.
    """
    try:
        import h5py
    except ImportError:
        raise BadNetwork("reading Keras' weights needs h5py: pip install 'gatescope[keras]'") from None
    try:
        with h5py.File(path, "r") as file:
            layers, config = _layers(Hdf5.of(file, path)), file.attrs.get("model_config", "{}")
            said = _facts_of(json.loads(config))
    except BadNetwork:
        raise
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError) as error:
        raise BadNetwork(f"{path.name} is not readable as Keras' HDF5 weights") from error
    metadata = Metadata.of(facts, "the description")
    found = _found(layers, said | facts, path.name)
    found.check_shapes()
    if found.outputs not in (None, found.inputs) and "pattern" in said and metadata.pattern is None:
        metadata = metadata.model_copy(update={"pattern": said["pattern"]})
    network = found.network(metadata, "", facts["title"], "the description")
    if found.directions == 2 and network.task.pattern == "many-to-one":
        raise BadNetwork(
            f"{_first(layers)} is Bidirectional: where it gives one step alone, that joins the ends of both "
            "directions, which no readout here reads; if it returns every step, say pattern many-to-many"
        )
    return network, {parameter: name for parameter, (name, _) in found.parameters.items()}


def _found(layers: Layers, said: dict[str, str], file: str) -> Found:
    """What is recognised among a file's layers."""
    recurrent = [name for name, arrays in layers.items() if _is_recurrent(arrays)]
    if not recurrent:
        raise BadNetwork(f"no SimpleRNN, GRU or LSTM in {file}, which has: {listed_names(layers) or 'no layers'}")
    first = layers[recurrent[0]]
    cell, order = _cell(recurrent[0], first, said)
    found: dict[str, tuple[str, np.ndarray]] = {}
    places, depth, directions = _places(recurrent)
    for name, place in places.items():
        if layers[name][1].shape != first[1].shape or np.ndim(layers[name][-1]) != np.ndim(first[-1]):
            raise BadNetwork(f"{printable(name)} is not of the same kind and size as {printable(recurrent[0])}")
        found |= {f"rnn.{part}_{place}": (name, array) for part, array in _stacked(layers[name], cell, order).items()}
    found |= _around({name: arrays for name, arrays in layers.items() if name not in recurrent})
    return Found(cell, depth, len(first[1]), directions, found, transposed=True)


def _first(layers: Layers) -> str:
    """The name of the lowest recurrent layer."""
    return next(name for name, arrays in layers.items() if _is_recurrent(arrays))


def _layers(file: Hdf5) -> Layers:
    """Every layer that has weights, first to last."""
    root = file.member(file.file, "model_weights") if "model_weights" in file.file else file.file
    if "layer_names" in root.attrs:
        found: Layers = {}
        for layer in map(_text, root.attrs["layer_names"]):
            group = file.member(root, layer)
            for name in map(_text, group.attrs["weight_names"]):
                place = name.rpartition("/")[0] if DIRECTION.search(name) else layer
                found.setdefault(place, []).append(file.array(file.member(group, name), name))
        return found
    found = dict(_variables(file, root))
    recurrent = [name for name, arrays in found.items() if _is_recurrent(arrays)]
    if len({re.sub(r"_\d+(?=/|$)", "", _wrapper(name).removesuffix("/cell")) for name in recurrent}) > 1:
        raise BadNetwork(f"the file does not say which of these layers comes first: {listed_names(recurrent)}")
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in re.findall(r"\d+", item[0])]))


def _wrapper(name: str) -> str:
    """The layer as a whole, of which a name may be one direction."""
    direction = DIRECTION.search(name)
    return name[: direction.start()] if direction else name


def _places(recurrent: list[str]) -> tuple[dict[str, str], int, int]:
    """Each recurrent layer's place (`l0`, `l0_reverse`, …), how many levels there are, and in how many directions each
    reads.
    """
    levels: dict[str, dict[str, str]] = {}
    for name in recurrent:
        direction = DIRECTION.search(name)
        backwards = direction is not None and direction[1] == "backward"
        levels.setdefault(_wrapper(name), {})[REVERSE if backwards else ""] = name
    alone = [name for name in recurrent if DIRECTION.search(name) and len(levels[_wrapper(name)]) == 1]
    if alone or len({len(ways) for ways in levels.values()}) > 1:
        raise BadNetwork(f"every layer must read in one direction, or every layer in both: {', '.join(recurrent)}")
    places = {
        name: f"l{level}{suffix}" for level, ways in enumerate(levels.values()) for suffix, name in sorted(ways.items())
    }
    return places, len(levels), len(places) // len(levels)


def _variables(file: Hdf5, root: h5py.Group) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The arrays in every group `vars`, by the path of what they belong to."""
    for place, group in file.groups_called("vars", root):
        if not NOT_WEIGHTS.search(place):
            names = [str(index) for index in range(len(group))]
            yield place, [file.array(file.member(group, name), f"{place}/{name}") for name in names]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _is_recurrent(arrays: list[np.ndarray]) -> bool:
    """Whether a layer has a kernel and a recurrent kernel, both (…, blocks·H)."""
    return len(arrays) in (2, 3) and arrays[0].ndim == arrays[1].ndim == 2


def _facts_of(config: object) -> dict[str, str]:
    """What a whole model's configuration says of its recurrent layers, as `nonlinearity`, `reset` and `pattern`: of
    several the last counts. Refuses what has no equal here.
    """
    said: dict[str, str] = {}
    for kind, options in _recurrent_configs(config):
        _check_options(kind, options)
        if kind == RECURRENT_CLASSES[0]:
            said["nonlinearity"] = options["activation"]
        if "reset_after" in options:
            said["reset"] = "after" if options["reset_after"] else "before"
        if "return_sequences" in options:
            said["pattern"] = "many-to-many" if options["return_sequences"] else "many-to-one"
    return said


def _recurrent_configs(config: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """The class and the options of every recurrent layer in a configuration, however deep it lies."""
    if isinstance(config, list):
        for inner in config:
            yield from _recurrent_configs(inner)
    if not isinstance(config, dict):
        return
    kind: str = config.get("class_name", "")
    options: dict[str, Any] = config.get("config", {})
    if kind == "Bidirectional":
        if options.get("merge_mode", "concat") != "concat":
            raise BadNetwork(f"merge_mode of {options.get('name', kind)} must be concat")
        yield from _recurrent_configs(options["layer"])  # its other layer reads backwards and is made like this one
        return
    for inner in config.values():
        yield from _recurrent_configs(inner)
    if kind in RECURRENT_CLASSES:
        yield kind, options


def _check_options(kind: str, options: dict[str, Any]) -> None:
    """Raise BadNetwork for options of a recurrent layer that have no equal here."""
    allowed: dict[str, tuple[str | bool, ...]] = {
        "activation": ("tanh", "relu") if kind == RECURRENT_CLASSES[0] else ("tanh",),
        "recurrent_activation": ("sigmoid",),
        "go_backwards": (False,),
    }
    for option, values in allowed.items():
        if option in options and options[option] not in values:
            raise BadNetwork(f"{option} of {options.get('name', kind)} must be {' or '.join(map(str, values))}")


def _cell(name: str, arrays: list[np.ndarray], said: dict[str, str]) -> tuple[type[Cell], tuple[str, ...]]:
    """The cell, and Keras' order of its blocks."""
    name, memory, bias = printable(name), arrays[1], arrays[2] if len(arrays) == 3 else None
    blocks = memory.shape[1] / memory.shape[0] if memory.shape[0] else 0
    if blocks not in KINDS:
        raise BadNetwork(f"the recurrent kernel of {name} must be (H, H), (H, 3·H) or (H, 4·H), not {memory.shape}")
    if any(not array.ndim or array.shape[-1] != memory.shape[1] for array in arrays):
        raise BadNetwork(f"the kernel, the recurrent kernel and the bias of {name} must have equally many columns")
    id, order = KINDS[blocks]
    chosen = {"nonlinearity": said["nonlinearity"]} if "nonlinearity" in said else {}
    # a reset gate that multiplies after the matrix has a bias of its own there, which Keras writes as a second row
    if id == "gru" and bias is not None:
        chosen["reset"] = "after" if bias.ndim == 2 else "before"
    elif id == "gru":
        chosen["reset"] = said.get("reset", "")
        if not chosen["reset"]:
            raise BadNetwork(
                f"{name} has no bias, which would tell whether it is a GRU with reset_after; the whole model, saved "
                "with model.save, says it"
            )
    if chosen.get("reset") == "after":
        del chosen["reset"]  # as usual
    return choose(cells()[id], chosen), order


def _stacked(arrays: list[np.ndarray], cell: type[Cell], order: tuple[str, ...]) -> dict[str, np.ndarray]:
    """One recurrent layer's arrays by torch's names, their blocks in torch's order."""

    def joined(array: np.ndarray, stack: str) -> np.ndarray:
        blocks = dict(zip(order, np.split(array, len(order), axis=-1), strict=True))
        return np.concatenate([blocks[str(block.name)] for block in cell.stacks()[stack][1]], axis=-1).T

    found = {stack: joined(arrays[0 if stack == "weight_ih" else 1], stack) for stack in cell.stacks()}
    if len(arrays) < 3:
        return found
    biases = zip(("ih", "hh"), np.atleast_2d(arrays[2]), strict=False)
    return found | {f"bias_{read}": joined(bias, f"weight_{read}") for read, bias in biases}


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
                f"cannot place {printable(name)}: there may be one Embedding and one Dense readout, and it is neither"
            )
        if not is_embedding:
            parts["readout.weight"] = parts["readout.weight"].T
        found |= {parameter: (name, array) for parameter, array in parts.items()}
    return found
