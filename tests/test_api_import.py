"""Random torch modules brought over HTTP, then traced: every number against the documented equations written out by
hand, and against the module itself.
"""

import itertools
import random

import httpx
import numpy as np
import pytest
import torch
from safetensors.numpy import load

from tests.by_hand import ByHand, close, losses_of
from tests.foreign import CHARACTERS, HIDDEN, KINDS, Theirs

STEPS, CHANNELS, OUTPUTS = 17, 3, 4
MANY = 60
READS = ("embedding", "one-hot", "values")
TASKS = (
    ("next", "many-to-many"),
    *itertools.product(("classes", "values"), ("many-to-many", "many-to-one", "one-to-many")),
)
GRID = [
    (kind, layers, bias, reads, both_ways, projection, task, loss)
    for kind, layers, bias, reads, both_ways, projection, task, loss in itertools.product(
        KINDS, (1, 2, 3), (True, False), READS, (False, True), (0, 2), TASKS, ("every", "last")
    )
    if kind == "lstm" or not projection
]
SAMPLE = random.Random(0).sample(GRID, MANY)


def named(chosen: tuple) -> str:
    kind, layers, bias, reads, both_ways, projection, (gives, pattern), loss = chosen
    words = [kind, layers, "bias" * bias, reads, "both ways" * both_ways, "projected" * bool(projection)]
    return " ".join(str(word) for word in [*words, gives, pattern, loss] if word)


def test_the_sample_has_every_choice_of_every_kind():
    for kind in KINDS:
        for place in range(1, 8):
            possible = {chosen[place] for chosen in GRID if chosen[0] == kind}
            assert place == 6 or {chosen[place] for chosen in SAMPLE if chosen[0] == kind} == possible, (kind, place)
    assert {chosen[6] for chosen in SAMPLE} == set(TASKS)


def a_lesson(reads: str, gives: str, pattern: str, outputs: int, seed: int) -> tuple[list, list | None, list]:
    """Inputs, the targets to send, and the targets of the steps that are judged."""
    drawn = np.random.default_rng(seed)
    steps = 1 if pattern == "one-to-many" else STEPS
    inputs = drawn.integers(len(CHARACTERS), size=steps).tolist()
    if reads == "values":
        inputs = drawn.normal(size=(steps, CHANNELS)).tolist()
    if gives == "next":
        return inputs, None, inputs[1:]
    judged = 1 if pattern == "many-to-one" else STEPS
    targets = drawn.integers(outputs, size=judged).tolist()
    if gives == "values":
        targets = drawn.normal(size=(judged, outputs)).tolist()
    return inputs, targets, targets


def by_our_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state_dict of `tests.foreign` by the names of our own files."""
    ours = {"net.memory.rnn.": "rnn.", "net.encoder.": "embedding.", "net.fc.": "readout."}
    return {
        own + name.removeprefix(their): tensor
        for their, own in ours.items()
        for name, tensor in state.items()
        if name.startswith(their)
    }


@pytest.mark.parametrize("chosen", SAMPLE, ids=named)
def test_every_signal_and_gradient_of_an_imported_network(client: httpx.Client, chosen: tuple):
    kind, layers, bias, reads, both_ways, projection, (gives, pattern), loss = chosen
    channels, outputs = CHANNELS if reads == "values" else 0, None if gives == "next" else OUTPUTS
    module = Theirs(
        kind, layers, bias, reads == "embedding", True, layers, both_ways, projection, channels, outputs
    )  # fmt: skip
    inputs, sent, targets = a_lesson(reads, gives, pattern, OUTPUTS, layers)
    facts = {"gives": gives, "pattern": pattern} | ({"reads": "values"} if channels else {})
    headers = {"Content-Type": "application/octet-stream"}
    response = client.post("/api/models", content=module.saved(**facts), headers=headers)
    assert response.status_code == 201, response.text
    made = response.json()
    said, task = made["recognised"], made["recognised"]["form"]
    assert (said["directions"], said["projection"] or 0) == (1 + both_ways, projection)
    assert (task["gives"], task["pattern"]) == (gives, pattern) and said["input"] == reads
    asked = {"model": made["id"], "precision": "float64", "loss": loss, "targets": sent}
    asked["values" if channels else "tokens"] = inputs
    answer = client.post("/api/trace.safetensors", json=asked)
    assert answer.status_code == 200, answer.text
    ours = load(answer.content)

    steps = STEPS if pattern == "one-to-many" else len(inputs)
    cell = {"tanh": "elman", "relu": "elman"}.get(kind, kind)
    chosen = {"projection": projection} if projection else {"nonlinearity": kind} if cell == "elman" else {}
    by_hand = ByHand(by_our_names(module.state_dict()), cell, HIDDEN, inputs, steps, **chosen)
    judged = slice(-1) if gives == "next" else slice(None)
    theirs = by_hand.tensors(losses_of(by_hand.logits[judged], targets), loss)
    assert set(ours) == set(theirs)
    wrong = [name for name, expected in theirs.items() if not close(ours[name], expected)]
    assert wrong == []

    output, logits = module(torch.tensor(inputs, dtype=torch.float64 if channels else torch.long), steps - len(inputs))
    losses = losses_of(logits[judged], targets)
    (losses.sum() if loss == "every" else losses[-1]).backward()
    ways = [ours[f"layer{layers - 1}{way}.h"] for way in ("", "_reverse")[: 1 + both_ways]]
    assert close(np.concatenate(ways, axis=1), output.detach().numpy())
    for name, file in said["names"].items():
        assert close(ours[f"grad.parameters.{name}"], module.get_parameter(file).grad.numpy()), name
