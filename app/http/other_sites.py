"""What pages of other sites may ask for: what a frame needs, and nothing else.

A frame under `sandbox="allow-scripts"` has no origin; its browser says `Origin: null` and reads only answers that allow
it. Any site can make such a frame, so whoever has no origin is given only what strangers may know. All else that a
browser says another site's page asks for (fetch metadata, else the origin) is refused before anything is computed.
"""

import re

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.status import HTTP_403_FORBIDDEN
from starlette.types import ASGIApp, Receive, Scope, Send

from gatescope.app.http import problems
from gatescope.app.http.headers import FILES
from gatescope.app.http.owners import is_of_another_site

NO_ORIGIN = "null"
READ = re.compile(r"/api/(events|cells|models/[^/]+|runs/[^/]+(/events\.json)?)")
COMPUTED = re.compile(r"/api/(trace|arithmetic|verification|generate)")
FRAMES = ("embed", "fencedframe", "frame", "iframe", "object")  # what else than a tab a page is shown in


class OtherSites:
    """Refuses (403) what pages of other sites may not ask for, and lets those without an origin read what embeds need:
    files of the pages, one named run or network, and computations, their preflights included; never credentials.
    """

    def __init__(self, app: ASGIApp):
        headers = ["Last-Event-ID"]
        self.by_path = [
            (FILES, CORSMiddleware(app, [NO_ORIGIN])),
            (READ, CORSMiddleware(app, [NO_ORIGIN], allow_headers=headers)),
            (COMPUTED, CORSMiddleware(app, [NO_ORIGIN], ["GET", "POST"], headers, expose_headers=["Retry-After"])),
        ]
        self.others = CORSMiddleware(app, allow_methods=())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] != "OPTIONS" and not is_answered(HTTPConnection(scope)):
            detail = "pages of other sites may not ask for this"
            refusal = problems.response(HTTP_403_FORBIDDEN, f"origin: {detail}", [("origin", detail)])
            return await refusal(scope, receive, send)
        path = scope.get("path", "")
        found = (cors for pattern, cors in self.by_path if pattern.fullmatch(path))
        await next(found, self.others)(scope, receive, send)


def has_no_origin(connection: HTTPConnection) -> bool:
    """Whether a page asks that belongs to no site: a sandboxed frame, which any site can make, or a file."""
    return connection.headers.get("origin") == NO_ORIGIN and is_of_another_site(connection)


def is_answered(connection: HTTPConnection) -> bool:
    """Whether whoever asks may: a program, a page of ours, or a page of another site that shows an embed, follows a
    link or has no origin.
    """
    if not is_of_another_site(connection):
        return True
    path, method = connection.scope["path"], connection.scope["method"]
    mode, to = (connection.headers.get(f"sec-fetch-{name}", "") for name in ("mode", "dest"))
    reads = method in ("GET", "HEAD")
    if mode == "navigate":
        return reads and (to not in FRAMES or path.startswith("/embed/"))
    if reads and FILES.fullmatch(path):
        return True
    if mode not in ("", "cors") or not has_no_origin(connection):
        return False
    return bool(COMPUTED.fullmatch(path)) and (reads or method == "POST") or bool(READ.fullmatch(path)) and reads
