"""The networks that people upload: each in a file of its own under an id that nobody can guess, its owner's token only
as a hash beside it.
"""

import errno
import re
import secrets
import threading
from pathlib import Path

from gatescope.app.files import atomic_write
from gatescope.app.http.owners import token_hash
from gatescope.app.http.problems import Problem
from gatescope.models.network.network import Network

ID = re.compile(r"[0-9a-f]{32}")


class Uploads:
    """The uploaded networks of one directory."""

    def __init__(self, folder: Path):
        self.folder, self.storing = folder, threading.Lock()

    def path(self, id: str) -> Path | None:
        """The file of the network with this id, or None where there is none."""
        path = self.folder / f"{id}.safetensors"
        return path if ID.fullmatch(id) and path.is_file() else None

    def keep(self, network: Network, most: int, space: int) -> tuple[str, str]:
        """Store a network; gives its id and its owner's token, which is told once and kept nowhere.

        most: how many may be kept; space: how many bytes they may take together. A Problem (507) beyond.
        """
        id, token, content = secrets.token_hex(16), secrets.token_urlsafe(32), network.to_bytes()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.storing:
            kept = [path.stat().st_size for path in self.folder.glob("*.safetensors")]
            if len(kept) >= most or sum(kept) + len(content) > space:
                raise full(f"there is no room for another network: {len(kept):,} are kept here, none is thrown away")
            try:
                # the owner first: what is served can always be deleted
                atomic_write(self._owner(id), token_hash(token).encode())
                atomic_write(self.folder / f"{id}.safetensors", content)
            except OSError as error:
                self.remove(id)
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise full("the disk is full, so the network is not kept") from None
                raise
        return id, token

    def owner(self, id: str) -> str | None:
        """The fingerprint of the owner's token, or None where no network has this id."""
        if self.path(id) is None:
            return None
        try:
            return self._owner(id).read_text()
        except FileNotFoundError:  # deleted meanwhile
            return None

    def remove(self, id: str) -> None:
        """Delete the network with this id."""
        for path in (self.folder / f"{id}.safetensors", self._owner(id)):
            path.unlink(missing_ok=True)

    def _owner(self, id: str) -> Path:
        return self.folder / f"{id}.owner"


def full(detail: str) -> Problem:
    """The problem of what is not kept for want of room."""
    return Problem(("body", detail), status=507, headers={"Retry-After": "3600"})
