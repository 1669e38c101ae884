"""Whether the gradients on the page are right."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.api.fields import VerificationQuery
from app.networks import tokens_of
from app.problems import of_models
from app.wire import json_response
from models.verification import verify

router = APIRouter(prefix="/api", tags=["trace"])
JSON = {200: {"description": "both slopes and how far they lie apart", "content": {"application/json": {}}}}


@router.get("/verification", responses=JSON)
def read_verification(request: Request, query: Annotated[VerificationQuery, Query()]) -> Response:
    """The gradient of this network on this text against finite differences, along a random direction of all weights."""
    network = request.app.state.networks.get(query.model)
    tokens = tokens_of(network, query.text, request.app.state.settings.text_limit_get)
    try:
        return json_response(verify(network, tokens, query.loss))
    except ValueError as error:
        raise of_models(error) from None
