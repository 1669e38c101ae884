"""What stands in a log: one line an event, and nothing that somebody else would write there."""

import json
import os
from pathlib import Path

import httpx
import numpy as np
from safetensors.numpy import save

from tests.faults.sockets import asked, head
from tests.faults.table import Trial, row
from tests.runs_over_http import QUICK

BYTES = {"Content-Type": "application/octet-stream"}
ODD = (
    "line\nGET 200 OK",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "a\x00b".replace("\x00", "\x01"),
    "\r\nINFO: all is well",
    "\x9b2J",
)


def odd_files(data: Path) -> None:
    """Files whose names and tensors would write lines of their own into a log."""
    for n, name in enumerate(ODD):
        (data / f"{name}.safetensors").write_bytes(b"nothing" * 9)
        tensors = save({f"{name}.weight": np.zeros((2, 2), np.float32)}, {"title": name, "cell": name})
        (data / f"odd{n}.safetensors").write_bytes(tensors)
    (Path(os.fsdecode(os.fsencode(data) + b"/\xff\xfe\x1b[31m.safetensors"))).write_bytes(b"nothing")


@row(75, "line ends, ANSI and direction controls in names of files and tensors, addresses, headers, titles, texts",
     "one line an event, escaped; as JSON each line is an object", "addresses")  # fmt: skip
def logs(trial: Trial) -> None:
    for kind in ("text", "json"):
        with trial.own_server(prepare=odd_files, log_format=kind, workers=1) as server:
            client, marker = server.client, "Quux-marker"
            for name in ODD:
                said = f"{name} {marker}"
                client.get("/api/models")
                client.get("/", params={"text": said, "model": said})
                client.get(f"/api/models/{httpx.URL('http://x').copy_with(params={'a': said}).query.decode()}")
                client.get("/api/trace", params={"model": said, "text": said})
                client.post("/api/models", content=save({said: np.zeros(2)}, {"title": said}), headers=BYTES)
                asked(
                    server.port, head("GET", "/healthz", f"X-Odd: {name!r}", f"User-Agent: {marker}\x1b[31m"), closing=0
                )
                made = client.post("/api/runs", params={**QUICK, "steps": 1, "title": said}, content=f"{said} " * 30)
                trial.count(str(made.status_code), made.status_code == 202, "a run")
            server.end()
            lines = server.log.read_text(errors="surrogateescape").split("\n")
            trial.holds(not [line for line in lines if marker in line], f"{kind}: what was sent is in the log")
            if kind == "json":
                objects = [line for line in lines if line]
                broken = [line for line in objects if not is_object(line)]
                trial.count(f"{len(objects)} lines", bool(objects) and not broken, f"no JSON: {ascii(broken[:1])}")
                trial.holds(
                    all({"time", "level", "message"} <= set(json.loads(each)) for each in objects if is_object(each)),
                    "no time or level",
                )
            else:
                forged = [line for line in lines if line.startswith(("GET 200 OK", "INFO: all is well"))]
                trial.count(f"{len(lines)} lines", not forged, "a line of somebody else's making")
            server.start()


def is_object(line: str) -> bool:
    """Whether a line is a JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
