"""The log as viewers have it: live, late, again, slowly, in pages."""

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from gatescope.app.http.connection import Limits, counts
from gatescope.app.runs import viewers
from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from tests.service import errors_of, serve

TEXT = b"a text of a few words\n" * 9


@pytest.fixture
def app(tmp_path):
    return create_app(Settings(data=tmp_path, viewer_limit=5))


@pytest.fixture
def store(app):
    return app.state.store


@pytest.fixture
def here(app) -> Iterator[httpx.Client]:
    with serve(app.state.settings, app) as address, httpx.Client(base_url=address, timeout=20) as client:
        yield client


@pytest.fixture
def impatient(app) -> Iterator[httpx.Client]:
    """A server that waits for its readers no longer than half a second."""
    with serve(app.state.settings, app, Limits(reader=0.5)) as address:
        with httpx.Client(base_url=address, timeout=20) as client:
            yield client


def run_of(store, steps: int = 3, over: bool = True) -> str:
    """A run whose log is written by hand."""
    id = store.create("owner", "By hand", "{}", TEXT).id
    store.move(id, ["queued"], "running")
    for step in range(1, steps + 1):
        told(store, id, step)
    if over:
        store.move(id, ["running"], "finished", "by hand")
    return id


def told(store, id: str, step: int) -> int:
    return store.append(id, "progress", {"step": step, "time": time.monotonic()}, step)


def lines_of(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no" and "content-length" not in response.headers
    return response.text.split("\n\n")


def ids_of(text: str) -> list[int]:
    return [int(line.removeprefix("id: ")) for line in text.splitlines() if line.startswith("id: ")]


def everything(here: httpx.Client, *runs: str, **headers: str | bytes) -> str:
    return "\n\n".join(lines_of(here.get("/api/events", params={"runs": ",".join(runs)}, headers=headers)))


def test_a_finished_run_is_told_from_its_first_event_to_its_end(here, store):
    one, other = run_of(store), run_of(store)
    blocks = everything(here, one).split("\n\n")
    assert 1000 <= int(blocks[0].removeprefix("retry: ")) <= 4000
    names = [block.split("\n")[0] for block in blocks[1:-1]]
    assert names == [f"event: {name}" for name in ["state", "state", *["progress"] * 3, "state", "end"]]
    assert blocks[-2].split("\n")[1] == f'data: {{"run":"{one}"}}'
    both = ids_of(everything(here, one, other))
    assert both == sorted(set(both)) and len(both) == 14
    assert ids_of(everything(here, other)) == both[7:]


def test_a_stream_goes_on_after_the_last_event(here, store):
    run, other = run_of(store), run_of(store)
    ids = ids_of(everything(here, run))
    for place, id in enumerate(ids[:-1]):
        text = everything(here, run, **{"Last-Event-ID": str(id)})
        assert ids_of(text) == ids[place + 1 :] and "event: gap" not in text
    assert ids_of(here.get("/api/events", params={"runs": run, "after": ids[2]}).text) == ids[3:]
    others = str(ids_of(everything(here, other))[0])
    for nowhere in ("abc", "-1", "1e3", "9" * 30, "²".encode(), "1000000", others, "1 2"):
        text = everything(here, run, **{"Last-Event-ID": nowhere})
        assert ids_of(text) == ids and text.count("event: gap") == 1, nowhere
    assert "event: gap" not in everything(here, run, **{"Last-Event-ID": "0"})


def test_after_the_end_nothing_is_asked_again(here, store):
    run, going = run_of(store), run_of(store, over=False)
    last = ids_of(everything(here, run))[-1]
    again = here.get("/api/events", params={"runs": run}, headers={"Last-Event-ID": str(last)})
    assert again.status_code == 204 and not again.content
    both = {"runs": f"{run},{going}"}
    with here.stream("GET", "/api/events", params=both, headers={"Last-Event-ID": str(last)}) as response:
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("params", "field", "status"),
    [
        ({}, "runs", 422),
        ({"runs": ""}, "id", 404),
        ({"runs": "0" * 32}, "id", 404),
        ({"runs": "../../etc/passwd"}, "id", 404),
        ({"runs": ",".join(["0" * 32] * 60)}, "runs", 422),
        ({"runs": "0" * 32, "after": "-1"}, "after", 422),
        ({"runs": "0" * 32, "since": "1"}, "since", 422),
    ],
)
def test_other_runs_and_fields_are_refused(here, params, field, status):
    assert field in errors_of(here.get("/api/events", params=params), status)


def test_the_same_log_in_pages(here, store):
    run = run_of(store, steps=20)
    blocks = everything(here, run).split("\n\n")[1:-1]
    paged, after = [], 0
    while True:
        page = here.get(f"/api/runs/{run}/events.json", params={"after": after, "limit": 7}).json()
        paged += page["events"]
        assert page["is_over"]
        if not page["more"]:
            break
        after = page["last"]
    assert [event["id"] for event in paged] == ids_of("\n".join(blocks))
    assert [f"event: {event['event']}" for event in paged] == [block.split("\n")[0] for block in blocks]
    assert all(event["data"]["run"] == run for event in paged)
    last = here.get(f"/api/runs/{run}/events.json", params={"after": page["last"]}).json()
    assert last == {"events": [], "last": page["last"], "more": False, "is_over": True}
    errors_of(here.get(f"/api/runs/{run}/events.json?after=x"), 422)
    errors_of(here.get(f"/api/runs/{'0' * 32}/events.json"), 404)


def watched(here: httpx.Client, run: str, until: int | None = None, **headers: str) -> tuple[str, list[float]]:
    """What a viewer gets until the stream ends, or until the event with an id has come, and when each part came."""
    text, times = "", []
    with here.stream("GET", "/api/events", params={"runs": run}, headers=headers) as response:
        for part in response.iter_text():
            text, times = text + part, [*times, time.monotonic()]
            if until is not None and until in ids_of(text):
                break
    return text, times


def test_viewers_who_come_late_leave_and_return_see_one_log(here, store):
    run, seen = run_of(store, steps=1, over=False), {}
    address = str(here.base_url)

    def view(name: str, cut: bool) -> None:
        with httpx.Client(base_url=address, timeout=20) as client:
            if cut:
                first, _ = watched(client, run, until=middle)
                last = ids_of(first)[-1]
                then, times = watched(client, run, **{"Last-Event-ID": str(last)})
                seen[name] = first + then, times
            else:
                seen[name] = watched(client, run)

    middle, threads = told(store, run, 2), []
    for step in range(3, 63):
        if step in (3, 23, 43):
            threads.append(threading.Thread(target=view, args=(f"from {step}", step == 3)))
            threads[-1].start()
        told(store, run, step)
        time.sleep(0.02)
    store.move(run, ["running"], "stopped", "asked to")
    for thread in threads:
        thread.join(timeout=20)
    logs = {tuple(ids_of(text)) for text, _ in seen.values()}
    assert logs == {tuple(event.id for event in store.events(0, [run]))}
    assert all(text.count("event: end") == 1 for text, _ in seen.values())
    for _, times in seen.values():
        # One write a pause and a few more; a write may come in two parts. Unbridled there would be one for each event.
        assert len(times) <= 2 * ((times[-1] - times[0]) / viewers.PAUSE + 3)


def test_who_stops_reading_is_cut_off_and_the_others_go_on(impatient, app, store):
    here, before = impatient, counts["cut"]
    run, (host, port) = run_of(store, steps=1, over=False), (here.base_url.host, here.base_url.port)
    with socket.socket() as stopped:
        stopped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stopped.connect((host, port))
        stopped.sendall(f"GET /api/events?runs={run} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        other, long = [], "x" * 200_000
        thread = threading.Thread(target=lambda: other.append(watched(here, run)))
        thread.start()
        deadline = time.monotonic() + 20
        step = 2
        while counts["cut"] == before and time.monotonic() < deadline:
            store.append(run, "sample", {"step": step, "text": long}, step)
            step += 1
            time.sleep(0.05)
        assert counts["cut"] == before + 1
        while app.state.viewers.count > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert app.state.viewers.count == app.state.streams.count == 1
        store.move(run, ["running"], "finished")
        thread.join(timeout=20)
        assert ids_of(other[0][0]) == [event.id for event in store.events(0, [run])]
        with pytest.raises(ConnectionResetError):
            while stopped.recv(1 << 20):
                pass


def test_only_so_many_may_watch_and_who_is_gone_holds_no_place(here, app, store):
    run, (host, port) = run_of(store, over=False), (here.base_url.host, here.base_url.port)
    request = f"GET /api/events?runs={run} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    for _ in range(3):
        crowd = []
        for _ in range(5):
            crowd.append(socket.create_connection((host, port)))
            crowd[-1].sendall(request)
            assert crowd[-1].recv(100).startswith(b"HTTP/1.1 200")
        refused = here.get("/api/events", params={"runs": run})
        assert refused.status_code == 503 and refused.headers["retry-after"]
        assert "gatescope_viewers 5.0" in here.get("/metrics").text
        for each in crowd:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            each.close()
        deadline = time.monotonic() + 5
        while app.state.viewers.count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert app.state.viewers.count == 0


def test_the_server_leaves_with_streams_open(app, store):
    seen = []

    def view(address: str) -> None:
        with httpx.Client(base_url=address, timeout=20) as client:
            seen.append(watched(client, run)[0])

    with serve(app.state.settings, app) as address:
        run = run_of(store, over=False)
        threads = [threading.Thread(target=view, args=(address,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        while app.state.viewers.count < 3:
            time.sleep(0.01)
    # Here the server has left, though nobody had hung up: it waits for those who read as long as they do.
    for thread in threads:
        thread.join()
    assert len(seen) == 3 and all(text.count("retry: ") == 2 for text in seen)
