"""Trainings that cannot be, that are asked for twice, too often, or by somebody else; and writing out of all bounds."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.faults.server import Server, comes_true, in_state
from tests.faults.table import Trial, row
from tests.runs_over_http import ENDLESS, QUICK, owned, started

TEXT = "one two buckle my shoe, three four knock at the door. " * 60
TOO_MUCH = [
    {"hidden": 10**6},
    {"layers": 10**4},
    {"steps": 10**12},
    {"batch_size": 0},
    {"hidden": 0},
    {"layers": -1},
    {"steps": 0},
    {"sequence_length": 10**9},
    {"batch_size": 10**9},
    {"embedding": 10**9},
    {"embedding": -1},
    {"hidden": 4096, "layers": 8},
    {"hidden": 7000, "layers": 4},
    {"hidden": 2048, "layers": 3, "batch_size": 4096},
    {"steps": 10**9},
    {"steps": 10**7, "hidden": 1024},
    {"learning_rate": 0},
    {"learning_rate": -1},
    {"dropout": 1},
    {"dropout": -0.1},
    {"clip": 0},
    {"clip": -1},
    {"patience": 0},
    {"update_every": 0},
    {"seed": -1},
    {"seed": 2**70},
    {"cell": "none"},
    {"cell": "x" * 41},
    {"cell": "../lstm"},
    {"hidden": "many"},
    {"hidden": 1.5},
    {"steps": "1e3"},
    {"batch_size": 4097},
    {"sequence_length": 4097},
    {"hidden": 10**7},
    {"hidden": 5000, "layers": 1},
]


@row(
    39,
    "hidden 10⁶, layers 10⁴, steps 10¹², batch 0 and 32 more that are too much or nothing",
    "422 that names it, from its price",
    "jobs",
)
def too_much(trial: Trial) -> None:
    slowest = 0.0
    for chosen in TOO_MUCH:
        for dry_run in (True, False):
            began = time.monotonic()
            answer = trial.server.client.post("/api/runs", params={**chosen, "dry_run": dry_run}, content=TEXT)
            slowest = max(slowest, time.monotonic() - began)
            trial.status(answer, 422, what=str(chosen))
            trial.holds(answer.status_code != 422 or len(answer.json()["errors"]) > 0, f"{chosen}: names nothing")
    trial.note(f"slowest {slowest * 1000:.0f} ms")
    trial.holds(slowest < 2, "slow")


@row(40, "learning rates of 10³⁰ and 10³⁸", "the run fails: diverged at a step; what came before is kept", "jobs")
def diverging(trial: Trial) -> None:
    client = trial.server.client
    for chosen in (
        {"learning_rate": 1e30},
        {"learning_rate": 1e38, "clip": 1e9},
        {"learning_rate": 1e25, "cell": "lstm"},
    ):
        made = started(client, TEXT, **QUICK | {"steps": 400} | chosen)
        run = in_state(client, made, "failed", "finished", "stopped")
        words = run["reason"] or ""
        trial.count(
            f"{run['state']}: {words[:30]}", run["state"] == "failed" and "diverged at step" in words, str(chosen)
        )
        log = client.get(made["links"]["log"]).json()["events"]
        trial.holds(any(event["event"] == "progress" for event in log) or "step 2" in words, "nothing is kept")
        trial.holds(client.get(made["links"]["page"]).status_code == 200, "its page")


@row(
    41,
    "the same POST with one Idempotency-Key: twice, twelve at once, after a kill -9; with another text",
    "one run; 422",
    "crashes",
)
def twice(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        for n in range(4):
            key = {"Idempotency-Key": f"{n}-a-key-long-enough-for-anybody"}
            with ThreadPoolExecutor(12) as pool:
                made = list(pool.map(lambda _, key=key: posted_again(server, TEXT, key), range(12)))
            ids = {answer.json().get("id") for answer in made}
            trial.count(f"{len(ids)} run of 12", len(ids) == 1 and all(a.status_code == 202 for a in made))
            tokens = {answer.json().get("owner_token") for answer in made}
            trial.holds(len(tokens) == 1, f"{len(tokens)} tokens")
            trial.status(posted_again(server, TEXT + "!", key), 422, what="another text")
            trial.status(posted_again(server, TEXT, key, hidden=9), 422, what="another size")
            server.end(9)
            server.start()
            again = posted_again(server, TEXT, key)
            trial.status(again, 202, what="after a kill")
            trial.holds(again.json().get("id") in ids, "another run after a kill")
        short = {"Idempotency-Key": "1"}
        people = [posted_again(server, TEXT, {**short, "X-Forwarded-For": f"10.0.0.{n}"}) for n in range(2)]
        same = len({answer.json().get("owner_token") for answer in people}) == 1
        trial.count("a short key: one token for two" if same else "a short key: two tokens", not same)
        trial.status(posted_again(server, TEXT, {"Idempotency-Key": "k" * 201}), 422, what="a long key")


def posted_again(server: Server, text: str, headers: dict[str, str], hidden: int = 8) -> httpx.Response:
    """The answer to one and the same POST."""
    params = {"cell": "gru", "hidden": hidden, "steps": 50_000}
    return server.client.post("/api/runs", params=params, content=text, headers=headers)


@row(42, "200 POSTs in a second; 500 people behind one address; 600 questions meanwhile",
     "429 or 503 with Retry-After beyond the limits; a class gets in; questions always", "crashes")  # fmt: skip
def in_a_second(trial: Trial) -> None:
    with trial.own_server(workers=1) as server, ThreadPoolExecutor(8) as pool:
        start = lambda n: server.client.post("/api/runs?cell=gru&hidden=4&steps=2", content=TEXT + str(n))  # noqa: E731
        began = time.monotonic()
        answers = list(pool.map(start, range(500)))
        took = time.monotonic() - began
        accepted = sum(answer.status_code == 202 for answer in answers)
        trial.note(f"{accepted} of a class of 500 in {took:.0f} s")
        trial.holds(accepted >= 490, f"only {accepted} of a class of 500 get in")
        asks = list(pool.map(lambda n: server.client.get(("/healthz", "/api/runs", "/api/cells")[n % 3]), range(600)))
        more = list(pool.map(start, range(500, 1300)))
        for answer in [*answers, *more]:
            trial.status(answer, 202, 429, 503, what="POST")
            trial.holds(answer.status_code == 202 or int(answer.headers.get("retry-after", 0)) > 0, "no Retry-After")
        trial.holds(any(answer.status_code != 202 for answer in more), "1,300 in a minute from one address")
        for answer in asks:
            trial.status(answer, 200, what="GET")


@row(43, "a run more than may wait, thirty times", "503 with Retry-After that differs, nothing half-made", "crashes")
def full_queue(trial: Trial) -> None:
    with trial.own_server(workers=1, queue_limit=5, address_share=1.0, runs_per_owner=50) as server:
        client = server.client
        made = [started(client, TEXT, **ENDLESS)]
        in_state(client, made[0], "running")
        made += [started(client, TEXT, **ENDLESS) for _ in range(5)]
        waits = set()
        for _ in range(30):
            answer = client.post("/api/runs", params=ENDLESS, content=TEXT)
            trial.status(answer, 503, what="a full queue")
            waits.add(answer.headers.get("retry-after"))
        trial.holds(None not in waits and len(waits) > 3, f"Retry-After is {waits}")
        places = [client.get(each["links"]["self"]).json()["position"] for each in made]
        trial.holds(places == [None, 1, 2, 3, 4, 5], f"places {places}")
        trial.holds(len(client.get("/api/runs").json()["runs"]) == 6, "something was made")
        client.delete(made[3]["links"]["self"], headers=owned(made[3]))
        trial.status(client.post("/api/runs", params=ENDLESS, content=TEXT), 202, what="a place is free")


WRONG = (
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer " + "x" * 43},
    {"Authorization": "x" * 43},
    {"Authorization": "Basic YTpi"},
    {"Authorization": "Bearer " + "x" * 5000},
    {"Authorization": "Bearer ü"},
    {"Authorization": "Bearer null"},
    {"Authorization": "bearer ' OR 1=1 --"},
)


@row(
    44,
    "pause, resume, stop and delete with ten wrong tokens, after the end, twice, of what is not there",
    "403; 409; 204 twice; 404",
    "jobs",
)
def not_the_owner(trial: Trial) -> None:
    client = trial.server.client
    made, over = started(client, TEXT, **ENDLESS), started(client, TEXT, **QUICK | {"steps": 3})
    other = started(client, TEXT, **QUICK | {"steps": 3})
    in_state(client, over, "finished")
    for wrong in (*WRONG, owned(other)):
        for ask in ("pause", "resume", "stop", None):
            path = f"{made['links']['self']}/{ask}" if ask else made["links"]["self"]
            headers = {name: value.encode() for name, value in wrong.items()}
            answer = client.request("POST" if ask else "DELETE", path, headers=headers)
            trial.status(answer, 403, what=f"{ask} with {str(wrong)[:40]}")
    for ask in ("pause", "resume"):
        trial.status(client.post(f"{over['links']['self']}/{ask}", headers=owned(over)), 409, what=f"{ask} when over")
    for ask in ("pause", "resume", "stop"):
        trial.status(client.post(f"/api/runs/{'0' * 32}/{ask}", headers=owned(over)), 404, what="not there")
    trial.status(client.delete(f"/api/runs/{'0' * 32}", headers=owned(over)), 404, what="not there")
    for _ in range(2):
        answer = client.delete(made["links"]["self"], headers=owned(made))
        trial.count(str(answer.status_code), answer.status_code == 204, "twice")
    trial.status(client.delete(made["links"]["self"], headers=owned(other)), 403, 404, what="deleted, by another")
    trial.status(client.get(made["links"]["self"]), 404, what="deleted")


@row(
    45,
    "temperature 0, −1, 10⁻⁹, 101; unknown characters; a million characters; top_k 0",
    "as asked, or 422 that names the range",
    "jobs",
)
def writing(trial: Trial) -> None:
    client = trial.server.client
    asked = {"model": "shakespeare-lstm", "prompt": "To be", "length": 5}
    for chosen in (
        {"temperature": 0},
        {"temperature": 1e-9},
        {"temperature": 100},
        {"top_k": 1},
        {"top_k": 60},
        {"length": 1},
        {"temperature": 5e-324},
        {"seed": 2**53 - 1},
    ):
        answer = client.post("/api/generate", json=asked | chosen)
        trial.status(answer, 200, what=str(chosen))
        trial.holds("event: end" in answer.text and "NaN" not in answer.text, f"{chosen}: no end")
    for chosen in (
        {"temperature": -1},
        {"temperature": 101},
        {"top_k": 0},
        {"top_k": 10**6},
        {"top_k": -1},
        {"length": 0},
        {"length": 10**6},
        {"length": -1},
        {"prompt": ""},
        {"prompt": "日本"},
        {"prompt": "\u0000"},
        {"prompt": "a" * 20_001},
        {"seed": -1},
        {"seed": 2**53},
        {"model": "none"},
        {"model": "signal"},
        {"model": ""},
        {"encoding": "float64"},
    ):
        answer = client.post("/api/generate", json=asked | chosen)
        trial.status(answer, 422, what=str(chosen)[:40])
        trial.holds(answer.status_code != 422 or answer.json()["errors"], f"{chosen}: names nothing")
    trial.holds(comes_true(lambda: client.get("/healthz").status_code == 200, 5), "alive")
