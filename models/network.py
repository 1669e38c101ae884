"""A trained network: which cell, how large, which characters it knows, its weights, and the file that holds all of it.

A network is one safetensors file with PyTorch's parameter names (`embedding.weight`, `rnn.weight_ih_l0`, …,
`readout.weight`), so `torch.nn` modules load it as it is; what the numbers mean stands in the file's metadata.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from models.cell import Cell
from models.cells import cells
from models.passes import NetworkWeights


class BadNetwork(ValueError):
    """A file or a set of weights that is not a network this product can read; the message says what is wrong."""


class UnknownCharacters(ValueError):
    """A text holds characters the network has never seen; `characters` are they, in order of appearance."""

    def __init__(self, characters: list[str]):
        self.characters = characters
        super().__init__(
            "the network has never seen " + ", ".join(f"U+{ord(character):04X}" for character in characters)
        )


@dataclass(eq=False)
class Network:
    """A network over tokens: embedding or one-hot input, equal recurrent layers, linear readout or none.

    vocabulary: the tokens' texts in the order of their numbers, empty where only the numbers are known. parameters:
    arrays by PyTorch name. card: how it was trained. absent: the biases, and the readout, that it was made without.
    """

    id: str
    title: str
    cell: type[Cell]
    layers: int
    hidden: int
    vocabulary: list[str]
    parameters: dict[str, np.ndarray]
    embedding: int | None = None
    card: dict = field(default_factory=dict)
    origin: str = "shipped"
    absent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.layers, self.hidden, self.vocabulary_size) < 1:
            raise BadNetwork("a network has at least one layer, one unit and one token")
        wanted = parameter_shapes(self.cell, self.layers, self.hidden, self.vocabulary_size, self.embedding)
        for name in self.absent:
            if wanted.pop(name, None) is None or not ("bias" in name or name == "readout.weight"):
                raise BadNetwork(f"a network cannot be without the parameter {name}")
        for name, shape in wanted.items():
            if name not in self.parameters:
                raise BadNetwork(f"the parameter {name} is missing")
            if self.parameters[name].shape != shape:
                raise BadNetwork(f"the parameter {name} must have shape {shape}, not {self.parameters[name].shape}")
            if not np.isfinite(self.parameters[name]).all():
                raise BadNetwork(f"the parameter {name} holds values that are not finite")
        if extra := set(self.parameters) - set(wanted):
            raise BadNetwork(f"unexpected parameters: {', '.join(sorted(extra))}")
        self._number = {character: number for number, character in enumerate(self.vocabulary)}

    def tokens(self, text: str) -> list[int]:
        """The numbers of a text's characters; raises UnknownCharacters for those outside the vocabulary."""
        try:
            return [self._number[character] for character in text]
        except KeyError:
            unknown = [character for character in dict.fromkeys(text) if character not in self._number]
            raise UnknownCharacters(unknown) from None

    def text(self, tokens: list[int]) -> str:
        """The text of a list of numbers."""
        return "".join(self.vocabulary[token] for token in tokens)

    @property
    def vocabulary_size(self) -> int:
        """The number of different tokens it can be given."""
        if self.vocabulary:
            return len(self.vocabulary)
        if self.embedding:
            return self.parameters["embedding.weight"].shape[0]
        return self.parameters["rnn.weight_ih_l0"].shape[1]

    @property
    def predicts(self) -> bool:
        """Whether it has a readout; without one there is no loss and nothing to send back."""
        return "readout.weight" in self.parameters

    @property
    def task(self) -> str:
        """What it does: predict `characters`, predict `tokens` whose texts are not known, or only carry `states`."""
        return ("characters" if self.vocabulary else "tokens") if self.predicts else "states"

    @property
    def size(self) -> int:
        """The number of weights."""
        return sum(array.size for array in self.parameters.values())

    def describe(self) -> dict:
        """The network as the API lists it."""
        loss = self.card.get("validation_loss")
        return {
            "id": self.id,
            "title": self.title,
            "cell": self.cell.id,
            "layers": self.layers,
            "hidden": self.hidden,
            "task": self.task,
            "vocabulary_size": self.vocabulary_size,
            "parameters": self.size,
            "bits_per_character": None if loss is None else round(loss / math.log(2), 4),
            "origin": self.origin,
        }

    @lru_cache(maxsize=2)  # noqa: B019 – networks live as long as the process
    def weights(self, precision: str = "float32") -> NetworkWeights:
        """The parameters laid out for the programs, in `float32` or `float64`."""
        return NetworkWeights(self.cell, self.layers, self.hidden, self.parameters, np.dtype(precision))

    def to_bytes(self) -> bytes:
        """The network as the bytes of a safetensors file."""
        facts = {
            "format": "gatescope",
            "cell": self.cell.id,
            "options": json.dumps(self.cell.chosen),
            "title": self.title,
            "vocabulary": json.dumps(self.vocabulary),
            "card": json.dumps(self.card),
            "absent": json.dumps(self.absent),
        }
        return save({name: np.ascontiguousarray(array) for name, array in self.parameters.items()}, facts)

    @classmethod
    def load(cls, path: Path) -> Network:
        """Read a network from a safetensors file written by `to_bytes`; raises BadNetwork."""
        try:
            with safe_open(path, "np") as file:
                facts = file.metadata() or {}
                parameters = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 – not a dict
        except (SafetensorError, OSError) as error:
            raise BadNetwork(f"{Path(path).name} is not a readable safetensors file") from error
        return cls.of(parameters, facts, Path(path).stem, Path(path).name)

    @classmethod
    def of(cls, parameters: dict[str, np.ndarray], facts: dict[str, str], id: str, name: str) -> Network:
        """The network that a file's tensors and metadata make; `name` is what errors call the file. Raises
        BadNetwork.
        """
        if facts.get("cell") not in cells():
            raise BadNetwork(f"{name} names no known cell; known are {', '.join(cells())}")
        try:
            cell = cells()[facts["cell"]].with_options(*_stored(facts, "options", dict, name).items())
        except (ValueError, TypeError) as error:
            raise BadNetwork(f"{name}: {error}") from None
        absent = tuple(map(str, _stored(facts, "absent", list, name)))
        for matrix in ("readout.weight", "embedding.weight", "rnn.weight_ih_l0"):
            if matrix in parameters and parameters[matrix].ndim != 2:
                raise BadNetwork(f"the parameter {matrix} must be a matrix")
        for matrix in ("readout.weight", "rnn.weight_ih_l0"):
            if matrix not in parameters and matrix not in absent:
                raise BadNetwork(f"the parameter {matrix} is missing")
        if "readout.weight" in parameters:
            hidden = parameters["readout.weight"].shape[1]
        else:
            hidden = len(parameters["rnn.weight_ih_l0"]) // len(cell.stacks()["weight_ih"][1])
        return cls(
            id=id,
            title=facts.get("title", id),
            cell=cell,
            layers=sum(name.startswith("rnn.weight_ih_l") for name in parameters),
            hidden=hidden,
            vocabulary=vocabulary_of(facts, name),
            parameters=parameters,
            embedding=parameters["embedding.weight"].shape[1] if "embedding.weight" in parameters else None,
            card=_stored(facts, "card", dict, name),
            absent=absent,
        )


def vocabulary_of(facts: dict[str, str], name: str) -> list[str]:
    """The vocabulary in a file's metadata, empty where there is none; raises BadNetwork."""
    vocabulary = _stored(facts, "vocabulary", list, name)
    if not all(isinstance(text, str) and text and is_unicode(text) for text in vocabulary):
        raise BadNetwork(f"the vocabulary in {name} must be a list of characters")
    if len(set(vocabulary)) < len(vocabulary):
        raise BadNetwork(f"the vocabulary in {name} holds a character twice")
    return vocabulary


def is_unicode(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which no file and no answer can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _stored(facts: dict[str, str], key: str, kind: type, name: str) -> list | dict:
    """A list or an object that the metadata holds as JSON, empty where it holds none."""
    try:
        value = json.loads(facts.get(key, "[]" if kind is list else "{}"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise BadNetwork(f"the {key} in {name} is not a JSON {'list' if kind is list else 'object'}")
    return value


def parameter_shapes(
    cell: type[Cell], layers: int, hidden: int, characters: int, embedding: int | None
) -> dict[str, tuple[int, ...]]:
    """Every parameter's PyTorch name and shape."""
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (characters, embedding)} if embedding else {}
    for layer in range(layers):
        inputs = (embedding or characters) if layer == 0 else hidden
        shapes |= {f"rnn.{name}_l{layer}": shape for name, shape in cell.parameter_shapes(inputs, hidden).items()}
    return shapes | {"readout.weight": (characters, hidden), "readout.bias": (characters,)}


def untrained(
    cell: type[Cell],
    layers: int,
    hidden: int,
    vocabulary: list[str],
    embedding: int | None = None,
    seed: int = 0,
    dtype: str = "float32",
    title: str = "untrained",
) -> Network:
    """A network with random weights, drawn as PyTorch draws them: uniform within ±1/√H, embeddings normal."""
    random, bound = np.random.default_rng(seed), 1 / math.sqrt(hidden)
    parameters = {}
    for name, shape in parameter_shapes(cell, layers, hidden, len(vocabulary), embedding).items():
        drawn = random.standard_normal(shape) if name == "embedding.weight" else random.uniform(-bound, bound, shape)
        parameters[name] = drawn.astype(dtype)
    return Network("untrained", title, cell, layers, hidden, vocabulary, parameters, embedding)
