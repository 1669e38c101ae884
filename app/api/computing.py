"""From a request to what is computed of a network: which network, on what, at what price, in its turn, and no longer
than somebody waits for the answer.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NotRequired, TypedDict, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gatescope.app.api.fields import InputBody, InputQuery
from gatescope.app.calculators.pool import Calculators, Job
from gatescope.app.calculators.tasks import Task, Written, whole
from gatescope.app.http.places import Places, address_of
from gatescope.app.http.responses import download
from gatescope.app.http.streams import EventStream, unless_left
from gatescope.app.networks.inputs import IN_ADDRESSES, IN_TEXTS, Inputs, Targets, inputs_of, targets_of
from gatescope.app.networks.shown import network_for
from gatescope.models.inspection.computation import Computation
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.inspection.price import Price, Purse, count_of_steps
from gatescope.models.network.network import Network
from gatescope.models.refused import refusals_called

Result = TypeVar("Result")


class InputOptions(TypedDict):
    """What a computation is told beside its inputs, by the names under which it takes them."""

    targets: Targets | None
    interventions: NotRequired[list[Intervention]]


def resolve_inputs(request: Request, fields: InputQuery | InputBody) -> tuple[Network, Inputs, InputOptions]:
    """The network, its inputs, and `targets` and `interventions` as a computation takes them; a Problem, or Refused,
    where they do not fit each other.
    """
    settings, network = request.app.state.settings, network_for(request, fields.model)
    if isinstance(fields, InputQuery):
        limit = settings.text_limit_get
        inputs = inputs_of(network, limit, fields.text, None, fields.values)
        return network, inputs, {"targets": targets_of(network, fields.target, limit, IN_ADDRESSES["targets"])}
    limit, overwritten = settings.text_limit_post, [body.intervention() for body in fields.interventions]
    inputs = inputs_of(network, limit, fields.text, fields.tokens, fields.values)
    targets = targets_of(network, fields.targets, limit, "targets")
    return network, inputs, {"targets": targets, "interventions": overwritten}


@dataclass(frozen=True)
class Work:
    """Something to compute of a network: its price, the task, and how what the networks refuse of it was called by
    whoever sent it.
    """

    network: Network
    price: Price
    task: Task
    names: dict[str, str]


def purse_of(request: Request) -> Purse:
    """What one computation may take here."""
    settings = request.app.state.settings
    return Purse(settings.computation_memory, settings.computation_work)


def planned(
    request: Request,
    fields: InputQuery | InputBody,
    pricing: Callable[..., Price],
    task: Callable[..., Written],
    *values: object,
    told: dict[str, Any] | None = None,
    **options: object,
) -> Work:
    """What a request asks for, once its price is known and can be paid; a Problem, or Refused, where it cannot.

    pricing: of network and steps; task: of what goes to the computation, network and inputs first. values and options
    go to the computation, told to both.
    """
    network, inputs, resolved = resolve_inputs(request, fields)
    told, names = told or {}, names_of(fields)
    steps, overwritten = count_of_steps(network, inputs, resolved["targets"]), resolved.get("interventions", [])
    with refusals_called(names):
        price = purse_of(request).pay(
            lambda count: pricing(network, count, interventions=overwritten, **told),
            steps,
            "values" if network.channels else "tokens",
        )
    return Work(network, price, partial(task, (network, inputs, *values), {**resolved, **told, **options}), names)


def names_of(fields: InputQuery | InputBody) -> dict[str, str]:
    """How the sender of a request calls what the networks call otherwise."""
    return IN_ADDRESSES if isinstance(fields, InputQuery) else IN_TEXTS if fields.text is not None else {}


class Computed(Response):
    """The answer to a request for a computation: it is planned, waits for its turn, is computed while the client waits
    for it, and written; what it holds is held until the answer has been taken.
    """

    background = None  # nothing is to be done after it

    def __init__(self, request: Request, plan: Callable[[], Work]):
        self.request, self.plan = request, plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compute and answer; nothing where the client leaves before."""
        async with _begun(self.request, self.plan) as begin:
            job = await unless_left(receive, begin)
            if job:
                await self._response(job)(scope, receive, send)

    def _response(self, job: Job) -> Response:
        media_type, name, length = job.how
        if name is not None:
            return download(job.pieces(), name, length)
        content = b"".join(job.first) if job.is_over else job.pieces()
        if isinstance(content, bytes):
            return Response(content, media_type=media_type)
        return StreamingResponse(content, media_type=media_type)


@asynccontextmanager
async def _begun(request: Request, plan: Callable[[], Work]) -> AsyncIterator[Awaitable[Job]]:
    """What begins to compute something planned, for the length of an `async with` block."""
    work, who = await run_in_threadpool(plan), address_of(request)
    places: Places = request.app.state.places
    calculators: Calculators = request.app.state.calculators

    async def begin() -> Job:
        with refusals_called(work.names):
            await job.begin(until)
        return job

    async with places.room(work.price.memory, who) as until:
        with calculators.job(work.task, work.network, work.price, who) as job:
            yield begin()


async def _pieces(request: Request, plan: Callable[[], Work]) -> AsyncGenerator[bytes, None]:
    """The pieces of a stream, each computed when the one before has been taken."""
    async with _begun(request, plan) as begin:
        async for piece in (await begin).pieces():
            yield piece


def computed(
    request: Request,
    fields: InputQuery | InputBody,
    pricing: Callable[..., Price],
    compute: Computation[..., Result],
    write: Callable[[Result], Written],
    *values: object,
    told: dict[str, Any] | None = None,
    **options: object,
) -> Computed:
    """The answer to a request for a computation; see `planned`. write: writes its result."""
    task = partial(whole, compute, write)
    return Computed(request, partial(planned, request, fields, pricing, task, *values, told=told, **options))


def streamed(request: Request, plan: Callable[[], Work]) -> EventStream:
    """The answer to a request for the events of a computation."""
    return EventStream(request.app.state.streams, _pieces(request, plan))
