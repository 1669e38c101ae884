"""The networks the service has: the shipped ones, those in the data directory and the uploaded ones, each loaded when
first asked for.
"""

import logging
import os
import threading
import time
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cachetools import LRUCache

from gatescope.app.http.problems import Problem
from gatescope.app.networks.examples import opening_example
from gatescope.app.networks.files import SUFFIX, Identity, identity, is_id, names_in, open_regular, read_network
from gatescope.app.networks.memory import NetworkMemory
from gatescope.app.networks.uploads import ID, Uploads
from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.models.network.network import BadNetwork, Network
from gatescope.models.pretrained import shipped
from gatescope.models.refused import listed_names, printable
from gatescope.models.training.checkpoint import network_in

log = logging.getLogger(__name__)
MEMORY = 256 * 2**20
DESCRIBED = 64 * 2**20  # bytes of descriptions, about
NAMED = 50  # ids in a sentence
TIDIED_EVERY = 10.0  # seconds


@dataclass(frozen=True)
class Key:
    """What a network was made of: a file as it was."""

    path: Path
    identity: Hashable


@dataclass(frozen=True)
class Listed:
    """A network as lists and pages have it, without its weights."""

    id: str
    origin: str
    described: dict[str, Any]
    detailed: dict[str, Any]

    @classmethod
    def of(cls, network: Network) -> "Listed":
        """A network, listed, with the example it opens with."""
        detailed = network.details() | {"example": opening_example(network)}
        return cls(network.id, network.origin, network.describe(), detailed)

    def describe(self) -> dict[str, Any]:
        """The network as the API lists it."""
        return self.described

    def details(self) -> dict[str, Any]:
        """The network as the API gives one."""
        return self.detailed


def _bytes_of(listed: Listed) -> int:
    return 4000 + 100 * len(listed.detailed["vocabulary"]) + 20 * len(str(listed.detailed["example"]))


class Networks:
    """The networks by id. An uploaded one and a run's are had by their id and never listed: who cannot guess it does
    not see them.

    memory: the bytes of networks that stay in memory between requests.
    """

    def __init__(self, data: Path, runs: Checkpoints | None = None, memory: int = MEMORY):
        self.data, self.runs = data.expanduser(), runs
        self.memory = NetworkMemory(memory)
        self.uploads = Uploads(self.data / "uploads", self.forget)
        self._listed: LRUCache[Key, Listed] = LRUCache(DESCRIBED, getsizeof=_bytes_of)
        self._left_out: dict[Path, Hashable] = {}
        self._lock, self._tidied = threading.Lock(), 0.0

    def files(self) -> dict[str, Path]:
        """The file of every listed network by id, the shipped ones first; a shipped id is not given away."""
        first, own = shipped(), {}
        for id in names_in(self.data):
            path = self.data / f"{id}{SUFFIX}"
            if not is_id(id):
                self._leave_out(path, identity(path), "no address can name it")
            elif id not in first:
                own[id] = path
        for path in list(self._left_out):
            if identity(path) is None:
                self._left_out.pop(path, None)
        return first | own

    def all(self) -> dict[str, Listed]:
        """Every network by id, without the uploaded ones and without any weights."""
        found = {id: self._list(path) for id, path in self.files().items()}
        return {id: listed for id, listed in found.items() if listed is not None}

    def get(self, id: str, status: int = 422) -> Network:
        """The network with this id, a run's as its latest checkpoint holds it; a Problem of this status when there is
        none.
        """
        path = self.path(id)
        network = self._load(path) if path else self._of_run(id, status)
        if network is None:
            raise Problem(("model", f"must be one of {listed_names(self.all(), NAMED)}"), status=status)
        return network

    def path(self, id: str) -> Path | None:
        """Where the file of the network with this id lies; None where it has none of its own."""
        if id in shipped():
            return shipped()[id]
        if not is_id(id):
            return None
        path = self.data / f"{id}{SUFFIX}"
        return path if identity(path) else self.uploads.path(id)

    def open(self, id: str) -> BinaryIO | None:
        """The file of the network with this id, opened, so that it may be deleted meanwhile; None where it has none."""
        path = self.path(id)
        try:
            return open_regular(path) if path else None
        except (OSError, BadNetwork):
            return None

    def forget(self, path: Path | None = None) -> None:
        """Let go of what was made of this file, or else of what lies no longer where it was or is another now."""

        def is_gone(key: Hashable) -> bool:
            return isinstance(key, Key) and (key.path == path if path else identity(key.path) != key.identity)

        self.memory.forget(is_gone)

    def _tidy(self) -> None:
        """Let go of what is gone, now and then: each network in memory has to be looked for."""
        if time.monotonic() > self._tidied + TIDIED_EVERY:
            self._tidied = time.monotonic()
            self.forget()

    def _of_run(self, id: str, status: int) -> Network | None:
        if self.runs is None or not ID.fullmatch(id):
            return None
        run = self.runs.store.get(id)
        if run is None or run.wanted == "deleted":
            return None
        recorded = self.runs.store.checkpoints(id)
        network = self._trained(self.runs, id, recorded[0].file) if recorded else None
        if network is None:
            raise Problem(
                ("model", "this run has no checkpoint yet; the first comes soon after it starts"), status=status
            )
        return network

    def _trained(self, runs: Checkpoints, id: str, newest: str) -> Network | None:
        """The network of a run, from the newest checkpoint whose file is as it was written; None where there is none.

        newest: the newest one's file, with which the answer changes.
        """

        def make() -> Network | None:
            self._tidy()
            for _ in range(2):  # a newer checkpoint may take its place between two looks
                file = runs.sound_file(id)
                with suppress(BadNetwork):
                    network = network_in(file, id) if file else None
                    if network:
                        network.origin = "run"
                    return network
            return None

        path = runs.folder / id / newest
        return self.memory.get(Key(path, identity(path)), make)

    def _load(self, path: Path, may_displace: bool = True) -> Network | None:
        """The network in a file; None, and once for each change a line in the log, where it holds none.

        may_displace: whether others may leave the memory for it.
        """
        found = identity(path)
        if found is None or self._left_out.get(path) == found:
            return None
        return self.memory.get(Key(path, found), lambda: self._read(path, found), may_displace)

    def _read(self, path: Path, found: Identity) -> Network | None:
        self._tidy()
        of_the_house = path.parent not in (self.data, self.uploads.folder)
        try:
            network = Network.load(path) if of_the_house else read_network(path)
        except FileNotFoundError:  # deleted meanwhile
            return None
        except (BadNetwork, OSError) as bad:
            self._leave_out(path, found, bad.strerror or "" if isinstance(bad, OSError) else str(bad))
            return None
        network.origin = "shipped" if of_the_house else "run" if path.parent == self.data else "upload"
        return network

    def _list(self, path: Path) -> Listed | None:
        key = Key(path, identity(path))
        with self._lock:
            listed = self._listed.get(key)
        if listed is None and (network := self._load(path, may_displace=False)):
            listed = Listed.of(network)
            with self._lock:
                if _bytes_of(listed) <= self._listed.maxsize:
                    self._listed[key] = listed
        return listed

    def _leave_out(self, path: Path, found: Hashable, reason: str) -> None:
        """Say once for each change of a file that it is left out, and why."""
        if self._left_out.get(path) != found:
            self._left_out[path] = found
            log.warning("%s is left out: %s", printable(os.fsdecode(path), 400), reason)
