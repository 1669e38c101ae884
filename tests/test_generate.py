"""Writing with a network."""

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.inspection.generate import generate
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import untrained

NETWORK = untrained(cells()["gru"], 2, 9, list("abcdef "), seed=1)
PROMPT = NETWORK.tokens("a bad ")


def text(**choices) -> str:
    return list(generate(NETWORK, PROMPT, 60, **choices))[-1][1]["text"]


def test_the_same_seed_gives_the_same_text_and_another_seed_another():
    assert text(seed=5) == text(seed=5) != text(seed=6)


def test_temperature_zero_takes_the_likeliest_character_each_time():
    written = NETWORK.tokens(text(temperature=0.0))
    tokens = PROMPT + written
    logits = trace(NETWORK, tokens, backward=False).tensors["logits"]
    assert written == logits[len(PROMPT) - 1 : -1].argmax(axis=1).tolist()
    assert text(temperature=1e-9) == text(temperature=0.0) == text(top_k=1, temperature=3.0)


def test_a_low_temperature_tends_to_the_likeliest():
    assert text(temperature=1e-4) == text(temperature=0.0)


def test_what_is_shown_is_what_wrote_it():
    events = list(generate(NETWORK, PROMPT, 20, seed=2))
    tokens = PROMPT + [data["token"] for name, data in events if name == "character"]
    tensors = trace(NETWORK, tokens, backward=False).tensors
    for name, data in events:
        if name == "character":
            np.testing.assert_allclose(data["layers"][1]["z"][0], tensors["layer1.z"][data["t"]], rtol=1e-5)
            probabilities = np.exp(tensors["logits"][data["t"] - 1])
            assert data["probability"] == pytest.approx(probabilities[data["token"]] / probabilities.sum(), rel=1e-4)


def test_draws_follow_the_probabilities():
    first = [NETWORK.tokens(list(generate(NETWORK, PROMPT, 1, seed=seed))[-1][1]["text"])[0] for seed in range(1500)]
    logits = trace(NETWORK, PROMPT, backward=False).tensors["logits"][-1].astype(float)
    wanted = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(np.bincount(first, minlength=7) / 1500, wanted, atol=0.05)


@pytest.mark.parametrize(
    "wrong",
    [{"length": 0}, {"length": 2001}, {"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}, {"top_k": 8}],
)
def test_a_value_out_of_range_is_named_with_its_range(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}: must be between"):
        generate(NETWORK, PROMPT, **{"length": 5} | wrong)
