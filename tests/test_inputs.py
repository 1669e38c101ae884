"""What a person gives a network: texts, tokens, numbers and targets, checked against it."""

import pytest

from gatescope.app.http.problems import Problem
from gatescope.app.networks.catalog import Networks
from gatescope.app.networks.inputs import format_rows, inputs_of, signal_names, targets_of, tokens_of
from gatescope.models.cells import cells
from gatescope.models.formats.torch_module import recognise
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import untrained
from gatescope.models.network.task import Task
from gatescope.models.refused import Refused
from tests.foreign import Theirs

GRU = cells()["gru"]
KINDS = ("calm", "wave;s", "2", "spike")
WORDS = untrained(GRU, 1, 4, ["the", "wolf", "a", "extraordinarily"], task=Task("words"))
CLASSES = untrained(GRU, 1, 4, [], task=Task("values", "classes", "many-to-one", KINDS), channels=2, outputs=4)
TAGS = untrained(GRU, 1, 4, [*"ab"], task=Task("characters", "classes"), outputs=3)
UNREAD, _ = recognise(Theirs("gru", readout=False).saved())
NUMBERS = untrained(GRU, 1, 4, [*"ab"], task=Task("characters", "values"), outputs=2)


@pytest.mark.parametrize("text", ["", "x" * 11])
def test_text_length_is_bounded(data, text):
    with pytest.raises(Problem, match=f"prompt: must have 1 to 10 characters; this has {len(text)}"):
        tokens_of(Networks(data).get("small-lstm"), text, 10, "prompt")


def test_unknown_characters_are_named(data):
    with pytest.raises(Problem, match=r"text: the network has never seen é \(U\+00E9\), ☃ \(U\+2603\)"):
        tokens_of(Networks(data).get("small-lstm"), "no é, no ☃, no é", 100)


def test_a_text_of_words_is_cut_at_its_spaces_and_unknown_words_are_named():
    assert inputs_of(WORDS, 100, text=" the  wolf\na ") == [0, 1, 2]
    with pytest.raises(Problem, match=r"text: the network has never seen \\x00mad, b \(U\+0062\), bear; ") as caught:
        tokens_of(WORDS, "a bear \0mad b bear", 100)
    assert "\0" not in str(caught.value)
    with pytest.raises(Problem, match="text: must have a word"):
        tokens_of(WORDS, " \n ", 100)
    with pytest.raises(Problem, match="…"):
        tokens_of(WORDS, "x" * 99, 100)


def test_numbers_are_read_from_an_address_or_a_body():
    rows = [[0.1, -2.0], [3e-5, 4.0]]
    assert inputs_of(CLASSES, 9, values="0.1,-2;3e-5, 4") == inputs_of(CLASSES, 9, values=rows) == rows
    assert inputs_of(CLASSES, 9, values=format_rows(rows)) == rows


@pytest.mark.parametrize("values", ["", "0.1,0.2;", "a,b"])
def test_what_is_no_list_of_numbers_is_refused(values):
    with pytest.raises(Problem, match="values: must be steps of 2 numbers each, with , between numbers and ; between"):
        inputs_of(CLASSES, 9, values=values)


@pytest.mark.parametrize("values", ["0.1", "0.1,0.2,0.3", "nan,0", "inf,1", "1e999,0", "0.1;0.2", "0.1,0.2;0.3"])
def test_numbers_that_do_not_fit_are_refused(values):
    with pytest.raises(Refused, match="values: must be (steps of 2 numbers each|numbers between)"):
        CLASSES.example_of(inputs_of(CLASSES, 9, values=values))


@pytest.mark.parametrize(
    ("network", "given", "said"),
    [
        (CLASSES, {"text": "ab"}, "text: this network reads numbers: send values alone, steps of 2 numbers each"),
        (CLASSES, {"tokens": [1], "values": [[1, 2]]}, "tokens: this network reads numbers"),
        (CLASSES, {}, "values: this network reads numbers"),
        (CLASSES, {"values": []}, "values: must have 1 to 9 steps; this has 0"),
        (CLASSES, {"values": [[1, 2]] * 10}, "values: must have 1 to 9 steps; this has 10"),
        (WORDS, {"values": "1,2"}, "values: this network reads words, no numbers: send text or tokens"),
        (WORDS, {}, "text: send either text or tokens"),
        (WORDS, {"text": "a", "tokens": [1]}, "text: send either text or tokens"),
        (WORDS, {"tokens": []}, "tokens: must hold 1 to 9 tokens"),
    ],
)
def test_only_what_the_network_reads_is_taken(network, given, said):
    with pytest.raises(Problem, match=said):
        inputs_of(network, 9, **given)
    if network is CLASSES:
        with pytest.raises(Problem, match="prompt: this network reads no text: send values"):
            tokens_of(network, "ab", 9, "prompt")


@pytest.mark.parametrize("tokens", [[4], [-1], [2**70], [0.5, "x"], [[1]]])
def test_tokens_that_there_are_not_are_refused(tokens):
    with pytest.raises(Refused, match="tokens: "):
        WORDS.example_of(inputs_of(WORDS, 9, tokens=tokens))


@pytest.mark.parametrize(
    ("network", "targets", "found"),
    [
        (CLASSES, "calm", [0]),
        (CLASSES, "wave;s", [1]),  # a label as a whole goes before the steps of an address
        (CLASSES, "2", [2]),  # a label goes before a number
        (CLASSES, "3", [3]),
        (CLASSES, ["spike"], [3]),
        (CLASSES, [1], [1]),
        (TAGS, "0;2;1", [0, 2, 1]),
        (TAGS, ["0", 2], [0, 2]),
        (WORDS, "wolf;a", [1, 2]),
        (NUMBERS, "0.5,1;2,3", [[0.5, 1], [2, 3]]),
        (NUMBERS, [[0.5, 1]], [[0.5, 1]]),
        (NUMBERS, None, None),
    ],
)
def test_targets_are_labels_or_numbers(network, targets, found):
    taken = targets_of(network, targets, 9, "target")
    if found is None:
        assert taken is None
    else:
        steps = len(found) + (network.task.gives == "next")
        inputs = [[0.0, 0.0]] if network.channels else [0] * steps
        assert network.example_of(inputs, taken).targets[: len(found)].tolist() == found


@pytest.mark.parametrize(
    ("network", "targets", "said"),
    [
        (CLASSES, "storm", "calm, wave;s, 2, spike or a number from 0 to 3"),
        (CLASSES, "4", "a number from 0 to 3"),
        (CLASSES, [-1], "a number from 0 to 3"),
        (CLASSES, [[0.5]], "a number from 0 to 3"),
        (CLASSES, "9" * 5000, "a number from 0 to 3"),
        (TAGS, "a", "each must be a number from 0 to 2"),
        (TAGS, ";".join("0" * 10), "at most 9 steps; this has 10"),
        (NUMBERS, "1;2", "steps of 2 numbers each"),
        (NUMBERS, "1,2;", "with , between numbers and ; between steps"),
        (UNREAD, [0], "no readout"),
        (NUMBERS, [[1, 2]] * 10, "at most 9 steps"),
    ],
)
def test_targets_that_do_not_fit_are_refused(network, targets, said):
    with pytest.raises((Problem, Refused), match="target") as caught:
        network.example_of([[0.0, 0.0]] if network.channels else [0], targets_of(network, targets, 9, "target"))
    assert said in str(caught.value)


def test_signals_are_named_with_commas_or_in_a_list():
    assert signal_names(None) is None and signal_names("z,h") == signal_names(["z", "h"]) == ["z", "h"]
    assert "layer0.z" in trace(WORDS, [0, 1], signals=signal_names("z,h")).tensors
    for wrong in ("", "f", "z,,h", []):
        with pytest.raises(Refused, match="signals: must be one of r, z, n, h"):
            trace(WORDS, [0, 1], signals=signal_names(wrong))
