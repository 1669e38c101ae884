"""How the service does, for whoever runs it. Numbers only: no texts, no ids, no titles."""

from collections import Counter
from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from gatescope.app.api.answers import answer
from gatescope.app.http.connection import counts
from gatescope.app.http.streams import Streams
from gatescope.app.runs.store import Store

router = APIRouter(tags=["service"])
STATES = ("queued", "running", "paused", "finished", "stopped", "failed")
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
        count = Counter(run.state for run in self.store.runs())
        for state in STATES:
            runs.add_metric([state], count[state])
        yield runs
        yield CounterMetricFamily("gatescope_events", "Events ever logged, of all runs.", self.store.last_id())
        yield GaugeMetricFamily("gatescope_viewers", "Event streams open now.", self.streams.count)
        yield CounterMetricFamily("gatescope_viewers_dropped", "Viewers that stopped reading.", counts["cut"])


@router.get("/healthz")
async def health() -> dict[str, str]:
    """Whether the service answers."""
    return {"status": "ok"}


@router.get("/readyz")
def readiness(request: Request) -> dict[str, str]:
    """Whether it can take runs now: 503 while its store does not answer."""
    request.app.state.store.runs("queued")
    return {"status": "ready"}


@router.get("/metrics", responses=METRICS)
def metrics(request: Request) -> Response:
    """Counts for Prometheus: runs by state, events, viewers, the process's memory and time."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)
