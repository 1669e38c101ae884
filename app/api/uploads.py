"""Networks of people's own."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from gatescope.app.api.answers import Answers, answer
from gatescope.app.api.fields import UploadQuery
from gatescope.app.http.encoding import BYTES
from gatescope.app.http.owners import address_hash, bearer, check_owner
from gatescope.app.http.places import address_of
from gatescope.app.http.problems import Problem
from gatescope.app.http.responses import json_response
from gatescope.models.formats.safetensors import LENGTH, check_start, import_price
from gatescope.models.formats.torch_module import recognise
from gatescope.models.network.network import BadNetwork

BODY = {"requestBody": {"required": True, "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}}}}
STORED: Answers = {
    **answer("what was recognised; nothing is stored"),
    201: {"description": "id, owner_token, recognised, and the network as /api/models lists one"},
}

router = APIRouter(prefix="/api/models", tags=["models"])


@router.post("", status_code=201, responses=STORED, openapi_extra=BODY)
async def upload_model(
    request: Request, query: Annotated[UploadQuery, Query()], authorization: Annotated[str, Header()] = ""
) -> Response:
    """Bring a network: the safetensors state_dict of a torch module with one nn.RNN, nn.LSTM or nn.GRU, as
    application/octet-stream. The file's metadata may say `title`, `vocabulary`, `nonlinearity`, `reads`, `gives`,
    `pattern`, `labels`, `steps` and `example`.

    It is served to whoever knows its id, which cannot be guessed, and is not listed: /api/models does not tell
    strangers of it. The owner_token, needed to delete it, is told this once; one that is sent along as `Authorization:
    Bearer …` makes it the same owner's.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != BYTES:
        raise Problem(("content-type", f"must be {BYTES}, the bytes of a safetensors file"), status=415)
    state, token = request.app.state, bearer(authorization)
    try:
        async with state.places.body(request, state.settings.upload_limit):
            content = await received(request)
            look = partial(accepted, request, content, query.dry_run, token)
            length, who = len(content), address_of(request)
            made: Response = await state.places.looked_at(import_price(length), who, look)
            return made
    except BadNetwork as bad:
        raise Problem(("body", str(bad))) from None


@router.delete("/{id}", status_code=204)
def delete_model(request: Request, id: str, authorization: Annotated[str, Header()] = "") -> Response:
    """Delete an uploaded network, with the owner_token from its upload as `Authorization: Bearer …`."""
    uploads = request.app.state.networks.uploads
    owner = uploads.owner(id)
    if owner is None:
        raise Problem(("id", "is no uploaded network; others cannot be deleted here"), status=404)
    check_owner(owner, authorization)
    uploads.remove(id)
    return Response(status_code=204)


async def received(request: Request) -> bytearray:
    """The body; what is no safetensors file is refused at its first bytes, before the rest has come."""
    content, checked = bytearray(), False
    async for chunk in request.stream():
        content += chunk
        if not checked and len(content) >= LENGTH:
            check_start(bytes(content[:LENGTH]))
            checked = True
    return content


def accepted(request: Request, content: bytearray, dry_run: bool, token: str | None) -> Response:
    """The answer to an upload, which is stored unless this is a dry run; token: the owner's, where one was sent."""
    uploads, settings = request.app.state.networks.uploads, request.app.state.settings
    network, recognised = recognise(content)
    network.origin = "upload"
    if dry_run:
        return json_response({**network.describe(), "id": None, "recognised": recognised})
    address = address_hash(request.app.state.store.secret, request.client.host if request.client else "")
    network.id, token = uploads.keep(
        network, settings.upload_count, settings.upload_space, token, address, settings.address_share
    )
    response = json_response({**network.describe(), "owner_token": token, "recognised": recognised})
    response.status_code = 201
    response.headers["Location"] = f"/api/models/{network.id}"
    response.headers["Cache-Control"] = "no-store"  # it holds the token
    return response
