"""A network of anybody's making: the weights of a torch module with one nn.RNN, nn.LSTM or nn.GRU, recognised by names
and shapes.

Leaves out how the weights came here (see `models.formats.safetensors`, `models.formats.convert`) and where they are
kept.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gatescope.models.cells import cells
from gatescope.models.formats.assemble import Found, choose
from gatescope.models.formats.safetensors import is_name, read_tensors
from gatescope.models.graph.cell import Cell
from gatescope.models.network.architecture import REVERSE
from gatescope.models.network.metadata import TITLE_LENGTH, BadNetwork, Metadata
from gatescope.models.network.network import Network
from gatescope.models.refused import Refused, listed_names, printable

RECURRENT = re.compile(r"(?:(.+)\.)?((?:weight|bias)_(?:ih|hh|hr)_l\d+(?:_reverse)?)")
EMBEDDING_NAME = re.compile(r"emb|encoder|lookup|wte", re.I)
READOUT_NAME = re.compile(r"readout|decoder|output|linear|proj|head|dense|logit|classif|predict|\b(?:fc|out|lin)", re.I)
LARGEST = {"layers": 32, "hidden": 4096, "vocabulary_size": 65_536, "channels": 65_536, "outputs": 65_536}
EXAMPLE_LENGTH = 2000
MOST_MATRICES = 8
FILE = "the file"


def recognise(content: bytes | bytearray, id: str = "") -> tuple[Network, dict[str, Any]]:
    """The network in a safetensors file and a description of what was recognised: cell, module, sizes, what it reads,
    whether it has a readout and biases, which of the file's names became which parameter, which are absent.

    The file is a torch module's state_dict, or one of this product's own (metadata `cell`). Half precisions are
    widened to float32, float64 is kept. Raises BadNetwork with the names it stumbled over.
    """
    tensors, facts = read_tensors(content)
    if not tensors:
        raise BadNetwork("the file holds no tensors")
    if "cell" in facts:
        # what a stranger's file says of its own training is not taken over
        facts = {key: fact for key, fact in facts.items() if key != "card"}
        network, names = Network.of(tensors, facts, id, FILE), {name: name for name in tensors}
    else:
        network, names = _from_module(tensors, facts, Metadata.of(facts, FILE), id)
    network.title = facts.get("title", "").strip()[:TITLE_LENGTH] or "Your own network"
    for size, largest in LARGEST.items():
        if (value := getattr(network, size) or 0) > largest:
            raise BadNetwork(f"{size} is {value:,}, and may be at most {largest:,}")
    check_example(network)
    network.card = {"recognised": describe_import(network, names)}
    return network, network.card["recognised"]


def check_example(network: Network) -> None:
    """Raise BadNetwork where the example that a file gives is nothing the network can read."""
    example, words = network.task.example, network.task.reads
    if not example:
        return
    if not isinstance(example, tuple if network.channels else str) or len(example) > EXAMPLE_LENGTH:
        kind = "a list of steps" if network.channels else f"a text of {words}"
        raise BadNetwork(f"the example in {FILE} must be {kind}, at most {EXAMPLE_LENGTH:,} long")
    try:
        network.input_rows(network.tokens(example) if isinstance(example, str) else example)
    except Refused as refused:
        raise BadNetwork(f"the example in {FILE} cannot be read: {refused.detail}") from None


def describe_import(network: Network, names: dict[str, str]) -> dict[str, Any]:
    """What a network was recognised as; names: the file's name of each parameter."""
    weights = network.parameters
    embedding, readout = weights.get("embedding.weight"), weights.get("readout.weight")
    tied = embedding is not None and readout is not None and np.array_equal(embedding, readout)
    tokens = "embedding" if network.embedding else "one-hot"
    return {
        "cell": network.cell.id,
        "module": network.cell.reference,
        "options": network.cell.chosen,
        "layers": network.layers,
        "hidden": network.hidden,
        "directions": 2 if any(part.reverse for part in network.layer_specs) else 1,
        "projection": network.cell.chosen.get("projection"),
        "input": "values" if network.channels else tokens,
        "embedding": network.embedding,
        "tokens": network.vocabulary_size,
        "channels": network.channels,
        "vocabulary": bool(network.vocabulary),
        "readout": network.predicts,
        "outputs": network.outputs,
        "form": {key: fact for key, fact in network.task.to_dict().items() if key != "example"},
        "biases": any("bias_" in name for name in weights),
        # the embedding and the readout hold the same numbers; each has its own gradient here, PyTorch adds the two
        "tied": tied,
        "numbers": str(np.result_type(*weights.values())),
        "names": names,
        "absent": list(network.absent),
    }


def _from_module(
    tensors: dict[str, np.ndarray], facts: dict[str, str], metadata: Metadata, id: str
) -> tuple[Network, dict[str, str]]:
    """The network of a torch module's state_dict, and the file's name of each of its parameters."""
    recurrent = _recurrent(tensors)
    # a file of safetensors.torch.save_model has shared weights once, and says in its metadata where else they belong
    shared = {name: tensors[kept] for name, kept in facts.items() if kept in tensors and is_name(name)}
    tensors = shared | tensors
    cell, hidden = _cell(recurrent, tensors, metadata)
    directions = 2 if any(name.endswith(REVERSE) for name in recurrent) else 1
    layers = sum(name.startswith("weight_ih_l") and not name.endswith(REVERSE) for name in recurrent)
    lowest = tensors[recurrent["weight_ih_l0"]]
    if lowest.ndim != 2:
        name = printable(recurrent["weight_ih_l0"])
        raise BadNetwork(f"{name} must be a matrix, not of shape {lowest.shape}")
    names = {f"rnn.{name}": file for name, file in recurrent.items()}
    placed = set(recurrent.values())
    rest = [name for name in tensors if name not in placed]
    names |= _around(tensors, rest, lowest.shape[1], directions * cell.width(cell.memories()[0], hidden))
    found = Found(cell, layers, hidden, directions, {name: (file, tensors[file]) for name, file in names.items()})
    _check_absent(found)
    found.check_shapes()
    return found.network(metadata, id, "", FILE), names


def _recurrent(tensors: dict[str, np.ndarray]) -> dict[str, str]:
    """The recurrent module's parameters: torch's name → the file's."""
    modules: dict[str, dict[str, str]] = {}
    for name in tensors:
        if match := RECURRENT.fullmatch(name):
            modules.setdefault(match[1] or "", {})[match[2]] = name
    if not modules:
        raise BadNetwork(
            f"no weights of an nn.RNN, nn.LSTM or nn.GRU (weight_ih_l0, weight_hh_l0, …) among {listed_names(tensors)}"
        )
    if len(modules) > 1:
        heads = [next(iter(found.values())) for found in modules.values()]
        raise BadNetwork(f"there must be one recurrent module, and there are {len(modules)}: {listed_names(heads)}")
    (found,) = modules.values()
    both_ways = any(name.endswith(REVERSE) for name in found)
    for name in (
        f"{weight}_l0{way}" for way in ("", REVERSE)[: 1 + both_ways] for weight in ("weight_ih", "weight_hh")
    ):
        if name not in found:
            raise BadNetwork(f"{name} is missing beside {listed_names(found.values())}")
    return found


def _cell(recurrent: dict[str, str], tensors: dict[str, np.ndarray], metadata: Metadata) -> tuple[type[Cell], int]:
    """The kind of cell, by how many blocks are stacked in its recurrent weights, and how many units it has."""
    weight, names = tensors[recurrent["weight_hh_l0"]], printable(recurrent["weight_hh_l0"])
    columns = weight.shape[1] if weight.ndim == 2 else 0
    kinds, hidden, chosen = {len(cell.blocks): cell for cell in cells().values() if cell.reference}, columns, {}
    if "weight_hr_l0" in recurrent:
        names = f"beside {printable(recurrent['weight_hr_l0'])} (P, H), {names}"
        projection = tensors[recurrent["weight_hr_l0"]]
        kinds = {blocks: kind for blocks, kind in kinds.items() if "projection" in kind.options}
        hidden = projection.shape[-1] if projection.ndim == 2 and len(projection) == columns else 0
        chosen["projection"] = columns
    blocks, rest = divmod(len(weight), hidden) if hidden and columns else (0, 0)
    if rest or blocks not in kinds:
        known = ", ".join(f"{count}·H for {kind.reference}" for count, kind in sorted(kinds.items()))
        wide = "P" if chosen else "H"
        raise BadNetwork(f"{names} must have {wide} columns and {known} rows, not shape {weight.shape}")
    if metadata.nonlinearity is not None:
        chosen["nonlinearity"] = metadata.nonlinearity
    return choose(kinds[blocks], chosen, " (metadata nonlinearity, or proj_size)"), hidden


def _check_absent(found: Found) -> None:
    """What the module may be made without: all recurrent biases, the readout or its bias; anything else is missing."""
    biases = {name for name in found.shapes if name.startswith("rnn.bias")}
    optional = {"readout.weight", "readout.bias"} | (biases if biases <= set(found.absent) else set())
    if missing := [name.removeprefix("rnn.") for name in found.absent if name not in optional]:
        present = [name for name, _ in found.parameters.values()]
        raise BadNetwork(f"{listed_names(missing)} missing beside {listed_names(present)}")


def _around(tensors: dict[str, np.ndarray], rest: list[str], inputs: int, width: int) -> dict[str, str]:
    """Which of the other tensors are embedding and readout: by shape, and by name where shapes leave a choice."""
    matrices = [name for name in rest if tensors[name].ndim == 2]
    if len(matrices) > MOST_MATRICES:  # each pair of them is looked at
        raise BadNetwork(
            f"cannot place {listed_names(matrices)}: beside the recurrent weights there may be an Embedding and a "
            "Linear readout; save them without the rest of the model"
        )
    ways = []
    for embedding in [None, *matrices]:
        for readout in [None, *matrices]:
            way = _way(tensors, embedding, readout, inputs, width)
            if way is not None and len(way) == len(rest) and set(way.values()) == set(rest):
                ways.append(way)
    if not ways:
        shapes = [f"{printable(name, 40)} {tensors[name].shape}" for name in rest]
        raise BadNetwork(
            f"cannot place {listed_names(shapes)}: beside the recurrent weights there may be an Embedding "
            f"(tokens, {inputs}) and a Linear readout (outputs, {width}) with its bias, or without an Embedding input "
            f"of {inputs} one-hot tokens or numbers"
        )
    ways.sort(key=_likely, reverse=True)
    if len(ways) > 1 and _likely(ways[0]) == _likely(ways[1]) or _likely(ways[0]) < 0:
        raise BadNetwork(
            f"by their shapes and names {listed_names(matrices)} could be an Embedding as well as a Linear readout: "
            "call the one embedding.weight and the other readout.weight"
        )
    return ways[0]


def _way(
    tensors: dict[str, np.ndarray], embedding: str | None, readout: str | None, inputs: int, width: int
) -> dict[str, str] | None:
    """These two as embedding and readout: the file's name of each parameter, or None where the shapes forbid it."""
    way = {}
    if embedding:
        if tensors[embedding].shape[1] != inputs or embedding == readout:
            return None
        way["embedding.weight"] = embedding
    if readout:
        if tensors[readout].shape[1] != width:
            return None
        way["readout.weight"] = readout
        bias = readout.removesuffix("weight") + "bias"
        if bias in tensors and tensors[bias].shape == tensors[readout].shape[:1]:
            way["readout.bias"] = bias
    return way


def _likely(way: dict[str, str]) -> int:
    """How well the names fit: one for each that is called what it would be, less one for each called otherwise."""
    called = {"embedding.weight": (EMBEDDING_NAME, READOUT_NAME), "readout.weight": (READOUT_NAME, EMBEDDING_NAME)}
    fitting = [tuple(bool(name.search(way[part])) for name in names) for part, names in called.items() if part in way]
    return sum(as_it_is - otherwise for as_it_is, otherwise in fitting)
