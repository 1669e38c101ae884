"""Files written whole or not at all."""

import os
import secrets
from pathlib import Path


def atomic_write(path: Path, content: bytes | bytearray) -> None:
    """Write a file whole or not at all, also when the machine stops meanwhile."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
