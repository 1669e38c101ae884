"""More connections than there are files for them."""

import os
import resource
import time
from collections import Counter
from functools import partial

import httpx
import pytest

from gatescope.app.http.connection import Limits
from gatescope.app.http.serving import QUIET, limits_here, quietly
from gatescope.app.settings import Settings
from tests.raw_http import connected, refused, rest
from tests.service import a_process, errors_of, serve


def allow(soft: int, hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files(process) -> int:
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def seconds_used(process) -> float:
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def heard(connections: list) -> Counter:
    """What so many connections hear at once."""
    found: Counter = Counter()
    for connection in connections:
        connection.setblocking(False)
        try:
            found["refused" if connection.recv(12) == b"HTTP/1.1 503" else "closed"] += 1
        except BlockingIOError:
            found["open"] += 1
        except ConnectionResetError:
            found["closed"] += 1
    return found


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="reads /proc")
@pytest.mark.parametrize(("files", "count"), [(64, 200), (256, 600), (1024, 1500)])
def test_who_is_too_many_is_told_and_nothing_else_suffers(tmp_path, files, count):
    begin = partial(allow, files, files)
    with a_process(["serve", "--data", str(tmp_path)], preexec_fn=begin) as (address, process):
        for path in ("/", "/api/models", "/static/style.css", "/api/trace?model=shakespeare-lstm&text=ab"):
            assert httpx.get(address + path).status_code == 200
        before = open_files(process)
        connections = [connected(address) for _ in range(count)]
        time.sleep(1)
        found = heard(connections)
        assert found["open"] >= (files - 64) * 0.7 + 20 and found["closed"] == 0
        assert found["refused"] == count - found["open"]
        used = seconds_used(process)
        for _ in range(5):
            response = httpx.get(f"{address}/healthz")
            assert errors_of(response, 503) and response.headers["retry-after"]
        time.sleep(1)
        assert seconds_used(process) - used < 0.5
        assert open_files(process) < files
        for connection in connections:
            connection.close()
        end = time.monotonic() + 20
        while open_files(process) > before + 12:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert httpx.get(f"{address}/").status_code == 200
        process.terminate()
        said = process.communicate(timeout=30)[1]
        assert "Traceback" not in said and len(said) < 2_000


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="reads /proc")
def test_two_thousand_may_hold_the_line_and_a_visitor_is_served(tmp_path):
    """The usual limit of a shell is 1,024 files; it may be raised, and is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4_000:
        pytest.skip("the machine has no files for so many")
    begin = partial(allow, 1024, hard)
    with a_process(["serve", "--data", str(tmp_path)], preexec_fn=begin) as (address, process):
        httpx.get(address)
        with open(f"/proc/{process.pid}/statm") as memory:
            before = int(memory.read().split()[1]) * resource.getpagesize()
        connections = [connected(address) for _ in range(2_000)]
        assert httpx.get(f"{address}/healthz").status_code == 200
        with open(f"/proc/{process.pid}/statm") as memory:
            assert int(memory.read().split()[1]) * resource.getpagesize() < before + 40e6
        assert all(rest(connection) == b"" for connection in connections)  # each in its time, without a word
        for connection in connections:
            connection.close()


def test_so_many_connections_as_there_are_files_viewers_and_some(monkeypatch):
    def with_files(soft: int, **settings) -> tuple[int, int]:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
        limits = limits_here(Settings(**settings))
        return limits.connections, limits.farewells

    assert with_files(20) == (1, 8)
    assert with_files(64) == (24, 8)
    assert with_files(1024) == (768, 51)
    assert with_files(20_000)[0] == 4_000
    assert with_files(20_000, viewer_limit=10)[0] == 3_010
    assert with_files(20_000, viewer_limit=30_000)[0] == 15_000
    assert with_files(resource.RLIM_INFINITY)[0] == 4_000


def test_files_that_ran_out_are_one_line_a_minute(caplog):
    class Loop:
        def default_exception_handler(self, context):
            said.append(context["message"])

    said: list[str] = []
    handle = quietly()
    for _ in range(1000):
        handle(Loop(), {"message": "socket.accept() out of system resource", "exception": OSError(24, "x")})
    handle(Loop(), {"message": "another"})
    assert said == ["another"] and len(caplog.records) == 1 and QUIET == 60


def test_the_refusal_of_one_too_many_is_a_problem(tmp_path):
    with serve(Settings(data=tmp_path), limits=Limits(connections=2, farewells=2)) as address:
        held = [connected(address) for _ in range(2)]
        time.sleep(0.1)
        for _ in range(6):  # those beyond the farewells hear it too
            with connected(address) as connection:
                assert set(refused(rest(connection), 503)) == {"connections"}
        for connection in held:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            connection.close()
        time.sleep(0.2)
        assert httpx.get(f"{address}/healthz").status_code == 200
