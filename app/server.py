"""The service, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from app import pages
from app.api import arithmetic, cells, generate, models, trace, uploads, verification
from app.headers import HouseHeaders, ProblemsOnly
from app.limits import BodyLimits
from app.networks import Networks
from app.paths import STATIC
from app.problems import SCHEMA, add_handlers
from app.runs.store import Store
from app.settings import Settings

# What may hold recorded activations: they hardly shrink, and compressing them takes longer than computing them.
NOT_COMPRESSED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream", "application/json", "text/html")


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application."""
    app = FastAPI(
        title="Gatescope",
        version=version("gatescope"),
        summary="See inside a recurrent network: every gate, forwards and backwards, on your own text.",
        docs_url=None,  # FastAPI's own page loads its parts from elsewhere; pages.docs works offline
        redoc_url=None,
        lifespan=lifespan,
        responses={422: {"description": "A problem (RFC 9457)", "content": {"application/problem+json": SCHEMA}}},
    )
    app.state.settings = settings
    app.state.networks = Networks(settings.data)
    app.state.store = Store(settings.data.expanduser())
    add_handlers(app)
    for part in (cells, models, uploads, trace, generate, arithmetic, verification, pages):
        app.include_router(part.router)
    app.add_api_route("/healthz", health, tags=["service"])
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    # The last one added is the first to see a request.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts(), www_redirect=False)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"])  # a sandboxed frame has no origin
    app.add_middleware(BodyLimits, others=settings.body_limit, by_path={"/api/models": settings.upload_limit})
    app.add_middleware(GZipMiddleware, compresslevel=5, exclude_content_types=NOT_COMPRESSED)
    app.add_middleware(ProblemsOnly)
    app.add_middleware(HouseHeaders, frame_ancestors=settings.frame_ancestors)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What stands between the service's start and its end."""
    store = app.state.store
    store.open()
    try:
        yield
    finally:
        store.close()


def health() -> dict[str, str]:
    """Whether the service answers."""
    return {"status": "ok"}
