"""Cells and files that once gave wrong numbers without a word: names that shadow, orders that nobody stored, caches."""

import json
import time

import numpy as np
import pytest
from safetensors.numpy import load, save

from gatescope.models.cells import cells
from gatescope.models.formats.torch_module import recognise
from gatescope.models.graph.cell import Cell
from gatescope.models.graph.tracing import CellMistake
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import BadNetwork, untrained
from tests.faults.server import a_quick_server

TEXT = "abcabcaab"
STEP = """
def step(self, x, {state}):
    {gate} = self.gate("{gate}", x, {state})
    n = self.candidate("n", x, {gate} * self.linear("n", {state}))
    return (1 - {gate}) * {state} + {gate} * n
"""


def cell(state: str, gate: str = "f") -> type[Cell]:
    """A gated unit whose state and gate are called so."""
    made: dict = {}
    exec(STEP.format(state=state, gate=gate), made)
    words = {gate: ("gate", "gate"), "n": ("candidate", "new"), state: ("memory", "memory")}
    facts = {"title": "Odd", "states": (state,), "words": words, "step": made["step"], "id": "odd", "__doc__": "Odd."}
    return type("Odd", (Cell,), facts)


def losses(kind: type[Cell]) -> tuple[float, list[np.ndarray]]:
    """What a network of this cell computes, with weights that do not depend on names."""
    network = untrained(kind, 1, 6, sorted(set(TEXT)), title="Odd")
    for n, name in enumerate(network.parameters):
        shape = network.parameters[name].shape
        network.parameters[name] = np.random.default_rng(n).normal(size=shape).astype(np.float32) * 0.3
    whole = trace(network, network.tokens(TEXT), precision="float64")
    gradients = [tensor for name, tensor in sorted(whole.tensors.items()) if name.startswith("grad.parameters")]
    return float(np.sum(whole.tensors["loss"])), gradients


def same_or_refused(odd: type[Cell]) -> None:
    """The numbers of the cell with plain names, or a sentence that says which name cannot be."""
    plain = losses(cell("h"))
    try:
        found = losses(odd)
    except CellMistake as mistake:
        assert "needs another name" in str(mistake)
        return
    assert found[0] == pytest.approx(plain[0], rel=1e-12)
    for ours, theirs in zip(found[1], plain[1], strict=True):
        assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("state", ["a", "H", "T", "x0", "np", "out", "s", "kept", "range", "d", "w", "self_"])
def test_a_state_of_any_name_is_right_or_refused(state):
    same_or_refused(cell(state))


@pytest.mark.parametrize("gate", ["a", "H", "T", "np", "range", "exp", "tanh", "g2", "len"])
def test_a_gate_of_any_name_is_right_or_refused(gate):
    same_or_refused(cell("h", gate))


@pytest.mark.parametrize("id", ["lstm", "gru", "peephole", "slstm"])
def test_a_file_says_in_which_order_its_blocks_are_stacked(id):
    content = untrained(cells()[id], 1, 4, list("abc"), title="Stacked").to_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    blocks = json.loads(header["__metadata__"]["blocks"])
    assert sorted(blocks) == sorted(cells()[id].order()) and blocks == list(cells()[id].order())


def test_a_file_of_another_order_is_read_by_its_names_or_refused():
    network = untrained(cells()["lstm"], 1, 4, list("abc"), title="Stacked")
    content = network.to_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    blocks = json.loads(header["__metadata__"]["blocks"])
    facts = {**header["__metadata__"], "blocks": json.dumps([blocks[1], blocks[0], *blocks[2:]])}
    try:
        found, _ = recognise(save(load(content), facts))
    except BadNetwork as refused:
        assert "blocks" in str(refused) or "order" in str(refused)
        return
    theirs, ours = network.parameters["rnn.weight_hh_l0"], found.parameters["rnn.weight_hh_l0"]
    assert np.array_equal(ours, theirs.reshape(4, 4, 4)[[1, 0, 2, 3]].reshape(16, 4))


@pytest.mark.slow
@pytest.mark.fire
def test_three_hundred_networks_are_listed_quickly():
    content = untrained(cells()["gru"], 1, 4, list("abc"), title="One of many").to_bytes()

    def prepare(data) -> None:
        for n in range(300):
            (data / f"n{n}.safetensors").write_bytes(content)

    with a_quick_server(prepare=prepare) as server:
        assert server.client.get("/api/models").text.count("One of many") == 300
        began = time.monotonic()
        for n in range(20):
            assert server.client.get(f"/api/models/n{n}").status_code == 200
        assert (time.monotonic() - began) / 20 < 0.3


@pytest.mark.slow
@pytest.mark.fire
def test_sets_of_held_signals_do_not_fill_the_memory():
    with a_quick_server() as server:
        asked = {"model": "shakespeare-lstm", "text": "To be, or not"}
        server.client.post("/api/trace.json", json=asked)
        before = server.megabytes()
        for n in range(1, 2**6, 2):
            held = [{"layer": 0, "signal": name, "value": 0} for bit, name in enumerate("figoch") if n >> bit & 1]
            answer = server.client.post("/api/trace.json", json=asked | {"interventions": held})
            assert answer.status_code in (200, 503), answer.text
        assert server.megabytes() < before + 150
