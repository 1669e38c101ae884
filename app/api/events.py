"""The log of events: as one live stream for many runs, and in pages."""

from functools import partial
from typing import Annotated

import anyio
import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.status import HTTP_503_SERVICE_UNAVAILABLE
from starlette.types import Message, Receive, Scope, Send

from gatescope.app.api.answers import Answers, answer
from gatescope.app.api.run_fields import EventsQuery, PageQuery
from gatescope.app.api.runs import get_run
from gatescope.app.http import problems
from gatescope.app.http.connection import EXTENSION, Connection
from gatescope.app.http.encoding import NO_BUFFERING, json_response
from gatescope.app.runs.viewers import Viewers

router = APIRouter(prefix="/api", tags=["runs"])
STREAM: Answers = {
    **answer("`state`, `progress`, `gates`, `sample`, `checkpoint` …, `end`", "text/event-stream"),
    204: {"description": "The runs are over and everything has been sent: come back no more"},
}
PAGE = answer("events in rising order of their ids")
PATIENCE = 15.0  # seconds in which a viewer must take what it is sent
MORE_LATER = {"Retry-After": "10"}
LONGEST_ID = 18  # digits; every id of the log has fewer
LOST = "The place to go on from is not in this log: it comes again from its start."


class LogStream(EventSourceResponse):
    """The log as server-sent events, for one viewer; who does not read for 15 s is cut off."""

    def __init__(self, viewers: Viewers, runs: tuple[str, ...], after: int, preface: bytes = b""):
        self.viewers, self.events = viewers, viewers.watch(runs, after, preface)
        super().__init__(self.events, headers=NO_BUFFERING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the log. The viewer is counted here and nowhere else: a response that never begins holds no place."""
        if not self.viewers.join():
            full = "Too many are watching now; the log can be had in pages meanwhile."
            refusal = problems.response(HTTP_503_SERVICE_UNAVAILABLE, full, headers=MORE_LATER)
            return await refusal(scope, receive, send)
        connection = scope.get("extensions", {}).get(EXTENSION)
        if connection:
            connection.when_leaving = self.viewers.close
            connection.hold_little()
        try:
            await super().__call__(scope, receive, partial(self._send, send, connection))
        finally:
            await self.events.aclose()
            self.viewers.leave()

    async def _send(self, send: Send, connection: Connection | None, message: Message) -> None:
        try:
            with anyio.fail_after(PATIENCE):
                await send(message)
        except TimeoutError:
            self.viewers.dropped += 1
            if connection is None:
                raise
            connection.cut()
            await anyio.sleep_forever()  # until the connection is seen to be gone


@router.get("/events", responses=STREAM)
def stream_events(
    request: Request, query: Annotated[EventsQuery, Query()], last_event_id: Annotated[str, Header()] = ""
) -> Response:
    """What happens in these runs, from their first event on: live, or long afterwards.

    Ids rise over all runs. A stream that was cut goes on after `Last-Event-ID`, which a browser's EventSource sends by
    itself, or after `after`. Each run ends with `end`, and the stream with the last of them.
    """
    store, viewers = request.app.state.store, request.app.state.viewers
    runs = tuple(dict.fromkeys(query.runs.split(",")))
    watched = [get_run(store, id) for id in runs]
    after, preface = query.after, b""
    if last_event_id:
        after = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) <= LONGEST_ID else -1
        if not any(event.id == after for event in store.events(after - 1, runs, 1)):
            lost = orjson.dumps({"runs": runs, "reason": LOST}).decode()
            preface = format_sse_event(event="gap", data_str=lost) if after else b""
            after = 0
    if after and all(run.is_over for run in watched) and not store.events(after, runs, 1):
        return Response(status_code=204)
    return LogStream(viewers, runs, after, preface)


@router.get("/runs/{id}/events.json", responses=PAGE)
def read_events(request: Request, id: str, query: Annotated[PageQuery, Query()]) -> Response:
    """A page of a run's log: the events after an id, the `last` to ask after next, whether there are `more` now, and
    whether the run `is_over`.
    """
    store = request.app.state.store
    run = get_run(store, id)
    events = store.events(query.after, [id], query.limit + 1)
    page = events[: query.limit]
    listed = [{"id": event.id, "event": event.name, "data": orjson.Fragment(event.body)} for event in page]
    last = page[-1].id if page else query.after
    return json_response({"events": listed, "last": last, "more": len(events) > len(page), "is_over": run.is_over})
