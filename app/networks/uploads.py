"""The networks that people upload: each in a file of its own under an id that nobody can guess, beside it its owner's
token and the address it came from, both only as fingerprints. Nobody else on this machine can look into the folder.
"""

import errno
import logging
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from starlette.status import HTTP_507_INSUFFICIENT_STORAGE

from gatescope.app.files import atomic_write
from gatescope.app.http.owners import token_hash
from gatescope.app.http.problems import Problem
from gatescope.app.networks.files import SUFFIX, identity, open_regular
from gatescope.models.network.network import BadNetwork, Network

ID = re.compile(r"[0-9a-f]{32}")
OURS = re.compile(r"([0-9a-f]{32})\.(safetensors|owner)")
UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.(safetensors|owner)\.[0-9a-f]{8}")  # as `atomic_write` calls them
NOT_FOR_OTHERS = 0o077
log = logging.getLogger(__name__)


class Uploads:
    """The uploaded networks of one directory.

    forget: is told the file of each that is deleted.
    """

    def __init__(self, folder: Path, forget: Callable[[Path], None] = lambda path: None):
        self.folder, self.forget, self.storing = folder, forget, threading.Lock()

    def path(self, id: str) -> Path | None:
        """The file of the network with this id, or None where there is none."""
        path = self.folder / f"{id}{SUFFIX}"
        return path if ID.fullmatch(id) and identity(path) else None

    def keep(
        self,
        network: Network,
        most: int,
        space: int,
        token: str | None = None,
        address: str = "",
        share: float = 1.0,
    ) -> tuple[str, str]:
        """Store a network; gives its id and its owner's token, which is told once and kept nowhere.

        most: how many may be kept; space: how many bytes they may take together. token: the owner's, where this is not
        their first. address: the fingerprint of where it comes from; share: which part of both one of them may take. A
        Problem (507) beyond, and where the disk takes nothing.
        """
        id, token, content = secrets.token_hex(16), token or secrets.token_urlsafe(32), network.to_bytes()
        with self.storing:
            try:
                self._prepare()
                self._check_room(len(content), most, space, address, share)
                # the owner first: what is served can always be deleted
                self._write(f"{id}.owner", f"{token_hash(token)}\n{address}".encode())
                self._write(f"{id}{SUFFIX}", content)
            except OSError as error:
                for path in (self.folder / f"{id}{SUFFIX}", self._owner(id)):
                    _unlink(path)
                raise full(f"{_reason(error)}, so the network is not kept") from None
        return id, token

    def owner(self, id: str) -> str | None:
        """The fingerprint of the owner's token, or None where no network has this id; nobody's, "", where that is not
        known.
        """
        if self.path(id) is None:
            return None
        found = self._owned(id)[0]
        return found if found or self.path(id) else None  # deleted meanwhile

    def remove(self, id: str) -> None:
        """Delete the network with this id; a Problem (507) where the disk does not let it go."""
        path = self.folder / f"{id}{SUFFIX}"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise full(f"{_reason(error)}, so the network is not deleted") from None
        _unlink(self._owner(id))
        self.forget(path)

    def _prepare(self) -> None:
        """Make the folder, for the person alone who serves, and clear what a killed server left half-written."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & NOT_FOR_OTHERS:  # as older versions made it
            self.folder.chmod(0o700)
        names = {path.name for path in self.folder.iterdir()}
        for name in names:
            left_alone = name.endswith(".owner") and OURS.fullmatch(name) and f"{name[:32]}{SUFFIX}" not in names
            if left_alone or UNFINISHED.fullmatch(name):
                _unlink(self.folder / name)

    def _check_room(self, size: int, most: int, space: int, address: str, share: float) -> None:
        """Raise a Problem (507) where one more of so many bytes is too many, for all or for one address."""
        counts, sizes = Counter[str](), Counter[str]()
        for path in self.folder.glob(f"*{SUFFIX}"):
            found = identity(path)
            if found and OURS.fullmatch(path.name):
                for each in {"", self._owned(path.name[:32])[1]}:
                    counts[each] += 1
                    sizes[each] += found.size
        if counts[""] >= most or sizes[""] + size > space:
            raise full(f"there is no room for another network: {counts['']:,} are kept here, none is thrown away")
        too_large = counts[address] > 0 and sizes[address] + size > share * space
        if counts[address] >= max(1, int(share * most)) or too_large:
            raise full(
                f"there is no room for another network from this address: {counts[address]:,} of it are kept here; "
                "delete one with its owner_token"
            )

    def _write(self, name: str, content: bytes) -> None:
        """Write a file that nobody else on this machine may read: the folder is closed before the file is."""
        atomic_write(self.folder / name, content)
        (self.folder / name).chmod(0o600)

    def _owned(self, id: str) -> tuple[str, str]:
        """The fingerprints of an upload's owner and of the address it came from, "" where one is not known: older files
        hold the first alone.
        """
        try:
            with open_regular(self._owner(id)) as file:
                owner, _, address = file.read(200).decode("ascii").partition("\n")
        except (OSError, BadNetwork, UnicodeDecodeError):
            return "", ""
        return owner, address

    def _owner(self, id: str) -> Path:
        return self.folder / f"{id}.owner"


def full(detail: str) -> Problem:
    """The problem of what is not kept for want of room."""
    return Problem(("body", detail), status=HTTP_507_INSUFFICIENT_STORAGE, headers={"Retry-After": "3600"})


def _unlink(path: Path) -> None:
    """Delete a file; where that cannot be, the log says so."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be deleted: %s", path.name, error.strerror)


def _reason(error: OSError) -> str:
    """Why a disk takes nothing, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many files are open here"
    if error.errno == errno.EROFS:
        return "the disk can only be read"
    return f"the disk takes nothing now ({error.strerror or 'it does not say why'})"
