"""A data directory with anything in it: what is a network is listed and served, the rest is left out in one line."""

import gc
import os
import socket
import threading
import time
import weakref
from pathlib import Path

import httpx
import pytest

from gatescope.app.http.problems import Problem
from gatescope.app.networks.catalog import Networks
from gatescope.app.settings import Settings
from gatescope.models.cells import cells
from gatescope.models.network.network import Network, untrained
from gatescope.models.pretrained import shipped
from tests.service import serve

GRU = cells()["gru"]
GOOD = untrained(GRU, 1, 3, [*"ab"], title="Good").to_bytes()


def own(folder: Path) -> list[str]:
    return [id for id in Networks(folder).all() if id not in shipped()]


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


ODD = {
    "dangling": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path.name),
    "elsewhere": lambda path: path.symlink_to("/etc/passwd"),
    "network": lambda path: path.symlink_to(next(iter(shipped().values()))),
    "inside": lambda path: path.symlink_to("good.safetensors"),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "socket": a_socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "empty": lambda path: path.write_bytes(b""),
    "short": lambda path: path.write_bytes(b"123"),
    "half": lambda path: path.write_bytes(GOOD[: len(GOOD) // 2]),
    "longer": lambda path: path.write_bytes(GOOD + b"\0"),
    "zeros": lambda path: os.truncate(path, 2**40) if path.touch() is None else None,
    "sparse": lambda path: os.truncate(path, 2**40) if path.write_bytes(GOOD) else None,
    "text": lambda path: path.write_text("a text"),
    "pickle": lambda path: path.write_bytes(b"\x80\x04N."),
}

# Regular files are read, and then refused.
READ = (
    "empty",
    "short",
    "half",
    "longer",
    "zeros",
    "sparse",
    "text",
    "pickle",
)


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_network_is_left_out_in_one_line(tmp_path, caplog, kind):
    (tmp_path / "good.safetensors").write_bytes(GOOD)
    ODD[kind](tmp_path / "odd.safetensors")
    networks, began = Networks(tmp_path), time.monotonic()
    for _ in range(3):
        assert [*networks.all()][len(shipped()) :] == ["good"]
        with pytest.raises(Problem, match="must be one of .*good"):
            networks.get("odd")
        assert kind in READ or networks.open("odd") is None
    assert time.monotonic() - began < 20
    (record,) = caplog.records
    assert "odd.safetensors is left out: " in record.getMessage() and record.getMessage().isprintable()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_file_that_may_not_be_read_is_left_out(tmp_path, caplog):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(GOOD)
    path.chmod(0)
    assert own(tmp_path) == [] and "Permission denied" in caplog.text


def test_a_change_is_seen_and_said_again(tmp_path, caplog):
    path, networks = tmp_path / "odd.safetensors", Networks(tmp_path)
    for content in (b"nothing", b"nothing else"):
        path.write_bytes(content)
        assert "odd" not in networks.all() and "odd" not in networks.all()
    assert len(caplog.records) == 2
    path.write_bytes(GOOD)
    assert networks.get("odd").title == "Good"
    path.write_bytes(untrained(GRU, 1, 3, [*"ab"], title="Newer").to_bytes())
    assert networks.get("odd").title == networks.all()["odd"].describe()["title"] == "Newer"
    path.unlink()
    assert "odd" not in networks.all()


NAMES = ["a\nb", "\x1b[31mred", "\u202egnp", "My Book", "книга", "本", "a'b\"c", "a;b,c", "%2e%2e", "né", "x" * 200]


def test_names_of_any_script_are_listed_and_what_no_address_can_name_is_not(tmp_path, caplog):
    for name in [*NAMES, "x" * 201, ".hidden"]:
        (tmp_path / f"{name}.safetensors").write_bytes(GOOD)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\x1b[2J.safetensors")).write_bytes(GOOD)
    assert sorted(own(tmp_path)) == sorted(NAMES)
    assert len(caplog.records) == 2 and all(record.getMessage().isprintable() for record in caplog.records)
    assert r"\udcff\n\x1b[2J.safetensors is left out: no address can name it" in caplog.text


def test_every_name_has_an_address(tmp_path):
    for name in NAMES:
        (tmp_path / f"{name}.safetensors").write_bytes(GOOD)
    with serve(Settings(data=tmp_path)) as address, httpx.Client(base_url=address) as client:
        assert {model["id"] for model in client.get("/api/models").json()["models"]} >= set(NAMES)
        for name in NAMES:
            asked = {"model": name, "text": "ab"}
            path = httpx.URL(address).copy_with(raw_path=b"/api/models/" + quoted(name))
            assert client.get(path).json()["id"] == name
            weights = client.get(f"{path}/weights")
            assert weights.content == GOOD and "attachment" in weights.headers["content-disposition"]
            for kind in ("trace.safetensors", "trace.json", "trace"):
                traced = client.get(f"/api/{kind}", params=asked)
                assert traced.status_code == 200, traced.text
                assert traced.headers.get("content-disposition", "").isprintable()
            assert client.get("/", params=asked).status_code == 200
        wrong = client.get("/api/trace", params={"model": "none", "text": "ab"})
        assert wrong.status_code == 422 and wrong.json()["detail"].isprintable()


def quoted(name: str) -> bytes:
    return "".join(f"%{byte:02x}" for byte in name.encode()).encode()


def test_what_comes_and_goes_meanwhile_fails_no_listing(tmp_path):
    networks, stop = Networks(tmp_path), threading.Event()

    def change() -> None:
        while not stop.is_set():
            for number in range(20):
                path = tmp_path / f"n{number}.safetensors"
                path.write_bytes(GOOD if number % 2 else b"")
                path.unlink()

    with_changes = threading.Thread(target=change)
    with_changes.start()
    try:
        for _ in range(60):
            assert set(shipped()) <= set(networks.all())
            for number in (1, 2, 3):
                try:
                    assert networks.get(f"n{number}").title == "Good"
                except Problem as problem:
                    assert problem.status == 422
    finally:
        stop.set()
        with_changes.join()


def test_a_large_folder_is_listed(tmp_path, monkeypatch):
    for number in range(1500):
        (tmp_path / f"n{number}.safetensors").write_bytes(GOOD)
    networks = Networks(tmp_path, memory=2**21)
    assert len(networks.all()) == 1500 + len(shipped())
    assert networks.memory.size <= 2**21
    monkeypatch.setattr(Network, "of", None)  # the second time, nothing is read
    assert len(networks.all()) == 1500 + len(shipped())


def test_a_network_is_read_once_for_all_who_ask_at_the_same_time(tmp_path, monkeypatch):
    (tmp_path / "a.safetensors").write_bytes(untrained(GRU, 2, 200, [*"ab"]).to_bytes())
    networks, read, made = Networks(tmp_path), Network.of, []

    def counted(*arguments: object) -> Network:
        made.append(arguments[2])
        time.sleep(0.2)
        return read(*arguments)

    monkeypatch.setattr(Network, "of", counted)
    found: list[Network] = []
    threads = [threading.Thread(target=lambda: found.append(networks.get("a"))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["a"] and len(found) == 40 and len(set(map(id, found))) == 1


def test_what_fails_for_one_fails_for_all_who_wait_and_is_tried_again(tmp_path):
    memory, tries = Networks(tmp_path).memory, []

    def fails() -> Network:
        tries.append(1)
        raise MemoryError("not now")

    for _ in range(2):
        with pytest.raises(MemoryError):
            memory.get("key", fails)
    assert len(tries) == 2 and memory.get("key", lambda: None) is None


def test_memory_is_bounded_in_bytes_and_gives_back_what_is_deleted(tmp_path):
    networks = Networks(tmp_path, memory=10 * 2**20)
    for number in range(6):
        (tmp_path / f"n{number}.safetensors").write_bytes(untrained(GRU, 1, 700, [*"ab"]).to_bytes())
        networks.get(f"n{number}").weights()
        assert networks.memory.size <= 10 * 2**20
    kept = networks.get("n5")
    assert networks.get("n5") is kept and networks.memory.size > 5 * 2**20
    weights = kept.weights()
    assert kept.weights() is weights
    (tmp_path / "n5.safetensors").unlink()
    networks.forget()
    gone = weakref.ref(kept)
    del kept, weights
    gc.collect()
    assert gone() is None
