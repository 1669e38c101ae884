"""Requests by number, and the faults that answering them brings up."""

import logging
import secrets

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatescope.app.http import problems
from gatescope.app.logs import request_id

log = logging.getLogger(__name__)
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "POST")


class Requests:
    """Gives each request an id of ours, `X-Request-ID`, which is in the log too, and answers a fault with a problem
    that names it.

    A fault is logged here, once; where the answer has begun, by uvicorn, which then breaks it off.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun, id = False, secrets.token_hex(8)
        request_id.set(id)  # for good: uvicorn serves each request in a context of its own

        async def send_with_id(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message)["X-Request-ID"] = id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass  # nobody waits for an answer
        except Exception as error:
            if begun:
                raise
            log.error("a fault while %s was answered", operation(scope), exc_info=error)
            answer = await problems.on_fault(Request(scope), error)
            await answer(scope, receive, send_with_id)


def operation(scope: Scope) -> str:
    """Which route a request is for, without what it says: its method, and its path as the route has it."""
    route = getattr(scope.get("route"), "path", "a request")
    return f"{scope['method']} {route}" if scope["method"] in METHODS else route
