"""Runs over HTTP, trained by real workers: from a text to a network, and everything that is refused on the way."""

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import torch
from safetensors.torch import load

from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from tests.runs import TEXT
from tests.runs_over_http import ENDLESS, QUICK, in_state, owned, posted, started, told
from tests.service import errors_of, serve

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return create_app(Settings(data=tmp_path_factory.mktemp("runs"), workers=1))


@pytest.fixture(scope="module")
def here(app) -> Iterator[httpx.Client]:
    with serve(app.state.settings, app) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def trained(here) -> tuple[dict, list[tuple[str, dict]]]:
    made = started(here, title="Bottles", **QUICK)
    return made, told(here, made)


@pytest.fixture(scope="module")
def endless(here) -> dict:
    """A run that trains until the last test deletes it."""
    made = started(here, **ENDLESS)
    in_state(here, made, "running")
    return made


def test_a_text_becomes_a_run_whose_log_tells_everything(here, trained):
    made, log = trained
    assert made["state"] == "queued" and made["title"] == "Bottles" and len(made["id"]) == 32
    names = [name for name, _ in log]
    assert {"progress", "gates", "sample", "checkpoint"} < set(names)
    assert names[-2:] == ["state", "end"] and log[-2][1]["state"] == "finished"
    assert all(data["run"] == made["id"] for _, data in log)
    last = [data for name, data in log if name == "progress"][-1]
    assert last["step"] == last["steps"] == QUICK["steps"]
    is_regression = Counter(TEXT)
    entropy = -sum(count / len(TEXT) * math.log(count / len(TEXT)) for count in is_regression.values())
    assert last["loss"] < entropy and last["validation_loss"] < entropy
    (layer,) = [data for name, data in log if name == "gates"][-1]["layers"]
    assert set(layer) == {"r", "z", "n", "h"} and all(len(each["histogram"]) == 16 for each in layer.values())
    run = here.get(made["links"]["self"]).json()
    assert run["state"] == "finished" and run["progress"]["step"] == QUICK["steps"] and run["position"] is None
    assert run["recipe"]["hidden"] == QUICK["hidden"] and "owner_token" not in run


def test_what_curl_sends_is_taken(here):
    body = TEXT.encode()
    response = here.post(
        "/api/runs?dry_run=true", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert response.json()["text"]["characters"] == len(TEXT)


def test_a_runs_network_is_had_like_any_other(here, trained):
    made, log = trained
    about = here.get(made["links"]["model"]).json()
    assert (about["id"], about["origin"], about["cell"]) == (made["id"], "run", "gru")
    assert about["vocabulary"] == sorted(set(TEXT)) and made["id"] not in here.get("/api/models").text
    assert here.get("/api/trace.json", params={"model": made["id"], "text": TEXT[:50]}).status_code == 200
    wrote = here.post("/api/generate", json={"model": made["id"], "prompt": "1", "length": 5})
    assert "event: end" in wrote.text


def test_the_weights_give_the_same_loss_in_a_plain_module(here, trained):
    made, _ = trained

    class Plain(torch.nn.Module):
        def __init__(self, characters: int, hidden: int):
            super().__init__()
            self.rnn, self.readout = torch.nn.GRU(characters, hidden), torch.nn.Linear(hidden, characters)

    module = Plain(len(set(TEXT)), QUICK["hidden"])
    module.load_state_dict(load(here.get(made["links"]["weights"]).content))
    part = TEXT[-500:]
    tokens = torch.tensor([sorted(set(TEXT)).index(character) for character in part])
    output, _ = module.rnn(torch.nn.functional.one_hot(tokens, len(set(TEXT))).float()[:, None])
    loss = torch.nn.functional.cross_entropy(module.readout(output[:-1, 0]), tokens[1:], reduction="none")
    ours = here.get("/api/trace.json", params={"model": made["id"], "text": part, "backward": False}).json()
    assert torch.allclose(torch.tensor(ours["tensors"]["loss"]), loss, atol=1e-5)


def test_a_training_that_explodes_says_at_which_step(here):
    made = started(here, **QUICK | {"learning_rate": 1e30})
    log = told(here, made)
    assert log[-2][1]["state"] == "failed" and log[-2][1]["reason"].startswith("diverged at step ")
    assert [name for name, _ in log][:2] == ["state", "state"]


def test_a_network_is_watched_while_it_learns(here, endless):
    weights, deadline = set(), time.monotonic() + 40
    while len(weights) < 2 and time.monotonic() < deadline:
        response = here.get(endless["links"]["weights"])
        weights |= {response.content} if response.status_code == 200 else set()
        time.sleep(0.1)
    assert len(weights) >= 2
    assert here.get(endless["links"]["self"]).json()["state"] == "running"


def test_one_key_makes_one_run(here):
    headers = {"Idempotency-Key": "c0ffee-c0ffee-c0ffee"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: posted(here, headers=headers, **QUICK), range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len({answer.json()["owner_token"] for answer in answers}) == 1
    made = answers[0].json()
    assert "another text" in errors_of(posted(here, TEXT + "x", headers, **QUICK))["idempotency-key"]
    assert "other parameters" in errors_of(posted(here, TEXT, headers, **QUICK | {"seed": 8}))["idempotency-key"]
    other = started(here, headers=headers | owned({"owner_token": "B" * 43}), **QUICK)
    assert other["id"] != made["id"] and other["owner_token"] == "B" * 43
    for each in (made, other):
        assert here.delete(each["links"]["self"], headers=owned(each)).status_code == 204


def test_a_key_that_two_people_may_choose_alike_tells_no_token_twice(here):
    text, headers = TEXT + "A class has one text.", {"Idempotency-Key": "1"}
    first, second = (started(here, text, headers, **QUICK) for _ in range(2))
    assert first["id"] == second["id"] and second["owner_token"] is None
    errors_of(here.delete(second["links"]["self"]), 403)
    assert here.delete(first["links"]["self"], headers=owned(first)).status_code == 204
    long = {"Idempotency-Key": "a long key that only one of them has"}
    tokens = {started(here, each, long)["owner_token"] for each in (text, text)}
    assert len(tokens) == 1
    here.delete("/api/runs/" + started(here, text, long)["id"], headers=owned({"owner_token": tokens.pop()}))


def test_who_sees_which_runs(here, endless):
    mine, ids = owned(endless), lambda response: [run["id"] for run in response.json()["runs"]]
    second = started(here, headers=mine, **QUICK)
    assert second["owner_token"] == endless["owner_token"] and second["position"] == 1
    assert ids(here.get("/api/runs", headers=mine)) == [second["id"], endless["id"]]
    assert {second["id"], endless["id"]} < set(ids(here.get("/api/runs")))
    strangers = ({"X-Forwarded-For": "192.0.2.7"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"})
    for stranger in (strangers[0], owned({"owner_token": "C" * 43})):
        assert ids(here.get("/api/runs", headers=stranger)) == []
    for page_of_another_site in strangers[1:]:
        assert "origin" in errors_of(here.get("/api/runs", headers=page_of_another_site), 403)
    named = here.get("/api/runs", params={"ids": f"{endless['id']},{'0' * 32}"}, headers=strangers[0])
    assert ids(named) == [endless["id"]] and "owner_token" not in named.text
    assert here.delete(second["links"]["self"], headers=mine).status_code == 204


def test_its_owner_pauses_and_resumes_it(here, endless):
    path, mine = endless["links"]["self"], owned(endless)
    strangers = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {endless['owner_token']}"}]
    for wrong in (*strangers, owned({"owner_token": "A" * 43})):
        for method, action in (("POST", "/pause"), ("POST", "/resume"), ("POST", "/stop"), ("DELETE", "")):
            assert "owner_token" in errors_of(here.request(method, path + action, headers=wrong), 403)["authorization"]
    assert here.post(f"{path}/pause", headers=mine).status_code == 202
    in_state(here, endless, "paused")
    assert here.post(f"{path}/pause", headers=mine).status_code == 202
    assert here.get(endless["links"]["model"]).status_code == 200
    assert here.post(f"{path}/resume", headers=mine).status_code == 202
    in_state(here, endless, "running")


def test_its_owner_stops_and_deletes_it(here, endless):
    made = started(here, **ENDLESS)
    path, mine = made["links"]["self"], owned(made)
    assert here.post(f"{path}/stop", headers=mine).json()["state"] == "stopped"
    for action in ("pause", "resume"):
        assert "stopped" in errors_of(here.post(f"{path}/{action}", headers=mine), 409)["state"]
    assert [name for name, _ in told(here, made)] == ["state", "state", "end"]
    assert "no checkpoint yet" in errors_of(here.get(made["links"]["model"]), 404)["model"]
    assert here.delete(path, headers=mine).status_code == here.delete(path, headers=mine).status_code == 204
    assert here.delete(path).status_code == 403
    for gone in (path, *(made["links"][link] for link in ("model", "weights", "log", "events"))):
        assert here.get(gone).status_code == 404, gone
    errors_of(here.post(f"{path}/stop", headers=mine), 404)
    errors_of(here.delete(f"/api/runs/{'0' * 32}", headers=mine), 404)


def test_whoever_watches_a_run_that_is_deleted_sees_its_end(here, endless):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(told(here, endless)))
    thread.start()
    time.sleep(0.5)
    assert here.delete(endless["links"]["self"], headers=owned(endless)).status_code == 204
    thread.join(timeout=30)
    assert seen and seen[0][-1] == ("end", {"run": endless["id"]})
