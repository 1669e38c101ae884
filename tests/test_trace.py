"""A trace whole, as a stream, and what it refuses."""

import tracemalloc

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.inspection.trace import stream, trace
from gatescope.models.network.network import untrained

NETWORK = untrained(cells()["lstm"], 2, 6, list("abcdef "), 4)
TOKENS = NETWORK.tokens("a bad cab fed a deaf bee " * 4)


@pytest.mark.parametrize("loss", ["every", "last"])
def test_the_stream_carries_each_step_once_and_says_what_the_trace_says(loss):
    whole = trace(NETWORK, TOKENS, loss=loss).tensors
    events = list(stream(NETWORK, TOKENS, loss=loss))
    assert [name for name, _ in events[:1]] == ["begin"] and events[-1][0] == "end"
    forward = [data for name, data in events if name == "forward"]
    backward = [data for name, data in events if name == "backward"]
    assert [data["t"] + step for data in forward for step in range(data["n"])] == list(range(len(TOKENS)))
    assert [data["t"] - step for data in backward for step in range(data["n"])] == list(reversed(range(len(TOKENS))))
    for layer in range(2):
        for signal in cells()["lstm"].graph().signals:
            values = np.concatenate([data["layers"][layer][signal] for data in forward])
            gradients = np.concatenate([data["layers"][layer][signal] for data in backward])[::-1]
            np.testing.assert_allclose(values, whole[f"layer{layer}.{signal}"], rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(gradients, whole[f"grad.layer{layer}.{signal}"], rtol=1e-4, atol=1e-7)
            sizes = np.concatenate([data["gradient_norms"][layer][signal] for data in backward])[::-1]
            np.testing.assert_allclose(sizes, np.linalg.norm(whole[f"grad.layer{layer}.{signal}"], axis=1), rtol=1e-3)
        norms = np.concatenate([data["norms"][layer]["weight_hh"] for data in backward])[::-1]
        np.testing.assert_allclose(norms, whole[f"norm.layer{layer}.weight_hh"], rtol=1e-4, atol=1e-7)
        plain = np.concatenate([data["gradient_norms"][layer]["weight_hh"] for data in backward])[::-1]
        np.testing.assert_allclose(plain, norms, rtol=1e-4)
    losses = np.concatenate([data["loss"] for data in forward])
    np.testing.assert_allclose(losses[:-1], whole["loss"], rtol=1e-5)
    assert np.isnan(losses[-1])


def test_the_sum_of_the_losses_is_the_loss():
    whole = trace(NETWORK, TOKENS)
    assert whole.metadata["loss"] == pytest.approx(float(whole.tensors["loss"].sum()), rel=1e-5)
    assert trace(NETWORK, TOKENS, loss="last").metadata["loss"] == pytest.approx(
        float(whole.tensors["loss"][-1]), rel=1e-5
    )


def test_guesses_are_the_five_likeliest_in_falling_order():
    (_, first), *_ = [event for event in stream(NETWORK, TOKENS) if event[0] == "forward"]
    logits = trace(NETWORK, TOKENS).tensors["logits"][0]
    assert [token for token, _ in first["top"][0]] == np.argsort(-logits)[:5].tolist()
    assert sorted((p for _, p in first["top"][0]), reverse=True) == [p for _, p in first["top"][0]]


def test_only_the_signals_asked_for_are_given():
    tensors = trace(NETWORK, TOKENS, signals=["c"]).tensors
    assert [name for name in tensors if name.startswith("layer")] == ["layer0.c", "layer1.c"]


def test_without_a_backward_pass_there_are_losses_and_no_gradients():
    whole = trace(NETWORK, TOKENS, backward=False)
    assert not [name for name in whole.tensors if name.startswith(("grad", "norm"))]
    assert whole.metadata["gradient_norm"] is None and np.isfinite(whole.tensors["loss"]).all()


def test_one_character_alone_has_values_and_no_loss():
    whole = trace(NETWORK, TOKENS[:1])
    assert whole.tensors["layer0.h"].shape == (1, 6) and whole.tensors["loss"].shape == (0,)
    assert whole.metadata["loss"] == 0 and whole.metadata["bits_per_character"] is None


@pytest.mark.parametrize("wrong", [{"loss": "some"}, {"precision": "float16"}, {"signals": ["q"]}])
def test_a_wrong_parameter_is_named_with_what_it_may_be(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}: must be one of"):
        trace(NETWORK, TOKENS, **wrong)


@pytest.mark.parametrize("tokens", [[], [-1], [7]])
def test_tokens_outside_the_vocabulary_are_refused(tokens):
    with pytest.raises(ValueError, match="tokens: "):
        stream(NETWORK, tokens)


@pytest.mark.parametrize("cell", cells())
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("steps", [5, 96, 250])
def test_what_is_asked_for_alone_is_what_it_is_among_all(cell, backward, steps):
    network = untrained(cells()[cell], 2, 8, NETWORK.vocabulary, 5, seed=4)
    tokens = np.random.default_rng(0).integers(network.vocabulary_size, size=steps).tolist()
    whole = trace(network, tokens, backward=backward).tensors
    alone = trace(network, tokens, backward=backward, signals=["h"]).tensors
    recorded = {name.split(".")[-1] for name in alone if name.startswith(("layer", "grad.layer"))}
    assert recorded == {"h"}
    for name, array in alone.items():
        assert np.array_equal(array, whole[name]), name


@pytest.mark.parametrize("backward", [False, True])
def test_a_long_trace_takes_no_more_memory_than_what_is_asked_for_and_what_the_way_back_needs(backward):
    hidden, steps = 32, 20_000
    network = untrained(cells()["lstm"], 1, hidden, NETWORK.vocabulary, 5)
    tokens = np.random.default_rng(0).integers(network.vocabulary_size, size=steps).tolist()
    trace(network, tokens[:300], backward=backward, signals=["c"])  # long enough for the kernel of the long one
    tracemalloc.start()
    made = trace(network, tokens, backward=backward, signals=["c"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    asked = sum(array.nbytes for array in made.tensors.values())
    needed = steps * hidden * 6 * 4 if backward else 0  # i, f, g, o, c and h, which every diagonal is made of
    numbers = steps * 8 * 4  # the tokens and targets themselves, as numbers and as a list
    assert peak <= 1.05 * (asked + needed + numbers) + 2e6
