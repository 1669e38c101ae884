"""The log: what is in it, and that what people send is not."""

import asyncio
import io
import json
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import orjson
import pytest
from fastapi.responses import StreamingResponse

from gatescope.app.logs import JsonLines, Lines, escaped, fault_trail, logging_config, request_id
from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from gatescope.app.workers.job import Job, work
from gatescope.app.workers.local import LocalBackend
from gatescope.app.workers.protocol import Frame
from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from tests.fire.process import ServerProcess
from tests.runs_over_http import started
from tests.service import a_server, serve

EVIL = "\nFAKE ERROR line\r\x1b[31mred\x9b31m\u202eback\u2028next\u0085\x00\ud800\u2066end"
MARK = "Zq7-private-Zq7"
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")
FORMATS = {"text": Lines(), "json": JsonLines()}
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+: .+")


def record(message: str, *values: object, error: BaseException | None = None, name: str = "gatescope.here"):
    return logging.LogRecord(
        name, logging.WARNING, "file.py", 1, message, values, (type(error), error, None) if error else None
    )


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """An exception that went through this function."""
    try:
        raise error from cause
    except BaseException as caught:
        return caught


@pytest.mark.parametrize("format", FORMATS)
def test_a_line_obeys_nobody(format):
    line = FORMATS[format].format(record("%s is left out: %r", EVIL, EVIL.encode(errors="backslashreplace")))
    assert "\n" not in line and not RAW.search(line) and "FAKE ERROR line" in line
    assert len(FORMATS[format].format(record("\x1b" * 10**6))) < 30_000


def test_the_same_facts_in_both_formats():
    token = request_id.set("abc")
    try:
        facts = json.loads(FORMATS["json"].format(record("%d waits", 3, error=raised(KeyError("k")))))
        assert list(facts) == ["time", "level", "logger", "message", "request", "trail"]
        assert (facts["level"], facts["logger"], facts["message"]) == ("WARNING", "gatescope.here", "3 waits")
        line = FORMATS["text"].format(record("%d waits", 3))
        assert LINE.fullmatch(line) and line.endswith(" WARNING gatescope.here: 3 waits [request abc]")
    finally:
        request_id.reset(token)


def test_a_fault_is_told_without_what_it_says():
    trail = fault_trail(raised(ValueError(f"bad text {MARK}"), raised(UnicodeEncodeError("utf-8", MARK, 0, 1, MARK))))
    assert trail[0] == "ValueError" and trail[2] == "UnicodeEncodeError" and MARK not in "".join(trail)
    assert re.fullmatch(r"\S+tests/test_logs\.py:\d+ raised", trail[1])
    group = fault_trail(raised(ExceptionGroup(MARK, [raised(KeyError(MARK))])))
    assert "KeyError" in group and MARK not in "".join(group)
    assert fault_trail(OSError(28, "No space left on device", MARK)) == ["OSError: No space left on device"]
    assert fault_trail(sqlite3.OperationalError("disk I/O error")) == ["OperationalError: disk I/O error"]
    assert len(fault_trail(deep(RecursionError(MARK)))) <= 31


def deep(error: BaseException, more: int = 200) -> BaseException:
    """An exception that went through many functions."""

    def fall(left: int) -> None:
        if not left:
            raise error
        fall(left - 1)

    with pytest.raises(type(error)):
        fall(more)
    return error


def test_what_asyncio_shows_of_objects_is_left_out():
    said = f"Task exception was never retrieved\nfuture: <Task exception=ValueError('{MARK}')>"
    assert MARK not in Lines().format(record(said, name="asyncio"))


def test_escaping_changes_only_what_cannot_be_seen():
    assert escaped("Große Welt, книга 日本") == "Große Welt, книга 日本"
    assert escaped(EVIL) == EVIL.encode("unicode_escape").decode()


@contextmanager
def listening(logger: str) -> Iterator[io.StringIO]:
    """What a logger writes during a `with` block, as people read it."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    handler.setFormatter(Lines())
    logging.getLogger(logger).addHandler(handler)
    try:
        yield heard
    finally:
        logging.getLogger(logger).removeHandler(handler)


def test_a_fault_is_one_line_and_a_problem_that_names_it(tmp_path):
    app = create_app(Settings(data=tmp_path))

    @app.get("/fails/{what}")
    def fail(what: str) -> None:
        raise ValueError(what)

    with serve(app.state.settings, app) as address, listening("gatescope") as ours, listening("uvicorn") as others:
        response = httpx.get(f"{address}/fails/{MARK}", params={"text": MARK})
        answers = [httpx.get(f"{address}/healthz") for _ in range(2)]
    id = response.headers["x-request-id"]
    assert response.status_code == 500 and id in response.json()["detail"]
    assert response.headers["content-type"] == "application/problem+json"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff" and response.headers["cache-control"] == "no-cache"
    (line,) = ours.getvalue().splitlines()
    assert f"[request {id}]" in line and "GET /fails/{what}" in line and "ValueError" in line
    assert MARK not in line and MARK not in response.text and others.getvalue() == ""
    assert len({id} | {answer.headers["x-request-id"] for answer in answers}) == 3


def test_a_fault_after_the_beginning_of_an_answer_breaks_it_off(tmp_path):
    app = create_app(Settings(data=tmp_path))

    @app.get("/breaks")
    def breaks() -> StreamingResponse:
        def content() -> Iterator[bytes]:
            yield b"x" * 10
            raise ValueError(MARK)

        return StreamingResponse(content())

    with serve(app.state.settings, app) as address, listening("uvicorn") as heard:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{address}/breaks")
    (line,) = heard.getvalue().splitlines()
    assert "ValueError" in line and MARK not in line and re.search(r"\[request [0-9a-f]{16}\]", line)


def test_a_thread_that_ends_by_a_fault_is_logged(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    logging_config("text")

    def fail() -> None:
        raise ValueError(MARK)

    with listening("gatescope") as heard:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert "ValueError" in heard.getvalue() and MARK not in heard.getvalue()


def test_what_a_worker_says_is_escaped_and_cut():
    """A worker's standard error is another program's; a line of it may hold anything."""
    said = f"sys.stderr.write(({EVIL.replace(chr(0xD800), '')!r} + chr(10)) * 9999); sys.exit(3)"

    async def seen() -> list[Frame]:
        async with LocalBackend(2**30, [sys.executable, "-c", f"import sys; {said}"]) as backend:
            handle = await backend.start(Job(b"{}"))
            return [frame async for frame in backend.events(handle)]

    with listening("gatescope") as heard:
        frames = asyncio.run(seen())
    assert [frame.name for frame in frames] == ["exit"] and frames[0].data["how"] == "lost"
    (line,) = heard.getvalue().splitlines()
    assert not RAW.search(line) and "FAKE ERROR" in line and len(line) < 10_000


def test_a_fault_in_a_training_does_not_quote_its_text(capsys):
    spec = orjson.dumps({"text": {MARK: MARK}, "recipe": {}, "title": MARK})
    frames = list(work(Job(spec), lambda: False))
    assert frames[-1].data["how"] == "failed" and MARK not in str(frames[-1])
    said = capsys.readouterr()
    assert MARK not in said.err + said.out and "job.py" in said.err


def hostile(client: httpx.Client) -> list[httpx.Response]:
    """Requests that say something private, or something that a log would obey, wherever something can be said."""
    said = [MARK, EVIL.replace("\ud800", ""), "%0d%0aFAKE", "\u202e" + MARK]
    sent = [client.get("/", params={"text": each, "model": each, "target": each}) for each in said]
    for each in said:
        sent.append(client.get("/api/trace", params={"model": "shakespeare-lstm", "text": each}))
        sent.append(client.post("/api/trace", json={"model": each, "text": each, each: each}))
        sent.append(client.post("/api/generate", json={"model": "shakespeare-lstm", "prompt": each}))
        sent.append(client.post("/api/runs", params={"title": each, "steps": 1}, content=each.encode()))
        sent.append(client.post("/api/runs", params={each: each}, content=b"a" * 9))
        sent.append(client.post("/api/models", content=each.encode() * 9, headers={"Content-Type": f"text/{MARK}"}))
        sent.append(client.get("/api/runs", headers={"Authorization": f"Bearer {MARK * 3}", "X-Request-ID": MARK}))
        sent.append(client.get(f"/runs/{MARK}", headers={"Referer": MARK, "User-Agent": MARK, "Origin": MARK}))
        sent.append(client.request("DELETE", f"/api/models/{MARK}", headers={"X-Forwarded-For": MARK}))
    network = untrained(cells()["lstm"], 1, 4, [*"ab"], title=EVIL.replace("\ud800", "") + MARK)
    content = network.to_bytes()
    octets = {"Content-Type": "application/octet-stream"}
    sent += [client.post("/api/models", content=each, headers=octets) for each in (content, content[:-5], b"\x00" * 20)]
    return [*sent, client.request("MARK" + MARK.replace("-", ""), "/")]


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_nothing_that_people_send_is_in_the_log_of_a_server(tmp_path, format):
    folder, log, pid = (tmp_path / name for name in ("data", "log", "pid"))
    folder.mkdir()
    (folder / ("broken" + EVIL.replace("\x00", "").replace("\ud800", "") + ".safetensors")).write_bytes(b"no network")
    command = ["sh", "-c", f'echo $$ >"{pid}"; exec "$@" 2>"{log}"', "sh", sys.executable, "-m", "gatescope"]
    environment = os.environ | {"GATESCOPE_LOG_FORMAT": format, "GATESCOPE_DATA": str(folder)}
    with a_server(["serve"], command, env=environment) as address, httpx.Client(base_url=address) as client:
        answers = hostile(client)
        text = f"{MARK} {EVIL}".replace("\ud800", "") * 40
        run = started(client, text, steps=200_000, title=MARK)
        kill_worker(int((tmp_path / "pid").read_text()))
        token = run["owner_token"]
        gone = client.delete(f"/api/runs/{run['id']}", headers={"Authorization": f"Bearer {token}"})
        assert gone.status_code == 204
        assert {answer.status_code for answer in answers} <= {200, 201, 202, 400, 403, 404, 405, 415, 422, 429}
        assert all(re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"]) for answer in answers)
    written = log.read_bytes().decode()
    assert not RAW.search(written)
    for private in (MARK, MARK.replace("-", ""), token):
        assert private not in written
    lines = written.splitlines()
    assert any("is left out" in line and "FAKE" in line for line in lines) and len(lines) > 4
    assert any("lost its worker" in line for line in lines)
    for line in lines:
        assert (
            LINE.fullmatch(line)
            if format == "text"
            else {"time", "level", "logger", "message"} <= set(json.loads(line))
        )


def kill_worker(server: int) -> None:
    """Kill the worker of a server as soon as it has one, so that there is something to log."""
    end = time.monotonic() + 20
    while not (found := ServerProcess(server).workers()):
        assert time.monotonic() < end, "the server has no worker"
        time.sleep(0.05)
    for worker in found:
        os.kill(worker.number, signal.SIGKILL)


def test_the_log_is_configured_as_uvicorn_takes_it(tmp_path):
    program = """
        import logging.config, sys, warnings
        from gatescope.app.logs import logging_config
        logging.config.dictConfig(logging_config("json"))
        logging.getLogger("anything.else").warning("seen")
        logging.getLogger("anything.else").info("not seen")
        logging.getLogger("gatescope.app").info("seen")
    """
    ran = subprocess.run(
        [sys.executable, "-c", re.sub(r"^ {8}", "", program, flags=re.M)], capture_output=True, text=True
    )
    assert ran.returncode == 0 and ran.stdout == ""
    assert [json.loads(line)["message"] for line in ran.stderr.splitlines()] == ["seen", "seen"]
