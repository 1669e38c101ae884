import base64

import numpy as np
import orjson
import pytest
from safetensors.numpy import load

from gatescope.app.http.encoding import safetensors_pieces, server_sent, to_json


def test_float16_is_little_endian_row_after_row():
    values = np.array([[1.5, -2.0], [np.nan, np.inf], [1e9, 0.1]], np.float64).T
    read = np.frombuffer(base64.b64decode(orjson.loads(to_json(values, "float16"))), "<f2")
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(read, values.astype(np.float16).ravel())


def test_lists_keep_every_digit_and_write_null_for_what_json_has_no_word_for():
    values = np.array([[0.1, np.nan], [np.inf, 2.0]])
    assert orjson.loads(to_json(values)) == [[0.1, None], [None, 2.0]]
    assert orjson.loads(to_json(values.T[:, :1])) == [[0.1], [None]]  # not contiguous
    assert orjson.loads(to_json({"n": np.float32(0.5), "k": np.int64(3)}, "float16")) == {"n": 0.5, "k": 3}


def test_what_is_no_array_is_refused():
    for encoding in ("float16", "json"):
        with pytest.raises(TypeError):
            to_json({"a": object()}, encoding)


def test_an_event_is_one_line_whatever_the_text():
    (event,) = server_sent([("sample", {"text": "data: x\n\nevent: evil"})], "json")
    assert event.decode().split("\n") == ["event: sample", r'data: {"text":"data: x\n\nevent: evil"}', "", ""]


def test_safetensors_hold_arrays_and_metadata():
    array = np.arange(6.0).reshape(2, 3).T
    read = load(b"".join(safetensors_pieces({"a": array}, {"model": "m", "tokens": [1, 2]})))
    np.testing.assert_array_equal(read["a"], array)
