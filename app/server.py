"""The service, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.status import HTTP_404_NOT_FOUND, HTTP_503_SERVICE_UNAVAILABLE, HTTP_507_INSUFFICIENT_STORAGE

from gatescope.app.api import (
    arithmetic,
    cells,
    events,
    generate,
    health,
    influence,
    models,
    read_only,
    runs,
    trace,
    uploads,
    verification,
)
from gatescope.app.api.description import Service
from gatescope.app.calculators.pool import Calculators
from gatescope.app.http.body_limits import BodyLimits
from gatescope.app.http.faults import Requests
from gatescope.app.http.headers import HouseHeaders
from gatescope.app.http.methods import HeadAsGet
from gatescope.app.http.other_sites import OtherSites
from gatescope.app.http.places import Places
from gatescope.app.http.problems import ProblemsOnly, add_handlers, response
from gatescope.app.http.reads_only import ChangesNothing
from gatescope.app.http.streams import Streams
from gatescope.app.networks.catalog import Networks
from gatescope.app.networks.shown import UnlistedNetworks
from gatescope.app.pages import pages
from gatescope.app.pages.paths import STATIC
from gatescope.app.runs.admission import Admission
from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.database import NoSpace, StoreFault
from gatescope.app.runs.read_only import ReadOnlyStore
from gatescope.app.runs.readiness import Readiness
from gatescope.app.runs.store import Store
from gatescope.app.runs.supervisor import Supervisor
from gatescope.app.runs.training import Limits
from gatescope.app.runs.viewers import Viewers
from gatescope.app.settings import CannotServe, Settings
from gatescope.app.workers.choice import backend_of
from gatescope.models.compiler.backend import choose_kernel
from gatescope.models.refused import Refused
from gatescope.models.training.device import choose_device

# What may hold recorded activations: they hardly shrink, and compressing them takes longer than computing them.
NOT_COMPRESSED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream", "application/json", "text/html")


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application; raises CannotServe."""
    app = Service(
        title="Gatescope",
        version=version("gatescope"),
        summary="See inside a recurrent network: every gate, forwards and backwards, on your own text.",
        docs_url=None,  # FastAPI's own page loads its parts from elsewhere; pages.docs works offline
        redoc_url=None,
        lifespan=lifespan,
    )
    settings.refuse_every_host()
    try:
        choose_kernel(settings.kernel)
        choose_device(settings.device)
    except Refused as refused:
        raise CannotServe(str(refused)) from None
    app.state.settings = settings
    folder = settings.data.expanduser()
    app.state.store = (ReadOnlyStore if settings.reads_only else Store)(folder)
    app.state.checkpoints = Checkpoints(folder, app.state.store)
    catalog = UnlistedNetworks if settings.public else Networks
    app.state.networks = catalog(folder, app.state.checkpoints, settings.cache_memory)
    app.state.supervisor = Supervisor(
        app.state.store,
        app.state.checkpoints,
        backend_of(settings),
        settings.workers,
        Limits(settings.worker_hours * 3600),
        settings.keep_days,
    )
    app.state.admission = Admission(app.state.store, app.state.checkpoints, settings)
    app.state.readiness = Readiness(app.state.store, app.state.supervisor)
    app.state.viewers = Viewers(app.state.store)
    app.state.streams = Streams(settings.viewer_limit)
    app.state.places = Places(settings.memory_at_once, settings.computation_wait)
    app.state.calculators = Calculators(settings.computations, settings.memory_at_once)
    app.state.metrics = health.Metrics(app.state.store, app.state.streams)
    add_handlers(app)
    app.exception_handler(HTTP_404_NOT_FOUND)(pages.not_found)
    app.exception_handler(StoreFault)(on_store_fault)
    if settings.reads_only:
        app.include_router(read_only.router)  # before the routes that ask a keeper
    for part in (
        pages,  # FastAPI prepares routers as far as a request has to look: a page waits for no other
        cells,
        models,
        uploads,
        runs,
        events,
        trace,
        generate,
        arithmetic,
        verification,
        influence,
        health,
    ):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    limits = {"/api/models": settings.upload_limit, "/api/runs": settings.run_text_limit}
    # The last one added is the first to see a request.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts(), www_redirect=False)
    app.add_middleware(BodyLimits, others=settings.body_limit, by_path=limits)
    if settings.reads_only:
        app.add_middleware(ChangesNothing)
    app.add_middleware(OtherSites)
    app.add_middleware(GZipMiddleware, compresslevel=5, exclude_content_types=NOT_COMPRESSED)
    app.add_middleware(ProblemsOnly)
    app.add_middleware(Requests)
    app.add_middleware(HouseHeaders, frame_ancestors=settings.frame_ancestors)
    app.add_middleware(HeadAsGet)
    return app


async def on_store_fault(request: Request, fault: StoreFault) -> Response:
    """Answer what the store of the runs cannot do now: the disk is full, or the database does not answer."""
    full = isinstance(fault, NoSpace)
    status = HTTP_507_INSUFFICIENT_STORAGE if full else HTTP_503_SERVICE_UNAVAILABLE
    return response(status, str(fault), headers={"Retry-After": "60" if full else "5"})


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What stands between the service's start and its end."""
    store = app.state.store
    store.open()
    try:
        async with app.state.calculators, nullcontext() if app.state.settings.reads_only else app.state.supervisor:
            yield
    finally:
        store.close()
