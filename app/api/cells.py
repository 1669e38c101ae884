"""The kinds of cell there are."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from gatescope.app.http.responses import json_response
from gatescope.models.cells import cells, describe

router = APIRouter(prefix="/api/cells", tags=["cells"])


def descriptions() -> list[dict[str, Any]]:
    """Every cell's description."""
    return [describe(cell) for cell in cells().values()]


@router.get("")
def read_cells() -> Response:
    """Every kind of cell: its states, its signals (role, range, what each reads, equation) and its wiring."""
    return json_response({"cells": descriptions()})
