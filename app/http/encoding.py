"""How arrays and events travel: base64 of little-endian float16, JSON lists, server-sent events, safetensors."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import orjson
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, format_sse_event
from safetensors.numpy import save

Encoding = Literal["float16", "json"]
BYTES = "application/octet-stream"
QUOTED = str.maketrans({'"': r"\"", "\\": r"\\"})  # what a name in quotation marks cannot hold as it is
NO_BUFFERING = {"X-Accel-Buffering": "no"}


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


def server_sent(events: Iterable[tuple[str, Mapping[str, Any]]], encoding: Encoding) -> Iterator[bytes]:
    """(name, data) pairs as server-sent events."""
    for name, data in events:
        yield format_sse_event(event=name, data_str=to_json(data, encoding).decode())


def event_stream(events: Iterable[tuple[str, Mapping[str, Any]]], encoding: Encoding) -> EventSourceResponse:
    """(name, data) pairs as an event stream; each is computed in a worker thread when the one before has been sent."""
    return EventSourceResponse(server_sent(events, encoding), headers=NO_BUFFERING)


def json_response(value: Any, status: int = 200) -> Response:
    """A value with arrays in it as a JSON response."""
    return Response(to_json(value), status, media_type="application/json")


def download(content: bytes, name: str) -> Response:
    """Bytes as a file of this name to be kept; the name, in any script, as RFC 6266 has it."""
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    if name.isascii() and name.isprintable():
        headers = {"Content-Disposition": f'attachment; filename="{name.translate(QUOTED)}"'}
    return Response(content, media_type=BYTES, headers=headers)


def as_safetensors(tensors: dict[str, np.ndarray], metadata: Mapping[str, Any]) -> bytes:
    """Tensors as the bytes of a safetensors file; metadata that is not text is written as JSON."""
    texts = {key: value if isinstance(value, str) else to_json(value).decode() for key, value in metadata.items()}
    content: bytes = save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, texts)
    return content
