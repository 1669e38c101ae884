"""Texts to train on: too little of one, no text at all, odd encodings and characters; and what is kept of them."""

import itertools
import json
import time
from collections.abc import Callable

import numpy as np
from safetensors.numpy import save

from tests.faults.server import Server, comes_true, in_state
from tests.faults.table import Trial, row
from tests.runs_over_http import owned, started

BYTES = {"Content-Type": "application/octet-stream"}
QUICK = {"cell": "gru", "hidden": 8, "steps": 20, "sequence_length": 16, "batch_size": 4}
TEXT = "Über den Wolken, sagte er, muß die Freiheit wohl grenzenlos sein. " * 12
LIMIT = 16_777_216


def seen(trial: Trial, content: bytes, *allowed: int, what: str = "", **params: object) -> dict:
    """What a network would see of a text; the status is counted."""
    began = time.monotonic()
    answer = trial.server.client.post("/api/runs", params={"dry_run": True, **params}, content=content)
    trial.status(answer, *allowed, what=what)
    trial.holds(time.monotonic() - began < 10, f"{what}: {time.monotonic() - began:.0f} s")
    return answer.json()


@row(27, "texts that are empty, of one character, all alike, nothing but space, shorter than a sequence",
     "422 with a sentence; a sequence is shortened", "texts")  # fmt: skip
def too_little(trial: Trial) -> None:
    empty = (b"", b"a", b"\n", b" ", b"a" * 5000, b" \t\n" * 99, b"\xef\xbb\xbf", "\u00a0\u2003".encode() * 50)
    empty += ("\ufeff".encode("utf-16"), b"\r\n" * 500, "é".encode(), "😀".encode() * 99, "\u3000".encode() * 99)
    for content in empty:
        said = seen(trial, content, 422, what=f"{content[:6]!r}")
        trial.holds(len(said.get("detail", "")) > 15, f"{content[:6]!r}: no sentence")
    for content in (b"ab", b"ab" * 20, b"abc\n"):
        said = seen(trial, content, 200, 422, what=f"{content[:6]!r}", sequence_length=1000)
        if "recipe" in said:
            trial.holds(said["recipe"]["sequence_length"] < len(content), "a sequence longer than the text")


@row(28, "0 bytes, the longest text there may be, one byte more, many more", "422; 200; 413", "texts")
def sizes(trial: Trial) -> None:
    line = b"the quick brown fox jumps over the lazy dog; "
    whole = line * (LIMIT // len(line) + 1)
    seen(trial, b"", 422, what="empty")
    seen(trial, whole[:LIMIT], 200, what="exactly as long as it may be")
    seen(trial, whole[: LIMIT - 1], 200, what="one less")
    for more in (1, 2, 65_536, 1_000_000):
        seen(trial, (whole * 2)[: LIMIT + more], 413, what=f"{more} more")


BINARY = {
    "PNG": b"\x89PNG\r\n\x1a\n",
    "zip": b"PK\x03\x04",
    "PDF": b"%PDF-1.7\n%\xe2\xe3",
    "ELF": b"\x7fELF\x02\x01\x01",
    "mp3": b"ID3\x04\x00",
    "SQLite": b"SQLite format 3\x00",
    "wasm": b"\x00asm\x01\x00",
    "webp": b"RIFF\x10\x00\x00\x00WEBP",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "gzip": b"\x1f\x8b\x08\x00",
    "JPEG": b"\xff\xd8\xff\xe0",
    "GIF": b"GIF89a",
    "exe": b"MZ\x90\x00",
    "xz": b"\xfd7zXZ\x00",
    "bzip2": b"BZh91AY&SY",
    "class": b"\xca\xfe\xba\xbe",
    "pickle": b"\x80\x04\x95",
    "tar": b"x\x00" * 99,
}


@row(29, "pictures, archives, programs, databases and random bytes as a text", "415", "texts")
def binary(trial: Trial) -> None:
    noise = np.random.default_rng(1)
    for name, start in BINARY.items():
        seen(trial, start + noise.bytes(4000), 415, what=name)
        seen(trial, start + bytes(500) + noise.bytes(500), 415, what=f"{name} with zeros")
    for seed in range(6):
        seen(trial, np.random.default_rng(seed).bytes(20_000), 415, what="random")
    tensors = {"a": noise.random((50, 50), np.float32)}
    seen(trial, save(tensors), 415, what="safetensors")


@row(30, "18 encodings, marks, broken ones", "read as what is stated, or 415", "texts")
def encodings(trial: Trial) -> None:
    exact = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252")
    for encoding in exact:
        said = seen(trial, TEXT.encode(encoding), 200, what=encoding)
        vocabulary = said.get("text", {}).get("vocabulary", [])
        trial.holds(vocabulary == sorted(set(TEXT)), f"{encoding} is read as {said.get('text', {}).get('encoding')}")
    others = {
        "shift-jis": "吾輩は猫である。名前はまだ無い。どこで生れたか見当がつかぬ。" * 20,
        "koi8-r": "Мой дядя самых честных правил, " * 20,
    }
    others |= {
        "gb18030": "道可道，非常道。名可名，非常名。" * 20,
        "euc-kr": "나랏말싸미 듕귁에 달아 " * 20,
        "mac-roman": TEXT,
        "cp437": TEXT,
    }
    others |= {
        "utf-7": TEXT,
        "iso8859-7": "Μῆνιν ἄειδε".encode("iso8859-7", "ignore").decode("iso8859-7") * 40,
        "big5": "道可道" * 99,
    }
    for encoding, text in others.items():
        said = seen(trial, text.encode(encoding), 200, 415, what=encoding)
        trial.holds("text" not in said or said["text"]["encoding"], f"{encoding}: not stated")
    broken = (
        b"\xff\xfe" + b"a" * 501,
        b"\xfe\xff\xd8\x00\x00a",
        b"abc\xc3",
        b"ab\xed\xa0\x80c" * 9,
        b"\xff\xfe\x00\x00\x00\x00\x11\x00",
    )
    for content in broken:
        seen(trial, content, 200, 415, 422, what=f"{content[:8]!r}")


@row(32, "a megabyte of different characters; 2,001; 2,000; only emoji", "422 that names the limit; 200", "texts")
def many_characters(trial: Trial) -> None:
    every = [chr(code) for code in range(0x3400, 0x9FFF)] + [chr(code) for code in range(0x20000, 0x2A6DF)]
    for count, status in ((60_000, 422), (20_000, 422), (2001, 422), (2000, 200), (1999, 200)):
        said = seen(trial, "".join(every[:count]).encode() * 2, status, what=f"{count:,}")
        trial.holds(status == 200 or "2,000" in said["detail"], f"{count:,}: no limit is named")
    seen(trial, "".join(every[:2000]).encode() * 800, 200, what="4 MB of 2,000")
    seen(trial, "😀😁😂🤣😃".encode() * 50_000, 200, what="emoji")


@row(
    33,
    "10,000 marks on one letter, joined emoji, flags, Hangul in pieces, unassigned characters",
    "200 in linear time",
    "texts",
)
def graphemes(trial: Trial) -> None:
    kinds = {
        "marks": "a" + "\u0301" * 10_000,
        "family": "👩\u200d👩\u200d👧\u200d👦 " * 2000,
        "flags": "🇩🇪🇫🇷" * 3000,
        "hangul": "\u1112\u1161\u11ab" * 4000,
    }
    kinds |= {
        "unassigned": "\u0378\u0379\u0380" * 3000,
        "private": "\ue000\uf8ff " * 3000,
        "selectors": "❤\ufe0f\ufe0e" * 3000,
    }
    for name, text in kinds.items():
        times = []
        for more in (1, 8):
            began = time.monotonic()
            said = seen(trial, (text * more).encode(), 200, what=name)
            times.append(time.monotonic() - began)
            trial.holds(len(said.get("text", {}).get("start", "")) < 3000, f"{name}: a long preview")
        trial.holds(times[1] < 8 * 4 * times[0] + 1, f"{name}: {times[0]:.2f} s, then {times[1]:.2f} s")


@row(
    36, "a network that learnt lines like `event: evil`; such a title, prompt and address", "no event of theirs", "jobs"
)
def foreign_events(trial: Trial) -> None:
    client = trial.server.client
    text = "data: x\n\nevent: evil\ndata: {}\n\nid: 999\nretry: 1\n\n: ping\r\n\r\nevent: evil\rdata: y\r\r" * 40
    made = started(client, text, **QUICK | {"steps": 60}, title="a\n\nevent: evil\ndata: {}\n\n")
    in_state(client, made, "finished", "failed")
    model = made["id"]
    log = client.get(made["links"]["events"]).text
    named = {"trace": {"model": model, "text": text[:300]}, "generate": {"model": model, "prompt": "event: evil\n\n"}}
    streams = [log, *(client.post(f"/api/{path}", json=body).text for path, body in named.items())]
    streams.append(client.get("/api/trace", params=named["trace"]).text)
    known = {"state", "progress", "gates", "sample", "checkpoint", "end", "begin", "forward", "backward", "character"}
    for stream in streams:
        blocks = stream.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
        lines = [line for block in blocks for line in block.split("\n") if line]
        fields = [line.partition(":")[::2] for line in lines]
        foreign = [value for name, value in fields if name == "event" and value.strip() not in known]
        trial.count("no foreign event" if not foreign else "a foreign event", not foreign and "event: end" in stream)
        trial.holds({name for name, _ in fields} <= {"event", "data", "id", "retry", ""}, "lines of no known kind")
    trial.holds("\r" not in log, "a carriage return in a stream")


def linear(trial: Trial, name: str, content: Callable[[int], bytes], size: int, send: Callable[[bytes], int]) -> None:
    """Count whether eight times as much takes no more than about eight times as long."""
    times = []
    for count in (size, 8 * size):
        body, began = content(count), time.monotonic()
        status = send(body)
        times.append(time.monotonic() - began)
        trial.count(str(status), status < 500, name)
    trial.holds(times[1] < 20 * times[0] + 1.0, f"{name}: {times[0]:.2f} s, eight times as much {times[1]:.2f} s")


@row(
    37,
    "strings, headers, lists and names that make careless programs take the square of their length",
    "linear",
    "texts",
)
def superlinear(trial: Trial) -> None:
    client = trial.server.client

    def text(body: bytes) -> int:
        return client.post("/api/runs?dry_run=true", content=body).status_code

    def file(body: bytes) -> int:
        return client.post("/api/models?dry_run=true", content=body, headers=BYTES).status_code

    def trace(body: bytes) -> int:
        return client.post("/api/trace", content=body, headers={"Content-Type": "application/json"}).status_code

    for name, unit in (
        ("a!", b"a"),
        ("CR", b"\r"),
        ("CRLF", b"\r\n"),
        ("spaces", b" "),
        ("dots", b"."),
        ("quotes", b'"'),
    ):
        linear(trial, name, lambda count, unit=unit: unit * count + b"!\n", 250_000, text)
    first = b'{"lessons": {"reads": "words", "gives": "classes", "pattern": "many-to-one"}}\n'
    one = b'{"input": "a b", "target": "%d"}\n'
    linear(trial, "labels", lambda count: first + b"".join(one % n for n in range(count)), 2000, text)
    linear(trial, "nested", lambda count: first + b'{"input": ' + b"[" * count + b"]" * count + b"}\n", 20_000, text)
    linear(trial, "lines", lambda count: first + b"{}\n" * count, 20_000, text)
    linear(trial, "a long lesson", lambda count: long_lesson(count), 500, text)
    linear(trial, "a name twice", lambda count: twice(count), 2000, file)
    linear(trial, "matrices", lambda count: matrices(count), 150, file)
    linear(trial, "names", lambda count: save({f"n{n}": np.zeros(1, np.float32) for n in range(count)}), 500, file)
    linear(trial, "vocabulary", lambda count: vocabulary(count), 5000, file)
    numbers = '{"model": "signal", "values": [%s]}'
    linear(trial, "rows", lambda count: (numbers % ",".join(["[1]"] * count)).encode(), 20_000, trace)
    for unit, name in itertools.product((";", ",", "1_", "%", "٣"), ("values", "target", "signals", "text")):
        body = json.dumps({"model": "signal", name: unit * 100_000}).encode()
        linear(trial, f"{name} {unit}", lambda count, body=body: body[:-2] + b"1" * count + b'"}', 50_000, trace)


def long_lesson(count: int) -> bytes:
    """Many short lessons and a long one."""
    head = '{"lessons": {"reads": "characters", "gives": "next"}}\n'
    return (head + '{"input":"ab"}\n' * count + f'{{"input":"{"ab" * 5 * count}"}}\n').encode()


def twice(count: int) -> bytes:
    """A file of tensors whose header names one twice."""
    names = ",".join(f'"n{n}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for n in range(count))
    header = ("{" + names + ',"n0":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}').encode()
    return len(header).to_bytes(8, "little") + header


def matrices(count: int) -> bytes:
    """A recurrent layer with very many other matrices beside it."""
    weights = {"rnn.weight_ih_l0": (4, 4), "rnn.weight_hh_l0": (4, 4)} | {f"m{n}": (0, 4) for n in range(count)}
    return save({name: np.zeros(shape, np.float32) for name, shape in weights.items()})


def vocabulary(count: int) -> bytes:
    """A network with a vocabulary of so many words that does not fit it."""
    weights = {"rnn.weight_ih_l0": (4, 4), "rnn.weight_hh_l0": (4, 4)}
    words = json.dumps([f"w{n}" for n in range(count)] + ["w0"])
    return save({name: np.zeros(shape, np.float32) for name, shape in weights.items()}, {"vocabulary": words})


MARKER = "Xyzzy-7c1f-secret"


@row(
    38,
    "a private text: listed, logged, deleted, kept for ever?",
    "unlisted, never logged, gone when deleted or expired",
    "files",
)
def private(trial: Trial) -> None:
    with trial.own_server(keep_days=2 / 86_400, workers=1) as server:
        text, known = f"{MARKER} is my secret. " * 30, {"X-Forwarded-For": "10.0.0.1"}
        runs = [started(server.client, text, **QUICK, title=f"{MARKER} {n}") for n in range(2)]
        listed = server.client.get("/api/runs", headers=known).text + server.client.get("/api/models").text
        trial.count("unlisted" if MARKER not in listed else "listed", MARKER not in listed, "for others")
        in_state(server.client, runs[0], "finished")
        gone = server.client.delete(runs[0]["links"]["self"], headers=owned(runs[0])).status_code
        trial.count(str(gone), gone == 204, "deletion")
        in_state(server.client, runs[1], "finished")
        time.sleep(3)
        server.end()
        server.start()  # it looks at least when it begins
        over = comes_true(lambda: server.client.get(runs[1]["links"]["self"]).status_code == 404, 90, 0.5)
        trial.count("expired" if over else "kept", over, "a run that is over, after its time")
        trial.holds(comes_true(lambda: not traces_of(server), 10), f"left in {traces_of(server)}")
        trial.holds(MARKER.encode() not in server.log.read_bytes(), "in the log")


def traces_of(server: Server) -> list[str]:
    """The files of a data directory in which the marker still stands."""
    files = [path for path in server.data.rglob("*") if path.is_file()]
    return [path.name for path in files if MARKER.encode() in path.read_bytes()]
