"""From a request to what is computed of a network: which network, on what, at what price, in its turn, and no longer
than somebody waits for the answer.
"""

import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NotRequired, TypedDict, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from gatescope.app.api.fields import InputBody, InputQuery
from gatescope.app.http.places import DEAR, Places, address_of
from gatescope.app.http.streams import unless_left
from gatescope.app.networks.inputs import IN_ADDRESSES, IN_TEXTS, Inputs, Targets, inputs_of, targets_of
from gatescope.app.networks.shown import network_for
from gatescope.models.inspection.computation import finished
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.inspection.price import Price, Purse, count_of_steps
from gatescope.models.network.network import Network
from gatescope.models.refused import refusals_called

# Bytes of events, and the processor's seconds in which they are made, before they are sent; by the clock pieces would
# be the smaller, and their number the larger, the more there is to do for others.
AT_ONCE, SECONDS = 2**20, 0.03
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
class Work(Generic[Result]):
    """Something to compute: its price, what begins it, and how what the networks refuse of it was called by whoever
    sent it.
    """

    price: Price
    begin: Callable[[], Result]
    names: dict[str, str]

    def begun(self) -> Result:
        """What begins it, done; raises Refused with the sender's names."""
        with refusals_called(self.names):
            return self.begin()


def purse_of(request: Request) -> Purse:
    """What one computation may take here."""
    settings = request.app.state.settings
    return Purse(settings.computation_memory, settings.computation_work)


def planned(
    request: Request,
    fields: InputQuery | InputBody,
    pricing: Callable[..., Price],
    compute: Callable[..., Result],
    *values: object,
    told: dict[str, Any] | None = None,
    **options: object,
) -> Work[Result]:
    """What a request asks for, once its price is known and can be paid; a Problem, or Refused, where it cannot.

    pricing and compute: of network and steps, and of network and inputs; values and options go to compute, told to
    both.
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
    return Work(price, partial(compute, network, inputs, *values, **resolved, **told, **options), names)


def names_of(fields: InputQuery | InputBody) -> dict[str, str]:
    """How the sender of a request calls what the networks call otherwise."""
    return IN_ADDRESSES if isinstance(fields, InputQuery) else IN_TEXTS if fields.text is not None else {}


class Computed(Response, Generic[Result]):
    """The answer to a request for a computation: it is planned, waits for its turn, is computed in pieces while the
    client waits for it, and written; what it holds is held until the answer has been taken.
    """

    background = None  # nothing is to be done after it

    def __init__(
        self,
        places: Places,
        who: str,
        plan: Callable[[], Work[Generator[None, None, Result]]],
        write: Callable[[Result], Response],
    ):
        self.places, self.who, self.plan, self.write = places, who, plan, write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compute and answer; nothing where the client leaves before."""
        work = await run_in_threadpool(self.plan)
        async with self.places.room(work.price.memory, self.who) as until:
            response = await unless_left(receive, self._response(work, until))
            if response:
                await response(scope, receive, send)

    async def _response(self, work: Work[Generator[None, None, Result]], until: float) -> Response:
        left, is_dear = threading.Event(), work.price.work > DEAR
        piece_began = time.monotonic()

        def goes_on() -> bool:
            nonlocal piece_began
            if is_dear:
                self.places.give_way(time.monotonic() - piece_began)
            piece_began = time.monotonic()
            return not left.is_set()

        def compute() -> Response:
            with refusals_called(work.names):
                return self.write(finished(work.begin(), goes_on))

        async with self.places.place(work.price.work, self.who, until):
            try:
                return await self.places.in_thread(compute, abandon=True)
            finally:
                left.set()


async def computed_pieces(
    places: Places, who: str, plan: Callable[[], Work[Iterator[bytes]]]
) -> AsyncGenerator[bytes, None]:
    """The pieces of a stream, each computed when the one before has been taken, a place being held only meanwhile."""
    work = await run_in_threadpool(plan)
    async with places.room(work.price.memory, who) as until:
        pieces: Iterator[bytes] = iter(())
        try:
            async with places.place(work.price.work, who, until):
                pieces = await places.in_thread(work.begun)
                piece = await places.in_thread(partial(_some, pieces))
            while piece:
                yield piece
                async with places.place(work.price.work, who):
                    piece = await places.in_thread(partial(_some, pieces))
        finally:
            if isinstance(pieces, Generator):
                pieces.close()  # with it goes all that it holds


def _some(pieces: Iterator[bytes]) -> bytes:
    """The next pieces, as many as are made quickly, joined; nothing at the end."""
    found, began, size = [], time.thread_time(), 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size > AT_ONCE or time.thread_time() - began > SECONDS:
            break
    return b"".join(found)


def computed(
    request: Request,
    fields: InputQuery | InputBody,
    pricing: Callable[..., Price],
    compute: Callable[..., Generator[None, None, Result]],
    write: Callable[[Result], Response],
    *values: object,
    told: dict[str, Any] | None = None,
) -> Computed[Result]:
    """The answer to a request for a computation; see `planned`. write: makes the answer of the result."""
    plan = partial(planned, request, fields, pricing, compute, *values, told=told)
    return Computed(request.app.state.places, address_of(request), plan, write)
