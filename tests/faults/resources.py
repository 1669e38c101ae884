"""Files and threads that run out."""

import resource
import time
from contextlib import ExitStack, suppress

from tests.faults.crashes import DEAR, step_of
from tests.faults.server import Server, comes_true, in_state
from tests.faults.sockets import asked, connected, head, posted
from tests.faults.table import Trial, row
from tests.runs import TEXT
from tests.runs_over_http import QUICK, started


@row(
    64,
    "64 open files, 256, with more connections than that; 60 computations at once",
    "503 or closed at once; recovers; runs train",
    "crowds",
)
def exhausted(trial: Trial) -> None:
    for files in (64, 256):
        with (
            trial.own_server(limits={resource.RLIMIT_NOFILE: (files, files)}, workers=1) as server,
            ExitStack() as stack,
        ):
            made = started(server.client, TEXT, **QUICK | {"steps": 200})
            place, used, began = server.log_size(), server.cpu_seconds(), time.monotonic()
            for _ in range(files + 100):
                with suppress(OSError):
                    stack.enter_context(connected(server.port, 5))
            for _ in range(15):
                answer = asked(server.port, head("GET", "/healthz", "Connection: close"), timeout=10, closing=0)
                trial.count(str(answer.status or "closed"), answer.status in (0, 200, 503), f"{files} files")
                time.sleep(0.1)
            busy = (server.cpu_seconds() - used) / (time.monotonic() - began)
            said = server.log_size() - place
            trial.note(f"{files} files: {busy:.0%} of a core, {said / 1000:.0f} kB of log")
            trial.holds(busy < 0.8 and said < 100_000, f"{files} files: a busy loop, or a flood of log")
            stack.close()
            trial.holds(comes_true(lambda: server.answers(2), 20), f"{files} files: it does not recover")
            run = in_state(server.client, made, "finished", "failed")
            trial.holds(run["state"] == "finished", f"{files} files: the run {run['state']}: {run['reason']}")
    with trial.own_server(workers=1) as server, ExitStack() as stack:
        for _ in range(60):
            posted(stack.enter_context(connected(server.port)), "/api/verification", DEAR)
        began, slowest = time.monotonic(), 0.0
        while time.monotonic() - began < 8:
            at = time.monotonic()
            answer = asked(server.port, head("GET", "/healthz"), timeout=30, closing=0)
            slowest = max(slowest, time.monotonic() - at)
            trial.count(str(answer.status), answer.status == 200, "beside 60 computations")
            page = asked(server.port, head("GET", "/train"), timeout=30, closing=0)
            trial.count(f"page {page.status}", page.status == 200, "beside 60 computations")
            time.sleep(0.2)
        stack.close()
        made = started(server.client, TEXT, **QUICK)
        trial.holds(comes_true(lambda: step_of(server, made) > 0, 60), "no run begins after them")
        trial.note(f"healthz beside 60 computations: worst {slowest:.2f} s")
        trial.holds(slowest < 3, f"/healthz took {slowest:.1f} s")
        idle = comes_true(lambda: quiet(server), 40, 0)
        trial.holds(idle, "it goes on computing for nobody")


def quiet(server: Server) -> bool:
    """Whether a server uses little of a core within a second."""
    used = server.cpu_seconds()
    time.sleep(1)
    return server.cpu_seconds() - used < 0.3
