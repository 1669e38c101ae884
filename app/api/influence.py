"""Who influences whom."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gatescope.app.api.answers import answer
from gatescope.app.api.computing import computed
from gatescope.app.api.fields import InfluenceBody, InfluenceQuery
from gatescope.app.calculators.tasks import as_map
from gatescope.models.inspection.influence import influence
from gatescope.models.inspection.price import price_of_influence

router = APIRouter(prefix="/api", tags=["trace"])
JSON = answer("layer, signal, and a row for each loss")


def mapped(request: Request, fields: InfluenceQuery | InfluenceBody) -> Response:
    """The map that was asked for."""
    place = fields.layer, fields.signal
    return computed(request, fields, price_of_influence, influence, partial(as_map, *place), *place)


@router.get("/influence", responses=JSON)
async def read_influence(request: Request, query: Annotated[InfluenceQuery, Query()]) -> Response:
    """How much the loss of each step (row) depends on what a layer remembered at each step before it (column):
    gradient norms.
    """
    return mapped(request, query)


@router.post("/influence", responses=JSON)
async def read_posted_influence(request: Request, body: InfluenceBody) -> Response:
    """The same of a longer text, of tokens or numbers, with signals overwritten."""
    return mapped(request, body)
