"""The pages, and the drawing library they use."""

import gzip
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates
from markupsafe import Markup
from starlette.exceptions import HTTPException

from gatescope.app.api.cells import descriptions
from gatescope.app.http.encoding import to_json
from gatescope.app.pages.api_docs import operations
from gatescope.app.pages.first_paint import first_paint
from gatescope.app.pages.paths import STATIC, TEMPLATES

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(directory=TEMPLATES)
GATESCOPE, PLOTLY = version("gatescope"), version("plotly")
FOR_A_YEAR = "public, max-age=31536000, immutable"


def views() -> list[str]:
    """The ids of the views that can stand alone: one file each."""
    return sorted(path.stem for path in (STATIC / "views").glob("*.js"))


@cache
def plotly(compressed: bool) -> bytes:
    """The drawing library from its installed package, whose import takes longer than finding its file."""
    (package,) = find_spec("plotly").submodule_search_locations
    content = (Path(package) / "package_data" / "plotly.min.js").read_bytes()
    return gzip.compress(content, compresslevel=6) if compressed else content


def page(request: Request, template: str, view: str | None = None) -> HTMLResponse:
    """A page that carries its first picture."""
    settings = request.app.state.settings
    carried = first_paint(request.app.state.networks, request.query_params, settings.text_limit_get)
    context = {"first_light": carried, "view": view, "version": GATESCOPE, "plotly_version": PLOTLY}
    return templates.TemplateResponse(request, template, context)


def page_of_runs(request: Request, template: str) -> HTMLResponse:
    """A page that knows the cells and is told the rest by the log of its runs."""
    carried = Markup(to_json({"cells": descriptions()}, "float16").replace(b"<", rb"\u003c").decode())
    context = {"first_light": carried, "version": GATESCOPE, "plotly_version": PLOTLY}
    return templates.TemplateResponse(request, template, context)


@router.get("/")
def bench(request: Request) -> HTMLResponse:
    """The bench: every view over one text."""
    return page(request, "bench.html")


@router.get("/train")
def train(request: Request) -> HTMLResponse:
    """A text becomes a run; the runs this browser owns."""
    return page_of_runs(request, "train.html")


@router.get("/runs/{ids}")
def run(request: Request, ids: str) -> HTMLResponse:
    """A run live and afterwards, or up to four over each other: ids with commas between."""
    return page_of_runs(request, "run.html")


@router.get("/embed/run")
def embed_run(request: Request) -> HTMLResponse:
    """A run to be framed, without what would change it: `?run=` names it."""
    return page_of_runs(request, "embed_run.html")


@router.get("/embed/{view}")
def embed(request: Request, view: str) -> HTMLResponse:
    """One view alone, to be framed."""
    if view not in views():
        raise HTTPException(404)
    return page(request, "embed.html", view)


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The API in words."""
    schema = request.app.openapi()
    return templates.TemplateResponse(request, "docs.html", {"operations": operations(schema), "version": GATESCOPE})


@router.get("/plotly.min.js")
def plotly_script(request: Request, v: str = "") -> Response:
    """The drawing library; an address with its version never changes."""
    compressed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"Vary": "Accept-Encoding"}
    if compressed:
        headers["Content-Encoding"] = "gzip"
    if v == PLOTLY:
        headers["Cache-Control"] = FOR_A_YEAR
    return Response(plotly(compressed), media_type="text/javascript", headers=headers)
