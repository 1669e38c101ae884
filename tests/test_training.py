"""Training: its gradients against PyTorch's, its events, its end."""

import json
import math

import numpy as np
import pytest
import torch

from gatescope.models.cells import cells
from gatescope.models.network.bptt import NetworkWeights
from gatescope.models.network.network import untrained
from gatescope.models.training.corpus import Batch, Corpus, evaluate
from gatescope.models.training.cpu_batches import CpuBatches
from gatescope.models.training.job import Diverged, MemoryHost, Recipe, Spec, run_job
from gatescope.models.training.learner import Learner
from gatescope.models.training.statistics import signal_ranges
from tests.jobs import RHYME, SMALL, recipe_for, trained

LETTERS = list("abcdefghi")


def batches_of(recipe: Recipe) -> tuple[CpuBatches, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Batches of an untrained network, its parameters, and a gradient to add to."""
    cell = cells()[recipe.cell]
    parameters = untrained(cell, recipe.layers, recipe.hidden, LETTERS, recipe.embedding).parameters
    weights = NetworkWeights(cell, recipe.layers, recipe.hidden, parameters, np.dtype("float32"))
    return CpuBatches(weights, recipe), parameters, {name: np.zeros_like(array) for name, array in parameters.items()}


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_with_carried_states_have_the_gradients_of_torch(threads):
    recipe = Recipe(layers=2, hidden=16, embedding=5, batch_size=6, sequence_length=20, threads=threads)
    batches, parameters, gradients = batches_of(recipe)
    characters = np.random.default_rng(0).integers(0, 9, (61, 6))
    module = torch.nn.LSTM(5, 16, 2)
    module.load_state_dict(
        {name[4:]: torch.tensor(array) for name, array in parameters.items() if name.startswith("rnn.")}
    )
    embedding = torch.tensor(parameters["embedding.weight"], requires_grad=True)
    readout, bias = (torch.tensor(parameters[f"readout.{name}"]) for name in ("weight", "bias"))
    carried = None
    for start in (0, 20, 40):  # gradients are gathered: nothing is set to zero in between
        part = characters[start : start + 21]
        loss = batches.step(Batch(part[:-1], part[1:], start == 0), 1, gradients)
        read = torch.from_numpy(part)
        output, carried = module(embedding[read[:-1]], carried)
        carried = tuple(state.detach() for state in carried)
        expected = torch.nn.functional.cross_entropy((output @ readout.T + bias).flatten(0, 1), read[1:].flatten())
        expected.backward()
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        of_torch = [(f"rnn.{name}", parameter) for name, parameter in module.named_parameters()]
        for name, parameter in [("embedding.weight", embedding), *of_torch]:
            np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=1e-3, atol=1e-6)
    batches.close()


def test_dropout_is_the_mask_in_both_directions():
    recipe = Recipe(cell="gru", layers=2, hidden=16, embedding=5, batch_size=6, sequence_length=20, dropout=0.4, seed=7)
    batches, parameters, gradients = batches_of(recipe)
    characters = np.random.default_rng(0).integers(0, 9, (21, 6))
    batches.step(Batch(characters[:-1], characters[1:], True), 3, gradients)
    keep = np.random.default_rng((7, 3)).random((2, 20, 6, 16), np.float32) < 0.6
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    output = tensors["embedding.weight"][torch.from_numpy(characters[:-1])]
    for layer in range(2):
        names = [f"rnn.{kind}_l{layer}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        output = torch.gru(
            output, torch.zeros(1, 6, 16), [tensors[name] for name in names], True, 1, 0.0, False, False, False
        )[0]
        output = output * torch.from_numpy(keep[layer] / np.float32(0.6))
    logits = output @ tensors["readout.weight"].T + tensors["readout.bias"]
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(characters[1:]).flatten()).backward()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(gradients[name], tensor.grad.numpy(), rtol=1e-3, atol=1e-6, err_msg=name)


def test_what_is_told_of_a_batch_is_what_its_records_hold():
    learner = Learner(Spec(RHYME, recipe_for(RHYME, cell="gru", layers=2, report_every=1, **SMALL)))
    learner.step()
    told, gates = learner.report(), learner.gates()["layers"]
    assert told["gradient_norm"] == pytest.approx(math.hypot(*told["gradient_norms"].values()))
    assert told["bits_per_character"] == pytest.approx(told["loss"] / math.log(2))
    (layers,) = learner.batches.shares
    for layer, norms, signals in zip(layers, told["signal_gradient_norms"], gates, strict=True):
        for signal, facts in signals.items():
            values, gradient = layer.signal(signal), layer.gradient(signal).astype(float)
            low, high = signal_ranges(learner.cell)[signal]
            assert norms[signal] == pytest.approx(math.sqrt((gradient**2).sum()), rel=1e-5)
            assert facts["mean"] == pytest.approx(values.mean(), abs=1e-6)
            assert facts["low"] == np.mean(values < low + 0.1 * (high - low))
            assert facts["high"] == np.mean(values > high - 0.1 * (high - low))
            assert facts["histogram"] == np.histogram(values, 16, (low, high))[0].tolist()


def test_a_signal_without_bound_is_measured_by_its_tanh():
    learner = Learner(Spec(RHYME, recipe_for(RHYME, cell="lstm", **SMALL)))
    learner.step()
    facts, values = learner.gates()["layers"][0]["c"], learner.batches.shares[0][0].signal("c")
    assert facts["histogram"] == np.histogram(np.tanh(values), 16, (-1, 1))[0].tolist()
    assert facts["mean"] == pytest.approx(values.mean(), abs=1e-6)


def test_events_come_when_the_recipe_says_and_are_plain_json():
    paces = {"report_every": 4, "validate_every": 5, "sample_every": 6, "checkpoint_every": 9}
    network, events = trained(RHYME, steps=20, epochs=None, **SMALL, **paces)
    steps = {name: [data["step"] for kind, data in events if kind == name] for name in dict(events)}
    assert steps["progress"] == steps["gates"] == [4, 8, 12, 16, 20]
    assert steps["sample"] == [0, 6, 12, 18, 20] and steps["checkpoint"] == [0, 9, 18, 20]
    assert json.loads(json.dumps(events, allow_nan=False)) == [list(event) for event in events]
    assert [point["step"] for point in network.card["curve"]] == [5, 10, 15, 20]
    last = [data for name, data in events if name == "progress"][-1]
    assert last["eta_s"] == 0 and last["steps"] == 20 and last["characters_per_second"] > 0
    assert [data["finished"] for name, data in events if name == "checkpoint"] == [False, False, False, True]


def test_the_best_weights_are_kept_and_their_loss_is_on_the_card():
    network, _ = trained(RHYME, steps=150, validate_every=10, learning_rate=0.02, seed=1, **SMALL)
    losses = [point["validation_loss"] for point in network.card["curve"]]
    assert network.card["validation_loss"] == min(losses) < losses[0]
    held_out = RHYME[network.card["data"]["trained_on"] :]
    measured = evaluate(network.weights(), np.array(network.tokens(held_out)))
    assert measured == pytest.approx(network.card["validation_loss"], rel=1e-6)


@pytest.mark.parametrize(("cell", "module"), [("elman", "RNN"), ("gru", "GRU"), ("lstm", "LSTM")])
def test_the_trained_weights_give_a_plain_torch_module_the_same_loss(cell, module):
    network, _ = trained(RHYME, cell=cell, layers=2, hidden=12, embedding=6, steps=60)
    state = {name: torch.from_numpy(array) for name, array in network.parameters.items()}

    def part(name: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(name): value for key, value in state.items() if key.startswith(name)}

    embedding, readout = torch.nn.Embedding(network.vocabulary_size, 6), torch.nn.Linear(12, network.vocabulary_size)
    rnn = getattr(torch.nn, module)(6, 12, 2)
    for made, name in ((embedding, "embedding."), (rnn, "rnn."), (readout, "readout.")):
        made.load_state_dict(part(name))
    held_out = torch.tensor(network.tokens(RHYME[network.card["data"]["trained_on"] :]))
    with torch.no_grad():
        logits = readout(rnn(embedding(held_out[:-1]))[0])
    loss = torch.nn.functional.cross_entropy(logits, held_out[1:])
    assert loss.item() == pytest.approx(network.card["validation_loss"], abs=1e-5)


def test_it_stops_when_patience_runs_out():
    noise = "".join(np.random.default_rng(1).choice(list("abcdefgh"), 600))
    chosen = {"steps": 500, "validate_every": 3, "learning_rate": 1e-7, "patience": 2, "weight_decay": 0.0}
    network, events = trained(noise, hidden=4, batch_size=4, sequence_length=16, **chosen)
    name, last = events[-1]
    assert (name, last["finished"]) == ("checkpoint", True) and "has not fallen for 2 validations" in last["reason"]
    assert last["step"] < 500 and len(network.card["curve"]) == last["step"] // 3


def test_the_held_out_tail_is_never_trained_on():
    held_out = len(RHYME) - int(len(RHYME) * 0.9)
    other = RHYME[:-held_out] + RHYME[-held_out:][::-1]
    chosen = {"steps": 30, "validate_every": 30, "validation": 0.1, **SMALL}
    one, two = (trained(text, **chosen)[0].parameters for text in (RHYME, other))
    assert all((one[name] == two[name]).all() for name in one)


def test_gathered_batches_move_the_weights_once_by_their_mean():
    chosen = {"steps": 100, "clip": 1e9, **SMALL}
    gathering, single = (Learner(Spec(RHYME, recipe_for(RHYME, update_every=each, **chosen))) for each in (3, 1))
    before, total = gathering.optimiser.flat.copy(), dict.fromkeys(gathering.optimiser.parameters, 0.0)
    for step in (1, 2, 3):
        assert (gathering.optimiser.flat == before).all()
        gradients = {name: np.zeros_like(array) for name, array in single.optimiser.gradients.items()}
        single.batches.step(single.corpus.batch(step), step, gradients)
        total = {name: total[name] + array.astype(float) for name, array in gradients.items()}
        assert gathering.step() == step
    assert not (gathering.optimiser.flat == before).all()
    for name, norm in gathering.progress.last["gradient_norms"].items():
        assert norm == pytest.approx(np.linalg.norm(total[name]) / 3, rel=1e-4)


def test_a_gradient_longer_than_clip_is_shortened_to_it():
    learner = Learner(Spec(RHYME, recipe_for(RHYME, clip=1e-3, **SMALL)))
    learner.step()
    last = learner.progress.last
    assert last["clipped"] and last["clip_scale"] * last["gradient_norm"] == pytest.approx(1e-3)


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm", "feedforward"])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_a_training_that_runs_away_says_at_which_step(cell, decay):
    chosen = {"cell": cell, "learning_rate": 1e30, "weight_decay": decay, "steps": 50, "report_every": 1}
    io, told = MemoryHost(), []
    with pytest.raises(Diverged, match=r"^diverged at step \d+$") as ended:
        for name, data in run_job(Spec(RHYME, recipe_for(RHYME, **chosen, **SMALL)), None, io):
            told += [data["step"]] if name == "progress" else []
    assert told == list(range(1, ended.value.step))


@pytest.mark.parametrize("text", ["ab", "abc", "aab" * 3, "to be " * 4, "abcdefghij" * 30])
def test_the_smallest_texts_are_trained_on(text):
    network, events = trained(text, steps=20, batch_size=32, sequence_length=64)
    assert network.card["steps"] == 20 and math.isfinite(network.card["validation_loss"])
    assert {name for name, _ in events} == {"progress", "gates", "sample", "checkpoint"}


@pytest.mark.parametrize("text", ["", "a", "aaaa" * 1000, "short", "ab\ud800" * 100])
def test_a_text_that_cannot_be_trained_on_is_refused(text):
    with pytest.raises(ValueError, match=r"^text: "):
        Corpus(text, Recipe())
