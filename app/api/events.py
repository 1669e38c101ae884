"""The log of events: as one live stream for many runs, and in pages."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from fastapi.sse import format_sse_event

from gatescope.app.api.answers import Answers, answer
from gatescope.app.api.run_fields import EventsQuery, PageQuery
from gatescope.app.api.runs import get_run
from gatescope.app.http.responses import json_response
from gatescope.app.http.streams import EventStream

router = APIRouter(prefix="/api", tags=["runs"])
STREAM: Answers = {
    **answer("`state`, `progress`, `gates`, `sample`, `checkpoint` …, `end`", "text/event-stream"),
    204: {"description": "The runs are over and everything has been sent: come back no more"},
}
PAGE = answer("events in rising order of their ids")
LONGEST_ID = 18  # digits; every id of the log has fewer
LOST = "The place to go on from is not in this log: it comes again from its start."


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
    return EventStream(request.app.state.streams, viewers.watch(runs, after, preface), viewers.close)


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
