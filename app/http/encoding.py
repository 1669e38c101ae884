"""How arrays and events travel: base64 of little-endian float16, JSON lists, server-sent events, safetensors; what is
large is written piece by piece, so that nobody holds it whole.
"""

import base64
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
import orjson

Encoding = Literal["float16", "json"]
BYTES = "application/octet-stream"
PIECE = 2**18  # bytes that are made at once, about
A_NUMBER = 16  # characters of one in JSON, about
DTYPES = {"float32": "F32", "float64": "F64"}  # as safetensors calls them
# what would turn a page around where its source is looked at
INVISIBLE = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
LENGTH = 8  # bytes in which such a file says how long its header is
Tensors = Mapping[str, np.ndarray]


def packed(value: Any) -> Any:
    """An array as base64 of its float16 values, row after row; a NumPy number as a plain one."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        with np.errstate(over="ignore"):  # what is too large for float16 becomes an infinity, as it should
            return base64.b64encode(value.astype("<f2").tobytes()).decode()
    raise TypeError(f"{type(value).__name__} cannot be put into an event")


def listed(value: Any) -> Any:
    """An array that orjson cannot write directly, as nested lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be put into JSON")


def to_json(value: Any, encoding: Encoding = "json") -> bytes:
    """A value as JSON, its arrays as base64 of float16 or as nested lists (NaN and infinity are null)."""
    if encoding == "float16":
        return orjson.dumps(value, packed)
    return orjson.dumps(value, listed, orjson.OPT_SERIALIZE_NUMPY)


def json_in_html(content: Any) -> str:
    """JSON that may stand inside a script element; its arrays are base64 of float16."""
    text = to_json(content, "float16").replace(b"<", rb"\u003c").decode()
    return INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def server_sent(events: Iterable[tuple[str, Mapping[str, Any]]], encoding: Encoding) -> Iterator[bytes]:
    """(name, data) pairs as server-sent events. JSON has no line ends, which FastAPI's own function would look for in
    megabytes of base64.
    """
    for name, data in events:
        yield b"event: %s\ndata: %s\n\n" % (name.encode(), to_json(data, encoding))


def safetensors_header(tensors: Tensors, metadata: Mapping[str, Any]) -> bytes:
    """What a safetensors file of these tensors, in the order of their names, begins with; metadata that is not text is
    written as JSON.
    """
    texts = {key: value if isinstance(value, str) else to_json(value).decode() for key, value in metadata.items()}
    entries: dict[str, Any] = {"__metadata__": dict(sorted(texts.items()))}
    end = 0
    for name, array in sorted(tensors.items()):
        begin, end = end, end + array.nbytes
        entries[name] = {"dtype": DTYPES[array.dtype.name], "shape": array.shape, "data_offsets": [begin, end]}
    header = orjson.dumps(entries)
    header += b" " * (-len(header) % LENGTH)  # so that the numbers are aligned
    return len(header).to_bytes(LENGTH, "little") + header


def safetensors_pieces(tensors: Tensors, metadata: Mapping[str, Any]) -> Iterator[bytes]:
    """A safetensors file piece by piece."""
    yield safetensors_header(tensors, metadata)
    for _, array in sorted(tensors.items()):
        for rows in _pieces_of(array, array.itemsize):
            yield rows.tobytes()


def json_pieces(tensors: Tensors, metadata: Mapping[str, Any]) -> Iterator[bytes]:
    """`{"metadata": …, "tensors": {name: lists}}` piece by piece."""
    yield b'{"metadata":' + to_json(metadata) + b',"tensors":{'
    for number, (name, array) in enumerate(tensors.items()):
        yield (b"," if number else b"") + to_json(name) + b":["
        for first, rows in enumerate(_pieces_of(array, A_NUMBER)):
            yield (b"," if first else b"") + to_json(np.ascontiguousarray(rows))[1:-1]
        yield b"]"
    yield b"}}"


def _pieces_of(array: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """As many rows of an array at a time as make a piece, where a number takes so many bytes."""
    rows = max(1, PIECE // max(1, size * math.prod(array.shape[1:])))
    for first in range(0, len(array), rows):
        yield array[first : first + rows]
