"""Files of networks in a folder that anything may have been put into: only regular ones are opened, no link is
followed, nothing is waited for, and only those have an id that an address can name.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gatescope.models.formats.safetensors import LENGTH, check_start, read_tensors
from gatescope.models.network.network import BadNetwork, Network

SUFFIX = ".safetensors"
LARGEST = 2 * 2**30  # bytes
LONGEST_ID = 200  # characters, as an address may name


class Identity(NamedTuple):
    """Which file it is, and as it was when: another one in its place has another."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Identity":
        """The identity of a file that was looked at."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def identity(path: Path) -> Identity | None:
    """The identity of what lies there, of a link its own; None where nothing does or may be seen."""
    try:
        return Identity.of(path.lstat())
    except (OSError, ValueError):  # a name with a zero in it, or one too long
        return None


def names_in(folder: Path) -> list[str]:
    """The ids of what lies in a folder under names of networks, in their order; nothing where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(SUFFIX) and entry.name[0] != "."]
    except OSError:
        return []
    return sorted(name.removesuffix(SUFFIX) for name in names)


def is_id(name: str) -> bool:
    """Whether an address can name it: it is text, of no more than two hundred characters, and no way to elsewhere."""
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return 0 < len(name) <= LONGEST_ID and "/" not in name and "\0" not in name and name not in (".", "..")


def open_regular(path: Path) -> BinaryIO:
    """A regular file, opened for reading; raises BadNetwork for anything else, and OSError.

    What it is is asked of what was opened, so that nothing can be put in its place in between; a pipe that nobody
    writes into is not waited for.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if path.is_symlink():
            raise BadNetwork("it is a link, and links are not followed") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise BadNetwork("it is no regular file")
        return os.fdopen(opened, "rb")
    except BaseException:
        os.close(opened)
        raise


def read_network(path: Path) -> Network:
    """The network in a file, called by the file's name; raises BadNetwork, and OSError."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(LENGTH)
        check_start(start)
        if size > LARGEST:
            raise BadNetwork(f"it has {size:,} bytes, and at most {LARGEST:,} are read")
        content = start + file.read(size)
    tensors, facts = read_tensors(content)
    del content
    return Network.of(tensors, facts, path.name.removesuffix(SUFFIX), "the file")
