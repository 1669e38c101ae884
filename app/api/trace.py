"""What a network does while it reads, forwards and backwards: as an event stream or as a file."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from gatescope.app.api.answers import answer
from gatescope.app.api.fields import FileBody, FileQuery, StreamBody, StreamQuery
from gatescope.app.api.resolve import compute, resolve_inputs
from gatescope.app.http.encoding import as_safetensors, download, event_stream, json_response
from gatescope.app.networks.inputs import signal_names
from gatescope.models.inspection.trace import Trace, stream, trace

router = APIRouter(prefix="/api", tags=["trace"])
STREAM = answer("`begin`, `forward` …, `backward` …, `end`", "text/event-stream")
FILE = answer("A safetensors file", "application/octet-stream")
JSON = answer("metadata and tensors")


def options_of(fields: FileQuery | FileBody) -> dict[str, Any]:
    """How a trace is to be made."""
    signals = signal_names(fields.signals)
    return {"loss": fields.loss, "backward": fields.backward, "precision": fields.precision, "signals": signals}


def whole_trace(request: Request, fields: FileQuery | FileBody) -> Trace:
    """The whole trace of what a request says."""
    network, inputs, options = resolve_inputs(request, fields)
    return compute(fields, trace, network, inputs, **options, **options_of(fields))


def streamed(request: Request, fields: StreamQuery | StreamBody) -> StreamingResponse:
    """The trace of what a request says, as an event stream."""
    network, inputs, options = resolve_inputs(request, fields)
    events = compute(fields, stream, network, inputs, **options, **options_of(fields))
    return event_stream(events, fields.encoding)


def file_response(whole: Trace) -> Response:
    """A trace as a safetensors file."""
    return download(as_safetensors(whole.tensors, whole.metadata), f"{whole.metadata['model']}.trace.safetensors")


def lists_response(whole: Trace) -> Response:
    """A trace as JSON lists."""
    return json_response({"metadata": whole.metadata, "tensors": whole.tensors})


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
    return file_response(whole_trace(request, query))


@router.post("/trace.safetensors", responses=FILE)
def posted_trace_file(request: Request, body: FileBody) -> Response:
    """Read a longer text, tokens, or numbers: everything recorded, as tensors in a file."""
    return file_response(whole_trace(request, body))


@router.get("/trace.json", responses=JSON)
def trace_lists(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """Read a text, or numbers: everything recorded, as JSON lists."""
    return lists_response(whole_trace(request, query))


@router.post("/trace.json", responses=JSON)
def posted_trace_lists(request: Request, body: FileBody) -> Response:
    """Read a longer text, tokens, or numbers: everything recorded, as JSON lists."""
    return lists_response(whole_trace(request, body))
