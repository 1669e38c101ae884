"""The README and the pages under /docs: every name that people script against stands in them exactly, and what they
name is there.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from markdown_it import MarkdownIt
from safetensors import safe_open

from gatescope.app.commands.cli import cli, convert_command
from gatescope.app.commands.train_command import train
from gatescope.app.pages import pages
from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from gatescope.models.cells import cells
from gatescope.models.graph.cell import Cell
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import untrained
from gatescope.models.network.task import Task
from gatescope.models.pretrained import shipped
from gatescope.models.training.dataset import ExampleDataset
from tests.service import events_of, serve

HOUSE = Path(__file__).parent.parent
README = (HOUSE / "README.md").read_text()
PAGES = {path.stem.partition("-")[2]: path.read_text() for path in sorted(HOUSE.glob("templates/docs/*.md"))}
DOCUMENTS = {"README": README} | PAGES
LONGEST_README, LONGEST, WIDEST = 150, 300, 120


def code(source: str) -> Iterator[str]:
    """The pieces of code in a text, each as it is written: spans, and blocks whole."""
    for token in MarkdownIt("commonmark").enable("table").parse(source):
        if token.type in ("fence", "code_block"):
            yield token.content
        yield from (part.content for part in token.children or [] if part.type == "code_inline")


SPANS = {id: set(code(source)) for id, source in DOCUMENTS.items()}


def rows(source: str, head: str) -> list[list[str]]:
    """The rows of the tables whose first column is called so, cell by cell."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", source, re.M):
        first, _, *rest = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
        found += rest if first[0] == head else []
    assert found
    return found


def missing(names: Iterable[str], id: str) -> list[str]:
    """The names that are no piece of code of a page, exactly as they are."""
    return sorted(set(names) - SPANS[id])


@pytest.fixture(scope="module")
def app(data: Path) -> FastAPI:
    return create_app(Settings(data=data))


def operations(app: FastAPI) -> set[str]:
    """Every method and path of the API and of the pages, such as `GET /api/models`."""
    api = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    return api | {f"{method} {route.path}" for route in pages.router.routes for method in route.methods}


def test_the_readme_is_read_in_one_sitting():
    assert len(README.splitlines()) <= LONGEST_README


@pytest.mark.parametrize("id", DOCUMENTS)
def test_lines_and_pages_are_not_too_long(id):
    lines = DOCUMENTS[id].splitlines()
    assert len(lines) <= LONGEST and [line for line in lines if len(line) > WIDEST] == []


def test_the_documented_routes_are_the_routes_there_are(app):
    listed = {f"{method} {path}" for method, path in re.findall(r"`([A-Z]+) (/[^`]*)`", PAGES["service"])}
    assert listed == operations(app)
    assert missing(["/openapi.json", "/static"], "service") == []


@pytest.mark.parametrize("id", DOCUMENTS)
def test_every_address_that_is_named_is_served(app, id):
    paths = {operation.partition(" ")[2] for operation in operations(app)} | {"/openapi.json", "/static"}
    # a name in braces stands for anything without a slash
    known = re.compile("|".join(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) for path in paths))
    named = re.findall(r"(?:127\.0\.0\.1:8000|[`(]|(?:GET|POST|DELETE) )(/(?![/\w]*\.md)[\w/.{},-]*)", DOCUMENTS[id])
    others = [path for path in named if path != "/embed" and not known.fullmatch(path)]
    assert [path for path in others if not (path.startswith("/static/") and (HOUSE / path[1:]).is_file())] == []


def test_the_documented_settings_are_the_settings_there_are():
    settings = {f"GATESCOPE_{name.upper()}" for name in Settings.model_fields}
    assert {span for span in SPANS["service"] if re.fullmatch(r"GATESCOPE_\w+", span)} == settings
    for id, spans in SPANS.items():
        assert {name for span in spans for name in re.findall(r"GATESCOPE_\w+", span)} <= settings, id


def test_the_documented_commands_and_options_are_those_there_are():
    commands = {f"gatescope {command.name}" for command in cli.registered_commands}
    assert {row[0].strip("`") for row in rows(PAGES["start"], "command")} == commands
    for command, id in ((train, "training"), (convert_command, "your-network")):
        options = [f"--{name.replace('_', '-')}" for name in inspect.signature(command).parameters]
        assert set(missing(options, id)) <= {"--text-file", "--weights"}  # the arguments
    written = re.findall(r"gatescope (\w+) ((?:\\\n|[^\n`])*)", "\n".join(DOCUMENTS.values()))
    by_name = {command.name: command.callback for command in cli.registered_commands}
    for name, rest in written:
        if name in by_name:
            known = {f"--{each.replace('_', '-')}" for each in inspect.signature(by_name[name]).parameters}
            assert set(re.findall(r"--[a-z-]+", rest)) <= known | {"--help"}, (name, rest)


def test_the_documented_metadata_of_imports_is_what_is_read():
    keys = set(inspect.signature(convert_command).parameters) - {"weights", "out"} | set(Task.__dataclass_fields__)
    listed = {re.match(r"`(\w+)`", row[0])[1] for row in rows(PAGES["your-network"], "key")}
    assert listed == keys


def test_every_network_that_comes_with_it_is_documented():
    assert missing(shipped(), "networks") == []


def test_the_contract_of_a_cell_is_documented_whole():
    in_a_step = set(re.findall(r"self\.(\w+)", PAGES["cells"]))
    methods = {name for name, value in vars(Cell).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert methods - {"step"} <= in_a_step <= methods | {"option"}
    assert missing({name for name in Cell.__annotations__ if name not in ("id", "chosen")}, "cells") == []


@pytest.mark.parametrize("made", [{}, {"directions": 2}, {"convolution": (4, 3), "channels": 2}])
def test_every_tensor_and_fact_of_a_trace_is_documented(made):
    if "channels" in made:
        task, vocabulary, inputs = Task("values", "classes", "many-to-one"), [], [[0.1, 0.2], [0.3, 0.4]]
    else:
        task, vocabulary, inputs = Task(), [*"ab"], [0, 1, 1]
    found = trace(untrained(cells()["lstm"], 2, 4, vocabulary, task=task, outputs=2, **made), inputs)
    documented = [row[0].strip("`") for row in rows(PAGES["traces"], "tensor")]
    holes = {"<signal>": r"\w+", "<parameter>": r"\w+", "<name>": r"[\w.]+"}
    patterns = [re.escape(name).replace("layer0", r"(?:layer\d+(?:_reverse)?|convolution)") for name in documented]
    for hole, pattern in holes.items():
        patterns = [each.replace(hole, pattern) for each in patterns]
    assert [name for name in found.tensors if not re.fullmatch("|".join(patterns), name)] == []
    assert missing(found.metadata, "traces") == []
    assert missing(["layer0", "layer1", "layer0_reverse", "convolution"], "traces") == []


def log_of(response: httpx.Response) -> list[tuple[str, dict]]:
    """The events of a run's log, whose blocks have ids, comments and times to come back."""
    found = re.findall(r"^event: (\w+)\ndata: (.*)$", response.text, re.M)
    return [(name, json.loads(data)) for name, data in found]


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, list[tuple[str, dict]]]:
    """The events that a server really sends: of a trace and of writing, and of a run's whole log."""
    settings = Settings(data=tmp_path_factory.mktemp("told"), backend="inline")
    with serve(settings) as address, httpx.Client(base_url=address, timeout=120) as client:
        model = {"model": "shakespeare-lstm"}
        events = events_of(client.get("/api/trace", params=model | {"text": "To be"}))
        events += events_of(client.get("/api/trace", params={"model": "signal", "values": "0.1;0.2;0.3"}))
        events += events_of(client.post("/api/generate", json=model | {"prompt": "To", "length": 2}))
        recipe = {"steps": 2, "hidden": 4, "sequence_length": 8, "batch_size": 2}
        run = client.post("/api/runs", params=recipe, content=b"abcdefgh" * 40).json()["id"]
        log = log_of(client.get("/api/events", params={"runs": run}))
        log += log_of(client.get("/api/events", params={"runs": run}, headers={"Last-Event-ID": "999999"}))
    return {"traces": events, "runs": log}


@pytest.mark.parametrize("id", ["traces", "runs"])
def test_every_event_and_every_field_of_one_is_documented(told, id):
    assert missing({name for name, _ in told[id]}, id) == []
    assert missing({field for _, data in told[id] for field in data}, id) == []


def test_the_documented_events_of_a_run_are_those_that_are_sent(told):
    assert {row[0].strip("`") for row in rows(PAGES["runs"], "event")} == {name for name, _ in told["runs"]}


def test_the_documented_loop_writes_a_trace_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (program,) = [block for block in code(PAGES["traces"]) if "save_file" in block]
    exec(compile(program, "traces", "exec"), {})
    with safe_open("mine.safetensors", "np") as file:
        assert sorted(file.keys()) == [f"layer0.{signal}" for signal in "cfghio"]
        assert file.get_tensor("layer0.f").shape == (40, 32) and file.metadata()["cell"] == "lstm"


@pytest.mark.parametrize("id", DOCUMENTS)
def test_every_file_and_every_module_that_is_named_is_there(id):
    text = DOCUMENTS[id]
    files = re.findall(r"(?<![\w/.-])(?:app|models|static|templates|tests)/[\w./-]*", text)
    assert [name for name in files if not name.startswith("models/cells/minimal") and not (HOUSE / name).exists()] == []
    modules = re.findall(r"(?<![\w.])gatescope(?:\.\w+)+", text)
    assert [name for name in modules if find_spec(name) is None] == []
    imported = [ast.parse(line) for line in re.findall(r"^ *(from gatescope\S* import \w+)$", text, re.M)]
    for node in (each.body[0] for each in imported):
        exec(compile(ast.Module([node], []), id, "exec"), {})
    targets = re.findall(r"^(\w+):", (HOUSE / "Makefile").read_text(), re.M)
    assert {target for span in SPANS[id] for target in re.findall(r"^make (\w+)", span, re.M)} <= set(targets)


def test_what_is_python_is_python_and_one_cell_is_added_everywhere():
    blocks = [
        block
        for source in DOCUMENTS.values()
        for block in code(source)
        if re.search(r"^(class|import|from) ", block, re.M)
    ]
    for block in blocks:
        ast.parse(block)
    (added, again) = [block for block in blocks if "class Minimal" in block]
    assert added == again and added in README


def test_the_documented_lessons_are_lessons():
    (lessons,) = [block for block in code(PAGES["training"]) if block.startswith('{"lessons"')]
    assert ExampleDataset(lessons).task.labels == ("dog", "wolf")


def test_every_word_of_the_glossary_is_met_where_it_says():
    for word, meaning, place in rows(PAGES["glossary"], "word"):
        text = (HOUSE / place.strip("`")).read_text()
        assert meaning and re.search(rf"\b{word.replace(' ', '[ _]')}", text, re.I), (word, place)


LIBRARIES = {"pause_reading", "resume_reading"}  # names that asyncio gave


def identifiers() -> Iterator[str]:
    """Every name that the programs give or use, whole and in its parts."""
    for path in [*(HOUSE / "models").rglob("*.py"), *(HOUSE / "app").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            for attribute in ("id", "name", "attr", "arg"):
                if isinstance(name := getattr(node, attribute, None), str) and name not in LIBRARIES:
                    yield name
                    yield from name.split("_")


def test_words_that_were_given_up_name_nothing():
    given_up = {word for row in rows(PAGES["glossary"], "given up") for word in re.findall(r"`(\w+)`", row[0])}
    assert len(given_up) >= len(rows(PAGES["glossary"], "given up"))
    assert given_up & set(identifiers()) == set()
