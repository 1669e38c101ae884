"""How large a request's body may be, and that it comes as it is."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.status import HTTP_415_UNSUPPORTED_MEDIA_TYPE
from starlette.types import ASGIApp, Receive, Scope, Send

from gatescope.app.http.problems import response

PACKED = "content-encoding", "must not be there: send the body as it is"


class BodyLimits:
    """Refuses longer bodies (413), by their announced length where there is one: a limit for some paths and one for
    the others, in bytes. Packed ones are refused (415) and never unpacked.
    """

    def __init__(self, app: ASGIApp, others: int, by_path: Mapping[str, int]):
        self.others = RequestBodyLimitMiddleware(app, others)
        self.by_path = {path: RequestBodyLimitMiddleware(app, limit) for path, limit in by_path.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_packed(Headers(scope=scope)):
            refusal = response(HTTP_415_UNSUPPORTED_MEDIA_TYPE, ": ".join(PACKED), [PACKED])
            return await refusal(scope, receive, send)
        await self.by_path.get(scope.get("path", ""), self.others)(scope, receive, send)


def is_packed(headers: Headers) -> bool:
    """Whether these headers are of a request with a body that is encoded in any way."""
    encodings = ",".join(headers.getlist("content-encoding")).lower().split(",")
    has_body = headers.get("content-length", "0").strip("0") != "" or "transfer-encoding" in headers
    return has_body and any(encoding.strip() not in ("", "identity") for encoding in encodings)
