"""A network put together of arrays that a file calls by names of its own: what every importer does at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gatescope.models.graph.cell import Cell
from gatescope.models.network.architecture import parameter_shapes
from gatescope.models.network.metadata import BadNetwork, Metadata
from gatescope.models.network.network import Network
from gatescope.models.refused import printable


@dataclass(frozen=True)
class Found:
    """What an importer recognised: the kind of recurrent layers, and the file's name and array of each parameter, which
    is called as PyTorch does. transposed: the file holds its matrices the other way round than they are here.
    """

    cell: type[Cell]
    layers: int
    hidden: int
    directions: int
    parameters: Mapping[str, tuple[str, np.ndarray]]
    transposed: bool = False
    shapes: dict[str, tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        wanted = parameter_shapes(
            self.cell, self.layers, self.hidden, self.inputs, self.embedding, self.outputs, self.directions
        )
        object.__setattr__(self, "shapes", wanted)

    @property
    def inputs(self) -> int:
        """How many different tokens there are, or numbers a step."""
        name, axis = ("embedding.weight", 0) if self.embedding else ("rnn.weight_ih_l0", 1)
        return int(self.parameters[name][1].shape[axis])

    @property
    def embedding(self) -> int | None:
        """How many numbers a token becomes; None where there is no embedding."""
        return self.parameters["embedding.weight"][1].shape[1] if "embedding.weight" in self.parameters else None

    @property
    def outputs(self) -> int | None:
        """The rows of the readout; None where there is none."""
        return len(self.parameters["readout.weight"][1]) if "readout.weight" in self.parameters else None

    @property
    def absent(self) -> tuple[str, ...]:
        """The parameters that such a network may have and the file has not."""
        return tuple(name for name in self.shapes if name not in self.parameters)

    def check_shapes(self) -> None:
        """Raise BadNetwork where an array belongs to no such network, or has another shape than it needs."""
        for parameter, (name, array) in self.parameters.items():
            if parameter not in self.shapes:
                raise BadNetwork(f"{printable(name)} does not belong to {self.cell.reference} of {self.layers} layers")
            shape, wanted = array.shape, self.shapes[parameter]
            if shape != wanted:
                shown = (wanted[::-1], shape[::-1]) if self.transposed else (wanted, shape)
                raise BadNetwork(f"{printable(name)} must have shape {shown[0]}, not {shown[1]}")

    def network(self, metadata: Metadata, id: str, title: str, file: str) -> Network:
        """The network, which reads and gives what the metadata says or its sizes suggest; raises BadNetwork."""
        vocabulary, inputs = metadata.vocabulary, self.inputs
        if vocabulary and len(vocabulary) != inputs:
            counted = self.parameters.get("embedding.weight", self.parameters["rnn.weight_ih_l0"])[0]
            made = f"{printable(counted)} is made for {inputs:,}"
            raise BadNetwork(f"the vocabulary has {len(vocabulary):,} entries, and {made}")
        task = metadata.suggested_task(self.embedding is not None, inputs, self.outputs, file)
        parameters = {
            name: np.ascontiguousarray(self.parameters[name][1]) for name in self.shapes if name in self.parameters
        }
        return Network(
            id,
            title,
            self.cell,
            self.layers,
            self.hidden,
            vocabulary,
            parameters,
            self.embedding,
            absent=self.absent,
            task=task,
        )


def choose(kind: type[Cell], options: Mapping[str, int | str], hint: str = "") -> type[Cell]:
    """A kind of cell with options chosen; raises BadNetwork, with a hint where they come from."""
    try:
        return kind.with_options(*options.items())
    except ValueError as error:
        raise BadNetwork(f"{error}{hint}") from None
