"""What a network does while it reads, forwards and backwards: as an event stream or as a file."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gatescope.app.api.answers import answer
from gatescope.app.api.computing import computed, planned, streamed
from gatescope.app.api.fields import FileBody, FileQuery, StreamBody, StreamQuery
from gatescope.app.calculators.tasks import Written, as_file, as_lists, events
from gatescope.app.networks.inputs import signal_names
from gatescope.models.inspection.price import price_of_stream, price_of_trace
from gatescope.models.inspection.trace import Trace, stream, trace

router = APIRouter(prefix="/api", tags=["trace"])
STREAM = answer("`begin`, `forward` …, `backward` …, `end`", "text/event-stream")
FILE = answer("A safetensors file", "application/octet-stream")
JSON = answer("metadata and tensors")


def options_of(fields: FileQuery | FileBody) -> dict[str, Any]:
    """What of the options of a trace decides its price."""
    return {"backward": fields.backward, "precision": fields.precision, "signals": signal_names(fields.signals)}


def whole_trace(request: Request, fields: FileQuery | FileBody, write: Callable[[Trace], Written]) -> Response:
    """The whole trace of what a request says, as a safetensors file or as JSON lists."""
    return computed(request, fields, price_of_trace, trace, write, told=options_of(fields), loss=fields.loss)


def events_of(request: Request, fields: StreamQuery | StreamBody) -> Response:
    """The trace of what a request says, as an event stream."""
    task, told = partial(events, stream, fields.encoding), options_of(fields)
    return streamed(request, partial(planned, request, fields, price_of_stream, task, told=told, loss=fields.loss))


@router.get("/trace", responses=STREAM)
async def stream_trace(request: Request, query: Annotated[StreamQuery, Query()]) -> Response:
    """Read a text, or numbers: events `begin`, `forward` in rising t, `backward` in falling t, `end`."""
    return events_of(request, query)


@router.post("/trace", responses=STREAM)
async def stream_posted_trace(request: Request, body: StreamBody) -> Response:
    """Read a longer text, tokens, or numbers: the same events."""
    return events_of(request, body)


@router.get("/trace.safetensors", responses=FILE)
async def trace_file(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """Read a text, or numbers: everything recorded, as tensors in a file."""
    return whole_trace(request, query, as_file)


@router.post("/trace.safetensors", responses=FILE)
async def posted_trace_file(request: Request, body: FileBody) -> Response:
    """Read a longer text, tokens, or numbers: everything recorded, as tensors in a file."""
    return whole_trace(request, body, as_file)


@router.get("/trace.json", responses=JSON)
async def trace_lists(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """Read a text, or numbers: everything recorded, as JSON lists."""
    return whole_trace(request, query, as_lists)


@router.post("/trace.json", responses=JSON)
async def posted_trace_lists(request: Request, body: FileBody) -> Response:
    """Read a longer text, tokens, or numbers: everything recorded, as JSON lists."""
    return whole_trace(request, body, as_lists)
