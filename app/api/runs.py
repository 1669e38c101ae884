"""Runs: trainings on people's own texts."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from starlette.status import HTTP_404_NOT_FOUND, HTTP_409_CONFLICT

from gatescope.app.api.answers import Answers
from gatescope.app.api.run_fields import ID, MOST_RUNS, RunQuery, RunsQuery
from gatescope.app.http.owners import bearer, check_owner, is_at_home, token_hash
from gatescope.app.http.places import address_of
from gatescope.app.http.problems import Problem
from gatescope.app.http.responses import json_response
from gatescope.app.networks.text_decoding import read_text
from gatescope.app.runs.database import StoreFault
from gatescope.app.runs.run import Run
from gatescope.app.runs.store import Store
from gatescope.app.runs.supervisor import NotNow
from gatescope.models.training.plan import plan
from gatescope.models.training.recipe import Cost

router = APIRouter(prefix="/api/runs", tags=["runs"])
IN_MEMORY = 8  # times its length that a text takes while it is decoded and looked at
BODY = {"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}}
CREATED: Answers = {
    200: {"description": "`dry_run`: what the network would see, the recipe, the cost; nothing is stored"},
    202: {"description": "id, owner_token, links, and the run as /api/runs lists one"},
}
NOT_SHOWN = ("run", "gradient_norms", "signal_gradient_norms")
Authorization = Annotated[str, Header(description="Bearer and the owner_token")]


@router.post("", status_code=202, responses=CREATED, openapi_extra=BODY)
async def create_run(
    request: Request,
    query: Annotated[RunQuery, Query()],
    authorization: Authorization = "",
    idempotency_key: Annotated[str, Header(max_length=200, description="the same key makes one run")] = "",
) -> Response:
    """Train a network on the body, a text in any usual encoding; whatever its content type says.

    What is not chosen suits the text. The owner_token is told here alone; sent along, it makes the next run the same
    owner's. With an Idempotency-Key of 16 characters or more it is told again, with a shorter one it is null. A run is
    seen by whoever knows its id, which cannot be guessed.
    """
    places, token = request.app.state.places, bearer(authorization)
    async with places.body(request, request.app.state.settings.run_text_limit):
        content = await request.body()
        look = partial(started, request, query, content, token, idempotency_key)
        length, who = len(content), address_of(request)
        made: Response = await places.looked_at(IN_MEMORY * length, who, look)
        return made


@router.get("")
def read_runs(request: Request, query: Annotated[RunsQuery, Query()], authorization: Authorization = "") -> Response:
    """The runs, the newest first: those whose ids are named, else those of the owner_token's owner; without either, at
    the machine that serves only itself, all. `more` says whether there are older ones.
    """
    store, token, named = request.app.state.store, bearer(authorization), None
    owner = None if token is None else token_hash(token)
    if query.ids is not None:
        named, owner = query.ids.split(","), None
    elif owner is None and not is_at_home(request):
        named = []
    found = store.listed(query.limit + 1, query.before, owner, named)
    runs, places = found[: query.limit], {run.id: place for place, run in enumerate(store.queue(), 1)}
    listed = [run_facts(store, run, places.get(run.id)) for run in runs]
    return json_response({"runs": listed, "more": len(found) > len(runs)})


@router.get("/{id}")
def read_run(request: Request, id: str) -> Response:
    """A run: its state, its place in the queue, its recipe, how far it is."""
    store = request.app.state.store
    return json_response(run_json(store, id))


@router.post("/{id}/pause", status_code=202)
async def pause_run(request: Request, id: str, authorization: Authorization = "") -> Response:
    """Let a run rest after a checkpoint; its place is then another's."""
    return await owner_request(request, id, authorization, request.app.state.supervisor.pause)


@router.post("/{id}/resume", status_code=202)
async def resume_run(request: Request, id: str, authorization: Authorization = "") -> Response:
    """Let a paused run go on where it was, as soon as it is its turn."""
    return await owner_request(request, id, authorization, request.app.state.supervisor.resume)


@router.post("/{id}/stop", status_code=202)
async def stop_run(request: Request, id: str, authorization: Authorization = "") -> Response:
    """End a run for good, with a last checkpoint."""
    return await owner_request(request, id, authorization, request.app.state.supervisor.stop)


@router.delete("/{id}", status_code=204)
async def delete_run(request: Request, id: str, authorization: Authorization = "") -> Response:
    """Delete a run with its text, its log and its networks; said twice, it changes nothing."""
    state = request.app.state
    deleted = state.admission.deleted.get(id)
    if deleted is None:
        run = await run_in_threadpool(get_run, state.store, id)
        check_owner(run.owner, authorization)
        await state.supervisor.delete(id)
        state.admission.remember(run)
    else:
        check_owner(deleted, authorization)
    return Response(status_code=204)


async def owner_request(
    request: Request, id: str, authorization: str, ask: Callable[[str], Awaitable[None]]
) -> Response:
    """The answer to what an owner asks of a run; a Problem (409) where the run is over."""
    store = request.app.state.store
    run = await run_in_threadpool(get_run, store, id)
    check_owner(run.owner, authorization)
    try:
        await ask(id)
    except NotNow as refusal:
        raise Problem(("state", str(refusal)), status=HTTP_409_CONFLICT) from None
    return json_response(await run_in_threadpool(run_json, store, id), 202)


def get_run(store: Store, id: str) -> Run:
    """The run with this id; a Problem (404) where there is none."""
    run = store.get(id)
    if run is None or run.wanted == "deleted":
        raise Problem(("id", "is no run; it may have been deleted"), status=HTTP_404_NOT_FOUND)
    return run


def is_any_run(store: Store, ids: str) -> bool:
    """Whether there is any of these runs, their ids with commas between, as far as can be seen now."""
    try:
        return any(re.fullmatch(ID, id) and store.get(id) for id in ids.split(",")[:MOST_RUNS])
    except StoreFault:
        return True


def started(request: Request, query: RunQuery, content: bytes, token: str | None, idempotency_key: str) -> Response:
    """The answer to a text: a new run, or what it would be."""
    state = request.app.state
    text = read_text(content, state.settings.vocabulary_limit)
    recipe, cost = plan(
        text.characters, state.settings.worker_hours * 3600, memory=state.admission.training_memory, **query.chosen()
    )
    if query.dry_run:
        state.supervisor.warm()
        return json_response({"text": text.describe(), "recipe": recipe.to_json(), "cost": priced(cost)})
    title = query.title.strip() or f"{recipe.cell} {recipe.layers}×{recipe.hidden}"
    stored = orjson.dumps(recipe.to_json()).decode()
    address = request.client.host if request.client else ""
    run, token = state.admission.create(
        title, stored, text.characters.encode(), token, idempotency_key or None, address
    )
    state.supervisor.wake()
    response = json_response({"owner_token": token, **run_json(state.store, run.id)}, 202)
    response.headers["Location"] = f"/api/runs/{run.id}"
    response.headers["Cache-Control"] = "no-store"  # it holds the token
    return response


def run_json(store: Store, id: str) -> dict[str, Any]:
    """The run with this id as the API shows it, its place in the queue included."""
    return run_facts(store, get_run(store, id), store.position(id))


def run_facts(store: Store, run: Run, place: int | None) -> dict[str, Any]:
    """A run as the API shows it; `progress` is the last event of that name, without the norms."""
    progress = store.latest(run.id, "progress")
    return {
        "id": run.id,
        "title": run.title,
        "state": run.state,
        "wanted": run.wanted,
        "reason": run.reason,
        "position": place,
        "created": datetime.fromtimestamp(run.created, UTC).isoformat(timespec="seconds"),
        "seconds": round(run.seconds, 1),
        "recipe": orjson.loads(run.recipe),
        "progress": progress and {name: value for name, value in progress.items() if name not in NOT_SHOWN},
        "links": {
            "self": f"/api/runs/{run.id}",
            "page": f"/runs/{run.id}",
            "events": f"/api/events?runs={run.id}",
            "log": f"/api/runs/{run.id}/events.json",
            "model": f"/api/models/{run.id}",
            "weights": f"/api/models/{run.id}/weights",
        },
    }


def priced(cost: Cost) -> dict[str, Any]:
    """What a training would cost; minutes are a rough estimate."""
    return {
        "minutes": round(cost.seconds / 60, 4),
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "memory": cost.memory,
        "characters": cost.characters,
    }
