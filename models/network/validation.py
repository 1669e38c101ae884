"""Whether parameters make a network: their names, shapes and numbers, and what it reads and gives beside its sizes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from gatescope.models.network.architecture import CONVOLUTION
from gatescope.models.network.metadata import BadNetwork
from gatescope.models.network.task import Task
from gatescope.models.refused import listed_names, printable

LONGEST_WINDOW = 32


def check_size_givers(parameters: Mapping[str, np.ndarray], absent: Collection[str]) -> None:
    """Raise BadNetwork unless the parameters by which a network is measured are there, with the axes they need."""
    for name in ("readout.weight", "rnn.weight_ih_l0"):
        if name not in parameters and (name not in absent or name != "readout.weight"):
            raise BadNetwork(f"the parameter {name} is missing")
    for name in ("readout.weight", "embedding.weight", "rnn.weight_ih_l0"):
        if name in parameters and parameters[name].ndim != 2:
            raise BadNetwork(f"the parameter {name} must be a matrix")
    kernel = parameters.get(f"{CONVOLUTION}.weight", np.empty((1, 1, 2)))
    if kernel.ndim != 3 or not 2 <= kernel.shape[-1] <= LONGEST_WINDOW:
        raise BadNetwork(
            f"the parameter {CONVOLUTION}.weight must be three-dimensional, with a window of 2 to {LONGEST_WINDOW}"
        )


def check_parameters(
    parameters: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], absent: Collection[str]
) -> None:
    """Raise BadNetwork unless these are the parameters of these shapes but the absent ones, with finite numbers."""
    wanted = dict(shapes)
    for name in absent:
        if wanted.pop(name, None) is None or not ("bias" in name or name == "readout.weight"):
            raise BadNetwork(f"a network cannot be without the parameter {printable(name)}")
    for name, shape in wanted.items():
        if name not in parameters:
            raise BadNetwork(f"the parameter {name} is missing")
        if parameters[name].shape != shape:
            raise BadNetwork(f"the parameter {name} must have shape {shape}, not {parameters[name].shape}")
        if not np.isfinite(parameters[name]).all():
            raise BadNetwork(f"the parameter {name} holds values that are not finite")
    if extra := set(parameters) - set(wanted):
        raise BadNetwork(f"unexpected parameters: {listed_names(sorted(extra))}")


def check_task(task: Task, reads_tokens: bool, inputs: int, outputs: int) -> None:
    """Raise BadNetwork unless what a network reads and gives fits its sizes; outputs: 0 without a readout."""
    if task.reads == "values" and reads_tokens:
        raise BadNetwork("a network that reads numbers has no embedding and no vocabulary")
    if task.labels and len(task.labels) != outputs:
        raise BadNetwork(f"there are {len(task.labels)} labels for {outputs} outputs")
    if outputs and task.gives == "next" and outputs != inputs:
        raise BadNetwork(f"a network that predicts its next input has {inputs} outputs, not {outputs}")
