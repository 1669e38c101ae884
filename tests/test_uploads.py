"""Uploads as files: who may look at them, what one address takes, what a killed server or a bad disk leaves behind, and
what happens when one is deleted while it is read.
"""

import errno
import os
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest

from gatescope.app.http.problems import Problem
from gatescope.app.networks import uploads as module
from gatescope.app.networks.catalog import Networks
from gatescope.app.networks.uploads import Uploads
from gatescope.app.settings import Settings
from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from tests.foreign import Theirs
from tests.service import errors_of, serve

BYTES = {"Content-Type": "application/octet-stream"}
NETWORK = untrained(cells()["gru"], 1, 3, [*"ab"])
SIZE = len(NETWORK.to_bytes())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nobody_else_on_the_machine_may_look(tmp_path):
    folder = tmp_path / "new" / "uploads"
    uploads = Uploads(folder)
    uploads.keep(NETWORK, 10, 2**20)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    folder.chmod(0o755)  # as older versions made it
    uploads.keep(NETWORK, 10, 2**20)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_address_takes_its_share_and_no_more(tmp_path):
    uploads = Uploads(tmp_path / "uploads")
    for _ in range(2):
        uploads.keep(NETWORK, 4, 2**20, address="a" * 32, share=0.5)
    with pytest.raises(Problem, match="from this address: 2 of it are kept here") as caught:
        uploads.keep(NETWORK, 4, 2**20, address="a" * 32, share=0.5)
    assert caught.value.status == 507
    (tmp_path / "uploads" / ("0" * 32 + ".owner")).write_text("b" * 64)  # older: the owner's fingerprint alone
    (tmp_path / "uploads" / ("0" * 32 + ".safetensors")).write_bytes(NETWORK.to_bytes())
    assert uploads.owner("0" * 32) == "b" * 64
    uploads.keep(NETWORK, 4, 2**20, address="b" * 32, share=0.5)
    with pytest.raises(Problem, match="no room for another network: 4 are kept"):
        uploads.keep(NETWORK, 4, 2**20, address="c" * 32, share=0.5)


def test_an_address_takes_its_share_of_the_space_but_one_network_always(tmp_path):
    uploads, space = Uploads(tmp_path / "uploads"), 4 * SIZE
    for _ in range(2):
        uploads.keep(NETWORK, 100, space, address="a", share=0.5)
    with pytest.raises(Problem, match="from this address"):
        uploads.keep(NETWORK, 100, space, address="a", share=0.5)
    other = Uploads(tmp_path / "other")
    other.keep(NETWORK, 1, SIZE + 1, address="a", share=0.1)


def test_an_address_is_kept_as_a_fingerprint_and_a_token_makes_the_same_owner(tmp_path):
    with serve(Settings(data=tmp_path, upload_count=4)) as address, httpx.Client(base_url=address) as client:
        content = Theirs("gru").saved()
        first = client.post("/api/models", content=content, headers=BYTES).json()
        bearer = {"Authorization": f"Bearer {first['owner_token']}"}
        second = client.post("/api/models", content=content, headers=BYTES | bearer).json()
        assert second["owner_token"] == first["owner_token"]
        owners = [path.read_text() for path in sorted((tmp_path / "uploads").glob("*.owner"))]
        assert len(set(owners)) == 1 and "127.0.0.1" not in owners[0] and len(owners[0].splitlines()) == 2
        refused = client.post("/api/models", content=content, headers=BYTES)
        assert "from this address" in errors_of(refused, 507)["body"]
        for wrong in ("Bearer x", "Basic x", "Bearer " + "x" * 44):
            response = client.post("/api/models", content=content, headers=BYTES | {"Authorization": wrong})
            assert "owner_token" in errors_of(response, 403)["authorization"]
        assert client.delete(f"/api/models/{second['id']}", headers=bearer).status_code == 204
        assert client.post("/api/models", content=content, headers=BYTES).status_code == 201


def test_what_a_killed_server_left_is_cleared_at_the_next_upload(tmp_path):
    folder, id = tmp_path / "uploads", "f" * 32
    folder.mkdir()
    for name in (f".{id}.safetensors.0123abcd", f".{id}.owner.0123abcd", f"{id}.owner"):
        (folder / name).write_bytes(b"half")
    for name in ("notes.txt", ".notes", f".{id}.safetensors.later"):
        (folder / name).write_bytes(b"somebody's")
    kept, _ = Uploads(folder).keep(NETWORK, 10, 2**20)
    ours = [f"{kept}.owner", f"{kept}.safetensors"]
    assert names(folder) == sorted([*ours, "notes.txt", ".notes", f".{id}.safetensors.later"])


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "the disk can only be read"),
        (errno.EIO, "the disk takes nothing now (Input/output error)"),
        (errno.EACCES, "the disk takes nothing now (Permission denied)"),
        (errno.ENAMETOOLONG, "the disk takes nothing now (File name too long)"),
        (errno.EMFILE, "too many files are open here"),
    ],
)
@pytest.mark.parametrize("at", [".owner", ".safetensors"])
def test_a_disk_that_takes_nothing_is_said_in_words(tmp_path, monkeypatch, number, words, at):
    write = module.atomic_write

    def fails(path: Path, content: bytes) -> None:
        if path.suffix == at:
            raise OSError(number, os.strerror(number))
        write(path, content)

    uploads = Uploads(tmp_path / "uploads")
    monkeypatch.setattr(module, "atomic_write", fails)
    with pytest.raises(Problem, match="so the network is not kept") as caught:
        uploads.keep(NETWORK, 10, 2**20)
    assert words in str(caught.value) and caught.value.status == 507
    assert names(tmp_path / "uploads") == []


@pytest.mark.parametrize("there", ["file", "dangling", "deep"])
def test_a_folder_that_cannot_be_is_said_in_words(tmp_path, there):
    folder = tmp_path / "uploads"
    if there == "file":
        folder.write_text("a file")
    elif there == "dangling":
        folder.symlink_to("nowhere/at/all")
    else:
        folder = tmp_path / ("n" * 300)
    with pytest.raises(Problem, match="so the network is not kept") as caught:
        Uploads(folder).keep(NETWORK, 10, 2**20)
    assert caught.value.status == 507
    assert Uploads(folder).path("0" * 32) is None and Uploads(folder).owner("0" * 32) is None


@pytest.mark.parametrize("owner", [None, b"", b"\xff\xfe", b"\n\n", "folder", "link", b"x" * 10**6])
def test_an_upload_whose_owner_is_not_known_is_served_and_deleted_by_nobody(tmp_path, owner):
    id = "a" * 32
    with serve(Settings(data=tmp_path)) as address, httpx.Client(base_url=address) as client:
        made = client.post("/api/models", content=Theirs("gru").saved(), headers=BYTES).json()
        folder = tmp_path / "uploads"
        (folder / f"{made['id']}.safetensors").rename(folder / f"{id}.safetensors")
        path = folder / f"{id}.owner"
        if owner == "folder":
            path.mkdir()
        elif owner == "link":
            path.symlink_to(folder / f"{made['id']}.owner")
        elif owner is not None:
            path.write_bytes(owner)
        assert client.get(f"/api/models/{id}").status_code == 200
        for authorization in ({}, {"Authorization": f"Bearer {made['owner_token']}"}):
            errors_of(client.delete(f"/api/models/{id}", headers=authorization), 403)
        assert client.post("/api/models", content=Theirs("gru").saved(), headers=BYTES).status_code == 201


def test_a_link_among_the_uploads_is_not_followed(tmp_path):
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / ("a" * 32 + ".safetensors")).symlink_to("/etc/passwd")
    with serve(Settings(data=tmp_path)) as address:
        for path in (f"/api/models/{'a' * 32}", f"/api/models/{'a' * 32}/weights"):
            assert httpx.get(address + path).status_code == 404


@pytest.mark.slow
def test_deleting_while_reading_is_never_a_fault(tmp_path):
    content = Theirs("gru").saved()
    settings = Settings(data=tmp_path, address_share=1)
    answers: list[tuple[str, int, str]] = []
    with serve(settings) as address:

        def ask(client: httpx.Client, path: str) -> None:
            response = client.get(path)
            answers.append((path.split("?")[0].replace(made["id"], "ID"), response.status_code, response.text[:200]))

        with httpx.Client(base_url=address, timeout=60) as client:
            for _ in range(40):
                made = client.post("/api/models", content=content, headers=BYTES).json()
                path = f"/api/models/{made['id']}"
                paths = [path, f"{path}/weights", f"{path}/weights", f"/api/trace.json?model={made['id']}&text=ab"]
                paths += ["/api/models", f"/?model={made['id']}"]
                threads = [threading.Thread(target=ask, args=(client, each)) for each in paths]
                for thread in threads:
                    thread.start()
                bearer = {"Authorization": f"Bearer {made['owner_token']}"}
                deleted = {client.delete(path, headers=bearer).status_code for _ in range(2)}
                for thread in threads:
                    thread.join()
                assert deleted == {204, 404}
    assert len(answers) == 240
    assert {status for _, status, _ in answers} <= {200, 404, 422}, [each for each in answers if each[1] > 422]


@pytest.mark.slow
def test_memory_goes_back_when_uploads_are_deleted(tmp_path):
    """Eight networks of 24 MB, read and deleted; the weights laid out for reading leave with them."""

    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    networks = Networks(tmp_path)
    before = 0
    for number in range(9):
        network = untrained(cells()["lstm"], 1, 1200, [*"ab"], seed=number)
        id, _ = networks.uploads.keep(network, 100, 2**30)
        del network
        laid_out = networks.get(id).weights()
        assert np.isfinite(laid_out.readout).all()
        del laid_out
        networks.uploads.remove(id)
        before = before or resident()  # what the first leaves to the allocator
    assert networks.memory.size == 0
    assert resident() - before < 3 * 24 * 2**20
