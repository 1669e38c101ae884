"""A browser on the pages of a server: what it said, what is in its pages, other people's pages around them."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Frame, Page

from tests.browser import waited

STEP = "globalThis.gatescope?.stage.runs[0].step ?? 0"
DRAWN = "globalThis.gatescope?.stage.last.drawn > 0"
REPORTS = """globalThis.reports = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) =>
  reports.push(`${violatedDirective} ${blockedURI} ${sample}`));"""
# raw controls and direction marks in the page's own text and attributes; what a person types stays as it is
UNSEEN = r"""() => {
  const bad = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]/;
  const found = bad.test(document.title) ? ["the title"] : [];
  const walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.nodeType === 3) {
      const inside = node.parentElement;
      if (inside.closest("script,style,textarea") || !bad.test(node.data)) continue;
      found.push(`${inside.tagName}.${inside.className}`);
    } else if (!["INPUT", "TEXTAREA"].includes(node.tagName)) {
      for (const { name, value } of node.attributes) if (bad.test(value)) found.push(`${node.tagName} ${name}`);
    }
  }
  return [...new Set(found)];
}"""


@contextmanager
def watched_page(browser: Browser, **options: object) -> Iterator[tuple[Page, list[str]]]:
    """A page in a context of its own, and what goes wrong in it: errors nobody caught, dialogs."""
    context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    context.set_default_timeout(120_000)  # a busy machine loads a dozen frames slowly
    context.add_init_script(REPORTS)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"[:200]))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    try:
        yield page, wrong
    finally:
        context.close()


def moves_on(frame: Page | Frame, seconds: float = 30, steps: int = 0) -> bool:
    """Whether a run in a page gets on by more than so many steps within so many seconds."""
    stood = frame.evaluate(STEP)
    return bool(waited(frame, f"({STEP}) > {stood + steps}", seconds))


@contextmanager
def deck(folder: Path, body: str) -> Iterator[str]:
    """Somebody else's page, from a server of its own."""
    (folder / "deck.html").write_text(f"<!doctype html><title>Deck</title>{body}")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *said: object) -> None:
            """Nothing is said."""

    with served(partial(Quiet, directory=folder)) as port:
        yield f"http://127.0.0.1:{port}/deck.html"


@contextmanager
def served(handler: object) -> Iterator[int]:
    """A little server of threads; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def passed_on(port: int, path: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """What the server at a port answers: status, headers, body."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as there:
        there.request("GET", path, headers={"Host": f"127.0.0.1:{port}"})
        answer = there.getresponse()
        return answer.status, answer.getheaders(), answer.read()


def holding_proxy(port: int) -> type[BaseHTTPRequestHandler]:
    """A proxy that passes everything on but holds event streams back, as some do until they end."""

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *said: object) -> None:
            """Nothing is said."""

        def do_GET(self) -> None:
            if self.path.startswith("/api/events"):
                time.sleep(60)
                self.close_connection = True
                return
            status, headers, content = passed_on(port, self.path)
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Proxy
