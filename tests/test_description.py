"""What is said about the cells: equations, ranges, roads."""

import pytest

from gatescope.models.cells import cells, describe
from gatescope.models.graph import Cell
from gatescope.models.graph.description import is_road


def said(cell: str, field: str) -> dict:
    return {signal["id"]: signal[field] for signal in describe(cells()[cell])["signals"]}


def test_equations_are_those_of_the_papers():
    lstm, gru = said("lstm", "equation"), said("gru", "equation")
    assert lstm["f"] == "f_t = σ(W_f x_t + U_f h_{t−1} + b_f)"
    assert lstm["c"] == "c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t"
    assert lstm["h"] == "h_t = o_t ⊙ tanh(c_t)"
    assert gru["n"] == "n_t = tanh(W_n x_t + r_t ⊙ (U_n h_{t−1} + b_n) + b_n)"
    assert gru["h"] == "h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}"
    assert said("peephole", "equation")["o"] == "o_t = σ(W_o x_t + U_o h_{t−1} + w_co ⊙ c_t + b_o)"


def test_a_window_and_a_fed_back_output_are_written_out():
    assert said("tdnn", "equation")["h"] == "h_t = tanh(W_h x_t + W1_h x_{t−1} + W2_h x_{t−2} + W3_h x_{t−3} + b_h)"
    assert said("jordan", "equation") == {
        "y": "y_t = U_y h_{t−1} + b_y",
        "h": "h_t = tanh(W_h x_t + V_h y_t + b_h)",
    }
    assert said("tdnn", "reads")["h"] == ["x", "x−1", "x−2", "x−3"]


def test_signals_and_their_order_are_the_api_s():
    assert list(said("lstm", "id")) == ["f", "i", "g", "o", "c", "h"]
    assert list(said("gru", "id")) == ["r", "z", "n", "h"]
    assert all(list(said(cell, "id")) == ["h"] for cell in ("elman", "feedforward", "tdnn"))
    assert set(said("peephole", "id")) == {"f", "i", "o", "g", "c", "h"}


def test_ranges_are_what_a_signal_can_reach():
    assert said("lstm", "range") == {
        "f": [0, 1], "i": [0, 1], "g": [-1, 1], "o": [0, 1], "c": None, "h": [-1, 1],
    }  # fmt: skip
    assert said("gru", "range")["h"] == [-1, 1]
    relu = cells()["elman"].with_options(("nonlinearity", "relu"))
    assert describe(relu)["signals"][0]["range"] is None


@pytest.mark.parametrize(
    ("cell", "state", "road"), [("lstm", "c", True), ("lstm", "h", False), ("gru", "h", True), ("elman", "h", False)]
)
def test_a_road_is_a_memory_that_nothing_squashes(cell, state, road):
    assert is_road(cells()[cell], state) is road


def test_what_a_signal_reads_is_named():
    assert said("gru", "reads")["n"] == ["x", "r", "h_prev"]
    assert said("lstm", "reads")["c"] == ["f", "c_prev", "i", "g"]
    assert said("lstm", "role") == {"f": "gate", "i": "gate", "g": "candidate", "o": "gate", "c": "state", "h": "state"}


def test_a_summary_is_a_whole_sentence():
    for cell in cells().values():
        assert describe(cell)["summary"].endswith(".")


def test_a_memory_that_leaks_is_bounded_by_what_comes_in_and_one_that_does_not_is_not():
    class Leaky(Cell):
        id, title, states, kept = "leaky", "Leaky", ("h",), 0.75

        def step(self, x, h):
            """One step."""
            return self.kept * h + 0.5 * self.candidate("g", x, h)

    leaking = {signal["id"]: signal["range"] for signal in describe(Leaky)["signals"]}
    assert leaking == {"g": [-1, 1], "h": [-2, 2]}
    adding = {signal["id"]: signal["range"] for signal in describe(type("Adding", (Leaky,), {"kept": 1}))["signals"]}
    assert adding == {"g": [-1, 1], "h": None}
