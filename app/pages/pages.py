"""The pages, and the drawing library they use."""

import gzip
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.status import HTTP_404_NOT_FOUND

from gatescope.app.api.cells import descriptions
from gatescope.app.api.runs import is_any_run
from gatescope.app.http.encoding import json_in_html
from gatescope.app.http.places import DEAR, SMALL, address_of
from gatescope.app.http.problems import on_http_exception
from gatescope.app.networks.inputs import IN_ADDRESSES
from gatescope.app.pages.api_docs import operations
from gatescope.app.pages.documentation import Heading, documentation, markdown_html
from gatescope.app.pages.first_paint import FirstPaint, Picture
from gatescope.app.pages.paths import STATIC, TEMPLATES
from gatescope.models.inspection.price import Purse
from gatescope.models.refused import refusals_called

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(directory=TEMPLATES)
GATESCOPE, PLOTLY = version("gatescope"), version("plotly")
templates.env.globals |= {"version": GATESCOPE, "plotly_version": PLOTLY}
templates.env.filters["markdown"] = markdown_html
# What is read off the programs and follows the text of a page, by the page's id; it is drawn by docs_<id>.html.
APPENDED = {"api": Heading(2, "every-operation", "Every operation"), "cells": Heading(2, "every-cell", "Every cell")}
# What the picture of a page may take, about half a second; a dearer one gives way to the example, and says so.
PAGE_WORK = 20_000_000_000
FOR_A_YEAR = "public, max-age=31536000, immutable"


def views() -> list[str]:
    """The ids of the views that can stand alone: one file each."""
    return sorted(path.stem for path in (STATIC / "views").glob("*.js"))


@cache
def plotly(compressed: bool) -> bytes:
    """The drawing library from its installed package, whose import takes longer than finding its file."""
    found = find_spec("plotly")
    assert found and found.submodule_search_locations  # a package that Gatescope depends on
    (package,) = found.submodule_search_locations
    content = (Path(package) / "package_data" / "plotly.min.js").read_bytes()
    return gzip.compress(content, compresslevel=6) if compressed else content


async def trace_page(request: Request, template: str, view: str | None = None) -> Response:
    """A page that carries its first picture."""
    state = request.app.state
    purse = Purse(state.settings.computation_memory, min(PAGE_WORK, state.settings.computation_work))
    arguments = state.networks, request.query_params, state.settings.text_limit_get, purse
    paint = await run_in_threadpool(FirstPaint, *arguments)
    memory = paint.picture.price.memory
    async with state.places.room(memory if memory > SMALL else 0, address_of(request)) as until:
        content = {"first_light": await paint.content(partial(painted, request, until)), "view": view}
        made: Response = await run_in_threadpool(templates.TemplateResponse, request, template, content)
        return made


async def painted(request: Request, until: float, picture: Picture) -> bytes:
    """A picture as JSON: computed here at a place of its own, or by a calculator where it is dear. Raises Refused, by
    the names of an address, and Problem (503).
    """
    state, who = request.app.state, address_of(request)
    with refusals_called(IN_ADDRESSES):
        if picture.price.work <= DEAR:
            pieces = await state.places.painted(lambda: [*picture.task(lambda: True).pieces], who, until)
        else:
            with state.calculators.job(picture.task, picture.network, picture.price, who) as job:
                await job.begin(until)
                pieces = [piece async for piece in job.pieces()]
    return b"".join(pieces)


def training_page(request: Request, template: str, status: int = 200) -> HTMLResponse:
    """A page that knows the cells and is told the rest by the log of its runs."""
    carried = Markup(json_in_html({"cells": descriptions()}))
    return templates.TemplateResponse(request, template, {"first_light": carried}, status)


async def not_found(request: Request, error: HTTPException) -> Response:
    """Answer that there is nothing at an address: a page to people, who ask for one, and a problem to programs."""
    if not request.headers.get("accept", "").startswith("text/html"):
        return await on_http_exception(request, error)
    return await run_in_threadpool(templates.TemplateResponse, request, "not_found.html", {}, HTTP_404_NOT_FOUND)


@router.get("/", response_class=HTMLResponse)
async def bench(request: Request) -> Response:
    """The bench: every view over one text."""
    return await trace_page(request, "bench.html")


@router.get("/train")
def train_page(request: Request) -> HTMLResponse:
    """A text becomes a run; the runs this browser owns."""
    return training_page(request, "train.html")


@router.get("/runs/{ids}")
def run(request: Request, ids: str) -> HTMLResponse:
    """A run live and afterwards, or up to four over each other: ids with commas between. Where there is none of them
    the page says so, and so does its status (404).
    """
    return training_page(request, "run.html", 200 if is_any_run(request.app.state.store, ids) else 404)


@router.get("/embed/run")
def embed_run(request: Request) -> HTMLResponse:
    """A run to be framed, without what would change it: `?run=` names it."""
    return training_page(request, "embed_run.html")


@router.get("/embed/{view}", response_class=HTMLResponse)
async def embed(request: Request, view: str) -> Response:
    """One view alone, to be framed."""
    if view not in views():
        raise HTTPException(404)
    return await trace_page(request, "embed.html", view)


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The front page of the documentation: its pages, and every route."""
    context = {"documentation": documentation(), "operations": operations(request.app.openapi())}
    return templates.TemplateResponse(request, "docs.html", context)


@router.get("/docs/{page}")
def docs_page(request: Request, page: str) -> HTMLResponse:
    """One page of the documentation; below the text of some stands what is read off the programs."""
    documents = documentation()
    if page not in documents:
        raise HTTPException(404)
    place = list(documents).index(page)
    before, document, after = [None, *documents.values(), None][place : place + 3]
    context: dict[str, Any] = {"documentation": documents, "page": document, "before": before, "after": after}
    context |= {"appended": APPENDED.get(page), "cells": descriptions()}
    context |= {"operations": operations(request.app.openapi())}
    return templates.TemplateResponse(request, "docs_page.html", context)


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
