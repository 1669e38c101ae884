"""Training: its gradients against PyTorch's, its promises, what it refuses."""

import numpy as np
import pytest
import torch

from models.cells import cells
from models.network import Network, untrained
from models.training import Batches, Recipe, evaluate, train

RHYME = "one two buckle my shoe three four knock at the door " * 60


def test_batches_with_carried_states_have_the_gradients_of_torch():
    letters = list("abcdefghi")
    recipe = Recipe(layers=2, hidden=16, embedding=5, batch_size=6, sequence_length=20, threads=2)
    network = untrained(cells()["lstm"], 2, 16, letters, 5)
    characters = np.random.default_rng(0).integers(0, 9, (61, 6))
    module = torch.nn.LSTM(5, 16, 2)
    module.load_state_dict(
        {name[4:]: torch.tensor(array) for name, array in network.parameters.items() if name.startswith("rnn.")}
    )
    embedding = torch.tensor(network.parameters["embedding.weight"], requires_grad=True)
    readout, bias = (torch.tensor(network.parameters[f"readout.{name}"]) for name in ("weight", "bias"))
    carried = None
    with Batches(network, recipe) as batches:
        for start in (0, 20, 40):
            part = characters[start : start + 21]
            loss, gradients = batches.step(part)
            read = torch.from_numpy(part)
            output, carried = module(embedding[read[:-1]], carried)
            carried = tuple(state.detach() for state in carried)
            expected = torch.nn.functional.cross_entropy((output @ readout.T + bias).flatten(0, 1), read[1:].flatten())
            module.zero_grad()
            embedding.grad = None
            expected.backward()
            assert loss == pytest.approx(expected.item(), rel=1e-5)
            for name, parameter in [
                ("embedding.weight", embedding),
                *((f"rnn.{name}", p) for name, p in module.named_parameters()),
            ]:
                np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=1e-3, atol=1e-6)


def test_dropout_is_the_mask_in_both_directions():
    letters = list("abcdefghi")
    network = untrained(cells()["gru"], 2, 16, letters, 5)
    characters = np.random.default_rng(0).integers(0, 9, (21, 6))
    keep = (np.random.default_rng(8).random((2, 20, 6, 16), np.float32) < 0.6).astype(np.float32) / np.float32(0.6)
    with Batches(
        network,
        Recipe(cell="gru", layers=2, hidden=16, embedding=5, batch_size=6, sequence_length=20, dropout=0.4, seed=7),
    ) as batches:
        _, gradients = batches.step(characters)
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in network.parameters.items()}
    output = tensors["embedding.weight"][torch.from_numpy(characters[:-1])]
    for layer in range(2):
        names = [f"rnn.{kind}_l{layer}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        output = torch.gru(
            output, torch.zeros(1, 6, 16), [tensors[name] for name in names], True, 1, 0.0, False, False, False
        )[0]
        output = output * torch.from_numpy(keep[layer])
    logits = output @ tensors["readout.weight"].T + tensors["readout.bias"]
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(characters[1:]).flatten()).backward()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(gradients[name], tensor.grad.numpy(), rtol=1e-3, atol=1e-6, err_msg=name)


def test_the_same_seed_trains_the_same_weights():
    recipe = Recipe(hidden=8, batch_size=4, sequence_length=16, epochs=2, dropout=0.2, threads=2, layers=2)
    first, second = (list(train(RHYME, recipe))[-1]["network"] for _ in range(2))
    assert all((first.parameters[name] == second.parameters[name]).all() for name in first.parameters)


def test_the_best_weights_are_kept_and_their_loss_is_on_the_card():
    events = list(train(RHYME, Recipe(hidden=16, batch_size=4, sequence_length=16, epochs=6, learning_rate=0.02)))
    network: Network = events[-1]["network"]
    validations = [event["validation_loss"] for event in events if event["event"] == "validation"]
    assert network.card["validation_loss"] == min(validations) < validations[0]
    held_out = RHYME[network.card["data"]["trained_on"] :]
    measured = evaluate(network, np.array(network.tokens(held_out)))
    assert measured == pytest.approx(network.card["validation_loss"], abs=1e-4)
    assert [point["validation_loss"] for point in network.card["curve"]] == validations


def test_it_stops_when_patience_runs_out():
    recipe = Recipe(
        hidden=4, batch_size=4, sequence_length=16, epochs=50, learning_rate=1e-7, patience=2, weight_decay=0.0
    )
    noise = "".join(np.random.default_rng(1).choice(list("abcdefgh"), 600))
    epochs = [event["epoch"] for event in train(noise, recipe) if event["event"] == "validation"]
    assert 3 <= len(epochs) < 50


def test_the_held_out_tail_is_never_trained_on():
    recipe = Recipe(hidden=8, batch_size=4, sequence_length=16, epochs=1)
    cut = int(len(RHYME) * 0.9)
    one = list(train(RHYME, recipe))[-1]["network"]
    other = list(train(RHYME[:cut] + RHYME[cut:][::-1], recipe))[-1]["network"]
    assert all((one.parameters[name] == other.parameters[name]).all() for name in one.parameters)


@pytest.mark.parametrize("text", ["", "a", "aaaa" * 1000, "short"])
def test_a_text_too_short_or_too_plain_is_refused_with_its_figures(text):
    with pytest.raises(ValueError, match=f"{len(text)} characters"):
        next(train(text, Recipe()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"cell": "none"},
        {"hidden": 0},
        {"layers": 9},
        {"learning_rate": 30.0},
        {"dropout": 1.0},
        {"embedding": 0},
        {"epochs": 0},
    ],
)
def test_a_recipe_out_of_range_is_refused_with_the_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be"):
        Recipe(**wrong)
