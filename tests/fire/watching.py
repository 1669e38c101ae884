"""Viewers of a run for the nemesis: each notes the ids of all events until the run's end, whatever becomes of the
server meanwhile.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any, Protocol

import httpx
import orjson


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
        # nothing here is encrypted, and to be ready for that takes a client 20 ms
        self._client = httpx.Client(verify=False, timeout=httpx.Timeout(20, read=40))
        self._left = threading.Event()
        self.start()

    def leave(self) -> None:
        """Have it end soon."""
        self._left.set()

    def run(self) -> None:
        """Watch until the end."""
        with self._client:
            while not self.run_over and not self._left.is_set():
                with suppress(httpx.HTTPError, ValueError, KeyError):
                    self.look()
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
        page: dict[str, Any] = self._client.get(address, params={"after": self.last, "limit": 100}).json()
        self.ids += [event["id"] for event in page["events"]]
        self.run_over = any(event["event"] == "end" for event in page["events"])


class Streamer(Watcher):
    """Follows the live stream, and goes on after the last id where it breaks off."""

    def look(self) -> None:
        """One stream, to its end."""
        headers = {"Last-Event-ID": str(self.last)} if self.ids else {}
        address = f"{self.place.address}/api/events"
        with self._client.stream("GET", address, params={"runs": self.run_id}, headers=headers) as response:
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


def whole_log(address: str, id: str, steps: int) -> list[int]:
    """The ids of a run's whole log, which tells each step once, to the last."""
    ids: list[int] = []
    told: list[int] = []
    after, more = 0, True
    while more:
        page = httpx.get(f"{address}/api/runs/{id}/events.json?after={after}&limit=2000", timeout=60).json()
        ids += [event["id"] for event in page["events"]]
        told += [event["data"]["step"] for event in page["events"] if event["event"] == "progress"]
        after, more = page["last"], page["more"]
    assert ids == sorted(set(ids)) and told == sorted(set(told)) and told[-1] == steps
    return ids


def weights_of(address: str, id: str) -> bytes:
    """The tensors of a finished run, past the header, which tells times."""
    content = httpx.get(f"{address}/api/models/{id}/weights", timeout=60).content
    start = int.from_bytes(content[:8], "little")
    header = {name: facts for name, facts in orjson.loads(content[8 : 8 + start]).items() if name[0] != "_"}
    return orjson.dumps(header, option=orjson.OPT_SORT_KEYS) + content[8 + start :]
