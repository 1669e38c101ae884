"""Workers and servers killed, frozen, starved: runs go on to the same numbers."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
from safetensors.numpy import load

from tests.faults.server import Server, comes_true, in_state, lives
from tests.faults.sockets import connected, posted
from tests.faults.streams import every_event
from tests.faults.table import Trial, row
from tests.house import HOUSE
from tests.runs import TEXT
from tests.runs_over_http import ENDLESS, QUICK, owned, started

# long enough to be killed in, and the same in the end whatever is killed
STEADY = {
    "cell": "gru",
    "hidden": 48,
    "steps": 900,
    "sequence_length": 32,
    "batch_size": 16,
    "seed": 3,
    "patience": 1000,
}
DEAR = {"model": "shakespeare-lstm-2x256", "text": ("To be, or not to be, that is the question: " * 300)[:12_000]}
TOLD = ("step", "loss", "validation_loss", "gradient_norm", "text", "finished")


def step_of(server: Server, made: dict) -> int:
    """The step that a run has come to; −1 while nobody answers."""
    try:
        progress = server.client.get(made["links"]["self"]).json()["progress"]
    except (httpx.HTTPError, KeyError):
        return -1
    return progress["step"] if progress else 0


def figures(server: Server, made: dict) -> list[tuple]:
    """What a run told, without what depends on time; its ids must rise."""
    events = every_event(server.client, made)
    ids = [event["id"] for event in events]
    assert ids == sorted(set(ids)), "ids do not rise"
    told = [event for event in events if event["event"] in ("progress", "gates", "sample")]
    return [(event["event"], *(str(event["data"].get(name)) for name in TOLD)) for event in told]


def weights(server: Server, made: dict) -> dict[str, bytes]:
    """The tensors of a run, bit by bit."""
    file = load(server.client.get(made["links"]["weights"]).content)
    return {name: np.ascontiguousarray(tensor).tobytes() for name, tensor in file.items()}


def worker_of(server: Server) -> int:
    """The process that trains, as soon as there is one."""
    assert comes_true(lambda: training(server), 60, 0.01), "no worker came"
    return training(server)[0]


def training(server: Server) -> list[int]:
    """The processes that train."""
    return [child for child in server.children() if lives(child)]


@row(
    56,
    "kill -9 of a worker at its start, at the first step, in the middle, after a checkpoint",
    "goes on; the same bits and log",
    "crashes",
)
def killed_workers(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        plain, killed = (started(server.client, TEXT, **STEADY) for _ in range(2))
        in_state(server.client, plain, "finished")
        steps, before = (0, 1, 100, 300, 301, 600), set()
        for step in steps:
            assert comes_true(lambda step=step: step_of(server, killed) >= step, 120, 0.01), f"step {step} never came"
            if server.client.get(killed["links"]["self"]).json()["state"] in ("finished", "failed"):
                break
            worker = worker_of(server)
            os.kill(worker, signal.SIGKILL)
            began = time.monotonic()
            before.add(worker)
            back = comes_true(lambda: set(training(server)) - before, 30, 0.02)
            trial.count("goes on after a kill", back, f"at step {step}")
            trial.holds(time.monotonic() - began < 20, f"after {time.monotonic() - began:.0f} s")
        run = in_state(server.client, killed, "finished", "failed", "stopped")
        trial.holds(run["state"] == "finished", f"{run['state']}: {run['reason']}")
        trial.holds(weights(server, killed) == weights(server, plain), "other weights")
        trial.holds(figures(server, killed) == figures(server, plain), "another log")


@row(
    57,
    "kill -9 of the server while runs wait, train and rest, and in the middle of POSTs",
    "nothing acknowledged is lost",
    "crashes",
)
def killed_servers(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        plain = started(server.client, TEXT, **STEADY)
        in_state(server.client, plain, "finished")
        killed = started(server.client, TEXT, **STEADY)
        paused = started(server.client, TEXT, **STEADY | {"seed": 4})
        server.client.post(f"{paused['links']['self']}/pause", headers=owned(paused))
        acknowledged = [killed, paused]
        for n in range(8):
            comes_true(lambda n=n: step_of(server, killed) >= 60 * n, 30, 0.01)
            workers = training(server)
            with subprocess.Popen(
                [sys.executable, "-c", POSTS, server.address, str(n)], stdout=subprocess.PIPE
            ) as other:
                time.sleep(0.25 + 0.02 * n)
                server.end(9)
                said = other.communicate(timeout=30)[0].decode().split()
            gone = comes_true(lambda w=workers: not any(map(lives, w)), 10, 0.01)
            server.start()
            trial.count("back", gone, "a worker outlives its server")
            acknowledged += [{"id": id, "links": {"self": f"/api/runs/{id}"}} for id in said]
        ids = [run["id"] for run in server.client.get("/api/runs").json()["runs"]]
        lost = [made["id"] for made in acknowledged if made["id"] not in ids]
        trial.note(f"{len(acknowledged)} acknowledged, {len(lost)} lost, {len(ids) - len(set(ids))} doubled")
        trial.holds(not lost and len(ids) == len(set(ids)), "lost or doubled")
        run = in_state(server.client, killed, "finished", "failed")
        trial.holds(run["state"] == "finished" and weights(server, killed) == weights(server, plain), "other weights")
        trial.holds(figures(server, killed) == figures(server, plain), "another log")
        trial.holds(server.client.get(paused["links"]["self"]).json()["state"] == "paused", "the paused one")


POSTS = """
import sys, urllib.request, json
for n in range(40):
    try:
        text = ("one two " * 20 + str(n)).encode()
        with urllib.request.urlopen(sys.argv[1] + "/api/runs?cell=gru&hidden=2&steps=1", text) as got:
            print(json.loads(got.read())["id"], flush=True)
    except OSError:
        break
"""


@row(
    58,
    "a worker frozen (SIGSTOP); one killed at each of its starts",
    "given up and resumed; failed after three",
    "stalls",
)
def frozen(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        made = started(server.client, TEXT, **ENDLESS)
        assert comes_true(lambda: step_of(server, made) > 0, 60)
        worker = worker_of(server)
        os.kill(worker, signal.SIGSTOP)
        began = time.monotonic()
        given_up = comes_true(lambda: not lives(worker), 60, 0.2)
        trial.count(f"given up after {time.monotonic() - began:.0f} s", given_up, "frozen")
        at = step_of(server, made)
        trial.count("goes on", comes_true(lambda: step_of(server, made) > at, 60), "after it was frozen")
        server.client.delete(made["links"]["self"], headers=owned(made))
        doomed, kills = started(server.client, TEXT, **ENDLESS), 0
        end = time.monotonic() + 60
        while server.client.get(doomed["links"]["self"]).json()["state"] not in ("failed", "finished"):
            for child in training(server):
                os.kill(child, signal.SIGKILL)
                kills += 1
            if time.monotonic() > end:
                break
        run = server.client.get(doomed["links"]["self"]).json()
        trial.count(run["state"], run["state"] == "failed", f"killed {kills} times at its start")
        trial.holds("without getting on" in (run["reason"] or ""), f"reason {run['reason']!r}")


@row(
    59,
    "a training that needs more memory than a worker may have",
    "refused, or failed: memory; the server is well",
    "crashes",
)
def out_of_memory(trial: Trial) -> None:
    for megabytes, chosen in (
        (150, QUICK),
        (500, {"hidden": 1500, "layers": 2, "batch_size": 256, "steps": 500}),
        (200, ENDLESS),
    ):
        with trial.own_server(workers=1, worker_memory=megabytes * 2**20) as server:
            answer = server.client.post("/api/runs", params=chosen, content=TEXT)
            trial.status(answer, 202, 422, what=f"{megabytes} MB")
            if answer.status_code != 202:
                trial.holds("memory" in answer.text or "GiB" in answer.text, "the refusal names no memory")
                continue
            run = in_state(server.client, answer.json(), "failed", "finished", "stopped")
            trial.count(
                f"{run['state']}: {(run['reason'] or '')[:6]}", "memory" in (run["reason"] or ""), f"{run['reason']}"
            )


@row(
    65,
    "SIGTERM with 300 streams and a run; with computations under way; twice",
    "out within 10 s; viewers told; the run goes on",
    "crowds",
)
def asked_to_end(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        made = started(server.client, TEXT, **ENDLESS)
        assert comes_true(lambda: step_of(server, made) > 20, 60)
        watching = [httpx.Client(timeout=30, verify=False) for _ in range(300)]
        streams = [
            client.send(client.build_request("GET", server.address + made["links"]["events"]), stream=True)
            for client in watching
        ]
        at = step_of(server, made)
        took = server.end()
        trial.count("out", took < 10, f"with 300 streams after {took:.1f} s")
        told = [
            ("".join(stream.iter_text())) if n % 10 == 0 else (stream.close() or "retry")
            for n, stream in enumerate(streams)
        ]
        trial.holds(all("retry" in text for text in told), "no retry")
        for client in watching:
            client.close()
        trial.note(f"streams {took:.1f} s")
        server.start()
        trial.count("goes on", comes_true(lambda: step_of(server, made) > at, 60), "the run")
        trial.holds(step_of(server, made) >= at, "from a step before")
        with ExitStack() as stack:
            for _ in range(12):
                posted(stack.enter_context(connected(server.port)), "/api/verification", DEAR)
            time.sleep(1.5)
            took = server.end()
        trial.count("out", took < 10, f"with computations after {took:.1f} s")
        trial.note(f"computations {took:.1f} s")
        server.start()


@row(
    66, "a second server on one data directory", "refused with a sentence, exit status 2; the first goes on", "crashes"
)
def two_servers(trial: Trial) -> None:
    with trial.own_server() as server:
        for variables in ({}, {"GATESCOPE_BACKEND": "inline"}, {"GATESCOPE_HOST": "127.0.0.1"}):
            second = refused(server.data, **variables)
            words = second.stderr.decode()
            fine = second.returncode == 2 and "another Gatescope" in words and "Traceback" not in words
            trial.count(f"exit status {second.returncode}", fine, words[-100:])
        trial.status(server.client.get("/api/runs"), 200, what="the first")


def refused(data: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """A server that should not start; it is killed after 90 seconds."""
    command = [
        "timeout",
        "-k",
        "1",
        "20",
        sys.executable,
        "-m",
        "gatescope",
        "serve",
        "--port",
        "1" + str(os.getpid())[-4:].zfill(4),
    ]
    return subprocess.run(
        command, capture_output=True, env={**os.environ, "GATESCOPE_DATA": str(data), **variables}, cwd=data.parent
    )


@row(67, "how workers come to be: processes of their own, never a copy of the server", "started afresh", "crashes")
def started_afresh(trial: Trial) -> None:
    with trial.own_server(workers=2) as server:
        made = [started(server.client, TEXT, **ENDLESS) for _ in range(2)]
        assert comes_true(lambda: len(training(server)) >= 2, 60)
        for child in training(server):
            command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            trial.count(
                "python -m … worker", b"gatescope.app.workers.worker" in command and b"-P" in command, str(command[:4])
            )
            group = os.getpgid(child) == child
            trial.holds(group, "no group of its own")
        sources = "\n".join(path.read_text() for path in (HOUSE / "app").rglob("*.py"))
        trial.holds("os.fork" not in sources and "multiprocessing" not in sources, "something forks")
        for each in made:
            server.client.delete(each["links"]["self"], headers=owned(each))
        trial.holds(
            comes_true(lambda: not [c for c in training(server) if step_of(server, made[0]) > 0], 20), "workers stay"
        )
