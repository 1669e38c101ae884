"""The networks the service has: the shipped ones, those in the data directory and the uploaded ones, each loaded when
first asked for.
"""

import logging
from functools import lru_cache
from pathlib import Path

from gatescope.app.http.problems import Problem, one_of
from gatescope.app.networks.uploads import ID, Uploads
from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.models.network.network import BadNetwork, Network
from gatescope.models.pretrained import shipped
from gatescope.models.training.checkpoint import network_of

log = logging.getLogger(__name__)


@lru_cache(maxsize=64)
def load_file(path: Path, changed: int, origin: str) -> Network | None:
    """The network in a file as it was at a time of change, or None (and a line in the log) where it holds none."""
    try:
        network = Network.load(path)
    except BadNetwork as bad:
        log.warning("%s is left out: %s", path, bad)
        return None
    network.origin = origin
    return network


@lru_cache(maxsize=16)
def trained(runs: Checkpoints, id: str, newest: str) -> Network | None:
    """The network of a run, from the newest checkpoint whose file is as it was written; None where there is none.

    newest: the newest one's file, with which the answer changes.
    """
    _, content, _ = runs.latest(id)
    network = network_of(content, id) if content else None
    if network:
        network.origin = "run"
    return network


class Networks:
    """The networks by id. An uploaded one and a run's are had by their id and never listed: who cannot guess it does
    not see them.
    """

    def __init__(self, data: Path, runs: Checkpoints | None = None):
        self.data, self.runs = data.expanduser(), runs
        self.uploads = Uploads(self.data / "uploads")

    def files(self) -> dict[str, Path]:
        """The file of every network by id, the shipped ones first; a shipped id is not given away."""
        own = {path.stem: path for path in sorted(self.data.glob("*.safetensors"))}
        return (first := shipped()) | {id: path for id, path in own.items() if id not in first}

    def all(self) -> dict[str, Network]:
        """Every network by id, without the uploaded ones."""
        found = {id: self._load(path) for id, path in self.files().items()}
        return {id: network for id, network in found.items() if network is not None}

    def get(self, id: str, status: int = 422) -> Network:
        """The network with this id, a run's as its latest checkpoint holds it; a Problem of this status when there is
        none.
        """
        path = self.path(id)
        network = self._load(path) if path else self._of_run(id, status)
        if network is None:
            raise one_of("model", self.all(), status)
        return network

    def path(self, id: str) -> Path | None:
        """The file of the network with this id; None where it has none of its own."""
        return self.files().get(id) or self.uploads.path(id)

    def _of_run(self, id: str, status: int) -> Network | None:
        if self.runs is None or not ID.fullmatch(id):
            return None
        run = self.runs.store.get(id)
        if run is None or run.wanted == "deleted":
            return None
        recorded = self.runs.store.checkpoints(id)
        network = trained(self.runs, id, recorded[0].file) if recorded else None
        if network is None:
            raise Problem(
                ("model", "this run has no checkpoint yet; the first comes soon after it starts"), status=status
            )
        return network

    def _load(self, path: Path) -> Network | None:
        origin = "upload" if path.parent == self.uploads.folder else "run" if path.parent == self.data else "shipped"
        return load_file(path, path.stat().st_mtime_ns, origin)
