"""The pages in a real browser: hostile words, other people's pages around them, outages."""

import json
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser import chromium, waited
from tests.faults.browsing import DRAWN, STEP, UNSEEN, deck, holding_proxy, moves_on, served, watched_page
from tests.faults.crashes import step_of
from tests.faults.server import Server, in_state
from tests.faults.table import Trial, row
from tests.foreign import CHARACTERS, Theirs
from tests.runs_over_http import ENDLESS, owned, started

BYTES = {"Content-Type": "application/octet-stream"}
TEXT = "one two buckle my shoe, three four knock at the door. " * 60
QUICK = {"cell": "gru", "hidden": 8, "steps": 30, "sequence_length": 16, "batch_size": 4}
VIEWS = ("unfold", "gates", "text", "gradients", "cell", "generate")
CONTROLS = ("\x07", "\x1b", "\u202e", "\u2066", "\u2028", "\ufeff", "\u200f", "\x85", "a", "b", "\x7f")
assert len(CONTROLS) == len(CHARACTERS)
PAYLOADS = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "$\\href{javascript:alert(1)}{x}$",
    "{{7*7}}",
    "${7*7}",
    "<svg onload=alert(1)>",
    "'\"><b>x",
    "<!--",
    "a\u202eb",
)


def uploaded(server: Server, **facts: str) -> str:
    """The id of a network with these facts."""
    answer = server.client.post("/api/models", content=Theirs("gru").saved(**facts), headers=BYTES)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@row(31, "controls and direction overrides as characters of a text, a vocabulary, a title: preview, pages",
     "tokens like others; shown as symbols, never raw", "pages")  # fmt: skip
def controls(trial: Trial) -> None:
    server, text = trial.server, "".join(CONTROLS)
    said = server.client.post("/api/runs?dry_run=true", content=(text * 20 + "\x00").encode()).json()["text"]
    trial.count("kept as tokens", set(CONTROLS) - {"\ufeff"} <= set(said["vocabulary"]), "preview")
    trial.holds(not set(CONTROLS) & set(said["start"]) - {"a", "b"}, "the preview has raw ones")
    model = uploaded(server, vocabulary=json.dumps(CONTROLS), title="a\u202eb\u2066c")
    run = started(server.client, text * 60, **QUICK | {"steps": 60}, title="x\u202ey\u2066z")
    in_state(server.client, run, "finished")
    query = f"model={model}&text=%07%1Bab%E2%80%AEb%7Fa"
    with chromium() as browser, watched_page(browser) as (page, wrong):
        paths = [
            f"/?{query}",
            *(f"/embed/{view}?{query}" for view in VIEWS),
            f"/runs/{run['id']}",
            f"/embed/run?run={run['id']}",
        ]
        for path in (
            *paths,
            f"/?model={run['id']}&text=abab",
            "/?text=a%E2%80%AEb&model=%E2%80%AEx",
            f"/runs/{run['id']}?step=3",
        ):
            page.goto(server.address + path)
            trial.holds(waited(page, DRAWN), f"{path[:30]} is not drawn")
            page.wait_for_timeout(300)
            found = page.evaluate(UNSEEN)
            trial.count("all seen" if not found else "raw ones", not found, f"{path[:16]}: {found[:6]}")
        trial.holds(not wrong, f"{wrong[:2]}")


@row(
    34,
    "tags, javascript: links, templates, TeX in titles, vocabularies, labels, texts, addresses",
    "inert text: no element, dialog, report",
    "pages",
)
def inert(trial: Trial) -> None:
    server = trial.server
    words = [f"{payload} {n}" for n, payload in enumerate((*PAYLOADS, "plain"))]
    paths = []
    for payload in PAYLOADS:
        model = uploaded(server, title=payload, vocabulary=json.dumps(words), reads="words")
        paths.append(f"/?model={model}&text={'a'}")
    labels = Theirs("gru", outputs=3).saved(title="labels", labels=json.dumps(PAYLOADS[:3]))
    model = server.client.post("/api/models", content=labels, headers=BYTES).json()["id"]
    paths += [f"/embed/{view}?model={model}&text=abc" for view in VIEWS]
    run = started(server.client, "\n".join(PAYLOADS) * 30, **QUICK, title=PAYLOADS[0])
    in_state(server.client, run, "finished")
    paths += [f"/runs/{run['id']}", f"/embed/run?run={run['id']}", "/train"]
    with chromium() as browser, watched_page(browser) as (page, wrong):
        for payload in PAYLOADS:
            escaped = "".join(f"%{byte:02x}" for byte in payload.encode())
            paths += [f"/?text={escaped}&model={escaped}", f"/embed/text?text={escaped}"]
        for path in paths:
            page.goto(server.address + path)
            waited(page, DRAWN, 1.5)
            found = page.evaluate(FOREIGN)
            trial.count("inert" if not found else "alive", not found and not wrong, f"{path[:50]}: {found} {wrong[:1]}")
            wrong.clear()


FOREIGN = """() => [
  ...[...document.querySelectorAll('img[src="x"], a[href^="javascript"], [onerror], script:not([src]):not([type])')]
    .map(element => element.outerHTML.slice(0, 60)),
  ...(document.body.innerText.match(/\\b49\\b/) ? ["49"] : []),
  ...(globalThis.reports ?? []),
]"""


@row(
    53,
    "twelve live runs in one page of somebody else's, twelve traces; then on to another page",
    "12 of 12; the page goes on",
    "pages",
)
def twelve_frames(trial: Trial) -> None:
    server, folder = trial.server, Path(tempfile.mkdtemp(dir=trial.server.folder))
    run = started(server.client, TEXT, **ENDLESS)
    in_state(server.client, run, "running")
    live = f'<iframe src="{server.address}/embed/run?run={run["id"]}" width="300" height="200"></iframe>' * 12
    traces = "".join(f'<iframe src="{server.address}/embed/{VIEWS[n % 5]}?text=To%20be"></iframe>' for n in range(12))
    with chromium() as browser, watched_page(browser) as (page, wrong):
        with deck(folder, live) as url:
            page.goto(url)
            for frame in page.frames[1:]:
                trial.count("live", bool(waited(frame, f"({STEP}) > 0", 40)) and moves_on(frame, 40), "a run")
            trial.holds(len(page.frames) == 13, f"{len(page.frames) - 1} frames")
        with deck(folder, traces) as url:
            page.goto(url)
            for frame in page.frames[1:]:
                trial.count("drawn", bool(waited(frame, DRAWN, 120)), "a trace")
            began = time.monotonic()
            page.goto(server.address + "/train", timeout=20_000)
            page.goto(server.address + "/", timeout=20_000)
            trial.count("goes on", bool(waited(page, DRAWN, 20)), f"after {time.monotonic() - began:.1f} s")
        trial.holds(not wrong, f"{wrong[:2]}")
    server.client.delete(run["links"]["self"], headers=owned(run))


@row(54, "the network away, the server killed and started again under open pages; a proxy that holds streams back",
     "live again by itself; behind the proxy it moves every few seconds", "pages")  # fmt: skip
def outages(trial: Trial) -> None:
    with trial.own_server(workers=1) as server, chromium() as browser:
        run = started(server.client, TEXT, **ENDLESS | {"hidden": 32})
        in_state(server.client, run, "running")
        for shared in (True, False):
            with watched_page(browser) as (page, wrong):
                if not shared:
                    page.context.add_init_script("delete globalThis.SharedWorker")
                page.goto(f"{server.address}/runs/{run['id']}")
                trial.count("live", bool(waited(page, f"({STEP}) > 0", 40)), "at first")
                for down in (0.5,) if shared else (5,):
                    server.end(9)
                    page.wait_for_timeout(1000 * down)
                    server.start()
                    began = time.monotonic()
                    trial.count(
                        "live again", moves_on(page, 45), f"killed, {down} s down, {'shared' if shared else 'alone'}"
                    )
                    trial.note(f"{time.monotonic() - began:.1f} s")
                if not shared:
                    page.context.set_offline(True)
                    page.wait_for_timeout(6000)
                    page.context.set_offline(False)
                    trial.count("live again", moves_on(page, 30), "offline")
                trial.holds(not wrong, f"{wrong[:2]}")
        with served(holding_proxy(server.port)) as port, watched_page(browser) as (page, wrong):
            page.goto(f"http://127.0.0.1:{port}/runs/{run['id']}")
            trial.count("live", bool(waited(page, f"({STEP}) > 0", 60)), "behind a proxy that holds streams back")
            page.wait_for_timeout(8000)
            moves, last, end = 0, page.evaluate(STEP), time.monotonic() + 16
            told, looked = {step_of(server, run)}, time.monotonic()
            while time.monotonic() < end:
                page.wait_for_timeout(250)
                if (now := page.evaluate(STEP)) != last:
                    moves, last = moves + 1, now
                if time.monotonic() - looked > 4:  # what there was to be seen: a busy machine trains slowly
                    told, looked = told | {step_of(server, run)}, time.monotonic()
            trial.note(f"{len(told) - 1} moves were to be seen, one each four seconds")
            trial.count(
                f"{moves} moves in 16 s", moves >= max(1, len(told) - 1), "behind a proxy that holds streams back"
            )


@row(
    55,
    'frames under sandbox="allow-scripts", with and without allow-same-origin: runs, views, writing',
    "live, drawn, written",
    "pages",
)
def sandboxed(trial: Trial) -> None:
    server, folder = trial.server, Path(tempfile.mkdtemp(dir=trial.server.folder))
    run = started(server.client, TEXT, **ENDLESS)
    in_state(server.client, run, "running")
    with chromium() as browser:
        for sandbox in ("allow-scripts", "allow-scripts allow-same-origin"):
            paths = [f"/embed/run?run={run['id']}", *(f"/embed/{view}?text=To%20be" for view in VIEWS)]
            body = "".join(
                f'<iframe sandbox="{sandbox}" src="{server.address}{path}" width="600" height="400"></iframe>'
                for path in paths
            )
            with deck(folder, body) as url, watched_page(browser) as (page, wrong):
                page.goto(url)
                live, *views = page.frames[1:]
                live.frame_element().scroll_into_view_if_needed()  # who is out of sight gets no animation frame
                trial.count("live", bool(waited(live, f"({STEP}) > 0", 40)) and moves_on(live), sandbox)
                for view, frame in zip(VIEWS, views, strict=True):
                    frame.frame_element().scroll_into_view_if_needed()
                    trial.count("drawn", bool(waited(frame, DRAWN, 120)), f"{view}, {sandbox}")
                views[-1].get_by_role("button", name="Write", exact=True).click()
                written = "document.querySelectorAll('.written [data-k]').length > 20"
                trial.count("written", bool(waited(views[-1], written, 20)), sandbox)
                trial.holds(not wrong, f"{sandbox}: {wrong[:2]}")
    server.client.delete(run["links"]["self"], headers=owned(run))


JUNK = """() => {
  const frame = document.querySelector("iframe").contentWindow, circle = {};
  circle.self = circle;
  const junk = [null, undefined, 1, "x".repeat(1e6), {}, [], circle, new Uint8Array(1e6),
    { type: "gatescope:height", v: 1 }, "__proto__", new Map([[1, 2]]), new Error("x"),
    { type: "gatescope:key", key: "Delete" }, { type: "slide:start" }, { run: "x" },
    { type: "gatescope", model: "none", text: "<img src=x onerror=alert(1)>" }];
  for (const each of junk) for (let n = 0; n < 5; n++) frame.postMessage(each, "*");
  return junk.length * 5;
}"""


@row(
    70,
    "junk by postMessage from a page around: a megabyte, circles, wrong types, made-up commands",
    "ignored, no error",
    "pages",
)
def messages(trial: Trial) -> None:
    server, folder = trial.server, Path(tempfile.mkdtemp(dir=trial.server.folder))
    with chromium() as browser:
        for view in ("unfold", "generate", "cell"):
            with deck(folder, f'<iframe src="{server.address}/embed/{view}?text=To%20be&t=1"></iframe>') as url:
                with watched_page(browser) as (page, wrong):
                    page.goto(url)
                    frame = page.frames[1]
                    trial.holds(waited(frame, DRAWN), f"{view} is not drawn")
                    before = frame.evaluate("JSON.stringify(gatescope.stage.state)")
                    sent = page.evaluate(JUNK)
                    page.wait_for_timeout(500)
                    after = frame.evaluate("JSON.stringify(gatescope.stage.state)")
                    for _ in range(sent):
                        trial.count("ignored", after == before and not wrong, f"{view}: {wrong[:1]}")


CHANGES = "Pause|Resume|Delete|Start|Bring it in|Train|Keep"


@row(
    73,
    "controls in frames that would change somebody's runs or networks",
    "there are none, also for the owner",
    "pages",
)
def no_controls(trial: Trial) -> None:
    server, folder = trial.server, Path(tempfile.mkdtemp(dir=trial.server.folder))
    run = started(server.client, TEXT, **QUICK)
    in_state(server.client, run, "finished")
    model = uploaded(server)
    paths = [f"/embed/run?run={run['id']}", *(f"/embed/{view}?model={model}&text=abc" for view in VIEWS)]
    with chromium() as browser:
        for path in paths:
            with deck(folder, f'<iframe src="{server.address}{path}" width="900" height="700"></iframe>') as url:
                counted(trial, browser, url, path, run)


def counted(trial: Trial, browser: Browser, url: str, path: str, run: dict) -> None:
    """Count the controls in a framed page, in the browser of the run's owner."""
    changes = f"{CHANGES}|Stop$" if "run=" in path else CHANGES  # what is being written may be stopped
    with watched_page(browser) as (page, wrong):
        page.context.add_init_script(
            f"localStorage.setItem('gatescope owner of run {run['id']}', '{run['owner_token']}')"
        )
        page.goto(url)
        frame = page.frames[1]
        trial.holds(waited(frame, DRAWN), f"{path[:20]} is not drawn")
        found = frame.evaluate(
            "[...document.querySelectorAll('button, input[type=file], form')].map(e => e.textContent)"
            f".filter(t => /{changes}/.test(t))"
        )
        trial.count(f"{len(found)} controls", not found and not wrong, f"{path[:20]}: {found} {wrong[:1]}")
