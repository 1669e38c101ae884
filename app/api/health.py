"""How the service does, for whoever runs it. Numbers only: no texts, no ids, no titles."""

from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.status import HTTP_403_FORBIDDEN, HTTP_503_SERVICE_UNAVAILABLE

from gatescope.app.api.answers import Answers, answer
from gatescope.app.http import problems
from gatescope.app.http.connection import counts
from gatescope.app.http.owners import is_of_loopback
from gatescope.app.http.problems import Problem
from gatescope.app.http.responses import json_response
from gatescope.app.http.streams import Streams
from gatescope.app.runs.run import ACTIVE, OVER
from gatescope.app.runs.store import Store

router = APIRouter(tags=["service"])
STATES = (*ACTIVE, *OVER)
NOT_READY: Answers = {503: {"description": "Why it cannot take runs now"}}
METRICS = answer("Prometheus' text format", "text/plain")


class Metrics(Collector):
    """What is counted, read when it is asked for."""

    def __init__(self, store: Store, streams: Streams):
        self.store, self.streams = store, streams
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def describe(self) -> list[Metric]:
        """Nothing: the store is not open yet when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The runs by state, the events of the log, the viewers."""
        runs = GaugeMetricFamily("gatescope_runs", "Runs there are, by state.", labels=["state"])
        count = self.store.count()
        for state in STATES:
            runs.add_metric([state], count.get(state, 0))
        yield runs
        yield GaugeMetricFamily("gatescope_run_bytes", "Bytes that the runs take on the disk.", self.store.size())
        yield CounterMetricFamily("gatescope_events", "Events ever logged, of all runs.", self.store.last_id())
        yield GaugeMetricFamily("gatescope_viewers", "Event streams open now.", self.streams.count)
        yield CounterMetricFamily("gatescope_viewers_dropped", "Viewers that stopped reading.", counts["cut"])


@router.get("/healthz")
async def health() -> dict[str, str]:
    """Whether the service answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=NOT_READY)
async def readiness(request: Request) -> Response:
    """Whether it can take runs now: 503, and why, while its store cannot be read and written or its queue stands."""
    if trouble := await request.app.state.readiness.trouble():
        return problems.response(HTTP_503_SERVICE_UNAVAILABLE, trouble, headers={"Retry-After": "5"})
    return json_response({"status": "ready"})


@router.get("/metrics", responses=METRICS)
def metrics(request: Request) -> Response:
    """Counts for Prometheus: runs by state, events, viewers, the process's memory and time."""
    if request.app.state.settings.metrics == "loopback" and not is_of_loopback(request):
        raise Problem(("metrics", "are told on this machine only"), status=HTTP_403_FORBIDDEN)
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)
