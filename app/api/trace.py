"""What a network does while it reads, forwards and backwards: as an event stream or as a file."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from gatescope.app.api.fields import FileBody, FileQuery, StreamBody, StreamQuery
from gatescope.app.api.resolve import answered, asked
from gatescope.app.http.encoding import as_safetensors, event_stream, json_response
from gatescope.app.networks.catalog import chosen_signals
from gatescope.models.inspection.trace import Trace, stream, trace
from gatescope.models.network.network import Network

router = APIRouter(prefix="/api", tags=["trace"])
STREAM = {200: {"description": "`begin`, `forward` …, `backward` …, `end`", "content": {"text/event-stream": {}}}}
FILE = {200: {"description": "A safetensors file", "content": {"application/octet-stream": {}}}}
JSON = {200: {"description": "metadata and tensors", "content": {"application/json": {}}}}


def options_of(network: Network, fields: FileQuery | FileBody) -> dict:
    """How a trace is to be made."""
    options = {"loss": fields.loss, "backward": fields.backward, "precision": fields.precision}
    return options | {"signals": chosen_signals(network, fields.signals)}


def traced(request: Request, fields: FileQuery | FileBody) -> Trace:
    """The whole trace that was asked for."""
    network, inputs, given = asked(request, fields)
    return answered(fields, trace, network, inputs, **given, **options_of(network, fields))


def streamed(request: Request, fields: StreamQuery | StreamBody) -> StreamingResponse:
    """The trace that was asked for as an event stream."""
    network, inputs, given = asked(request, fields)
    events = answered(fields, stream, network, inputs, **given, **options_of(network, fields))
    return event_stream(events, fields.encoding)


def file_response(found: Trace) -> Response:
    """A trace as a safetensors file."""
    name = f"{found.metadata['model']}.trace.safetensors"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    content = as_safetensors(found.tensors, found.metadata)
    return Response(content, media_type="application/octet-stream", headers=headers)


def lists_response(found: Trace) -> Response:
    """A trace as JSON lists."""
    return json_response({"metadata": found.metadata, "tensors": found.tensors})


@router.get("/trace", responses=STREAM)
def stream_trace(request: Request, query: Annotated[StreamQuery, Query()]) -> StreamingResponse:
    """Read a text, or numbers: events `begin`, `forward` in rising t, `backward` in falling t, `end`."""
    return streamed(request, query)


@router.post("/trace", responses=STREAM)
def stream_posted_trace(request: Request, body: StreamBody) -> StreamingResponse:
    """Read a longer text, tokens, or numbers: the same events."""
    return streamed(request, body)


@router.get("/trace.safetensors", responses=FILE)
def trace_file(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """Read a text, or numbers: everything recorded, as tensors in a file."""
    return file_response(traced(request, query))


@router.post("/trace.safetensors", responses=FILE)
def posted_trace_file(request: Request, body: FileBody) -> Response:
    """Read a longer text, tokens, or numbers: everything recorded, as tensors in a file."""
    return file_response(traced(request, body))


@router.get("/trace.json", responses=JSON)
def trace_lists(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """Read a text, or numbers: everything recorded, as JSON lists."""
    return lists_response(traced(request, query))


@router.post("/trace.json", responses=JSON)
def posted_trace_lists(request: Request, body: FileBody) -> Response:
    """Read a longer text, tokens, or numbers: everything recorded, as JSON lists."""
    return lists_response(traced(request, body))
