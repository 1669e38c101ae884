"""The networks there are."""

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from gatescope.app.api.answers import answer
from gatescope.app.http.encoding import BYTES
from gatescope.app.http.opened_file import OpenedFile
from gatescope.app.http.responses import download, json_response
from gatescope.app.networks.catalog import Listed, Networks
from gatescope.app.networks.shown import network_for

router = APIRouter(prefix="/api/models", tags=["models"])
FILE = answer("A safetensors file", BYTES)


@router.get("")
def read_models(request: Request) -> Response:
    """Every network: its cell, size, and how well it predicts (bits a character)."""
    networks: Networks = request.app.state.networks
    return json_response({"models": [listed.describe() for listed in networks.all().values()]})


@router.get("/{id}")
def read_model(request: Request, id: str) -> Response:
    """One network, with its vocabulary, what it reads and gives, what it opens with, its layers, and how it was
    trained.
    """
    network = network_for(request, id, status=404)
    return json_response({**Listed.of(network).details(), "training": network.card})


@router.get("/{id}/weights", response_class=FileResponse, responses=FILE)
def read_weights(request: Request, id: str) -> Response:
    """A network's weights, a run's as its latest checkpoint has them: a safetensors file with PyTorch's parameter
    names.
    """
    networks: Networks = request.app.state.networks
    network, file = networks.get(id, status=404), networks.open(id)
    if file:
        return OpenedFile(file, BYTES, f"{id}.safetensors")
    return download(network.to_bytes(), f"{id}.safetensors")
