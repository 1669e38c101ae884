"""A network of anybody's making: the weights of a torch module with one nn.RNN, nn.LSTM or nn.GRU, recognised by names
and shapes.

Leaves out how the weights came here (see `models.tensor_file` and `models.convert`) and where they are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from models.cell import Cell
from models.cells import cells
from models.network import BadNetwork, Network, parameter_shapes, vocabulary_of
from models.tensor_file import read

RECURRENT = re.compile(r"(?:(.+)\.)?((?:weight|bias)_(?:ih|hh|hr)_l\d+(?:_reverse)?)")
EMBEDDING_NAME = re.compile(r"emb|encoder|lookup|wte", re.I)
READOUT_NAME = re.compile(r"readout|decoder|output|linear|proj|head|dense|logit|classif|predict|\b(?:fc|out|lin)", re.I)
LARGEST = {"layers": 32, "hidden": 4096, "vocabulary_size": 65_536}
TITLE_LENGTH = 200
LISTED = 10
FILE = "the file"


def recognise(content: bytes | bytearray, id: str = "") -> tuple[Network, dict]:
    """The network in a safetensors file and a description of what was recognised: cell, module, sizes, what it reads,
    whether it has a readout and biases, which of the file's names became which parameter, which are absent.

    The file is a torch module's state_dict, or one of this product's own (metadata `cell`). Half precisions are
    widened to float32, float64 is kept. Raises BadNetwork with the names it stumbled over.
    """
    tensors, facts = read(content)
    if not tensors:
        raise BadNetwork("the file holds no tensors")
    if "cell" in facts:
        # what a stranger's file says of its own training is not taken over
        facts = {key: fact for key, fact in facts.items() if key != "card"}
        network, names = Network.of(tensors, facts, id, FILE), {name: name for name in tensors}
    else:
        network, names = _from_module(tensors, facts, id)
    network.title = facts.get("title", "").strip()[:TITLE_LENGTH] or "Your own network"
    sizes = {"layers": network.layers, "hidden": network.hidden, "vocabulary_size": network.vocabulary_size}
    for size, value in sizes.items():
        if value > LARGEST[size]:
            raise BadNetwork(f"{size} is {value:,}, and may be at most {LARGEST[size]:,}")
    network.card = {"recognised": describe_import(network, names)}
    return network, network.card["recognised"]


def describe_import(network: Network, names: dict[str, str]) -> dict:
    """What a network was recognised as; names: the file's name of each parameter."""
    weights = network.parameters
    same = [weights.get("embedding.weight"), weights.get("readout.weight")]
    tied = same[0] is not None and same[1] is not None and np.array_equal(*same)
    return {
        "cell": network.cell.id,
        "module": network.cell.reference,
        "options": network.cell.chosen,
        "layers": network.layers,
        "hidden": network.hidden,
        "input": "embedding" if network.embedding else "one-hot",
        "embedding": network.embedding,
        "tokens": network.vocabulary_size,
        "vocabulary": bool(network.vocabulary),
        "readout": network.predicts,
        "biases": any("bias_" in name for name in weights),
        # the embedding and the readout hold the same numbers; each has its own gradient here, PyTorch adds the two
        "tied": tied,
        "numbers": str(np.result_type(*weights.values())),
        "names": names,
        "absent": list(network.absent),
    }


def _from_module(tensors: dict[str, np.ndarray], facts: dict[str, str], id: str) -> tuple[Network, dict[str, str]]:
    """The network of a torch module's state_dict, and the file's name of each of its parameters."""
    recurrent = _recurrent(tensors)
    # a file of safetensors.torch.save_model has shared weights once, and says in its metadata where else they belong
    shared = {name: tensors[kept] for name, kept in facts.items() if kept in tensors and name not in tensors}
    tensors = tensors | shared
    first = tensors[recurrent["weight_hh_l0"]]
    cell, hidden = _cell(recurrent, first, facts), first.shape[1]
    layers = sum(name.startswith("weight_ih_l") for name in recurrent)
    given = tensors[recurrent["weight_ih_l0"]]
    if given.ndim != 2:
        raise BadNetwork(f"{recurrent['weight_ih_l0']} must be a matrix, not of shape {given.shape}")
    names = {f"rnn.{name}": file for name, file in recurrent.items()}
    names |= _around(tensors, [name for name in tensors if name not in recurrent.values()], given.shape[1], hidden)
    embedding = tensors[names["embedding.weight"]] if "embedding.weight" in names else None
    tokens, width = (given.shape[1], None) if embedding is None else embedding.shape
    wanted = parameter_shapes(cell, layers, hidden, tokens, width)
    absent = _absent(wanted, names)
    for name, file in names.items():
        if name not in wanted:
            raise BadNetwork(f"{file} does not belong to {layers} layers")
        if tensors[file].shape != wanted[name]:
            raise BadNetwork(f"{file} must have shape {wanted[name]}, not {tensors[file].shape}")
    vocabulary = vocabulary_of(facts, FILE)
    if vocabulary and len(vocabulary) != tokens:
        counted = names.get("embedding.weight", names["rnn.weight_ih_l0"])
        raise BadNetwork(f"the vocabulary has {len(vocabulary):,} entries, and {counted} is made for {tokens:,}")
    parameters = {name: tensors[names[name]] for name in wanted if name in names}
    return Network(id, "", cell, layers, hidden, vocabulary, parameters, width, absent=absent), names


def _recurrent(tensors: dict[str, np.ndarray]) -> dict[str, str]:
    """The recurrent module's parameters: torch's name → the file's."""
    modules: dict[str, dict[str, str]] = {}
    for name in tensors:
        if match := RECURRENT.fullmatch(name):
            modules.setdefault(match[1] or "", {})[match[2]] = name
    if not modules:
        raise BadNetwork(
            f"no weights of an nn.RNN, nn.LSTM or nn.GRU (weight_ih_l0, weight_hh_l0, …) among {_listed(tensors)}"
        )
    if len(modules) > 1:
        heads = [next(iter(found.values())) for found in modules.values()]
        raise BadNetwork(f"there must be one recurrent module, and there are {len(modules)}: {_listed(heads)}")
    (found,) = modules.values()
    if backwards := [file for name, file in found.items() if name.endswith("_reverse")]:
        raise BadNetwork(f"bidirectional networks are not read yet; these weights read backwards: {_listed(backwards)}")
    if projections := [file for name, file in found.items() if "_hr_" in name]:
        raise BadNetwork(f"an nn.LSTM with proj_size is not read yet; it has {_listed(projections)}")
    for name in ("weight_ih_l0", "weight_hh_l0"):
        if name not in found:
            raise BadNetwork(f"{name} is missing beside {_listed(found.values())}")
    return found


def _cell(recurrent: dict[str, str], weight: np.ndarray, facts: dict[str, str]) -> type[Cell]:
    """The kind of cell, by how many blocks are stacked in its recurrent weights."""
    kinds = {len(cell.blocks): cell for cell in cells().values() if cell.reference}
    blocks = weight.shape[0] / weight.shape[1] if weight.ndim == 2 and weight.shape[1] else 0
    if blocks not in kinds:
        known = ", ".join(f"{count}·H for {kind.reference}" for count, kind in sorted(kinds.items()))
        raise BadNetwork(f"{recurrent['weight_hh_l0']} must have H columns and {known} rows, not shape {weight.shape}")
    try:
        chosen = {"nonlinearity": facts["nonlinearity"]} if "nonlinearity" in facts else {}
        return kinds[blocks].with_options(*chosen.items())
    except ValueError as error:
        raise BadNetwork(f"{error} (metadata nonlinearity)") from None


def _absent(wanted: dict[str, tuple], names: dict[str, str]) -> tuple[str, ...]:
    """What the module was made without: all recurrent biases, the readout or its bias; anything else is missing."""
    absent = tuple(name for name in wanted if name not in names)
    biases = [name for name in wanted if name.startswith("rnn.bias")]
    optional = {"readout.weight", "readout.bias"} | (set(biases) if set(biases) <= set(absent) else set())
    if missing := [name.removeprefix("rnn.") for name in absent if name not in optional]:
        raise BadNetwork(f"{_listed(missing)} missing beside {_listed(names.values())}")
    return absent


def _around(tensors: dict[str, np.ndarray], rest: list[str], inputs: int, hidden: int) -> dict[str, str]:
    """Which of the other tensors are embedding and readout: by shape, and by name where shapes leave a choice."""
    matrices = [name for name in rest if tensors[name].ndim == 2]
    ways = []
    for embedding in [None, *matrices]:
        for readout in [None, *matrices]:
            way = _way(tensors, embedding, readout, inputs, hidden)
            if way is not None and sorted(way.values()) == sorted(rest):
                ways.append(way)
    if not ways:
        shapes = [f"{name} {tensors[name].shape}" for name in rest]
        raise BadNetwork(
            f"cannot place {_listed(shapes)}: beside the recurrent weights there may be an Embedding "
            f"(tokens, {inputs}) and a Linear readout (tokens, {hidden}) with its bias, or one-hot input of {inputs} "
            f"tokens and a Linear readout ({inputs}, {hidden})"
        )
    ways.sort(key=_likely, reverse=True)
    if len(ways) > 1 and _likely(ways[0]) == _likely(ways[1]) or _likely(ways[0]) < 0:
        raise BadNetwork(
            f"by their shapes and names {_listed(matrices)} could be an Embedding as well as a Linear readout: call "
            "the one embedding.weight and the other readout.weight"
        )
    return ways[0]


def _way(
    tensors: dict[str, np.ndarray], embedding: str | None, readout: str | None, inputs: int, hidden: int
) -> dict[str, str] | None:
    """These two as embedding and readout: the file's name of each parameter, or None where the shapes forbid it."""
    way, tokens = {}, inputs
    if embedding:
        tokens, width = tensors[embedding].shape
        if width != inputs or embedding == readout:
            return None
        way["embedding.weight"] = embedding
    if readout:
        if tensors[readout].shape != (tokens, hidden):
            return None
        way["readout.weight"] = readout
        bias = readout.removesuffix("weight") + "bias"
        if bias in tensors and tensors[bias].shape == (tokens,):
            way["readout.bias"] = bias
    return way


def _likely(way: dict[str, str]) -> int:
    """How well the names fit: one for each that is called what it would be, less one for each called otherwise."""
    called = {"embedding.weight": (EMBEDDING_NAME, READOUT_NAME), "readout.weight": (READOUT_NAME, EMBEDDING_NAME)}
    fitting = [tuple(bool(name.search(way[part])) for name in names) for part, names in called.items() if part in way]
    return sum(as_it_is - otherwise for as_it_is, otherwise in fitting)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
