"""The checkpoints of the runs as files: whole or not there, two a run, never believed without their hash."""

import hashlib
import logging
import secrets
import shutil
from pathlib import Path

from gatescope.app.files import atomic_write
from gatescope.app.runs.database import NoSpace
from gatescope.app.runs.store import Checkpoint, Store

KEPT = 2
log = logging.getLogger(__name__)


class Checkpoints:
    """The folder `runs` of a data directory: a folder a run, with the files that the store has recorded."""

    def __init__(self, folder: Path, store: Store):
        self.folder, self.store = folder / "runs", store

    def keep(self, run: str, step: int, content: bytes, finished: bool) -> Checkpoint:
        """Write a checkpoint to the disk; it counts when the store has recorded it. Raises NoSpace."""
        file = f"{step:012d}-{secrets.token_hex(4)}.safetensors"
        try:
            (self.folder / run).mkdir(parents=True, exist_ok=True)
            atomic_write(self.folder / run / file, content)
        except OSError as error:
            raise NoSpace(f"the disk takes no more: a checkpoint could not be written ({error.strerror})") from error
        return Checkpoint(step, file, hashlib.sha256(content).hexdigest(), finished)

    def tidy(self, run: str) -> None:
        """Leave only the newest two recorded checkpoints, and nothing that a killed server left half-written."""
        recorded = [checkpoint.file for checkpoint in self.store.checkpoints(run)]
        if recorded[KEPT:]:
            self.store.drop_checkpoints(run, recorded[KEPT:])
        for path in (self.folder / run).glob("*"):
            if path.name not in recorded[:KEPT]:
                path.unlink(missing_ok=True)

    def latest(self, run: str) -> tuple[Checkpoint | None, bytes | None, list[Checkpoint]]:
        """The newest checkpoint of a run that is what was recorded, its content, and the newer ones that are damaged;
        None and None where there is no good one.
        """
        damaged: list[Checkpoint] = []
        for checkpoint in self.store.checkpoints(run):
            try:
                content = (self.folder / run / checkpoint.file).read_bytes()
            except OSError:
                content = b""
            if hashlib.sha256(content).hexdigest() == checkpoint.sha256:
                return checkpoint, content, damaged
            damaged.append(checkpoint)
        return None, None, damaged

    def remove(self, run: str) -> None:
        """Delete the checkpoints of a run."""
        shutil.rmtree(self.folder / run, ignore_errors=True)
