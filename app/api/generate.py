"""A network writing on."""

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from gatescope.app.api.answers import answer
from gatescope.app.api.fields import GenerateBody
from gatescope.app.http.encoding import event_stream
from gatescope.app.networks.inputs import tokens_of
from gatescope.app.networks.shown import network_for
from gatescope.models.inspection.generate import generate

router = APIRouter(prefix="/api", tags=["generate"])
STREAM = answer("`begin`, `forward`, `character` …, `end`", "text/event-stream")


@router.post("/generate", responses=STREAM)
def stream_generation(request: Request, body: GenerateBody) -> StreamingResponse:
    """Continue a text: events `begin`, `forward` (the prompt), `character` for each one written, `end`."""
    network = network_for(request, body.model)
    prompt = tokens_of(network, body.prompt, request.app.state.settings.text_limit_post, "prompt")
    interventions = [each.intervention() for each in body.interventions]
    events = generate(network, prompt, body.length, body.temperature, body.top_k, body.seed, interventions)
    return event_stream(events, body.encoding)
