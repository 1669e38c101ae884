"""The container and the composition of several: read without an engine, as an engine would read them."""

import re
import shlex
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from gatescope.app.http.reads_only import KEPT, SAFE
from gatescope.app.pages import pages
from gatescope.app.server import create_app
from gatescope.app.settings import Settings

HOUSE = Path(__file__).parent.parent
DOCKERFILE = (HOUSE / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSED = yaml.safe_load((HOUSE / "compose.yaml").read_text())
SERVICES = COMPOSED["services"]
CADDYFILE = COMPOSED["configs"]["caddyfile"]["content"]


def instructions(*names: str) -> list[str]:
    """What the Dockerfile says after these instructions, in its order."""
    return re.findall(rf"^(?:{'|'.join(names)}) +(.+)$", DOCKERFILE, re.M)


def test_the_image_runs_as_nobody_and_writes_no_bytecode():
    assert instructions("USER") == ["10001"] and instructions("STOPSIGNAL") == ["SIGTERM"]
    assert instructions("CMD")[-1] == '["gatescope", "serve"]' and instructions("VOLUME") == ["/data"]
    variables = dict(pair.split("=", 1) for line in instructions("ENV") for pair in shlex.split(line))
    assert variables["PYTHONDONTWRITEBYTECODE"] == "1" and variables["HOME"] == "/tmp"
    settings = {name.removeprefix("GATESCOPE_").lower() for name in variables if name.startswith("GATESCOPE_")}
    assert settings == {"host", "port", "data"} <= set(Settings.model_fields)
    last = DOCKERFILE.index("USER ")
    assert not re.search(r"^(RUN|COPY|ADD) ", DOCKERFILE[last:], re.M)
    assert "--mode=0700 --owner=gatescope /data" in DOCKERFILE


def test_the_image_is_made_of_what_is_there_and_of_pins():
    copied = [
        path for line in instructions("COPY") for path in line.split()[:-1] if not path.startswith(("--", "/opt"))
    ]
    assert {"models", "app", "templates", "static", "constraints.txt"} <= set(copied)
    assert [path for path in copied if not (HOUSE / path).exists()] == []
    installing = [line for line in instructions("RUN") if "pip install" in line]
    assert len(installing) == 2 and all("-c constraints.txt" in line for line in installing)
    ignored = (HOUSE / ".dockerignore").read_text().split()
    assert {".git", ".venv"} <= set(ignored)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_and_bounded(name):
    service = SERVICES[name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] and service["pids_limit"] and service["logging"]["options"]["max-size"]
    assert service["tmpfs"][0].startswith("/tmp:size=") and "noexec" in service["tmpfs"][0]
    assert "privileged" not in service and "user" not in service and "network_mode" not in service
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])


def test_only_the_proxy_is_reached_from_outside():
    assert set(SERVICES) == {"proxy", "keeper", "reader"}
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["proxy"]
    assert COMPOSED["networks"]["inside"]["internal"] is True
    for name in ("keeper", "reader"):
        assert SERVICES[name]["networks"] == ["inside"] and SERVICES[name]["init"] is True
    address = SERVICES["proxy"]["networks"]["inside"]["ipv4_address"]
    (subnet,) = (each["subnet"] for each in COMPOSED["networks"]["inside"]["ipam"]["config"])
    assert address.rpartition(".")[0] == subnet.rpartition(".")[0]
    assert SERVICES["keeper"]["environment"]["GATESCOPE_TRUSTED_PROXIES"] == address


def test_one_keeps_and_the_others_only_read():
    keeper, reader = SERVICES["keeper"], SERVICES["reader"]
    assert keeper["volumes"] == ["data:/data"] and "command" not in keeper and "deploy" not in keeper
    assert reader["volumes"] == ["data:/data:ro"] and reader["command"][-1] == "--reads-only"
    assert reader["deploy"]["replicas"].startswith("${READERS:-")
    assert keeper["image"] == reader["image"] and keeper["environment"] == reader["environment"]
    used = {each.partition(":")[0] for service in SERVICES.values() for each in service["volumes"]}
    assert used == set(COMPOSED["volumes"])


def test_its_settings_serve_strangers(tmp_path, monkeypatch):
    for name, value in SERVICES["keeper"]["environment"].items():
        monkeypatch.setenv(name, value.replace("${SITE:-localhost}", "lab.example"))
    settings = Settings(data=tmp_path)
    assert settings.public and settings.hosts()[0] == "lab.example" and settings.log_format == "json"
    create_app(settings)
    assert settings.workers * settings.worker_memory < 6 * 2**30  # the keeper's mem_limit


def matcher(name: str) -> tuple[list[str], list[str]]:
    """The paths that a named matcher of the Caddyfile takes, and the methods that it does not."""
    body = re.search(rf"@{name} (?:\{{([^}}]*)\}}|(path .*))", CADDYFILE)
    text = body[1] or body[2]
    paths = re.search(r"path (.*)", text)[1].split()
    excluded = re.search(r"not method (.*)", text)
    return paths, excluded[1].split() if excluded else []


def taken(name: str, method: str, path: str) -> bool:
    """Whether a matcher takes a request."""
    paths, excluded = matcher(name)
    return method not in excluded and any(fnmatchcase(path, pattern) for pattern in paths)


def test_what_changes_something_goes_to_the_keeper(tmp_path):
    app = create_app(Settings(data=tmp_path))
    asked = [(method.upper(), path) for path, ways in app.openapi()["paths"].items() for method in ways]
    asked += [(method, route.path) for route in pages.router.routes for method in route.methods]
    to_keeper = {
        (method, path) for method, path in asked if taken("kept", method, path) or taken("changes", method, path)
    }
    refused_by_readers = {(method, path) for method, path in asked if path.startswith(KEPT) and method not in SAFE}
    assert refused_by_readers <= to_keeper and len(refused_by_readers) > 6
    reads = to_keeper - refused_by_readers
    assert {path for _, path in reads} == {"/api/runs", "/api/runs/{id}", "/api/runs/{id}/events.json", "/readyz"}
    assert taken("inside", "GET", "/metrics") and not taken("kept", "GET", "/api/events")
    order = [CADDYFILE.index(f"handle @{name}") for name in ("inside", "kept", "changes")]
    assert order == sorted(order) and CADDYFILE.index("handle {") > order[-1]


def test_streams_are_not_held_back_and_the_proxy_has_bounds():
    assert "flush_interval -1" in CADDYFILE and CADDYFILE.count("import upstream") == 3
    for bound in ("max_header_size", "read_header", "read_body", "max_size", "idle"):
        assert re.search(rf"^ *{bound} \d", CADDYFILE, re.M), bound
    assert not re.search(r"\btls internal\b|\bauto_https\b", CADDYFILE)  # a real name gets a real certificate
    assert CADDYFILE.count("{") == CADDYFILE.count("}") and "$$" not in CADDYFILE
    limit = int(re.search(r"max_size (\d+)MB", CADDYFILE)[1]) * 10**6
    assert limit >= Settings(public=True).upload_limit
