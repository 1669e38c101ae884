"""The server process: what it tells uvicorn, how many connections it has files for, how it leaves when asked to."""

import asyncio
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from gatescope.app.http.connection import Connection, Limits
from gatescope.app.settings import Settings
from gatescope.models.compiler.aligned import keep_little

# Seconds for which a thread that computes keeps the interpreter from the event loop, which gives it up at each request.
SWITCH = 0.0005
GRACE = 2  # seconds for answers that are under way when the server leaves
LAST_MOMENT = 8.0  # seconds after which the process ends whatever holds it: ten are promised
MOST_FILES = 65_536
OWN_FILES, OWN_SHARE = 40, 4  # files that are not for connections: so many at least, and one in so many
OTHERS = 3_000  # connections beside those of viewers
# asyncio accepts as many at once as the backlog is long, and goes on before any of them can be refused; where that
# fails it tries as often again. So it is told of few, and the kernel of many.
ACCEPTED_AT_ONCE, BACKLOG = 3, 2_048
QUIET = 60.0  # seconds between two lines of log about the same trouble
OUT_OF_FILES = "socket.accept() out of system resource"  # asyncio's words
log = logging.getLogger("gatescope")


class Server(uvicorn.Server):
    """uvicorn's server; it bears a shortage of files and does not outstay.

    limits: of a connection, else as the settings and the machine have it; options: of uvicorn, in place of these.
    """

    def __init__(self, app: ASGIApp, settings: Settings, limits: Limits | None = None, **options: Any):
        self.limits = limits or limits_here(settings)
        said: dict[str, Any] = {
            "host": settings.host,
            "port": settings.port,
            "http": partial(Connection, limits=self.limits),
            "ws": "none",
            "loop": "asyncio",
            "lifespan": "on",
            "access_log": False,  # its lines would hold the texts that people type
            "backlog": ACCEPTED_AT_ONCE,
            "timeout_graceful_shutdown": GRACE,
            "proxy_headers": bool(settings.trusted_proxies.strip()),
            "forwarded_allow_ips": settings.trusted_proxies,
        }
        super().__init__(uvicorn.Config(app, **(said | options)))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        asyncio.get_running_loop().set_exception_handler(quietly())
        await super().startup(sockets)
        patience = int(self.limits.reader * 1000)
        for server in self.servers:
            for listener in server.sockets:
                with socket.fromfd(listener.fileno(), listener.family, listener.type) as same:
                    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
                        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
                    same.listen(BACKLOG)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until asked to leave."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH)
        try:
            super().run(sockets)
        finally:
            sys.setswitchinterval(before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal asks the server to leave."""
        last = threading.Timer(LAST_MOMENT, os._exit, [128 + sig])
        last.daemon = True
        last.start()
        super().handle_exit(sig, frame)


def run_to_the_end(server: Server) -> None:
    """Serve until asked to leave, and end the process then: a calculation that nobody waits for does not hold it."""
    keep_little()  # what is large here goes through; it is calculators that need memory again and again
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0 if server.started else uvicorn.config.STARTUP_FAILURE)


def raise_open_files() -> None:
    """Let this process open as many files as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limits_here(settings: Settings) -> Limits:
    """The limits of connections: as many as there are viewers and some more, as far as there are files for them."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if soft == resource.RLIM_INFINITY else soft
    own = max(OWN_FILES, files // OWN_SHARE)
    return Limits(connections=max(1, min(files - own, settings.viewer_limit + OTHERS)), farewells=own // 5)


def quietly() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """What an event loop does with errors that nobody handles: its usual, but one line a minute where files ran out."""
    told = -QUIET

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal told
        if context.get("message") != OUT_OF_FILES:
            return loop.default_exception_handler(context)
        if time.monotonic() - told >= QUIET:
            told = time.monotonic()
            log.warning("No more files can be opened: new connections wait until some are closed.")

    return handle
