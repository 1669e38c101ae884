"""Whether the gradients on the page are right."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gatescope.app.api.answers import answer
from gatescope.app.api.fields import VerificationBody, VerificationQuery
from gatescope.app.api.resolve import compute, resolve_inputs
from gatescope.app.http.encoding import json_response
from gatescope.models.inspection.gradient_check import check_gradients

router = APIRouter(prefix="/api", tags=["trace"])
JSON = answer("both slopes and how far they lie apart")


def verified(request: Request, fields: VerificationQuery | VerificationBody) -> Response:
    """The check that was asked for."""
    network, inputs, options = resolve_inputs(request, fields)
    return json_response(compute(fields, check_gradients, network, inputs, fields.loss, **options))


@router.get("/verification", responses=JSON)
def read_verification(request: Request, query: Annotated[VerificationQuery, Query()]) -> Response:
    """The gradient of this network on this text against finite differences, along a random direction of all weights."""
    return verified(request, query)


@router.post("/verification", responses=JSON)
def read_posted_verification(request: Request, body: VerificationBody) -> Response:
    """The same of a longer text, of tokens or numbers, with signals overwritten."""
    return verified(request, body)
