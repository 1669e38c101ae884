"""Files from strangers and a data directory as crashes and pranksters leave it: never 500, never slow, never poison."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import h5py
import httpx
import numpy as np
import pytest
import torch
from safetensors.numpy import save

from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from tests.faults.server import Server, a_quick_server, comes_true
from tests.faults.texts import matrices, twice
from tests.foreign import Theirs

pytestmark = pytest.mark.fire
BYTES = {"Content-Type": "application/octet-stream"}
DEEP = "[" * 2000 + "]" * 2000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server for the tests of this file; its log must be without a traceback."""
    with a_quick_server() as server:
        yield server
        assert server.complaints() == []


def looked_at(server: Server, content: bytes, query: str = "?dry_run=true") -> httpx.Response:
    began = time.monotonic()
    answer = server.client.post(f"/api/models{query}", content=content, headers=BYTES)
    assert time.monotonic() - began < 15, f"{time.monotonic() - began:.0f} s"
    assert answer.status_code in (200, 201, 422, 413, 503), answer.text[:300]
    return answer


def weights(**more: tuple[int, ...]) -> dict[str, np.ndarray]:
    """A recurrent layer of four units, and other tensors by their shapes."""
    shapes = {"rnn.weight_ih_l0": (4, 4), "rnn.weight_hh_l0": (4, 4), **more}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def header(entries: str) -> bytes:
    """A safetensors file with this header and nothing behind it."""
    return len(entries.encode()).to_bytes(8, "little") + entries.encode()


ENTRY = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
SLOW = {
    "a name twice among 40,000": lambda: twice(40_000),
    "1,200 empty matrices": lambda: matrices(1200),
    "1,200 vectors": lambda: save(weights(**{f"v{n}": (0,) for n in range(1200)})),
    "400 recurrent modules": lambda: save({f"m{n}.weight_hh_l0": np.zeros((0, 0), np.float32) for n in range(400)}),
    "4,000 layers": lambda: save({f"rnn.weight_ih_l{n}": np.zeros((0, 0), np.float32) for n in range(4000)}),
    "one name 3 MB long": lambda: header('{"' + "a" * 3_000_000 + f'":{ENTRY}}}'),
    "100,000 empty tensors": lambda: header("{" + ",".join(f'"{n}":{ENTRY}' for n in range(70_000)) + "}"),
    "deep metadata": lambda: header(f'{{"__metadata__":{{"a":{DEEP}}}}}'),
    "deep header": lambda: header('{"a":' * 100_000 + "1" + "}" * 100_000),
    "a vocabulary with a word twice": lambda: save(
        weights(), {"vocabulary": json.dumps([f"w{n}" for n in range(50_000)] * 2)}
    ),
    "shapes of 10¹⁸": lambda: header('{"a":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,0]}}'),
    "a digit 400 times": lambda: header('{"a":{"dtype":"F32","shape":[' + "9" * 400 + '],"data_offsets":[0,0]}}'),
}


@pytest.mark.parametrize("kind", SLOW)
def test_no_file_takes_long_to_refuse(server, kind):
    began = time.monotonic()
    assert looked_at(server, SLOW[kind]()).status_code == 422
    assert time.monotonic() - began < 10


FACTS = [
    {"steps": "9" * 400}, {"steps": "1e400"}, {"steps": "true"}, {"example": "9" * 400},
    {"example": f"[[{'9' * 400}]]"}, {"example": "[[NaN]]"}, {"example": DEEP}, {"vocabulary": DEEP},
    {"vocabulary": '["\\ud800"]'}, {"vocabulary": "{}"}, {"vocabulary": '["a", 5]'}, {"labels": '["\\udfff"]'},
    {"labels": "[[]]"}, {"labels": "9" * 400}, {"title": "\u202ex"},
    {"cell": "lstm", "options": '{"projection": 5.0}'}, {"cell": "lstm", "options": '{"projection": true}'},
    {"cell": "lstm", "options": '{"projection": "5"}'}, {"cell": "tdnn", "options": '{"window": 8.0}'},
    {"cell": "lstm", "options": f'{{"projection": {"9" * 400}}}'}, {"cell": "gru", "blocks": DEEP},
    {"cell": "x" * 9999}, {"cell": "lstm", "absent": "[5]"}, {"cell": "lstm", "form": '{"steps": 1e999}'},
    {"cell": "lstm", "card": DEEP}, {"reads": "values", "example": "[[1, 2], [3]]"},
    {"pattern": "one-to-many", "steps": "-1"}, {"nonlinearity": "\x00"},
]  # fmt: skip


@pytest.mark.parametrize("facts", FACTS, ids=lambda facts: ascii(facts)[:50])
def test_no_metadata_is_a_fault(server, facts):
    for tensors in (weights(), weights(**{"fc.weight": (3, 4)}), {"a": np.zeros(1, np.float32)}):
        answer = looked_at(server, save(tensors, facts))
        assert len(answer.text) < 5000


@pytest.mark.parametrize("value", ["5.0", "true", '"5"', "5e0", "4.999999999999999999"])
def test_an_option_of_another_type_spoils_nothing_for_others(server, value):
    ours = untrained(cells()["lstm"].with_options(("projection", 5)), 1, 8, list("abc"), title="Ours")
    tensors = {name: np.asarray(array) for name, array in ours.parameters.items()}
    looked_at(server, save(tensors, {"cell": "lstm", "options": f'{{"projection": {value}}}'}))
    made = looked_at(server, Theirs("lstm", projection=5).saved(), "").json()
    for path in (f"/api/trace.json?model={made['id']}&text=abc", f"/?model={made['id']}&text=abc"):
        assert server.client.get(path).status_code == 200
    assert "notice" not in server.client.get(f"/?model={made['id']}&text=abc").text.partition('"events"')[0]


HEAD = '{"lessons": {"reads": "characters", "gives": "classes", "pattern": "many-to-one"}}\n'
NUMBERS = '{"lessons": {"reads": "values", "gives": "values", "pattern": "many-to-many"}}\n'
GOOD = '{"input":"ab","target":"x"}\n'
LESSONS = [
    '{"input":"ab","target":"x","asks":5}', '{"input":"ab","target":{}}', '{"input":"ab","target":[[1]]}',
    '{"input":[[]],"target":"x"}', '{"input":"ab","target":[]}', '{"input":"ab","target":' + "9" * 400 + "}",
    '{"input":"ab","asks":[-1],"target":"x"}', "[]", "null", '{"input":"ab","target":"x","asks":["a"]}',
    '{"input":"ab","target":"x","asks":[1e400]}', '{"input":{},"target":"x"}', '"ab"', "5",
    '{"input":"ab","target":NaN}', '{"input":"\\ud800","target":"x"}', '{"input":"ab","target":"\\udfff"}',
    '{"input":' + DEEP + "}", '{"input":"","target":"x"}', '{"input":"ab","target":true}',
    '{"input":"ab","target":"' + "x" * 100_000 + '"}', '{"input":"ab"}', '{"input":[1,[2]],"target":"x"}',
    '{"input":[' + "9" * 400 + '],"target":[1]}', '{"input":"ab","target":"x","more":1}', "{",
]  # fmt: skip


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: ascii(lesson)[:50])
def test_no_lesson_is_a_fault(server, lesson):
    for head in (HEAD, NUMBERS, HEAD.replace("many-to-one", "many-to-many"), HEAD.replace("characters", "words")):
        for text in (head + GOOD * 3 + lesson, head + (lesson + "\n") * 3, head + lesson + "\n" + GOOD):
            answer = server.client.post("/api/runs?dry_run=true", content=text.encode())
            assert answer.status_code in (200, 422), (answer.status_code, lesson[:60])
            assert len(answer.text) < 20_000


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_a_lesson_is_not_cut_at_other_ends_of_lines(server, end):
    escaped = json.dumps(end) if end < " " else f'"{end}"'
    text = HEAD + f'{{"input":"ab{escaped[1:-1]}cd","target":"x"}}\n' * 3 + '{"input":"e","target":"y"}\n' * 3
    said = server.client.post("/api/runs?dry_run=true", content=text.encode())
    assert said.status_code == 200, said.text
    assert said.json()["recipe"]["sequence_length"] == 5


@pytest.mark.parametrize("title", ["Книга-lstm", "日本", "a\r\nb", '"; x="', "\u202ex", "a/b", "%0d%0a", "é" * 200])
def test_a_file_may_be_called_anything(server, title):
    network = untrained(cells()["gru"], 1, 4, list("abc"), title=title)
    name = title if "/" not in title and "\r" not in title and len(title.encode()) < 200 else "My Book"
    (server.data / f"{name}.safetensors").write_bytes(network.to_bytes())
    params = {"model": name, "text": "abcab"}
    for path in ("/api/trace.safetensors", "/api/trace.json", "/api/trace", "/", "/embed/unfold"):
        answer = server.client.get(path, params=params)
        assert answer.status_code == 200, (path, answer.text[:200])
    assert "notice" not in server.client.get("/", params=params).text.partition('"events"')[0]
    for path in ("", "/weights"):
        assert server.client.get(f"/api/models/{quote(name, safe='')}{path}").status_code == 200


def test_deletions_race_with_everything_else(server):
    made = [looked_at(server, Theirs("gru").saved(), "").json() for _ in range(25)]
    statuses: list[tuple[str, int]] = []

    def ask(path: str, id: str) -> None:
        with httpx.Client(base_url=server.address, timeout=30) as client:
            for _ in range(3):
                statuses.append((path, client.get(path.format(id)).status_code))

    def delete(each: dict) -> None:
        owner = {"Authorization": f"Bearer {each['owner_token']}"}
        statuses.append(
            ("DELETE", httpx.delete(f"{server.address}/api/models/{each['id']}", headers=owner).status_code)
        )

    for each in made:
        paths = ("/api/models/{}", "/api/models/{}/weights", "/api/trace.json?model={}&text=abc", "/?model={}&text=abc")
        threads = [threading.Thread(target=ask, args=(path, each["id"])) for path in paths]
        threads += [threading.Thread(target=delete, args=(each,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert {status for _, status in statuses} <= {200, 204, 404, 422, 503}, sorted(set(statuses))


@pytest.mark.parametrize(
    "kind", ["dangling", "circular", "folder", "pipe", "socket", "unreadable name", "no owner", "half"]
)
def test_what_lies_in_the_data_directory_takes_no_list_down(kind):
    with a_quick_server() as server:
        made = looked_at(server, Theirs("gru").saved(), "").json()
        path = server.data / "odd.safetensors"
        if kind in ("dangling", "circular"):
            path.symlink_to(server.data / ("none" if kind == "dangling" else "odd.safetensors"))
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as kept:
                kept.bind(str(path))
        elif kind == "unreadable name":
            Path(os.fsdecode(os.fsencode(server.data) + b"/\xff\n\x1b[31m.safetensors")).write_bytes(b"x" * 99)
        elif kind == "half":
            path.write_bytes(Theirs("gru").saved()[:200])
        else:
            (server.data / "uploads" / f"{made['id']}.owner").unlink()
        for address in ("/api/models", "/", "/train", f"/api/models/{made['id']}", "/api/models/odd", "/?model=odd"):
            answer = httpx.get(server.address + address, timeout=10)
            assert answer.status_code in (200, 404), (address, answer.status_code)
        owner = {"Authorization": f"Bearer {made['owner_token']}"}
        assert server.client.delete(f"/api/models/{made['id']}", headers=owner).status_code in (204, 403, 404)
        assert server.complaints() == []


def converted(folder: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """What `gatescope convert` does with a file."""
    command = [sys.executable, "-m", "gatescope", "convert", file]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, "GATESCOPE_DATA": str(folder)},
    )


def torch_files(folder: Path) -> Iterator[tuple[str, object]]:
    yield (
        "meta",
        {"rnn.weight_ih_l0": torch.empty(4, 4, device="meta"), "rnn.weight_hh_l0": torch.empty(4, 4, device="meta")},
    )
    yield "sparse", {"rnn.weight_ih_l0": torch.eye(4).to_sparse(), "rnn.weight_hh_l0": torch.eye(4)}
    yield "expanded", {"rnn.weight_ih_l0": torch.zeros(1).expand(2**20, 2**18), "rnn.weight_hh_l0": torch.eye(4)}
    yield "complex", {"rnn.weight_ih_l0": torch.eye(4, dtype=torch.complex64), "rnn.weight_hh_l0": torch.eye(4)}
    yield "numbers", {"rnn.weight_ih_l0": 5, 7: "x", "deep": [[[{}]]]}
    yield "a list", [torch.eye(4)]


def test_no_torch_file_ends_in_a_traceback(tmp_path):
    for name, content in torch_files(tmp_path):
        torch.save(content, file := tmp_path / f"{name}.pt")
        ended = converted(tmp_path, file)
        assert ended.returncode == 2 and ended.stderr.startswith("gatescope: "), (name, ended.stderr[-500:])
        assert "Traceback" not in ended.stderr and len(ended.stderr) < 3000, name


@pytest.mark.parametrize("kind", ["external storage", "external link", "object", "10¹² zeros", "circle"])
def test_no_h5_file_reads_another_file_or_the_whole_memory(tmp_path, kind):
    (tmp_path / "secret").write_bytes(np.full(64, 7.0, "<f4").tobytes())
    with h5py.File(file := tmp_path / "model.weights.h5", "w") as h5:
        place = h5.create_group("layers/simple_rnn/cell/vars")
        place["1"], place["2"] = np.eye(4, dtype="<f4"), np.zeros(4, "<f4")
        if kind == "external storage":
            place.create_dataset("0", (4, 4), "<f4", external=[(str(tmp_path / "secret"), 0, 64)])
        elif kind == "external link":
            with h5py.File(tmp_path / "other.h5", "w") as other:
                other["x"] = np.full((4, 4), 7, "<f4")
            place["0"] = h5py.ExternalLink("other.h5", "x")
        elif kind == "object":
            place.create_dataset("0", (4, 4), h5py.string_dtype())
        elif kind == "circle":
            place["0"] = np.eye(4, dtype="<f4")
            place["again"] = h5py.SoftLink("/layers")
        else:
            place.create_dataset("0", (10**6, 10**6), "<f4", chunks=(1000, 1000))
    ended = converted(tmp_path, file)
    assert "Traceback" not in ended.stderr, ended.stderr[-600:]
    assert kind == "circle" or ended.returncode == 2, ended.stdout
    written = [path.read_bytes() for path in tmp_path.glob("*.safetensors")]
    assert not any(np.full(8, 7.0, "<f4").tobytes() in content for content in written)


def test_the_server_still_answers(server):
    assert comes_true(lambda: server.answers(2), 10)
