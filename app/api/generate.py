"""A network writing on."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gatescope.app.api.answers import answer
from gatescope.app.api.computing import Work, purse_of, streamed
from gatescope.app.api.fields import GenerateBody
from gatescope.app.calculators.tasks import events
from gatescope.app.networks.inputs import tokens_of
from gatescope.app.networks.shown import network_for
from gatescope.models.inspection.generate import generate
from gatescope.models.inspection.price import price_of_generation
from gatescope.models.refused import refusals_called

router = APIRouter(prefix="/api", tags=["generate"])
STREAM = answer("`begin`, `forward`, `character` …, `end`", "text/event-stream")
SENT = {"tokens": "length"}


def planned_writing(request: Request, body: GenerateBody) -> Work:
    """What is to be written, at which price; a Problem, or Refused, where it cannot be."""
    network = network_for(request, body.model)
    prompt = tokens_of(network, body.prompt, request.app.state.settings.text_limit_post, "prompt")
    interventions = [each.intervention() for each in body.interventions]
    with refusals_called(SENT):
        price = purse_of(request).pay(
            lambda length: price_of_generation(network, len(prompt), length, interventions), body.length
        )
    values = network, prompt, body.length, body.temperature, body.top_k, body.seed, interventions
    return Work(network, price, partial(events, generate, body.encoding, values, {}), {})


@router.post("/generate", responses=STREAM)
async def stream_generation(request: Request, body: GenerateBody) -> Response:
    """Continue a text: events `begin`, `forward` (the prompt), `character` for each one written, `end`."""
    return streamed(request, partial(planned_writing, request, body))
