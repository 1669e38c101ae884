"""What a network does while it reads a text, forwards and backwards: as an event stream or as a file."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from app.api.fields import FileBody, FileQuery, StreamBody, StreamQuery
from app.networks import chosen_signals, tokens_of
from app.problems import Problem, of_models
from app.wire import as_safetensors, event_stream, json_response
from models.network import Network
from models.trace import Trace, stream, trace

router = APIRouter(prefix="/api", tags=["trace"])
STREAM = {200: {"description": "`begin`, `forward` …, `backward` …, `end`", "content": {"text/event-stream": {}}}}
FILE = {200: {"description": "A safetensors file", "content": {"application/octet-stream": {}}}}
JSON = {200: {"description": "metadata and tensors", "content": {"application/json": {}}}}


def asked(request: Request, fields: FileQuery | FileBody) -> tuple[Network, list[int], dict]:
    """The network, the tokens and the options of a trace; a Problem where they do not fit each other."""
    settings = request.app.state.settings
    network = request.app.state.networks.get(fields.model)
    if isinstance(fields, FileQuery):
        tokens = tokens_of(network, fields.text, settings.text_limit_get)
    else:
        tokens = body_tokens(network, fields, settings.text_limit_post)
    options = {"loss": fields.loss, "backward": fields.backward, "precision": fields.precision}
    if isinstance(fields, FileBody):
        options["interventions"] = [body.intervention() for body in fields.interventions]
    return network, tokens, options | {"signals": chosen_signals(network, fields.signals)}


def body_tokens(network: Network, body: FileBody, limit: int) -> list[int]:
    """The tokens of a body that holds either a text or tokens."""
    if (body.text is None) == (body.tokens is None):
        raise Problem(("text", "send either text or tokens, one of the two"))
    if body.text is not None:
        return tokens_of(network, body.text, limit)
    if not 1 <= len(body.tokens) <= limit:
        raise Problem(("tokens", f"must hold 1 to {limit:,} tokens; this holds {len(body.tokens):,}"))
    last = network.describe()["vocabulary_size"] - 1
    if max(body.tokens) > last:
        raise Problem(("tokens", f"each must be 0 to {last}"))
    return body.tokens


def traced(request: Request, fields: FileQuery | FileBody) -> Trace:
    """The whole trace that was asked for."""
    network, tokens, options = asked(request, fields)
    try:
        return trace(network, tokens, **options)
    except ValueError as error:
        raise of_models(error) from None


def streamed(request: Request, fields: StreamQuery | StreamBody) -> StreamingResponse:
    """The trace that was asked for as an event stream."""
    network, tokens, options = asked(request, fields)
    try:
        events = stream(network, tokens, **options)
    except ValueError as error:
        raise of_models(error) from None
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
    """Read a text: events `begin`, `forward` in rising t, `backward` in falling t, `end`."""
    return streamed(request, query)


@router.post("/trace", responses=STREAM)
def stream_posted_trace(request: Request, body: StreamBody) -> StreamingResponse:
    """Read a longer text, or tokens: the same events."""
    return streamed(request, body)


@router.get("/trace.safetensors", responses=FILE)
def trace_file(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """Read a text: everything recorded, as tensors in a file."""
    return file_response(traced(request, query))


@router.post("/trace.safetensors", responses=FILE)
def posted_trace_file(request: Request, body: FileBody) -> Response:
    """Read a longer text, or tokens: everything recorded, as tensors in a file."""
    return file_response(traced(request, body))


@router.get("/trace.json", responses=JSON)
def trace_lists(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """Read a text: everything recorded, as JSON lists."""
    return lists_response(traced(request, query))


@router.post("/trace.json", responses=JSON)
def posted_trace_lists(request: Request, body: FileBody) -> Response:
    """Read a longer text, or tokens: everything recorded, as JSON lists."""
    return lists_response(traced(request, body))
