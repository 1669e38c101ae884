"""Viewers of a run for the nemesis: each notes the ids of all events until the run's end, whatever becomes of the
server meanwhile.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

import httpx


class Place(Protocol):
    """What a viewer knows of the server."""

    @property
    def address(self) -> str:
        """Where it answers now."""


class Watcher(threading.Thread):
    """A viewer of one run; ids: what it saw."""

    def __init__(self, place: Place, run: str):
        super().__init__(daemon=True)
        self.place, self.run_id, self.run_over = place, run, False
        self.ids: list[int] = []
        self._left = threading.Event()
        self.start()

    def leave(self) -> None:
        """Have it end soon."""
        self._left.set()

    def run(self) -> None:
        """Watch until the end."""
        while not self.run_over and not self._left.is_set():
            try:
                self.look()
            except (httpx.HTTPError, ValueError, KeyError):
                pass
            time.sleep(0.3)

    @property
    def last(self) -> int:
        """The id after which it goes on."""
        return self.ids[-1] if self.ids else 0

    def look(self) -> None:
        """See more of the log."""
        raise NotImplementedError


class Reader(Watcher):
    """Reads the log in pages."""

    def look(self) -> None:
        """One page."""
        address = f"{self.place.address}/api/runs/{self.run_id}/events.json"
        page: dict[str, Any] = httpx.get(address, params={"after": self.last, "limit": 100}, timeout=20).json()
        self.ids += [event["id"] for event in page["events"]]
        self.run_over = any(event["event"] == "end" for event in page["events"])


class Streamer(Watcher):
    """Follows the live stream, and goes on after the last id where it breaks off."""

    def look(self) -> None:
        """One stream, to its end."""
        headers = {"Last-Event-ID": str(self.last)} if self.ids else {}
        address = f"{self.place.address}/api/events"
        limit = httpx.Timeout(20, read=40)
        with httpx.stream("GET", address, params={"runs": self.run_id}, headers=headers, timeout=limit) as response:
            name, id = "", 0
            for line in response.iter_lines():
                if self._left.is_set():
                    return
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "id":
                    id = int(value)
                elif not line and id:
                    self.ids.append(id)
                    self.run_over |= name == "end"
                    name, id = "", 0
