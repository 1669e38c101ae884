"""The shipped networks, asked over HTTP as anybody would, against equations by hand that know only the weights file."""

import json
import math

import httpx
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load as read_tensors

from gatescope.models.pretrained import FOLDER, load_pretrained, shipped
from gatescope.models.training.benchmarks import benchmark
from gatescope.models.training.dataset import ExampleDataset
from tests.by_hand import ByHand, close, losses_of

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


@pytest.mark.parametrize("id", IDS)
def test_every_tensor_of_a_trace_equals_pytorch(client: httpx.Client, id: str):
    about = client.get(f"/api/models/{id}").json()
    tokens = [about["vocabulary"].index(character) for character in TEXT]
    weights = read_tensors(client.get(f"/api/models/{id}/weights").content)
    by_hand = ByHand(weights, about["cell"], about["hidden"], tokens)
    losses = losses_of(by_hand.logits[:-1], tokens[1:])
    answer = client.get("/api/trace.safetensors", params={"model": id, "text": TEXT, "precision": "float64"})
    ours, theirs = read_tensors(answer.content), by_hand.tensors(losses, "every")
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        assert ours[name].dtype == np.float64 and close(ours[name], expected), name
    bits = losses.mean().item() / math.log(2)
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
