"""`make bench`: prints the table and writes build/bench.json, a list of {name, ratio, bar, held}."""

import json
from pathlib import Path

from tests.bench import browser, lengths, programs, service, training, viewers

found = []
for part in (programs, lengths, training, service, viewers, browser):
    for result in part.results():
        found.append(
            {"name": result.name, "ratio": round(result.ratio, 4), "bar": round(result.bar, 4), "held": result.held}
        )
        verdict = "held" if result.held else "SHORT"
        print(f"{verdict:5}  {result.ratio:7.3f} ≤ {result.bar:5.3f}  {result.name}: {result.detail}", flush=True)
Path("build").mkdir(exist_ok=True)
Path("build/bench.json").write_text(json.dumps(found, indent=1) + "\n")
