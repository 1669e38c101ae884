"""One body of tests over every cell that is registered; PyTorch autograd in float64 is the judge."""

import ast
import re

import numpy as np
import pytest
import torch

from gatescope.models.cells import cells, describe
from gatescope.models.compiler.program import program
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import Network, untrained
from tests import oracle
from tests.jobs import trained

TEXT = "a bad cab had a deaf bee; a fed ace had a bad bag"
LETTERS = sorted(set(TEXT))
EACH_KERNEL = pytest.mark.usefixtures("each_kernel")
EVERY_CELL = pytest.mark.parametrize("cell", cells().values(), ids=cells())


def random_network(cell, layers=1, embedding=None, hidden=7) -> Network:
    return untrained(cell, layers, hidden, LETTERS, embedding, seed=layers, dtype="float64")


@EACH_KERNEL
# Each two of the choices meet; a third layer is to the second what the second is to the first.
@EVERY_CELL
@pytest.mark.parametrize(
    ("layers", "embedding", "loss"), [(1, None, "every"), (1, 5, "last"), (2, None, "last"), (2, 5, "every")]
)
def test_every_value_and_gradient_equals_autograd(cell, layers, embedding, loss):
    network = random_network(cell, layers, embedding)
    tokens = network.tokens(TEXT)
    ours = trace(network, tokens, loss=loss, precision="float64").tensors
    for name, theirs in oracle.read(network, tokens, loss).items():
        assert ours[name].shape == theirs.shape, name
        assert oracle.furthest(ours[name], theirs, oracle.least(cell, name)) <= 1e-12, name


@EACH_KERNEL
@EVERY_CELL
def test_a_long_text_crosses_blocks_without_a_seam(cell):
    network = random_network(cell, 2)
    tokens = network.tokens(TEXT * 7)
    ours = trace(network, tokens, precision="float64").tensors
    for name, theirs in oracle.read(network, tokens).items():
        assert oracle.furthest(ours[name], theirs, oracle.least(cell, name)) <= 1e-9, name


@EACH_KERNEL
@EVERY_CELL
def test_it_equals_the_module_of_torch_it_names(cell):
    if cell.reference is None:
        assert cell.id not in ("elman", "gru", "lstm")
        return
    module = getattr(torch.nn, cell.reference.split(".")[-1])(5, 7, 2).double()
    network = random_network(cell, 2, 5)
    recurrent = {name[4:]: torch.tensor(array) for name, array in network.parameters.items() if name.startswith("rnn.")}
    module.load_state_dict(recurrent)
    tokens = network.tokens(TEXT)
    output, _ = module(torch.tensor(network.parameters["embedding.weight"])[tokens][:, None])
    ours = trace(network, tokens, backward=False, precision="float64").tensors
    assert oracle.furthest(ours[f"layer1.{cell.states[0]}"], output[:, 0].detach().numpy()) <= 1e-12


@EACH_KERNEL
@EVERY_CELL
def test_norms_are_those_of_each_steps_share_and_the_shares_add_up(cell):
    network = random_network(cell, 2, 5)
    tokens = network.tokens(TEXT[:12])
    ours = trace(network, tokens, precision="float64").tensors
    for name, steps in oracle.shares(network, tokens).items():
        name = name.removeprefix("rnn.")
        total = ours[f"grad.parameters.rnn.{name}"]
        assert oracle.furthest(steps.sum(axis=0), total) <= 1e-9, name
        layer = int(name[-1])
        norms = np.sqrt((steps.reshape(len(tokens), -1) ** 2).sum(axis=1))
        assert oracle.furthest(ours[f"norm.layer{layer}.{name[:-3]}"], norms) <= 1e-9, name


@EACH_KERNEL
@EVERY_CELL
def test_float32_stays_near_float64(cell):
    network = random_network(cell, 2)
    tokens = network.tokens(TEXT)
    single, double = (trace(network, tokens, precision=precision).tensors for precision in ("float32", "float64"))
    for name in double:
        assert single[name].dtype == np.float32
        assert oracle.furthest(single[name], double[name], oracle.least(cell, name, "float32")) < 1e-4, name


@EVERY_CELL
def test_the_description_says_what_the_graph_is(cell):
    description = describe(cell)
    graph = cell.graph()
    assert [signal["id"] for signal in description["signals"]] == list(graph.signals)
    assert set(description["states"]) == {
        signal["id"] for signal in description["signals"] if signal["role"] == "state"
    }
    for signal in description["signals"]:
        assert signal["title"] and signal["course_title"] and signal["reads"] and signal["purpose"].endswith(".")
        assert signal["equation"].startswith(f"{signal['id']}_t = ")
    named = {node["signal"] for node in description["graph"] if node["signal"]}
    assert named == set(graph.signals)
    assert all(read < index for index, node in enumerate(description["graph"]) for read in node["reads"])


@EVERY_CELL
def test_no_signal_leaves_the_range_its_description_gives(cell):
    network = untrained(cell, 1, 7, LETTERS, seed=3, dtype="float64")
    for array in network.parameters.values():
        array *= 30
    tensors = trace(network, network.tokens(TEXT), backward=False, precision="float64").tensors
    for signal in describe(cell)["signals"]:
        if signal["range"] is not None:
            low, high = signal["range"]
            assert low <= tensors[f"layer0.{signal['id']}"].min() and tensors[f"layer0.{signal['id']}"].max() <= high


@pytest.mark.slow
@EVERY_CELL
def test_it_learns_a_rhythm(cell):
    sizes = {"hidden": 12, "batch_size": 8, "sequence_length": 10}
    network, _ = trained("abcd" * 300, cell=cell.id, epochs=25, learning_rate=0.02, **sizes)
    assert network.card["validation_loss"] < 0.1


@EVERY_CELL
def test_the_program_is_readable_source(cell):
    """One operation a line, of vectors with names; and a step multiplies each matrix once, whatever reads it."""
    forward, backward = ast.parse(program(cell).source).body
    for function in (forward, backward):
        lines = [node.value for node in ast.walk(function) if isinstance(node, ast.Expr)]
        assert lines and all(isinstance(part, ast.Name | ast.Constant) for line in lines for part in line.args), (
            function.name
        )
    multiplied = [node.args[1].id for node in ast.walk(forward) if isinstance(node, ast.Call) and is_dot(node)]
    stacks, lags = cell.stacks(), cell.graph().lags
    matrices = [name for name, (source, _) in stacks.items() if source not in lags]
    assert sorted(re.sub(r"_\d+_\d+$", "", name) for name in multiplied) == sorted(matrices)


def is_dot(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "dot"
