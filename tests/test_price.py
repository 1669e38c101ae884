"""What a computation will take is known before: no less than it takes, and not many times as much."""

import tracemalloc

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.inspection.computation import Abandoned, finished
from gatescope.models.inspection.generate import generate
from gatescope.models.inspection.gradient_check import check_gradients
from gatescope.models.inspection.influence import influence
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.inspection.preactivations import preactivations
from gatescope.models.inspection.price import (
    ABOUT,
    Price,
    Purse,
    count_of_steps,
    price_of_check,
    price_of_generation,
    price_of_influence,
    price_of_preactivations,
    price_of_stream,
    price_of_trace,
)
from gatescope.models.inspection.trace import stream, trace
from gatescope.models.network.network import Network, untrained
from gatescope.models.network.task import Task
from gatescope.models.refused import Refused

LETTERS = [chr(97 + each) for each in range(26)]
MANY = [chr(0x4E00 + each) for each in range(3000)]
STEPS = 300
LSTM = cells()["lstm"]
NETWORKS = {
    **{id: lambda cell=cell: untrained(cell, 2, 96, LETTERS, embedding=12) for id, cell in cells().items()},
    "wide": lambda: untrained(LSTM, 1, 64, MANY, embedding=8),
    "both ways": lambda: untrained(LSTM, 2, 64, LETTERS, embedding=8, directions=2),
    "deep": lambda: untrained(LSTM, 16, 16, LETTERS, embedding=8),
    "convolution": lambda: untrained(LSTM, 1, 64, LETTERS, embedding=8, convolution=(32, 5)),
    "numbers": lambda: untrained(LSTM, 1, 64, [], task=Task("values", "next"), channels=40),
    "one number a token": lambda: untrained(LSTM, 1, 256, MANY, embedding=1),
}
HELD = [Intervention(0, "h", 0.5), Intervention(1, "h", 0.1)]


def inputs(network: Network, steps: int) -> list:
    random = np.random.default_rng(0)
    if network.channels:
        return random.normal(size=(steps, network.channels)).tolist()
    return random.integers(0, network.vocabulary_size, steps).tolist()


def peak(compute) -> int:
    """The bytes that a call holds at most beside what was there before."""
    tracemalloc.start()
    try:
        compute()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def computations(network: Network, steps: int):
    """What is computed of a network, and its price, by name."""
    read, signals = inputs(network, steps), [next(iter(network.cell.graph().signals))]
    yield lambda: trace(network, read), price_of_trace(network, steps)
    forwards = {"backward": False, "precision": "float64"}
    yield lambda: trace(network, read, **forwards), price_of_trace(network, steps, **forwards)
    yield lambda: trace(network, read, signals=signals), price_of_trace(network, steps, signals=signals)
    yield lambda: [None for _ in stream(network, read)], price_of_stream(network, steps)
    yield lambda: preactivations(network, read), price_of_preactivations(network, steps)
    yield lambda: check_gradients(network, read), price_of_check(network, steps)
    held = [each for each in HELD if each.layer < network.layers and "h" in network.cell.graph().signals]
    yield (
        lambda: trace(network, read, interventions=held),
        price_of_trace(network, steps, interventions=held),
    )
    if not any(spec.reverse for spec in network.layer_specs):
        few = read[: steps // 3]
        yield lambda: influence(network, few), price_of_influence(network, len(few))
        if network.vocabulary:
            yield lambda: list(generate(network, few, 20)), price_of_generation(network, len(few), 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_no_less_memory_than_is_held_and_not_much_more(name):
    trace(NETWORKS[name](), inputs(NETWORKS[name](), 3))  # what is made once, such as programs
    for number, (compute, price) in enumerate(computations(network := NETWORKS[name](), STEPS)):
        compute()
        network = NETWORKS[name]()  # whose weights are not laid out yet
        compute, price = list(computations(network, STEPS))[number]
        held = peak(compute)
        assert held <= price.memory <= 3 * held + 2 * ABOUT, (number, held, price)


@pytest.mark.parametrize("price", [price_of_trace, price_of_check, price_of_influence, price_of_preactivations])
def test_more_steps_cost_more(price):
    network = NETWORKS["lstm"]()
    prices = [price(network, steps) for steps in (1, 10, 100, 1000, 10_000)]
    assert sorted(each.memory for each in prices) == [each.memory for each in prices]
    # a long reading is computed by machine code, where there is any: a step costs less there
    for few in (prices[:3], prices[3:]):
        assert sorted(each.work for each in few) == [each.work for each in few]


def test_a_small_file_that_asks_for_gigabytes_is_known_before():
    parameters = {
        "embedding.weight": np.ones((65_536, 1), np.float32),
        "rnn.weight_ih_l0": np.ones((4 * 4096, 1), np.float32),
        "rnn.weight_hh_l0": np.ones((4 * 4096, 1), np.float32),
        "rnn.weight_hr_l0": np.ones((1, 4096), np.float32),
    }
    absent = ("rnn.bias_ih_l0", "rnn.bias_hh_l0", "readout.weight", "readout.bias")
    cell = LSTM.with_options(("projection", 1))
    network = Network("small", "Small", cell, 1, 4096, [], parameters, 1, absent=absent)
    assert price_of_trace(network, 2).memory > 4 * 2**30
    with pytest.raises(Refused, match="not even one step would fit"):
        Purse(2**30, 10**15).pay(lambda steps: price_of_trace(network, steps), 2)


@pytest.mark.parametrize(("purse", "said"), [(Purse(30 << 20, 10**15), "MiB"), (Purse(2**40, 10**9), "multiply-adds")])
def test_what_is_refused_says_what_would_fit(purse, said):
    network = NETWORKS["lstm"]()

    def price(steps: int) -> Price:
        return price_of_trace(network, steps)

    with pytest.raises(Refused) as refused:
        purse.pay(price, 20_000, "text")
    fitting = int(refused.value.detail.partition("; ")[2].split()[0].replace(",", ""))
    assert refused.value.field == "text" and said in refused.value.detail
    assert purse.pay(price, fitting) == price(fitting)
    with pytest.raises(Refused):
        purse.pay(price, fitting + 1)


def test_one_input_followed_by_many_steps_counts_them():
    task = Task("characters", "classes", "one-to-many", steps=500)
    network = untrained(LSTM, 1, 8, LETTERS, outputs=3, task=task)
    assert count_of_steps(network, [1]) == 500
    assert count_of_steps(network, [1], [0, 1, 2]) == 3
    assert count_of_steps(NETWORKS["lstm"](), [1, 2]) == 2


def test_a_computation_is_left_between_two_pieces():
    network, asked = NETWORKS["lstm"](), []
    with pytest.raises(Abandoned):
        finished(influence.pieces(network, inputs(network, 200)), lambda: not asked.append(0) and len(asked) < 5)
    assert len(asked) == 5
    whole = influence(network, inputs(network, 50))
    assert np.array_equal(whole, finished(influence.pieces(network, inputs(network, 50))))
