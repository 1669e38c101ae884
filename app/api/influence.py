"""Who influences whom."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gatescope.app.api.answers import answer
from gatescope.app.api.fields import InfluenceBody, InfluenceQuery
from gatescope.app.api.resolve import compute, resolve_inputs
from gatescope.app.http.encoding import json_response
from gatescope.models.inspection.influence import influence

router = APIRouter(prefix="/api", tags=["trace"])
JSON = answer("layer, signal, and a row for each loss")


def mapped(request: Request, fields: InfluenceQuery | InfluenceBody) -> Response:
    """The map that was asked for."""
    network, inputs, options = resolve_inputs(request, fields)
    norms = compute(fields, influence, network, inputs, fields.layer, fields.signal, **options)
    return json_response({"layer": fields.layer, "signal": fields.signal, "influence": norms})


@router.get("/influence", responses=JSON)
def read_influence(request: Request, query: Annotated[InfluenceQuery, Query()]) -> Response:
    """How much the loss of each step (row) depends on what a layer remembered at each step before it (column):
    gradient norms.
    """
    return mapped(request, query)


@router.post("/influence", responses=JSON)
def read_posted_influence(request: Request, body: InfluenceBody) -> Response:
    """The same of a longer text, of tokens or numbers, with signals overwritten."""
    return mapped(request, body)
