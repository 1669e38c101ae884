"""A trained network: which cell, how large, which characters it knows, its weights, and the file that holds all of it.

A network is one safetensors file with PyTorch's parameter names (`embedding.weight`, `rnn.weight_ih_l0`, …,
`readout.weight`), so `torch.nn` modules load it as it is; what the numbers mean stands in the file's metadata.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gatescope.models.cells import cells
from gatescope.models.graph.cell import Cell
from gatescope.models.network.architecture import CONVOLUTION, REVERSE, LayerSpec, layer_specs, parameter_shapes
from gatescope.models.network.bptt import NetworkWeights
from gatescope.models.network.kept_weights import KeptWeights
from gatescope.models.network.metadata import BadNetwork, Metadata
from gatescope.models.network.parameters import begin_as_said, in_order, renamed
from gatescope.models.network.task import Example, Rows, Task, UnknownCharacters, example_of, input_rows, steps_of
from gatescope.models.network.validation import check_parameters, check_size_givers, check_task
from gatescope.models.refused import Refused

__all__ = ["BadNetwork", "Network", "UnknownCharacters", "parameter_shapes", "untrained"]

_LAID_OUT = KeptWeights(64 << 20)


@dataclass(eq=False)
class Network:
    """A network over tokens or numbers: embedding, one-hot or real input, a convolution or none, equal recurrent layers
    in one direction or both, linear readout or none.

    vocabulary: the tokens' texts in the order of their numbers, empty where only the numbers are known. parameters:
    arrays by PyTorch name. card: how it was trained. absent: the biases, and the readout, that it was made without.
    task: what it reads and gives.
    """

    id: str
    title: str
    cell: type[Cell]
    layers: int
    hidden: int
    vocabulary: list[str]
    parameters: dict[str, np.ndarray]
    embedding: int | None = None
    card: dict[str, Any] = field(default_factory=dict)
    origin: str = "shipped"
    absent: tuple[str, ...] = ()
    task: Task = Task()

    def __post_init__(self) -> None:
        """Raises BadNetwork where the parameters are not those of the cell, the sizes and the task."""
        if min(self.layers, self.hidden, self.inputs) < 1:
            raise BadNetwork("a network has at least one layer, one unit and one token")
        kernel = self.parameters.get(f"{CONVOLUTION}.weight")
        wanted = parameter_shapes(
            self.cell,
            self.layers,
            self.hidden,
            self.inputs,
            self.embedding,
            self.outputs if self.predicts else None,
            2 if any(name.endswith(REVERSE) for name in self.parameters) else 1,
            None if kernel is None else kernel.shape[::2],
        )
        check_parameters(self.parameters, wanted, self.absent)
        check_task(self.task, bool(self.embedding or self.vocabulary), self.inputs, self.outputs)
        self._number = {character: number for number, character in enumerate(self.vocabulary)}
        self._class = {label: number for number, label in enumerate(self.task.labels)}

    def tokens(self, text: str) -> list[int]:
        """The numbers of a text's characters (or words); raises Refused where it reads none, and UnknownCharacters for
        those outside the vocabulary.
        """
        if self.channels:
            raise Refused("text", f"this network reads no text: send values, {steps_of(self.channels)}")
        if not self.vocabulary:
            raise Refused("text", "this network has no vocabulary: send tokens instead")
        cut = self.task.cut(text)
        try:
            return [self._number[token] for token in cut]
        except KeyError:
            raise UnknownCharacters([token for token in dict.fromkeys(cut) if token not in self._number]) from None

    def text(self, tokens: Sequence[int]) -> str:
        """The text of a list of numbers."""
        return self.task.join([self.vocabulary[token] for token in tokens])

    def example_of(self, inputs: Rows, targets: Rows | None = None) -> Example:
        """The rows of a reading of these inputs; targets may call classes by their names. Raises Refused naming the
        parameter (see `task.example_of`).
        """
        return example_of(self.task, self.inputs, self.channels, self.outputs, inputs, targets, self.classes)

    def input_rows(self, inputs: Rows) -> np.ndarray:
        """These inputs alone as rows, checked; raises Refused (see `task.input_rows`). It takes no more memory than
        they do, while a reading's rows may go on for thousands of steps.
        """
        return input_rows(self.task, self.inputs, self.channels, inputs)

    @property
    def classes(self) -> dict[str, int]:
        """The numbers of the classes that have a name: its labels, or what it may predict as the next input."""
        return self._number if self.task.gives == "next" else self._class

    def layer_spec(self, layer: int) -> LayerSpec:
        """One of its layers, counted from the input, each direction for itself; raises Refused."""
        if not 0 <= layer < len(self.layer_specs):
            raise Refused("layer", f"must be between 0 and {len(self.layer_specs) - 1}")
        return self.layer_specs[layer]

    @property
    def inputs(self) -> int:
        """The number of different tokens it can be given, or of numbers at each step."""
        if self.vocabulary:
            return len(self.vocabulary)
        if self.embedding:
            return len(self.parameters["embedding.weight"])
        lowest = self.parameters.get(f"{CONVOLUTION}.weight", self.parameters.get("rnn.weight_ih_l0"))
        if lowest is None:
            raise BadNetwork("the parameter rnn.weight_ih_l0 is missing")
        return int(lowest.shape[1])

    @property
    def vocabulary_size(self) -> int:
        """The number of different tokens it can be given; none where it reads numbers."""
        return 0 if self.channels else self.inputs

    @property
    def channels(self) -> int | None:
        """How many numbers it reads at each step, None where it reads tokens."""
        return self.inputs if self.task.reads == "values" else None

    @property
    def outputs(self) -> int:
        """The number of classes it chooses among, or of numbers it gives."""
        return len(self.parameters["readout.weight"]) if self.predicts else 0

    @property
    def layer_specs(self) -> list[LayerSpec]:
        """Its layers, from the input on."""
        return layer_specs(self.cell, self.layers, self.hidden, self.parameters)

    @property
    def predicts(self) -> bool:
        """Whether it has a readout; without one there is no loss and nothing to send back."""
        return "readout.weight" in self.parameters

    @property
    def output_kind(self) -> str:
        """What it does: predict `characters`, `words` or `tokens` whose texts are not known, tell `classes`, give
        `values`, or only carry `states`.
        """
        if not self.predicts:
            return "states"
        if self.task.is_regression or self.task.gives == "classes":
            return "values" if self.task.is_regression else "classes"
        return self.task.reads if self.vocabulary else "tokens"

    @property
    def size(self) -> int:
        """The number of weights."""
        return sum(array.size for array in self.parameters.values())

    def describe(self) -> dict[str, Any]:
        """The network as the API lists it."""
        loss = self.card.get("validation_loss")
        return {
            "id": self.id,
            "title": self.title,
            "cell": self.cell.id,
            "layers": self.layers,
            "hidden": self.hidden,
            "task": self.output_kind,
            "vocabulary_size": self.vocabulary_size,
            "parameters": self.size,
            "bits_per_character": None if loss is None or self.task.is_regression else round(loss / math.log(2), 4),
            "origin": self.origin,
        }

    def details(self) -> dict[str, Any]:
        """The network as the API gives one: also its vocabulary, what it reads and gives, and its layers."""
        return self.describe() | {
            "vocabulary": self.vocabulary,
            "form": self.task.to_dict(),
            "channels": self.channels,
            "outputs": self.outputs,
            "parts": [spec.describe() for spec in self.layer_specs],
        }

    def weights(self, precision: str = "float32") -> NetworkWeights:
        """The parameters laid out for the programs, in `float32` or `float64`; kept for the next reading."""
        dtype = np.dtype(precision)
        return _LAID_OUT.get(
            self,
            precision,
            lambda: NetworkWeights(self.cell, self.layers, self.hidden, self.parameters, dtype, self.channels),
        )

    def facts(self) -> dict[str, str]:
        """What a file says about the numbers in it."""
        return {
            "format": "gatescope",
            "cell": self.cell.id,
            "options": json.dumps(self.cell.chosen),
            "blocks": json.dumps(self.cell.order()),
            "title": self.title,
            "vocabulary": json.dumps(self.vocabulary),
            "card": json.dumps(self.card),
            "absent": json.dumps(self.absent),
            "form": json.dumps(self.task.to_dict()),
        }

    def to_bytes(self) -> bytes:
        """The network as the bytes of a safetensors file."""
        arrays = {name: np.ascontiguousarray(array) for name, array in self.parameters.items()}
        content: bytes = save(arrays, self.facts())
        return content

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
        metadata = Metadata.of(facts, name)
        if metadata.cell not in cells():
            raise BadNetwork(f"{name} names no known cell; known are {', '.join(cells())}")
        try:
            cell = cells()[metadata.cell].with_options(*metadata.options.items())
        except ValueError as error:
            raise BadNetwork(f"{name}: {error}") from None
        parameters = in_order(cell, renamed(cell, parameters), metadata.blocks, name)
        check_size_givers(parameters, metadata.absent)
        return cls(
            id=id,
            title=metadata.title or id,
            cell=cell,
            layers=sum(name.startswith("rnn.weight_ih_l") and not name.endswith(REVERSE) for name in parameters),
            hidden=len(parameters["rnn.weight_ih_l0"]) // len(cell.stacks()["weight_ih"][1]),
            vocabulary=metadata.vocabulary,
            parameters=parameters,
            embedding=parameters["embedding.weight"].shape[1] if "embedding.weight" in parameters else None,
            card=metadata.card,
            absent=tuple(metadata.absent),
            task=metadata.form,
        )


def keep_laid_out(most: int) -> None:
    """Keep at most so many bytes of weights laid out in this process."""
    _LAID_OUT.most = most


def untrained(
    cell: type[Cell],
    layers: int,
    hidden: int,
    vocabulary: list[str],
    embedding: int | None = None,
    seed: int = 0,
    dtype: str = "float32",
    title: str = "untrained",
    task: Task = Task(),  # noqa: B008 – it cannot change
    channels: int | None = None,
    outputs: int | None = None,
    directions: int = 1,
    convolution: tuple[int, int] | None = None,
) -> Network:
    """A network with random weights, drawn as PyTorch draws them: uniform within ±1/√H, embeddings normal; the sizes
    are those of `parameter_shapes`.
    """
    random, bound = np.random.default_rng(seed), 1 / math.sqrt(hidden)
    shapes = parameter_shapes(
        cell, layers, hidden, channels or len(vocabulary), embedding, outputs, directions, convolution
    )
    parameters = {}
    for name, shape in shapes.items():
        drawn = random.standard_normal(shape) if name == "embedding.weight" else random.uniform(-bound, bound, shape)
        parameters[name] = drawn.astype(dtype)
    begin_as_said(cell, parameters)
    return Network("untrained", title, cell, layers, hidden, vocabulary, parameters, embedding, task=task)
