"""What whoever runs Gatescope does with what is there: `gatescope runs` and `gatescope uploads`."""

import time

import httpx
import pytest

from gatescope.app.runs.store import Store
from gatescope.app.settings import Settings
from tests.runs import TEXT, recipe
from tests.runs_over_http import ENDLESS, in_state, started
from tests.service import serve


def test_without_a_server_it_is_done_at_once(gatescope, tmp_path):
    store = Store(tmp_path)
    store.open()
    many = [store.create("a" * 64, f"Title\x1b[31m\n{n}", recipe(), TEXT.encode()).id for n in range(3)]
    other = store.create("b" * 64, "Other", recipe(), TEXT.encode()).id
    store.close()
    listed = gatescope("runs", "--data", tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in listed] == [*many, other]
    assert "queued" in listed[0] and "aaaaaaaaaaaa " in listed[0] and "Title\\x1b[31m\\n0" in listed[0]
    assert gatescope("runs", "--data", tmp_path, "stop", many[0]).stdout == f"{many[0]} is stopped\n"
    again = gatescope("runs", "--data", tmp_path, "stop", many[0])
    assert again.returncode == 2 and "is no run, or is over" in again.stderr
    assert gatescope("runs", "--data", tmp_path, "stop", "--all-of", "a" * 12).stdout.count("is stopped") == 2
    assert "must have the 12 characters" in gatescope("runs", "--data", tmp_path, "stop", "--all-of", "a").stderr
    assert gatescope("runs", "--data", tmp_path, "delete", many[1], other).stdout.count("is deleted") == 2
    assert [line.split()[1] for line in gatescope("runs", "--data", tmp_path).stdout.splitlines()] == ["stopped"] * 2
    assert gatescope("runs", "--data", tmp_path, "delete", "\x1b[31m").stderr == "gatescope: \\x1b[31m: is no run\n"
    assert "is no directory" in gatescope("runs", "--data", tmp_path / "none").stderr


@pytest.mark.slow
def test_beside_a_server_it_is_carried_out_there(gatescope, tmp_path):
    with serve(Settings(data=tmp_path, workers=1, backend="inline")) as address:
        with httpx.Client(base_url=address, timeout=60) as client:
            made = [started(client, **ENDLESS) for _ in range(3)]
            in_state(client, made[0], "running")
            ids = [each["id"] for each in made]
            assert [line.split()[0] for line in gatescope("runs", "--data", tmp_path).stdout.splitlines()] == ids
            assert gatescope("runs", "--data", tmp_path, "stop", *ids[:2]).stdout.count("is to stop") == 2
            for each in made[:2]:
                in_state(client, each, "stopped")
            assert gatescope("runs", "--data", tmp_path, "delete", *ids).stdout.count("is deleted") == 3
            assert client.get(made[2]["links"]["self"]).status_code == 404  # at once
            deadline = time.monotonic() + 30
            while client.get("/metrics").text.count('gatescope_runs{state="running"} 0.0') == 0:
                assert time.monotonic() < deadline
                time.sleep(0.1)
    store = Store(tmp_path)
    store.open()
    assert store.runs() == []
    store.close()


def test_uploads_are_listed_and_deleted(gatescope, data, tmp_path):
    with serve(Settings(data=tmp_path)) as address, httpx.Client(base_url=address, timeout=60) as client:
        content = (data / "small-gru.safetensors").read_bytes()
        response = client.post("/api/models", content=content, headers={"Content-Type": "application/octet-stream"})
        id = response.json()["id"]
        (line,) = gatescope("uploads", "--data", tmp_path).stdout.splitlines()
        assert line.split()[0] == id
        assert gatescope("uploads", "--data", tmp_path, "delete", id).stdout == f"{id} is deleted\n"
        assert client.get(f"/api/models/{id}").status_code == 404
    assert "is no uploaded network" in gatescope("uploads", "--data", tmp_path, "delete", id).stderr
    assert gatescope("uploads", "--data", tmp_path).stdout == ""
