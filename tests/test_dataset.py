"""Files of lessons, and what is trained on them."""

import json
import tracemalloc

import numpy as np
import pytest

from gatescope.models.inspection.trace import trace
from gatescope.models.network.task import Task
from gatescope.models.refused import Refused
from gatescope.models.training.benchmarks import BENCHMARKS, benchmark
from gatescope.models.training.checkpoint import network_of
from gatescope.models.training.corpus import Evaluation
from gatescope.models.training.dataset import ExampleDataset
from gatescope.models.training.examples import dump_dataset, is_dataset
from gatescope.models.training.job import MemoryHost, Spec, plan, run_job
from gatescope.models.training.learner import Learner

FORM = Task("words", "classes", "many-to-one")
ANIMALS = [
    {"input": "it howls in the wood", "target": "wolf"},
    {"input": "it sleeps", "target": "dog"},
    {"input": "it howls", "target": "wolf"},
    {"input": "in the house it sleeps", "target": "dog"},
]


CLASSES = '{"lessons": {"gives": "classes", "pattern": "many-to-one"}}'
SUMS = '{"lessons": {"reads": "values", "gives": "values", "pattern": "many-to-one"}}'


def learnt(text: str, resume: bytes | None = None, stop: int | None = None, **chosen):
    recipe, _ = plan(text, **chosen)
    io, seen = MemoryHost(), []
    for name, data in run_job(Spec(text, recipe), resume, io):
        seen.append((name, data))
        io.stop = io.stop or (name == "progress" and data["step"] == stop)
    return network_of(io.content), seen, io.content


def test_lessons_become_rows_with_nothing_after_their_end():
    found = ExampleDataset(dump_dataset(FORM, ANIMALS, 4))
    assert found.vocabulary == sorted(set("it howls in the wood sleeps house".split()))
    assert found.task.labels == ("dog", "wolf") and found.outputs == 2 and found.longest == 5
    side_by_side = found.side_by_side(range(4))
    inputs, targets = side_by_side.inputs[:, 1], side_by_side.targets[:, 1]
    assert [found.vocabulary[token] for token in inputs[:2]] == ["it", "sleeps"] and (inputs[2:] == -1).all()
    assert targets.tolist() == [-1, 0, -1, -1, -1] and side_by_side.asked[:, 1].tolist() == [
        False,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("cell", ["lstm", "tdnn"])
def test_a_batch_of_unequal_lessons_gives_the_gradient_of_each_alone(cell):
    text = dump_dataset(FORM, ANIMALS, 4)
    recipe, _ = plan(text, cell=cell, batch_size=4, validation=0.0, hidden=5)
    learner = Learner(Spec(text, recipe))
    gradients = {name: np.zeros_like(array) for name, array in learner.optimiser.gradients.items()}
    learner.batches.step(learner.corpus.batch(1), 1, gradients)
    network, alone = learner.network(), {}
    for one in ANIMALS:
        target = [network.task.labels.index(one["target"])]
        tensors = trace(network, network.tokens(one["input"]), targets=target, precision="float64").tensors
        for name in gradients:
            alone[name] = alone.get(name, 0) + tensors[f"grad.parameters.{name}"] / len(ANIMALS)
    for name, gradient in gradients.items():
        assert np.allclose(gradient, alone[name], atol=1e-6), name


def test_words_that_tell_a_class_are_learnt_and_resumed_to_the_same_bit():
    text = dump_dataset(FORM, ANIMALS * 4, 16)
    chosen = {"hidden": 8, "steps": 60, "learning_rate": 0.05, "validation": 0.0, "report_every": 10, "batch_size": 8}
    network, events, whole = learnt(text, **chosen)
    assert network.card["right"] == 1.0 and network.output_kind == "classes" and network.task.labels == ("dog", "wolf")
    assert [name for name, _ in events].count("progress") == 6 and events[-1][1]["finished"]
    _, _, half = learnt(text, **chosen, stop=30)
    again, _, _ = learnt(text, resume=half, **chosen)
    assert all(np.array_equal(again.parameters[name], array) for name, array in network.parameters.items())


def test_numbers_and_a_convolution_learn_too():
    task = Task("values", "classes", "many-to-one")
    random = np.random.default_rng(0)
    up = [{"input": np.sort(random.random(9)).tolist(), "target": "up"} for _ in range(40)]
    down = [{"input": np.sort(random.random(9))[::-1].tolist(), "target": "down"} for _ in range(40)]
    text = dump_dataset(task, [one for pair in zip(up, down, strict=True) for one in pair], 80)
    network, _, _ = learnt(text, hidden=8, steps=150, learning_rate=0.03, cell="gru", convolution=(4, 3))
    assert network.card["right"] == 1.0 and [part.name for part in network.layer_specs] == ["convolution", "layer0"]
    assert network.task.reads == "values" and network.channels == 1


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_task_is_drawn_from_its_seed(name):
    text = benchmark(name, 20, seed=3)
    assert is_dataset(text) and text == benchmark(name, 20, seed=3) != benchmark(name, 20, seed=4)
    assert ExampleDataset(text).size == 20


def test_the_asked_symbol_of_a_reber_string_repeats_the_second():
    for line in benchmark("reber", 50).splitlines()[1:]:
        example = json.loads(line)
        (step,) = example["asks"]
        assert example["input"][step + 1] == example["input"][1] and example["input"].startswith("B")
        assert step + 3 == len(example["input"])


def test_half_the_sum_of_the_marked_numbers_is_the_target():
    for line in benchmark("adding", 20, 30).splitlines()[1:]:
        example = json.loads(line)
        marked = [number for number, mark in example["input"] if mark]
        assert len(marked) == 2 and example["target"] == pytest.approx(sum(marked) / 2, abs=1e-3)


def test_right_is_counted_where_it_was_asked():
    text = benchmark("reber", 30)
    network, _, _ = learnt(text, hidden=6, steps=80, learning_rate=0.03)
    lessons = ExampleDataset(text)
    found, right, losses = lessons.evaluate(network.weights()), [], []
    for line in text.splitlines()[1 + lessons.trained_on if lessons.held_out else 1 :]:
        example = json.loads(line)
        tensors = trace(network, network.tokens(example["input"]), backward=False, precision="float64").tensors
        losses += tensors["loss"].tolist()
        for step in example["asks"]:
            guessed = network.vocabulary[tensors["logits"][step].argmax()]
            right.append(guessed == example["input"][step + 1])
    assert len(losses) > len(right) >= 3 and found.right not in (0, 1)
    assert found == Evaluation(pytest.approx(np.mean(losses), rel=1e-5), pytest.approx(np.mean(right)))


@pytest.mark.parametrize(
    "text, words",
    [
        ('{"lessons": {"reads": "smells"}}\n', "the first line does not say"),
        ('{"lessons": {}}\n{"input": "ab"}', "at least two"),
        ('{"lessons": {}}\n{"input": "ab"}\nhello', "line 3 is no lesson"),
        ('{"lessons": {"gives": "classes", "pattern": "many-to-one"}}\n{"input": "ab"}\n{"input": "ba"}', "line 2"),
        ('{"lessons": {"reads": "values"}}\n{"input": [1, 2]}\n{"input": ["x"]}', "line 3: the input must be"),
        ('{"lessons": {"reads": "values"}}\n{"input": [1, 2]}\n{"input": [NaN, 1]}', "line 3: values: must be"),
        ('{"lessons": {}}\n{"input": "ab", "asks": [7]}\n{"input": "ba"}', "line 2: asks"),
        ('{"lessons": {}}\n{"input": 5}\n{"input": "ba"}', "must be a text"),
        ('{"lessons": {}}\n{"input": "ab", "asks": 5}\n{"input": "ba"}', "line 2: asks"),
        ('{"lessons": {}}\n{"input": "ab", "more": 5}\n{"input": "ba"}', "line 2 is no lesson"),
        (f'{CLASSES}\n{{"input": "ab", "target": {{}}}}\n{{"input": "ba", "target": "a"}}', "line 2: the target must"),
        (f'{CLASSES}\n{{"input": "ab", "target": [[1]]}}\n{{"input": "ba", "target": "a"}}', "line 2: the target must"),
        (
            f'{CLASSES}\n{{"input": "ab", "target": "a"}}\n{{"input": "ba", "target": []}}',
            "line 3: targets: 1 are needed",
        ),
        (
            f'{CLASSES}\n{{"input": "ab", "target": ""}}\n{{"input": "ba", "target": "a"}}',
            "labels: must be names of 1 to",
        ),
        (f'{SUMS}\n{{"input": [1], "target": []}}\n{{"input": [1], "target": 1}}', "line 2: targets: must be"),
        (f'{SUMS}\n{{"input": [[]], "target": 1}}\n{{"input": [1], "target": 1}}', "line 2: the input must be"),
        (f'{SUMS}\n{{"input": [{"9" * 400}], "target": 1}}\n{{"input": [1], "target": 1}}', "line 2: "),
        (f'{SUMS}\n{{"input": [1], "target": {"9" * 400}}}\n{{"input": [1], "target": 1}}', "line 2: "),
        ('{"lessons": {"labels": 5}}\n{"input": "ab"}\n{"input": "ba"}', "the first line does not say"),
        ('{"lessons": {"steps": true}}\n{"input": "ab"}\n{"input": "ba"}', "the first line does not say"),
        ('{"lessons": {"taste": "sour"}}\n{"input": "ab"}\n{"input": "ba"}', "the first line does not say"),
        ('{"lessons": {"reads": "values"}}\n{"input": "ab"}\n{"input": "ba"}', "line 2: values: must be"),
    ],
)
def test_what_is_no_lesson_is_refused_with_its_line(text, words):
    with pytest.raises(Refused, match=f"^text: .*{words}"):
        ExampleDataset(text)


def test_a_lesson_may_hold_any_end_of_line_but_the_files_own():
    texts = ["one\u2028two", "one\u0085two\x0b\x1c", "one\ntwo\r"]
    found = ExampleDataset(dump_dataset(Task(), [{"input": text} for text in texts], 3))
    assert [len(row.inputs) for row in found.rows] == [len(text) for text in texts]


def test_one_long_lesson_among_many_short_ones_takes_no_more_than_its_own_room():
    text = dump_dataset(
        FORM, [{"input": "a b " * 1000, "target": "long"}, *[{"input": "a", "target": "b"}] * 5000], 5001
    )
    tracemalloc.start()
    recipe, _ = plan(text, batch_size=2)
    ExampleDataset(text, recipe).batch(1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert recipe.sequence_length == 2000 and peak < 30e6  # side by side they would take 170 MB
