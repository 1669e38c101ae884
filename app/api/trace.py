"""What a network does while it reads, forwards and backwards: as an event stream or as a file."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from gatescope.app.api.answers import answer
from gatescope.app.api.computing import computed, computed_pieces, planned
from gatescope.app.api.fields import FileBody, FileQuery, StreamBody, StreamQuery
from gatescope.app.http.encoding import (
    Encoding,
    download,
    json_pieces,
    safetensors_header,
    safetensors_pieces,
    server_sent,
)
from gatescope.app.http.places import address_of
from gatescope.app.http.streams import EventStream
from gatescope.app.networks.inputs import signal_names
from gatescope.models.inspection.price import price_of_stream, price_of_trace
from gatescope.models.inspection.trace import Trace, stream, trace

router = APIRouter(prefix="/api", tags=["trace"])
STREAM = answer("`begin`, `forward` …, `backward` …, `end`", "text/event-stream")
FILE = answer("A safetensors file", "application/octet-stream")
JSON = answer("metadata and tensors")
AT_ONCE = 2**23  # bytes of a file that is not worth writing piece by piece


def options_of(fields: FileQuery | FileBody) -> dict[str, Any]:
    """What of the options of a trace decides its price."""
    return {"backward": fields.backward, "precision": fields.precision, "signals": signal_names(fields.signals)}


def whole_trace(request: Request, fields: FileQuery | FileBody, as_file: bool) -> Response:
    """The whole trace of what a request says, as a safetensors file or as JSON lists."""
    compute = partial(trace.pieces, loss=fields.loss)
    return computed(
        request, fields, price_of_trace, compute, file_response if as_file else lists_response, told=options_of(fields)
    )


def streamed(request: Request, fields: StreamQuery | StreamBody) -> Response:
    """The trace of what a request says, as an event stream."""
    state, compute = request.app.state, partial(events, fields.encoding, loss=fields.loss)
    plan = partial(planned, request, fields, price_of_stream, compute, told=options_of(fields))
    return EventStream(state.streams, computed_pieces(state.places, address_of(request), plan))


def events(encoding: Encoding, *values: Any, **options: Any) -> Iterator[bytes]:
    """The events of a trace as they travel; values and options are those of `stream`. Raises Refused at once."""
    return server_sent(stream(*values, **options), encoding)


def file_response(whole: Trace) -> Response:
    """A trace as a safetensors file."""
    length = len(safetensors_header(whole.tensors, whole.metadata))
    length += sum(array.nbytes for array in whole.tensors.values())
    pieces, name = safetensors_pieces(whole.tensors, whole.metadata), f"{whole.metadata['model']}.trace.safetensors"
    return download(b"".join(pieces), name) if length <= AT_ONCE else download(pieces, name, length)


def lists_response(whole: Trace) -> Response:
    """A trace as JSON lists."""
    return StreamingResponse(json_pieces(whole.tensors, whole.metadata), media_type="application/json")


@router.get("/trace", responses=STREAM)
async def stream_trace(request: Request, query: Annotated[StreamQuery, Query()]) -> Response:
    """Read a text, or numbers: events `begin`, `forward` in rising t, `backward` in falling t, `end`."""
    return streamed(request, query)


@router.post("/trace", responses=STREAM)
async def stream_posted_trace(request: Request, body: StreamBody) -> Response:
    """Read a longer text, tokens, or numbers: the same events."""
    return streamed(request, body)


@router.get("/trace.safetensors", responses=FILE)
async def trace_file(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """Read a text, or numbers: everything recorded, as tensors in a file."""
    return whole_trace(request, query, as_file=True)


@router.post("/trace.safetensors", responses=FILE)
async def posted_trace_file(request: Request, body: FileBody) -> Response:
    """Read a longer text, tokens, or numbers: everything recorded, as tensors in a file."""
    return whole_trace(request, body, as_file=True)


@router.get("/trace.json", responses=JSON)
async def trace_lists(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """Read a text, or numbers: everything recorded, as JSON lists."""
    return whole_trace(request, query, as_file=False)


@router.post("/trace.json", responses=JSON)
async def posted_trace_lists(request: Request, body: FileBody) -> Response:
    """Read a longer text, tokens, or numbers: everything recorded, as JSON lists."""
    return whole_trace(request, body, as_file=False)
