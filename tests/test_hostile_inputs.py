"""What an address or a body gives a network to read, and texts in any bytes, made to hurt."""

import time
from collections.abc import Callable

import httpx
import numpy as np
import pytest

from gatescope.app.http.problems import Problem
from gatescope.app.networks.inputs import inputs_of, rows_of, targets_of
from gatescope.app.networks.text_decoding import LISTENED, read_text
from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from gatescope.models.network.task import Task
from gatescope.models.refused import Refused
from tests.service import errors_of

GRU = cells()["gru"]
VALUES = untrained(GRU, 1, 4, [], task=Task("values", "classes", "many-to-one", ("wolf", "dog")), channels=2, outputs=2)
REGRESSION = untrained(GRU, 1, 4, [*"ab"], task=Task("characters", "values"), outputs=2)
LIMIT = 2000


@pytest.mark.parametrize("number", ["1_000", "١٢", "１", "0x1", "1e", "", " ", "½", "−1", "n"])
def test_a_number_is_written_in_digits(number):
    with pytest.raises(Problem, match="must be steps of 2 numbers each"):
        inputs_of(VALUES, LIMIT, values=f"{number},1")
    with pytest.raises(Problem, match="target: must be steps of"):
        targets_of(REGRESSION, f"{number},1", LIMIT, "target")


@pytest.mark.parametrize("text", ["1, 2", "+1,-2.5e-3", ".5,1.", "1,2\n"])
def test_usual_ways_to_write_one_stay(text):
    assert len(rows_of(text, "values", 2)[0]) == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (";" * 10**6, "this has 1,000,001"),
        ("," * 10**6, "must be steps of 2"),
        ("1" * 10**6 + ",1", "between -1,000,000 and 1,000,000"),
        ("1e" + "9" * 10**6 + ",1", "between -1,000,000 and 1,000,000"),
        ("-" * 10**6, "must be steps of 2"),
        ("1;" * 1999 + "1", "must be steps of 2"),
        ("1,2;1", "must be steps of 2"),
        ("e" * 10**6, "must be steps of 2"),
    ],
    ids=range(8),
)
def test_an_address_of_any_length_is_read_at_once(values, words):
    began = time.monotonic()
    with pytest.raises((Problem, Refused), match=words):
        VALUES.example_of(inputs_of(VALUES, LIMIT, values=values))
    with pytest.raises((Problem, Refused)):
        VALUES.example_of([[0.0, 0.0]], targets_of(VALUES, values, LIMIT, "target"))
    assert time.monotonic() - began < 10


BODIES = [
    {"values": []},
    {"values": [[]]},
    {"values": [[1]]},
    {"values": [[1, 2], [1]]},
    {"values": [[[1, 2]]]},
    {"values": [["1", "2"]]},
    {"values": [[True, 1]]},
    {"values": [[None, 1]]},
    {"values": [[1e7, 1]]},
    {"values": "1,2"},
    {"values": {}},
    {"values": [[10**30, 1]]},
    {"values": [[1, 2]], "targets": []},
    {"values": [[1, 2]], "targets": [[]]},
    {"values": [[1, 2]], "targets": [[1, 2]]},
    {"values": [[1, 2]], "targets": ["cat"]},
    {"values": [[1, 2]], "targets": [2]},
    {"values": [[1, 2]], "targets": [-1]},
    {"values": [[1, 2]], "targets": [10**30]},
    {"values": [[1, 2]], "targets": [True]},
    {"values": [[1, 2]], "targets": [1.0]},
    {"values": [[1, 2]], "targets": ["1" * 400]},
    {"values": [[1, 2]], "targets": ["١"]},
    {"values": [[1, 2]], "targets": ["wolf", "dog"]},
    {"values": [[1, 2]], "targets": "wolf"},
    {"tokens": [1]},
    {"text": "ab"},
    {},
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("path", ["trace", "trace.json", "verification"])
def test_a_body_of_any_shape_is_answered(client, body, path):
    response = client.post(f"/api/{path}", json={"model": "small-classes"} | body)
    assert response.status_code in (200, 422), response.text
    if response.status_code == 422:
        assert all(said.isprintable() and len(said) < 1100 for said in errors_of(response).values())


@pytest.mark.parametrize(
    "query", ["values=%00", "values=%ed%a0%80", "values=1,2&target=%ed%a0%80", "text=%ff&values=1"]
)
@pytest.mark.parametrize("path", ["/api/trace", "/", "/embed/gates"])
def test_bytes_that_are_no_text_in_an_address_are_answered(client, query, path):
    url = httpx.URL(client.base_url).copy_with(raw_path=f"{path}?model=small-classes&{query}".encode())
    assert client.get(url).status_code in (200, 422)


MIB = 2**20
RUSSIAN = "Привет, как дела? Это длинный текст о погоде и о людях. ".encode("cp1251")
TEXTS: dict[str, Callable[[], bytes]] = {
    "high bytes": lambda: np.random.default_rng(0).integers(128, 256, 2 * MIB, np.uint8).tobytes(),
    "one byte": lambda: b"\xff" * 2 * MIB,
    "guessed, then otherwise": lambda: RUSSIAN * (2 * LISTENED // len(RUSSIAN)) + b"\x98",
    "half at the end": lambda: b"ab " * (MIB // 2) + b"\xed\xa0\x80",
    "half of UTF-16": lambda: b"\xff\xfe" + b"a\0" * MIB + b"\x00\xd8",
    "broken at the end": lambda: "Это текст".encode() * (MIB // 8) + b"\xd0\xffa",
    "many controls": lambda: b"\x01\xff" * MIB,
    "undefined": lambda: "Voilà un été “".encode("cp1252") * (MIB // 8) + b"\x81",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_bytes_of_any_kind_are_text_or_refused_at_once(kind):
    content, began = TEXTS[kind](), time.monotonic()
    with pytest.raises(Problem) as caught:
        read_text(content, 2000)
    assert caught.value.status in (415, 422) and str(caught.value).isprintable() and time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("encoding", "language"), [("cp1251", RUSSIAN.decode("cp1251")), ("shift_jis", "これは日本語の文章です。")]
)
@pytest.mark.parametrize("apart", ["\n", ""])
def test_a_long_text_is_recognised_by_its_beginning(encoding, language, apart):
    content = ((language + apart).encode(encoding) * (LISTENED // 20))[: 2 * LISTENED]
    while True:
        try:
            expected = content.decode(encoding)
            break
        except UnicodeDecodeError:
            content = content[:-1]
    assert read_text(content, 2000).characters == expected.replace("\r\n", "\n")
