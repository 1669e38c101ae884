"""Errors as application/problem+json (RFC 9457): they name the field and what it may be, and never echo the input."""

import unicodedata
from collections.abc import Iterable, Mapping
from errno import EMFILE, ENFILE
from urllib.parse import quote

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic_core import ErrorDetails
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.status import (
    HTTP_400_BAD_REQUEST,
    HTTP_408_REQUEST_TIMEOUT,
    HTTP_413_CONTENT_TOO_LARGE,
    HTTP_422_UNPROCESSABLE_CONTENT,
    HTTP_500_INTERNAL_SERVER_ERROR,
    HTTP_503_SERVICE_UNAVAILABLE,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatescope.app.logs import request_id
from gatescope.models.refused import Refused, printable

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "The request cannot be read",
    403: "This is not allowed",
    404: "There is nothing here",
    405: "This address does not take this method",
    408: "The request did not come in time",
    409: "This does not fit the state it is in",
    413: "The request is too large",
    414: "The address is too long",
    415: "The request is of another kind than this address takes",
    422: "A value is not allowed",
    429: "Too many requests",
    431: "The headers are too large",
    500: "Something went wrong here",
    503: "Not now",
    507: "There is no space left",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
LISTED = 10
LATE = "must not stand still for 30 seconds, and must have 16 KiB a second in the long run"
SPENT = "The machine has no more files, threads or memory to give just now."


class Problem(Exception):
    """A request that cannot be answered: `errors` are (field, what it may be) pairs."""

    def __init__(
        self,
        *errors: tuple[str, str],
        status: int = HTTP_422_UNPROCESSABLE_CONTENT,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__("; ".join(f"{field}: {detail}" for field, detail in errors))
        self.errors = errors
        self.status = status
        self.headers = headers


def visible(character: str) -> str:
    """A character as a person can recognise it: itself where that shows anything, and its code point. Words as they
    are.
    """
    if len(character) > 1:
        return printable(character)
    code = f"U+{ord(character):04X}"
    shown = character.isprintable() and not character.isspace() and not unicodedata.combining(character)
    return f"{character} ({code})" if shown else code


def unknown_characters(field: str, characters: Iterable[str], network: str) -> Problem:
    """The problem of a text with characters (or words) that the network, named by its id, has never seen."""
    distinct = sorted(set(characters))
    named = ", ".join(visible(character) for character in distinct[:LISTED])
    more = f" and {len(distinct) - LISTED} more" if len(distinct) > LISTED else ""
    return Problem(
        (field, f"the network has never seen {named}{more}; /api/models/{quote(network)} lists what it knows")
    )


def one_of(field: str, allowed: Iterable[str], status: int = HTTP_422_UNPROCESSABLE_CONTENT) -> Problem:
    """The problem of a value that is not among the allowed ones."""
    return Problem((field, f"must be one of {', '.join(allowed)}"), status=status)


def response(
    status: int,
    detail: str,
    errors: Iterable[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem+json response; `errors` are (field, what it may be) pairs."""
    body = {"type": "about:blank", "title": TITLES.get(status, "The request failed"), "status": status}
    body["detail"] = detail
    body["errors"] = [{"field": field, "detail": text} for field, text in errors]
    return Response(orjson.dumps(body), status, media_type=MEDIA_TYPE, headers=headers)


def field_error(error: ErrorDetails) -> tuple[str, str]:
    """One error of pydantic as (field, what it may be), without the input it echoes."""
    place = [str(step) for step in error["loc"] if step not in ("query", "body", "path", "header")]
    field = printable(".".join(place)) or "body"
    if error["type"] == "extra_forbidden":
        return field, "is not a field of this request"
    if error["type"] == "missing":
        return field, "is required"
    if error["type"] == "json_invalid":
        return "body", "is not valid JSON"
    if error["type"] == "string_unicode":
        return field, "must be text without half surrogates"
    return field, error["msg"].removeprefix("Value error, ")


async def on_problem(request: Request, problem: Problem) -> Response:
    """Answer a Problem."""
    return response(problem.status, str(problem), problem.errors, problem.headers)


async def on_refused(request: Request, refused: Refused) -> Response:
    """Answer what the networks refuse of a request. Any other ValueError is a fault."""
    return await on_problem(request, Problem((refused.field, refused.detail)))


async def on_validation_error(request: Request, error: RequestValidationError) -> Response:
    """Answer a request whose fields do not hold what they may."""
    return await on_problem(request, Problem(*map(field_error, error.errors()[:LISTED])))


def plain(status: int, scope: Scope, headers: Mapping[str, str] | None = None) -> Response:
    """A problem+json response of which no more than its status is known, and how long a body may be."""
    limit = scope.get(MAX_BODY_SIZE_SCOPE_KEY)
    if status == HTTP_408_REQUEST_TIMEOUT:
        return response(status, f"body: {LATE}", [("body", LATE)], headers)
    if status != HTTP_413_CONTENT_TOO_LARGE or limit is None:
        return response(status, TITLES.get(status, "The request failed"), headers=headers)
    detail = f"must have at most {limit:,} bytes"
    return response(status, f"body: {detail}", [("body", detail)], headers)


def allowed_methods(request: Request) -> list[str]:
    """The methods that the request's address takes. Each has a route of its own, and the framework names those of the
    first alone. What takes GET takes HEAD.
    """
    scope = {name: request.scope[name] for name in ("type", "path", "root_path", "headers")}
    found = []
    for method in METHODS:
        if any(route.matches(scope | {"method": method})[0] is Match.FULL for route in request.app.routes):
            found += [method, "HEAD"] if method == "GET" else [method]
    return found


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer what the framework refuses: unknown paths, methods, unreadable or too large bodies."""
    headers = error.headers
    if headers and "Allow" in headers:
        headers = {**headers, "Allow": ", ".join(allowed_methods(request))}
    return plain(error.status_code, request.scope, headers)


async def on_disconnect(request: Request, error: ClientDisconnect) -> Response:
    """Who left in the middle of a request gets no answer; that is no fault, and not worth a line of the log."""
    return response(HTTP_400_BAD_REQUEST, "The request ended before its body did.")


async def on_spent(request: Request, error: Exception) -> Response:
    """Answer where the machine has nothing left to work with; every other error goes on its way."""
    files = isinstance(error, OSError) and error.errno in (EMFILE, ENFILE)
    threads = isinstance(error, RuntimeError) and str(error) == "can't start new thread"
    if not (files or threads or isinstance(error, MemoryError)):
        raise error
    return response(HTTP_503_SERVICE_UNAVAILABLE, SPENT, headers={"Retry-After": "5"})


async def on_fault(request: Request, error: Exception) -> Response:
    """Answer a fault of ours; the log has where it was, by the id of the request, and the response has none of it."""
    detail = f"The fault is in the server's log, where this request is called {request_id.get()}."
    return response(HTTP_500_INTERNAL_SERVER_ERROR, detail)


def add_handlers(app: FastAPI) -> None:
    """Let every error of this app be a problem+json."""
    app.exception_handler(Problem)(on_problem)
    app.exception_handler(Refused)(on_refused)
    app.exception_handler(RequestValidationError)(on_validation_error)
    app.exception_handler(HTTPException)(on_http_exception)
    app.exception_handler(ClientDisconnect)(on_disconnect)
    for spent in (OSError, RuntimeError, MemoryError):
        app.exception_handler(spent)(on_spent)


class ProblemsOnly:
    """Turns the plain-text errors of other middleware (unknown host, too large a body) into problem+json."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def send_problem(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] >= 400:
                headers = MutableHeaders(scope=message)
                replaced = headers.get("content-type", "").startswith("text/plain")
                if replaced:
                    await plain(message["status"], scope)(scope, receive, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, send_problem)
