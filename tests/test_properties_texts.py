"""Whatever a text, a file of lessons or an address holds, it is read or refused with one sentence, in time and memory
that follow its length.
"""

import json

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from gatescope.app.http.problems import Problem
from gatescope.app.networks.inputs import inputs_of, targets_of
from gatescope.app.networks.text_decoding import decoded, read_text
from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from gatescope.models.network.task import GIVES, PATTERNS, READS, Task
from gatescope.models.refused import Refused
from gatescope.models.training.dataset import ExampleDataset
from gatescope.models.training.examples import dump_dataset
from tests.searched import CHARACTERS, JSON, NUMBERS, TEXTS, WHOLE, bounded, is_sentence, searched

HEADS = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "reads": st.sampled_from(READS),
            "gives": st.sampled_from(GIVES),
            "pattern": st.sampled_from(PATTERNS),
            "labels": st.lists(st.sampled_from(["a", "b", "1", "True", "1.0"]), max_size=3, unique=True),
        },
    ),
    JSON,
)
FEW = st.sampled_from(["a", "b", "ab", "a b", 0, 1, 1.0, 2.5, True, -1])
ROWS = st.lists(st.lists(st.sampled_from([0, 1, 0.5]), min_size=1, max_size=2), max_size=3)
LESSONS = st.one_of(
    st.fixed_dictionaries(
        {"input": st.one_of(TEXTS, st.lists(NUMBERS, max_size=4), ROWS, JSON)},
        optional={"target": st.one_of(FEW, st.lists(FEW, max_size=4), ROWS, JSON), "asks": st.lists(WHOLE, max_size=3)},
    ),
    JSON,
)


def check(text: str) -> None:
    """A file of lessons is read into rows that fit each other, or refused."""
    try:
        with bounded(len(text.encode("utf-8", "surrogatepass"))):
            found = ExampleDataset(text)
    except Refused as refused:
        assert refused.field == "text" and is_sentence(refused)
        return
    steps = [len(row.inputs) for row in found.rows]
    assert len(steps) == found.size >= 2 and max(steps) == found.longest and min(steps) >= 1
    together = found.side_by_side(range(found.size))
    for number, row in enumerate(found.rows):
        assert len(row.inputs) == len(row.targets) == len(row.asked)
        np.testing.assert_array_equal(together.inputs[: len(row.inputs), number], row.inputs)
    limit = len(found.vocabulary) if not found.channels else found.channels
    assert together.inputs.max() < limit or found.channels


@searched
@given(HEADS, st.lists(LESSONS, max_size=5))
def test_any_lessons(head, lessons):
    check("\n".join([json.dumps({"lessons": head}), *map(json.dumps, lessons)]))


@searched
@given(st.text(CHARACTERS, max_size=80), st.integers(0, 60), st.integers(0, 4))
def test_lessons_with_some_characters_changed(instead, place, left_out):
    text = '{"lessons": {}}\n{"input": "ab"}\n{"input": "ba", "asks": [0]}\n'
    check(text[:place] + instead + text[place + left_out :])


@searched
@given(st.lists(st.text(CHARACTERS, min_size=1, max_size=20).filter(str.strip), min_size=2, max_size=5))
def test_texts_come_back_from_a_file_of_lessons(texts):
    texts = [text.encode(errors="replace").decode() for text in texts]
    written = dump_dataset(Task(), [{"input": text} for text in texts], 10)
    assert len(written.splitlines()) == 1 + len(texts)
    found = ExampleDataset(written)
    assert ["".join(found.vocabulary[token] for token in row.inputs) for row in found.rows] == texts


ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-32",
    "utf-16-le",
    "utf-16-be",
    "latin-1",
    "cp1252",
    "cp1251",
    "shift_jis",
]


@searched
@given(st.text(CHARACTERS, max_size=200), st.sampled_from(ENCODINGS), st.binary(max_size=3), st.integers(0, 400))
def test_any_bytes_as_a_text(text, encoding, between, place):
    content = text.encode(encoding, "replace")
    content = content[:place] + between + content[place:]
    try:
        with bounded(len(content), constant=32 * 2**20):
            found = read_text(content, 2000)
    except Problem as problem:
        assert problem.status in (415, 422) and is_sentence(problem)
    else:
        assert found.characters.encode() and found.describe()["characters"] == len(found.characters)


@searched
@given(st.text(CHARACTERS, min_size=1, max_size=200))
@example("\ufeff\ufeffab")
def test_utf_8_is_read_as_it_is(text):
    text = "é☃" + text.encode(errors="replace").decode()
    if "\0" not in text:
        assert decoded(text.encode()).characters == text.replace("\r\n", "\n")


GRU = cells()["gru"]
NETWORKS = [
    untrained(GRU, 1, 2, [*"ab1;,"]),
    untrained(GRU, 1, 2, ["the", "wolf"], task=Task("words", "classes", "many-to-one", ("a", "b;c")), outputs=2),
    untrained(GRU, 1, 2, [], task=Task("values", "classes", "many-to-many", ("wolf", "1")), channels=2, outputs=2),
    untrained(GRU, 1, 2, [], task=Task("values", "next"), channels=1),
    untrained(GRU, 1, 2, [*"ab"], task=Task("characters", "values", "one-to-many", steps=5), outputs=2),
]
LIMIT = 50
IN_ADDRESS = st.one_of(st.none(), st.text(st.sampled_from("0123456789.,;+-eE_ nai\u0661b"), max_size=30), TEXTS)
IN_BODY = st.one_of(
    st.none(), st.lists(st.one_of(NUMBERS, TEXTS, st.booleans(), st.lists(NUMBERS, max_size=3)), max_size=5)
)


@searched
@given(st.sampled_from(NETWORKS), TEXTS | st.none(), IN_ADDRESS, IN_BODY, st.lists(WHOLE, max_size=5) | st.none())
def test_any_address_and_body(network, text, values, targets, tokens):
    """Whatever was sent, an example of the network or a sentence comes of it."""
    for given_values in (values, targets):
        for target in (values, targets):
            try:
                with bounded(2000):
                    inputs = inputs_of(network, LIMIT, text, tokens, given_values)
                    wanted = targets_of(network, target, LIMIT, "target")
                    found = network.example_of(inputs, wanted)
            except (Problem, Refused) as refused:
                assert is_sentence(refused)
            else:
                assert len(found.inputs) == len(found.targets) <= LIMIT
