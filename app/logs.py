"""The log: one line an event, on standard error, for people or for programs.

What people send must not be found in it, nor write in it: control characters and what turns text around are escaped,
lines are bounded, and of an exception there is its kind and where it was raised, not its message, which may quote a
text.
"""

import json
import logging
import sqlite3
import threading
import time
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

LONGEST, FRAMES, CAUSES = 4_000, 30, 5
request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being served, which every line that is written meanwhile has."""


def escaped(text: str) -> str:
    """A text in which a program or a terminal finds nothing to obey: what cannot be printed is written as its code."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def fault_trail(error: BaseException) -> list[str]:
    """An exception as lines without what it says: its kind, and the places it went through, the innermost first; then
    what caused it.
    """
    lines = []
    for fault in causes(error):
        lines.append(kind(fault))
        frames = traceback.extract_tb(fault.__traceback__)[-FRAMES:]
        lines += [f"{'/'.join(Path(f.filename).parts[-3:])}:{f.lineno} {f.name}" for f in reversed(frames)]
    return lines


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, the first that it gathers, and what it came of."""
    seen: BaseException | None = error
    for _ in range(CAUSES):
        if seen is None:
            return
        yield seen
        inner = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else None
        seen = inner or seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def kind(error: BaseException) -> str:
    """An exception's class, and what the system or the database says of it, which quotes nobody."""
    said = error.strerror if isinstance(error, OSError) else str(error) if isinstance(error, sqlite3.Error) else None
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


class Lines(logging.Formatter):
    """A record as one line for people: time, level, logger, message, request, and the trail of a fault."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        facts = self.facts(record)
        line = f"{facts['time']} {facts['level']} {facts['logger']}: {facts['message']}"
        line += f" [request {facts['request']}]" if "request" in facts else ""
        return line + (f" [{' < '.join(facts['trail'])}]" if "trail" in facts else "")

    def facts(self, record: logging.LogRecord) -> dict[str, Any]:
        """What a line says: time (UTC), level, logger, message; request and trail where there are any."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        message = record.getMessage()
        if record.name == "asyncio":
            message = message.partition("\n")[0]  # the rest shows objects, with what they hold
        message = escaped(message[: LONGEST + 1])
        facts: dict[str, Any] = {"time": f"{at}.{int(record.msecs):03d}Z", "level": record.levelname}
        facts["logger"] = record.name
        facts["message"] = message if len(message) <= LONGEST else f"{message[:LONGEST]}…"
        if id := request_id.get():
            facts["request"] = id
        if record.exc_info and (error := record.exc_info[1]):
            facts["trail"] = [escaped(line) for line in fault_trail(error)]
        return facts


class JsonLines(Lines):
    """A record as one JSON object, for programs: in ASCII, whatever it says."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return json.dumps(self.facts(record))


def logging_config(log_format: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` and uvicorn take: everything that is logged here goes through one formatter, to
    standard error. log_format: text or json.
    """
    threading.excepthook = log_from_thread
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": JsonLines if log_format == "json" else Lines}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": "WARNING"},
        "loggers": {"gatescope": {"level": "INFO"}, "uvicorn": {"level": "INFO"}},
    }


def log_from_thread(ended: threading.ExceptHookArgs) -> None:
    """Log what ended a thread, where Python would print it."""
    logging.getLogger(__name__).error("a thread ended by a fault", exc_info=ended.exc_value)
