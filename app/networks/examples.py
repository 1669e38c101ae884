"""What a network opens with."""

import math
from collections.abc import Sequence

from gatescope.app.http.problems import Problem
from gatescope.app.networks.inputs import format_rows, targets_of
from gatescope.models.network.network import Network
from gatescope.models.network.task import LONGEST
from gatescope.models.refused import Refused

# of its kind one on which the gradient is seen to fade along short-term memory and to last, on the road
TEXT = "What is the city but the people?"
STEPS, NUMBERS, FEW = 24, 240, 12  # of an example made up: steps, numbers in all, words


def opening_example(network: Network) -> dict[str, str]:
    """Something worth looking at that the network can read, as an address has it: its own example, else the usual text
    as far as the network knows it, or waves (`text` or `values`); what should come out of it (`target`) where it says
    so; and where the `loss` is taken: where each step has one, at the last alone, since of many gradients on top of
    each other none is seen to fade.
    """
    task = network.task
    found = {"values": _values(network)} if network.channels else {"text": _text(network)}
    if task.example_target and can_read(network, task.example, task.example_target):
        found["target"] = task.example_target
    return found | {"loss": "last" if task.gives == "next" else "every"}


def _values(network: Network) -> str:
    channels, example = network.channels or 1, network.task.example
    if example and not isinstance(example, str) and can_read(network, example):
        return format_rows(example)
    steps = 1 if network.task.pattern == "one-to-many" else max(2, min(STEPS, NUMBERS // channels))
    return format_rows([[round(math.sin(t / (2 + i)), 3) for i in range(channels)] for t in range(steps)])


def _text(network: Network) -> str:
    task = network.task
    if isinstance(task.example, str) and can_read(network, task.example):
        return task.example
    legible = [token for token in network.vocabulary if task.cut(token) == [token]]
    known = max([token for token in task.cut(TEXT) if token in legible], legible[:FEW], key=len)
    return task.join(known[:1] if task.pattern == "one-to-many" else known)


def can_read(network: Network, inputs: str | Sequence[Sequence[float]], target: str | None = None) -> bool:
    """Whether this is something, and the network can read it and make this of it."""
    try:
        rows = network.tokens(inputs) if isinstance(inputs, str) else inputs
        return bool(inputs) and network.example_of(rows, targets_of(network, target, LONGEST, "target")).inputs.size > 0
    except (Refused, Problem):
        return False
