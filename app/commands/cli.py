"""The command line: thin wrappers, one clear line for every mistake."""

import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from gatescope.app.commands.lessons_command import lessons
from gatescope.app.commands.operator_commands import runs, uploads
from gatescope.app.commands.train_command import train
from gatescope.app.files import atomic_write
from gatescope.app.http.encoding import json_pieces, safetensors_pieces
from gatescope.app.http.problems import Problem
from gatescope.app.http.serving import Server, raise_open_files, run_to_the_end
from gatescope.app.logs import logging_config
from gatescope.app.networks.catalog import Networks
from gatescope.app.networks.inputs import IN_TEXTS, inputs_of, signal_names, targets_of
from gatescope.app.server import create_app
from gatescope.app.settings import CannotServe, Settings
from gatescope.models.formats.convert import convert, read_vocabulary
from gatescope.models.inspection.trace import trace
from gatescope.models.network.metadata import BadNetwork
from gatescope.models.refused import Refused, printable, refusals_called

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


class Loss(StrEnum):
    """What is differentiated."""

    every = "every"
    last = "last"


class Precision(StrEnum):
    """The numbers' format."""

    float32 = "float32"
    float64 = "float64"


@cli.command("serve")
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [GATESCOPE_HOST, else 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [GATESCOPE_PORT, else 8000]")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory with networks of your own [GATESCOPE_DATA]")] = None,
    public: Annotated[bool | None, typer.Option("--public", help="Serve strangers, with tight limits")] = None,
    reads_only: Annotated[
        bool | None, typer.Option("--reads-only", help="Serve what another process on the same data keeps")
    ] = None,
) -> None:
    """Serve the pages and the API."""
    flags: dict[str, Any] = {"host": host, "port": port, "data": data, "public": public, "reads_only": reads_only}
    settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    raise_open_files()
    app = create_app(settings)
    app.state.store.open()  # before the server starts, so that a refusal is one line
    run_to_the_end(Server(app, settings, log_config=logging_config(settings.log_format)))


@cli.command("models")
def models() -> None:
    """List the networks."""
    rows = [("id", "cell", "layers", "hidden", "parameters", "bits a character", "title")]
    for network in Networks(Settings().data).all().values():
        said = network.describe()
        bits = "" if said["bits_per_character"] is None else f"{said['bits_per_character']:.3f}"
        sizes = [str(said["layers"]), str(said["hidden"]), f"{said['parameters']:,}"]
        rows.append((printable(said["id"]), said["cell"], *sizes, bits, printable(said["title"])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@cli.command("trace")
def trace_command(
    text: Annotated[
        str, typer.Argument(help="The text, or numbers as 0.1,0.2;0.3,0.4; - reads it from standard input")
    ],
    model: Annotated[str, typer.Option(help="Id of a network; `gatescope models` lists them")] = "shakespeare-lstm",
    loss: Annotated[Loss, typer.Option(help="What to differentiate")] = Loss.every,
    backward: Annotated[bool, typer.Option(help="Record the backward pass too")] = True,
    precision: Annotated[Precision, typer.Option(help="The numbers' format")] = Precision.float32,
    signals: Annotated[str | None, typer.Option(help="Signals to record, with commas between; else all")] = None,
    target: Annotated[str | None, typer.Option(help="What should come out: labels or numbers, ; between steps")] = None,
    out: Annotated[Path | None, typer.Option(help="A .safetensors or .json file; JSON to standard output else")] = None,
) -> None:
    """Record everything that a network does while it reads a text."""
    if out and out.suffix not in (".safetensors", ".json"):
        raise Problem(("--out", "must end in .safetensors or .json"))
    settings = Settings()
    network = Networks(settings.data).get(model)
    read = sys.stdin.read() if text == "-" else text
    limit = settings.text_limit_post
    with refusals_called(IN_TEXTS | {"targets": "--target", "signals": "--signals"}):
        whole = trace(
            network,
            inputs_of(network, limit, values=read) if network.channels else inputs_of(network, limit, read),
            loss=loss.value,
            backward=backward,
            precision=precision.value,
            targets=targets_of(network, target, limit, "--target"),
            signals=signal_names(signals),
        )
    if out and out.suffix == ".safetensors":
        write_pieces(out, safetensors_pieces(whole.tensors, whole.metadata))
    elif out:
        write_pieces(out, json_pieces(whole.tensors, whole.metadata))
    else:
        sys.stdout.buffer.writelines([*json_pieces(whole.tensors, whole.metadata), b"\n"])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file piece by piece."""
    with path.open("wb") as file:
        file.writelines(pieces)


@cli.command("convert")
def convert_command(
    weights: Annotated[Path, typer.Argument(help="model.pt, or Keras' model.weights.h5 or model.h5", metavar="FILE")],
    out: Annotated[Path | None, typer.Option(help="The .safetensors file to write; else one beside FILE")] = None,
    vocabulary: Annotated[Path | None, typer.Option(help="JSON: a list of texts, or {text: number}")] = None,
    title: Annotated[str, typer.Option(help="What to call the network")] = "",
    nonlinearity: Annotated[str | None, typer.Option(help="tanh or relu, of an nn.RNN or SimpleRNN")] = None,
    reads: Annotated[str | None, typer.Option(help="characters, words or values (numbers in place of tokens)")] = None,
    gives: Annotated[str | None, typer.Option(help="next, classes or values")] = None,
    pattern: Annotated[str | None, typer.Option(help="many-to-many, many-to-one or one-to-many")] = None,
    labels: Annotated[Path | None, typer.Option(help="JSON: a list of the classes' names")] = None,
) -> None:
    """Make a network of PyTorch or Keras weights, here on this machine; no program in the file is run."""
    path = out or weights.with_name(f"{weights.name.removesuffix('.h5').partition('.')[0]}.safetensors")
    if path.suffix != ".safetensors":
        raise Problem(("--out", "must end in .safetensors"))
    try:
        texts = read_vocabulary(vocabulary) if vocabulary else None
        names = json.dumps(read_vocabulary(labels)) if labels else None
        said = {"reads": reads, "gives": gives, "pattern": pattern, "labels": names}
        network, recognised = convert(weights, texts, title, nonlinearity, **said)
    except BadNetwork as bad:
        raise Problem((str(weights), str(bad))) from None
    if out is None and path.exists():
        raise Problem((str(path), "is there already, and is not written over: say --out where the network should lie"))
    atomic_write(path, network.to_bytes())
    for name, file in recognised["names"].items():
        print(f"{name} {network.parameters[name].shape} from {file}")
    for name in recognised["absent"]:
        print(f"{name} is absent")
    print(f"{path}: {network.cell.id}, layers {network.layers}, hidden {network.hidden}, {network.size:,} weights")
    task = recognised["form"]
    print(f"reads {task['reads']}, gives {task['gives']}, {task['pattern']}; directions {recognised['directions']}")


cli.command("train")(train)
cli.command("lessons")(lessons)
cli.add_typer(runs, name="runs")
cli.add_typer(uploads, name="uploads")


def main() -> None:
    """Run the command line; a person's mistake ends it with one line and exit status 2."""
    try:
        cli()
    except (Problem, Refused) as problem:
        sys.exit(mistake(str(problem)))
    except ValidationError as error:
        first = error.errors()[0]
        sys.exit(mistake(f"GATESCOPE_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}"))
    except CannotServe as refused:
        sys.exit(mistake(str(refused)))
    except OSError as error:
        sys.exit(mistake(f"{error.filename or 'gatescope'}: {error.strerror}"))


def mistake(sentence: str) -> int:
    """Say what was wrong on standard error; the exit status to leave with."""
    print(f"gatescope: {sentence}", file=sys.stderr)
    return 2
