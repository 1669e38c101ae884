"""The shipped networks, asked over HTTP as anybody would, against PyTorch loops that know only the weights file.

Nothing of the product is used to compute: cells are written out here again, by hand.
"""

import json
import math

import httpx
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load as read_tensors

from gatescope.models.pretrained import FOLDER, load_pretrained, shipped
from gatescope.models.training.benchmarks import benchmark
from gatescope.models.training.dataset import ExampleDataset

IDS = ["shakespeare-elman", "shakespeare-gru", "shakespeare-lstm", "shakespeare-lstm-2x256"]
TEXT = "To be, or not to be:\nthat is"


def test_the_networks_that_must_come_with_the_product_do():
    assert set(IDS) <= set(shipped())


@pytest.mark.parametrize("id", IDS)
def test_each_has_a_card_with_recipe_data_curve_and_figure(id):
    card = json.loads((FOLDER / f"{id}.json").read_text())
    with safe_open(FOLDER / f"{id}.safetensors", "np") as file:
        assert json.loads(file.metadata()["card"]) == card
    assert card["recipe"]["cell"] in id and card["data"]["held_out"] > 100_000
    assert card["validation_loss"] == min(point["validation_loss"] for point in card["curve"])


def test_the_three_small_ones_share_one_recipe():
    recipes = [json.loads((FOLDER / f"{id}.json").read_text())["recipe"] for id in IDS[:3]]
    assert all(recipe | {"cell": ""} == recipes[0] | {"cell": ""} for recipe in recipes)
    assert recipes[0]["layers"] == 1 and recipes[0]["hidden"] == 128


def test_the_large_one_reaches_its_mark():
    assert json.loads((FOLDER / "shakespeare-lstm-2x256.json").read_text())["validation_loss"] <= 1.48


class ByHand:
    """A character network read with one torch statement an equation; each step has its own copy of the weights."""

    def __init__(self, weights: bytes, tokens: list[int], kind: str, layers: int):
        arrays = read_tensors(weights)
        self.weights = {name: torch.tensor(array).double().requires_grad_() for name, array in arrays.items()}
        self.tokens, self.kind, self.signals, self.copies = torch.tensor(tokens), kind, {}, {}
        vocabulary = len(self.weights["readout.bias"])
        inputs = torch.eye(vocabulary, dtype=torch.float64)[self.tokens]
        if "embedding.weight" in self.weights:
            inputs = self.weights["embedding.weight"][self.tokens]
        for layer in range(layers):
            inputs = torch.stack(self.layer(layer, inputs))
        self.logits = inputs @ self.weights["readout.weight"].T + self.weights["readout.bias"]
        self.losses = torch.nn.functional.cross_entropy(self.logits[:-1], self.tokens[1:], reduction="none")

    def copy(self, layer: int, name: str) -> torch.Tensor:
        """The weights as one step uses them."""
        copied = self.weights[f"rnn.{name}_l{layer}"] * 1
        self.copies.setdefault(f"norm.layer{layer}.{name}", []).append(self.kept(copied))
        return copied

    def kept(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor.retain_grad()
        return tensor

    def layer(self, layer: int, inputs: torch.Tensor) -> list[torch.Tensor]:
        size = self.weights[f"rnn.weight_hh_l{layer}"].shape[1]
        h = c = torch.zeros(size, dtype=torch.float64)
        outputs = []
        for x in inputs:
            given = self.copy(layer, "weight_ih") @ x + self.copy(layer, "bias_ih")
            recurrent = self.copy(layer, "weight_hh") @ h + self.copy(layer, "bias_hh")
            now = {}
            if self.kind == "elman":
                h = torch.tanh(given + recurrent)
            elif self.kind == "gru":
                now["r"] = self.kept(torch.sigmoid(given[:size] + recurrent[:size]))
                now["z"] = self.kept(torch.sigmoid(given[size : 2 * size] + recurrent[size : 2 * size]))
                now["n"] = self.kept(torch.tanh(given[2 * size :] + now["r"] * recurrent[2 * size :]))
                h = (1 - now["z"]) * now["n"] + now["z"] * h
            else:
                blocks = (given + recurrent).split(size)
                for name, block in zip("ifgo", blocks, strict=True):
                    now[name] = self.kept(torch.tanh(block) if name == "g" else torch.sigmoid(block))
                c = now["c"] = self.kept(now["f"] * c + now["i"] * now["g"])
                h = now["o"] * torch.tanh(c)
            now["h"] = self.kept(h)
            outputs.append(h)
            for name, value in now.items():
                self.signals.setdefault(f"layer{layer}.{name}", []).append(value)
        return outputs

    def tensors(self) -> dict[str, np.ndarray]:
        self.losses.sum().backward()
        found = {name: torch.stack(steps).detach() for name, steps in self.signals.items()}
        found |= {f"grad.{name}": torch.stack([step.grad for step in steps]) for name, steps in self.signals.items()}
        found |= {f"grad.parameters.{name}": weight.grad for name, weight in self.weights.items()}
        found |= {name: torch.stack([copy.grad.norm() for copy in copies]) for name, copies in self.copies.items()}
        return {name: array.numpy() for name, array in found.items()} | {
            "logits": self.logits.detach().numpy(),
            "loss": self.losses.detach().numpy(),
        }


@pytest.mark.parametrize("id", IDS)
def test_every_tensor_of_a_trace_equals_pytorch(client: httpx.Client, id: str):
    about = client.get(f"/api/models/{id}").json()
    tokens = [about["vocabulary"].index(character) for character in TEXT]
    by_hand = ByHand(client.get(f"/api/models/{id}/weights").content, tokens, about["cell"], about["layers"])
    answer = client.get("/api/trace.safetensors", params={"model": id, "text": TEXT, "precision": "float64"})
    ours, theirs = read_tensors(answer.content), by_hand.tensors()
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        assert ours[name].dtype == np.float64 and ours[name].shape == expected.shape, name
        assert np.abs(ours[name] - expected).max() <= 1e-9 * max(np.abs(expected).max(), 1e-3), name
    bits = by_hand.losses.mean().item() / math.log(2)
    found = client.get("/api/trace.json", params={"model": id, "text": TEXT, "precision": "float64"}).json()
    assert found["metadata"]["bits_per_character"] == pytest.approx(bits, rel=1e-9)


@pytest.mark.parametrize(("name", "chance"), [("reber", 0.6), ("adding", 0.25)])
def test_the_lstm_remembers_what_an_elman_network_of_the_same_size_forgets(name, chance):
    lstm, elman = (json.loads((FOLDER / f"{name}-{cell}.json").read_text()) for cell in ("lstm", "elman"))
    told = {"report_every", "sample_every", "validate_every", "checkpoint_every"}  # when it tells, not what it learns
    recipes = [{key: value for key, value in card["recipe"].items() if key not in told} for card in (lstm, elman)]
    assert recipes[0] | {"cell": ""} == recipes[1] | {"cell": ""} and lstm["data"] == elman["data"]
    assert lstm["right"] > 0.95 and elman["right"] < chance


@pytest.mark.parametrize("id", ["reber-lstm", "adding-lstm", "forest", "gestures", "signal"])
def test_what_the_card_says_is_found_again_on_lessons_drawn_anew(id):
    card, network = json.loads((FOLDER / f"{id}.json").read_text()), load_pretrained(id)
    lessons = ExampleDataset(benchmark(id.split("-")[0], 300, seed=99))
    assert network.vocabulary == lessons.vocabulary and network.task.labels == lessons.task.labels
    assert lessons.evaluate(network.weights()).right == pytest.approx(card["right"], abs=0.06)
