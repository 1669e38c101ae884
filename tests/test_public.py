"""The profile for strangers: tight limits, nothing listed, no name that a page could give itself."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from gatescope.app.server import create_app
from gatescope.app.settings import FOR_STRANGERS, CannotServe, Settings
from gatescope.models.pretrained import shipped
from tests.runs import TEXT
from tests.runs_over_http import QUICK, owned, posted, started
from tests.service import errors_of, serve

HOST = {"Host": "lab.example"}
THROUGH_A_PROXY = HOST | {"X-Forwarded-For": "203.0.113.9"}


def test_it_is_tighter_in_everything():
    private, public = Settings(), Settings(public=True)
    for name, value in FOR_STRANGERS.items():
        assert getattr(public, name) == value
        if name not in ("keep_days", "metrics"):
            assert value < getattr(private, name), name
    assert private.keep_days == 0 < public.keep_days
    changed = {name for name in Settings.model_fields if getattr(private, name) != getattr(public, name)}
    assert changed == {"public", *FOR_STRANGERS}
    assert public.computation_memory <= public.memory_at_once and public.run_text_limit <= public.run_space
    assert public.upload_limit <= public.upload_space


def test_what_a_person_has_set_stays(monkeypatch):
    monkeypatch.setenv("GATESCOPE_UPLOAD_LIMIT", "100000000")
    monkeypatch.setenv("GATESCOPE_PUBLIC", "1")
    settings = Settings(worker_hours=12)
    assert (settings.public, settings.upload_limit, settings.worker_hours) == (True, 100_000_000, 12)
    assert settings.keep_days == FOR_STRANGERS["keep_days"]


def test_the_documentation_has_every_one_of_them():
    page = (Path(__file__).parent.parent / "templates/docs/11-deployment.md").read_text()
    listed = re.findall(r"^\| `GATESCOPE_(\w+)` \|", page, re.M)
    assert sorted(name.lower() for name in listed) == sorted(FOR_STRANGERS)


@pytest.mark.parametrize("hosts", ["", "  ", "*", "lab.example *"])
def test_it_needs_names_of_its_own(tmp_path, hosts):
    with pytest.raises(CannotServe, match="GATESCOPE_ALLOWED_HOSTS"):
        create_app(Settings(data=tmp_path, public=True, allowed_hosts=hosts))


@pytest.mark.slow
def test_the_flag_asks_for_it(tmp_path):
    command = [sys.executable, "-m", "gatescope", "serve", "--public", "--data", tmp_path]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and refused.stderr.startswith("gatescope: strangers are served under names of your")
    assert len(refused.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def public(data, tmp_path_factory):
    """A server for strangers whose data directory has a network of its own."""
    folder = tmp_path_factory.mktemp("public")
    shutil.copy(data / "small-lstm.safetensors", folder / "diary.safetensors")
    settings = Settings(data=folder, public=True, allowed_hosts="lab.example", backend="inline")
    with serve(settings) as address, httpx.Client(base_url=address, headers=HOST, timeout=60) as client:
        yield client


def test_only_what_everybody_has_is_listed(public):
    assert {each["id"] for each in public.get("/api/models").json()["models"]} == set(shipped())
    assert "diary" not in public.get("/").text and "diary" not in public.get("/embed/text").text
    wrong = errors_of(public.get("/api/trace", params={"model": "nothing", "text": "a"}))
    assert "shakespeare-lstm" in wrong["model"] and "diary" not in wrong["model"]
    assert public.get("/api/models/diary").json()["id"] == "diary"  # for who was told its name


def test_nobodys_runs_are_listed_not_even_at_the_machine(public):
    run = started(public, **QUICK | {"steps": 2})
    for headers in (HOST, {"Host": "127.0.0.1"}, THROUGH_A_PROXY):
        assert public.get("/api/runs", headers=headers).json()["runs"] == []
    assert [each["id"] for each in public.get("/api/runs", headers=owned(run)).json()["runs"]] == [run["id"]]
    assert public.get("/api/runs", params={"ids": run["id"]}).json()["runs"][0]["id"] == run["id"]


def test_its_limits_bind(public):
    assert posted(public, "a" * (FOR_STRANGERS["run_text_limit"] + 1)).status_code == 413
    octets = {"Content-Type": "application/octet-stream"}
    large = b"\x00" * (FOR_STRANGERS["upload_limit"] + 1)
    assert public.post("/api/models", content=large, headers=octets).status_code == 413
    long = {"model": "shakespeare-lstm", "text": "a" * (FOR_STRANGERS["text_limit_post"] + 1)}
    assert f"{FOR_STRANGERS['text_limit_post']:,}" in errors_of(public.post("/api/trace", json=long))["text"]
    days = {"steps": 2_000_000, "hidden": 256, "sequence_length": 256, "batch_size": 64}
    assert posted(public, TEXT * 20, **days, dry_run=True).status_code == 422


def test_other_names_are_not_answered(public):
    for host in ("evil.example", "lab.example.evil.example", "192.0.2.1"):
        assert public.get("/", headers={"Host": host}).status_code == 400


def test_counts_are_told_on_this_machine_only(public):
    assert public.get("/metrics", headers={"Host": "127.0.0.1"}).status_code == 200
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        response = public.get("/metrics", headers=HOST | {header: "203.0.113.9"})
        assert errors_of(response, 403)["metrics"]


def test_counts_are_told_to_everyone_where_a_setting_says_so(tmp_path):
    settings = Settings(data=tmp_path, public=True, allowed_hosts="lab.example", metrics="everyone")
    with serve(settings) as address:
        assert httpx.get(f"{address}/metrics", headers=THROUGH_A_PROXY).status_code == 200


@pytest.mark.parametrize(
    ("host", "allowed", "named"),
    [("127.0.0.1", "*", "evil.example"), ("127.0.0.1", "lab.example", "lab.example"), ("0.0.0.0", "", "evil.example")],
)
def test_a_name_that_a_page_can_give_itself_is_not_at_home(tmp_path, host, allowed, named):
    """DNS rebinding: a page of another site is then its own origin, and reads as a stranger reads."""
    app = create_app(Settings(data=tmp_path, host=host, allowed_hosts=allowed))
    with serve(app.state.settings, app) as address:
        app.state.store.create("somebody", "A run", "{}", b"a text")
        assert httpx.get(f"{address}/api/runs", headers={"Host": named}).json()["runs"] == []
        at_home = httpx.get(f"{address}/api/runs").json()["runs"]
        assert len(at_home) == (host == "127.0.0.1")
