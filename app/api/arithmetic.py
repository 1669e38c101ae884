"""One unit's arithmetic."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gatescope.app.api.answers import answer
from gatescope.app.api.computing import computed
from gatescope.app.api.fields import ArithmeticBody, ArithmeticQuery
from gatescope.app.calculators.tasks import as_json
from gatescope.models.inspection.preactivations import preactivations
from gatescope.models.inspection.price import price_of_preactivations

router = APIRouter(prefix="/api", tags=["trace"])
JSON = answer("terms by signal")


def summed(request: Request, fields: ArithmeticQuery | ArithmeticBody) -> Response:
    """The arithmetic that was asked for."""
    place = fields.layer, fields.unit
    return computed(request, fields, price_of_preactivations, preactivations, as_json, *place)


@router.get("/arithmetic", responses=JSON)
async def read_arithmetic(request: Request, query: Annotated[ArithmeticQuery, Query()]) -> Response:
    """What each matrix map and bias adds to one unit's sums, at every step of a text or of numbers."""
    return summed(request, query)


@router.post("/arithmetic", responses=JSON)
async def read_posted_arithmetic(request: Request, body: ArithmeticBody) -> Response:
    """The same of a longer text, of tokens or numbers, with signals overwritten."""
    return summed(request, body)
