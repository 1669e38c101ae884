"""Answers of usual kinds."""

from collections.abc import AsyncIterable, Iterable
from typing import Any
from urllib.parse import quote

from fastapi.responses import Response, StreamingResponse

from gatescope.app.http.encoding import BYTES, to_json

QUOTED = str.maketrans({'"': r"\"", "\\": r"\\"})  # what a name in quotation marks cannot hold as it is
NO_BUFFERING = {"X-Accel-Buffering": "no"}


def json_response(value: Any, status: int = 200) -> Response:
    """A value with arrays in it as a JSON response."""
    return Response(to_json(value), status, media_type="application/json")


def download(content: bytes | Iterable[bytes] | AsyncIterable[bytes], name: str, length: int | None = None) -> Response:
    """Bytes, or pieces of `length` bytes together, as a file of this name to be kept; the name, in any script, as RFC
    6266 has it.
    """
    name = "".join(character if character.isprintable() else "_" for character in name)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    if name.isascii() and name.isprintable():
        headers = {"Content-Disposition": f'attachment; filename="{name.translate(QUOTED)}"'}
    if isinstance(content, bytes):
        return Response(content, media_type=BYTES, headers=headers)
    if length is not None:
        headers["Content-Length"] = str(length)
    return StreamingResponse(content, media_type=BYTES, headers=headers)
