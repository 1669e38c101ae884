"""The checkpoints of the runs as files: whole or not there, two a run, never believed without their hash."""

import hashlib
import logging
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from gatescope.app.files import atomic_write
from gatescope.app.runs.database import NoSpace
from gatescope.app.runs.store import Checkpoint, Store

KEPT = 2
TRIES, PAUSE = 3, 0.2  # how often a file is read that cannot be, and the seconds in between
log = logging.getLogger(__name__)


class Checkpoints:
    """The folder `runs` of a data directory: a folder a run, with the files that the store has recorded."""

    def __init__(self, folder: Path, store: Store):
        self.folder, self.store = folder / "runs", store

    def keep(self, run: str, step: int, content: bytes | bytearray, finished: bool) -> Checkpoint:
        """Write a checkpoint to the disk; it counts when the store has recorded it. Raises NoSpace."""
        file = f"{step:012d}-{secrets.token_hex(4)}.safetensors"
        try:
            (self.folder / run).mkdir(0o700, parents=True, exist_ok=True)
            atomic_write(self.folder / run / file, content)
        except OSError as error:
            raise NoSpace(f"the disk takes no more: a checkpoint could not be written ({error.strerror})") from error
        return Checkpoint(step, file, hashlib.sha256(content).hexdigest(), finished, len(content))

    def tidy(self, run: str) -> None:
        """Leave only the newest two recorded checkpoints, and nothing that a killed server left half-written.

        What the disk does not let go of now stays until the next time.
        """
        recorded = [checkpoint.file for checkpoint in self.store.checkpoints(run)]
        if recorded[KEPT:]:
            self.store.drop_checkpoints(run, recorded[KEPT:])
        with suppress(OSError):
            for path in (self.folder / run).glob("*"):
                if path.name not in recorded[:KEPT]:
                    path.unlink(missing_ok=True)

    def latest(self, run: str) -> tuple[Checkpoint | None, bytes | None, list[Checkpoint]]:
        """The newest checkpoint of a run that is what was recorded, its content, and the newer ones that are damaged;
        None and None where there is no good one.
        """
        damaged: list[Checkpoint] = []
        for checkpoint in self.store.checkpoints(run):
            content = _content_of(self.folder / run / checkpoint.file)
            if hashlib.sha256(content).hexdigest() == checkpoint.sha256:
                return checkpoint, content, damaged
            damaged.append(checkpoint)
        return None, None, damaged

    def sound_file(self, run: str) -> Path | None:
        """The file of the newest checkpoint of a run that is what was recorded, looked at piece by piece: it may be
        five times as large as the network in it. None where there is none.
        """
        for checkpoint in self.store.checkpoints(run):
            path = self.folder / run / checkpoint.file
            with suppress(OSError), path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == checkpoint.sha256:
                    return path
        return None

    def remove(self, run: str) -> None:
        """Delete the checkpoints of a run; raises NoSpace where the disk does not let go of them now."""
        shutil.rmtree(self.folder / run, ignore_errors=True)
        if (self.folder / run).exists():
            raise NoSpace("the disk lets go of nothing now: a checkpoint could not be deleted")

    def delete(self, run: str) -> bool:
        """Delete a run with all that belongs to it; False where the write-ahead log has some of it still."""
        self.remove(run)
        return self.store.delete(run)


def _content_of(file: Path) -> bytes:
    """The bytes of a file, empty where it cannot be read, also not a little later."""
    for _ in range(TRIES):
        try:
            return file.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            break
        except OSError as error:
            log.warning("a checkpoint cannot be read: %s", error.strerror)
            time.sleep(PAUSE)
    return b""
