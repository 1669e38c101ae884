"""Networks beyond characters: numbers and words in, classes and numbers out, a convolution before, both directions, at
every step, at the last, or from one input on; against autograd, over every cell.
"""

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.inspection.gradient_check import check_gradients
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.inspection.trace import stream, trace
from gatescope.models.network.network import Network, untrained
from gatescope.models.network.task import Task
from tests import oracle

STEPS, CHANNELS, CLASSES = 11, 3, 4
WORDS = ["the", "wolf", "sleeps", "in", "a", "wood", "<dog>"]
EVERY_CELL = pytest.mark.parametrize("cell", cells().values(), ids=cells())
PATTERNS = pytest.mark.parametrize("pattern", ["many-to-many", "many-to-one", "one-to-many"])


def a_network(cell, task: Task, **sizes) -> Network:
    values = {"channels": CHANNELS, "vocabulary": []} if task.reads == "values" else {"vocabulary": WORDS}
    outputs = None if task.gives == "next" else CLASSES
    return untrained(
        cell, 2, 6, **values, embedding=sizes.pop("embedding", None), seed=3, dtype="float64", task=task,
        outputs=outputs, **sizes,
    )  # fmt: skip


def a_lesson(task: Task) -> tuple[list, list | None]:
    """Inputs and targets that fit a form; the same whichever tests ran before."""
    random = np.random.default_rng(7)
    steps = 1 if task.pattern == "one-to-many" else STEPS
    judged = 1 if task.pattern == "many-to-one" else STEPS
    numbers = task.reads == "values"
    inputs = random.normal(size=(steps, CHANNELS)).tolist() if numbers else random.integers(7, size=steps).tolist()
    if task.gives == "next":
        return inputs, None
    if task.is_regression:
        return inputs, random.normal(size=(judged, CLASSES)).tolist()
    return inputs, random.integers(CLASSES, size=judged).tolist()


def check(network: Network, inputs: list, targets: list | None, **asked) -> None:
    """Every value and gradient equals autograd's."""
    ours = trace(network, inputs, targets=targets, precision="float64", **asked)
    interventions = asked.pop("interventions", ())
    theirs = oracle.read(network, inputs, interventions=interventions, targets=targets, **asked)
    for name, expected in theirs.items():
        assert ours.tensors[name].shape == expected.shape, name
        assert oracle.furthest(ours.tensors[name], expected, oracle.least(network.cell, name)) <= 1e-9, name


@EVERY_CELL
@PATTERNS
@pytest.mark.parametrize("reads", ["words", "values"])
@pytest.mark.parametrize("gives", ["classes", "values"])
def test_every_pattern_equals_autograd_and_finite_differences_also_with_an_intervention(cell, pattern, reads, gives):
    task = Task(reads, gives, pattern)
    network = a_network(cell, task)
    inputs, targets = a_lesson(task)
    signal = list(cell.graph().signals)[0]
    intervention = [Intervention(1, signal, 0.3, (0, 4), 2, 7)]
    for loss in ("every", "last"):
        check(network, inputs, targets, loss=loss)
    check(network, inputs, targets, interventions=intervention)
    for interventions in ([], intervention):
        found = check_gradients(network, inputs, targets=targets, interventions=interventions)
        assert found["verified"], found


@EVERY_CELL
@pytest.mark.parametrize("reads", ["words", "values"])
def test_a_convolution_before_the_recurrence_equals_autograd(cell, reads):
    task = Task(reads, "classes", "many-to-one")
    network = a_network(cell, task, convolution=(5, 3), embedding=4 if reads == "words" else None)
    inputs, targets = a_lesson(task)
    check(network, inputs, targets)
    check(network, inputs, targets, interventions=[Intervention(0, "h", 0.5, (1,), 3, 6)])
    assert [spec.name for spec in network.layer_specs] == ["convolution", "layer0", "layer1"]


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "peephole", "jordan"])
@pytest.mark.parametrize("reads", ["words", "values"])
@pytest.mark.parametrize("steps", [STEPS, 230])
def test_both_directions_equal_autograd(cell, reads, steps):
    task = Task(reads, "classes", "many-to-many")
    network = a_network(cells()[cell], task, directions=2)
    random = np.random.default_rng(8)
    numbers = random.normal(size=(steps, CHANNELS)).tolist()
    inputs = numbers if reads == "values" else random.integers(7, size=steps).tolist()
    targets = random.integers(CLASSES, size=steps).tolist()
    check(network, inputs, targets)
    check(network, inputs, targets, interventions=[Intervention(1, "h", 0.5, (1,), 3, 6)])
    names = [spec.name for spec in network.layer_specs]
    assert names == ["layer0", "layer0_reverse", "layer1", "layer1_reverse"]


@pytest.mark.parametrize("options", [{"projection": 3}, {"reset": "before"}], ids=["projection", "reset"])
@pytest.mark.parametrize("directions", [1, 2])
def test_a_projection_and_a_reset_before_the_product_equal_autograd(options, directions):
    cell = cells()["lstm" if "projection" in options else "gru"].with_options(*options.items())
    task = Task("words", "classes", "many-to-many")
    network = a_network(cell, task, directions=directions)
    inputs, targets = a_lesson(task)
    check(network, inputs, targets)
    for signal in cell.graph().signals:
        check(network, inputs, targets, interventions=[Intervention(0, signal, 0.5, (1, 2), 3, 6)])


def test_numbers_predict_the_next_numbers():
    task = Task("values", "next")
    network = untrained(cells()["lstm"], 1, 6, [], dtype="float64", task=task, channels=2)
    inputs = np.random.default_rng(9).normal(size=(STEPS, 2)).tolist()
    check(network, inputs, None)
    assert trace(network, inputs).tensors["loss"].shape == (STEPS - 1,)


def test_without_a_target_a_classifier_is_asked_for_its_own_guess():
    task = Task("words", "classes", "many-to-one", labels=("a", "b", "c", "d"))
    network = a_network(cells()["gru"], task)
    inputs, _ = a_lesson(task)
    found = trace(network, inputs)
    guess = int(found.tensors["logits"][-1].argmax())
    again = trace(network, inputs, targets=[guess])
    assert np.array_equal(found.tensors["grad.layer0.h"], again.tensors["grad.layer0.h"])
    assert dict(stream(network, inputs))["end"]["targets"] == [guess]


def test_without_targets_there_is_no_way_back():
    task = Task("words", "values", "many-to-many")
    network = a_network(cells()["gru"], task)
    inputs, _ = a_lesson(task)
    assert [name for name, _ in stream(network, inputs)] == ["begin", "forward", "end"]


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"inputs": [[0.1, 0.2]]}, "values: must be steps of 3 numbers each"),
        ({"inputs": [[0.1, 0.2, float("nan")]]}, "values: must be numbers"),
        ({"inputs": [[0.1, 0.2, 0.3]], "targets": [9]}, "targets: each must be .*a number from 0 to 3"),
        ({"inputs": [[0.1, 0.2, 0.3]], "targets": [0, 1]}, "targets: 1 are needed"),
        ({"inputs": []}, "values: must be steps of 3"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(wrong, words):
    network = a_network(cells()["gru"], Task("values", "classes", "many-to-one"))
    with pytest.raises(ValueError, match=words):
        trace(network, **wrong)


def test_a_network_keeps_its_form_in_its_file(tmp_path):
    task = Task("values", "classes", "many-to-one", ("circle", "line", "zigzag", "eight"), example=((0.5, 1.0, 0.0),))
    network = a_network(cells()["lstm"], task, convolution=(5, 3), directions=2)
    (tmp_path / "n.safetensors").write_bytes(network.to_bytes())
    again = Network.load(tmp_path / "n.safetensors")
    assert again.task == task and again.details()["form"] == task.to_dict() and again.output_kind == "classes"
    inputs, targets = a_lesson(task)
    ours, theirs = (trace(each, inputs, targets=targets).tensors for each in (network, again))
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
