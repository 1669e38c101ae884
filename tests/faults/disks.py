"""Disks that are full or take nothing, small ones mounted for the purpose."""

import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.crashes import step_of
from tests.faults.server import Server, comes_true, in_state
from tests.faults.table import Trial, row
from tests.foreign import Theirs
from tests.runs import TEXT
from tests.runs_over_http import QUICK, owned, started

BYTES = {"Content-Type": "application/octet-stream"}
LARGE = {"hidden": 256, "steps": 200_000, "sequence_length": 16, "batch_size": 4}


def mount(folder: Path, *options: str) -> bool:
    """Mount a small file system; whether that may be done here."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder]
    return subprocess.run(command, capture_output=True).returncode == 0


@contextmanager
def small(folder: Path) -> Iterator[bool]:
    """A file system of 12 MB in a folder; whether there is one."""
    mounted = mount(folder, "size=12m")
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], capture_output=True)


def filled(folder: Path) -> Path:
    """A file that takes all that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            return filler


def writes(trial: Trial, server: Server, what: str, *allowed: int) -> None:
    """Count what writes are answered."""
    for _ in range(3):
        trial.status(server.client.post("/api/runs", params=QUICK, content=TEXT * 9), *allowed, what=f"{what}: a run")
        module = Theirs("lstm", 2).saved()
        trial.status(
            server.client.post("/api/models", content=module, headers=BYTES), *allowed, what=f"{what}: an upload"
        )


def reads(trial: Trial, server: Server, made: dict, what: str) -> None:
    """Count what reads are answered, which need no disk."""
    paths = (
        "/",
        "/train",
        "/api/models",
        "/api/trace.json?model=reber-lstm&text=BTX",
        made["links"]["self"],
        made["links"]["log"],
    )
    for path in paths:
        trial.status(server.client.get(path), 200, what=f"{what}: {path}")


@row(60, "a full disk under a run, an upload, a deletion; a disk that takes nothing; SIGTERM on a full disk",
     "507 in words on what writes, the rest goes on; recovers; deletions tell the truth", "stalls")  # fmt: skip
def full_disks(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        server.end()
        with small(server.data) as mounted:
            if not trial.holds(mounted, "no file system can be mounted here: run it as root"):
                server.start()
                return
            server.start()
            gone, made = (started(server.client, TEXT, **chosen) for chosen in (QUICK, LARGE))
            in_state(server.client, gone, "finished")
            assert comes_true(lambda: step_of(server, made) > 5, 60)
            filler = filled(server.data)
            writes(trial, server, "full", 507)
            reads(trial, server, made, "full")
            deleted(trial, server, gone, "full")
            filler.unlink()
            at = step_of(server, made)
            trial.count("goes on", comes_true(lambda: step_of(server, made) > at, 60), "a run when there is space")
            trial.holds(comes_true(lambda: server.client.get("/readyz").status_code == 200, 30), "not ready again")
            read_only(trial, server, made)
            filler = filled(server.data)
            time.sleep(3)
            took = server.end(seconds=40)
            trial.count("out on SIGTERM" if took < 15 else "stays", took < 15, f"full, after {took:.0f} s")
            trial.note(f"SIGTERM on a full disk {took:.1f} s")
            filler.unlink()
            server.start()
            trial.count("back", comes_true(lambda: step_of(server, made) >= 0, 60), "the run after that")
            server.end()
        server.start()


def deleted(trial: Trial, server: Server, made: dict, what: str) -> None:
    """Count a deletion: what it says must be so."""
    answer = server.client.delete(made["links"]["self"], headers=owned(made))
    there = server.client.get(made["links"]["self"]).status_code == 200
    true = (answer.status_code == 204 and not there) or (answer.status_code in (503, 507) and there)
    trial.count(f"deletion {answer.status_code}, {'there' if there else 'gone'}", true, what)


def read_only(trial: Trial, server: Server, made: dict) -> None:
    """Let no file of the server grow for a while: a fault of the disk that is not its being full."""
    assert server.process
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    time.sleep(1)
    writes(trial, server, "no file grows", 507, 503)
    reads(trial, server, made, "no file grows")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)
    at = step_of(server, made)
    trial.count("goes on", comes_true(lambda: step_of(server, made) > at, 60), "a run when files may grow again")
