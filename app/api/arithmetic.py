"""One unit's arithmetic."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.api.fields import ArithmeticQuery
from app.networks import check_unit, tokens_of
from app.wire import json_response
from models.arithmetic import arithmetic

router = APIRouter(prefix="/api", tags=["trace"])
JSON = {200: {"description": "terms by signal", "content": {"application/json": {}}}}


@router.get("/arithmetic", responses=JSON)
def read_arithmetic(request: Request, query: Annotated[ArithmeticQuery, Query()]) -> Response:
    """What each matrix map and bias adds to one unit's sums, at every step of a text."""
    network = request.app.state.networks.get(query.model)
    check_unit(network, query.layer, query.unit)
    tokens = tokens_of(network, query.text, request.app.state.settings.text_limit_get)
    return json_response(arithmetic(network, tokens, query.layer, query.unit))
