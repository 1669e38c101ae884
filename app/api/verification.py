"""Whether the gradients on the page are right."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gatescope.app.api.answers import answer
from gatescope.app.api.computing import computed
from gatescope.app.api.fields import VerificationBody, VerificationQuery
from gatescope.app.calculators.tasks import as_json
from gatescope.models.inspection.gradient_check import check_gradients
from gatescope.models.inspection.price import price_of_check

router = APIRouter(prefix="/api", tags=["trace"])
JSON = answer("both slopes and how far they lie apart")


def verified(request: Request, fields: VerificationQuery | VerificationBody) -> Response:
    """The check that was asked for."""
    return computed(request, fields, price_of_check, check_gradients, as_json, fields.loss)


@router.get("/verification", responses=JSON)
async def read_verification(request: Request, query: Annotated[VerificationQuery, Query()]) -> Response:
    """The gradient of this network on this text against finite differences, along a random direction of all weights."""
    return verified(request, query)


@router.post("/verification", responses=JSON)
async def read_posted_verification(request: Request, body: VerificationBody) -> Response:
    """The same of a longer text, of tokens or numbers, with signals overwritten."""
    return verified(request, body)
