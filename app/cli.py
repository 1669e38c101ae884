"""The command line: thin wrappers, one clear line for every mistake."""

import json
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from app.connection import Connection
import uvicorn
from pydantic import ValidationError

from app.networks import Networks, chosen_signals, tokens_of
from app.problems import Problem
from app.runs.database import Refused
from app.server import create_app
from app.settings import Settings
from app.uploads import written
from app.wire import as_safetensors, to_json
from models.convert import convert as run_conversion
from models.convert import read_vocabulary
from models.network import BadNetwork, Network
from models.trace import trace as run_trace
from models.training import Recipe
from models.training import train as run_training

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


DEFAULT = Recipe()


class Loss(StrEnum):
    """What is differentiated."""

    every = "every"
    last = "last"


class Precision(StrEnum):
    """The numbers' format."""

    float32 = "float32"
    float64 = "float64"


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [GATESCOPE_HOST, else 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [GATESCOPE_PORT, else 8000]")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory with networks of your own [GATESCOPE_DATA]")] = None,
) -> None:
    """Serve the pages and the API."""
    flags = {"host": host, "port": port, "data": data}
    settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    # No access log: its lines would hold the texts that people type.
    options = {"access_log": False, "timeout_graceful_shutdown": 2, "http": Connection}
    app = create_app(settings)
    app.state.store.open()  # before the server starts, so that a refusal is one line
    uvicorn.run(app, host=settings.host, port=settings.port, **options)


@cli.command()
def models() -> None:
    """List the networks."""
    rows = [("id", "cell", "layers", "hidden", "parameters", "bits a character", "title")]
    for network in Networks(Settings().data).all().values():
        said = network.describe()
        bits = "" if said["bits_per_character"] is None else f"{said['bits_per_character']:.3f}"
        sizes = [str(said["layers"]), str(said["hidden"]), f"{said['parameters']:,}"]
        rows.append((said["id"], said["cell"], *sizes, bits, said["title"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@cli.command()
def trace(
    text: Annotated[str, typer.Argument(help="The text to read; - reads it from standard input")],
    model: Annotated[str, typer.Option(help="Id of a network; `gatescope models` lists them")] = "shakespeare-lstm",
    loss: Annotated[Loss, typer.Option(help="What to differentiate")] = Loss.every,
    backward: Annotated[bool, typer.Option(help="Record the backward pass too")] = True,
    precision: Annotated[Precision, typer.Option(help="The numbers' format")] = Precision.float32,
    signals: Annotated[str | None, typer.Option(help="Signals to record, with commas between; else all")] = None,
    out: Annotated[Path | None, typer.Option(help="A .safetensors or .json file; JSON to standard output else")] = None,
) -> None:
    """Record everything that a network does while it reads a text."""
    if out and out.suffix not in (".safetensors", ".json"):
        raise Problem(("--out", "must end in .safetensors or .json"))
    settings = Settings()
    network = Networks(settings.data).get(model)
    tokens = tokens_of(network, sys.stdin.read() if text == "-" else text, settings.text_limit_post)
    found = run_trace(
        network,
        tokens,
        loss=loss.value,
        backward=backward,
        precision=precision.value,
        signals=chosen_signals(network, signals),
    )
    if out and out.suffix == ".safetensors":
        out.write_bytes(as_safetensors(found.tensors, found.metadata))
    elif out:
        out.write_bytes(to_json({"metadata": found.metadata, "tensors": found.tensors}))
    else:
        sys.stdout.buffer.write(to_json({"metadata": found.metadata, "tensors": found.tensors}) + b"\n")


@cli.command()
def train(
    text_file: Annotated[Path, typer.Argument(help="The text to learn, in UTF-8", metavar="TEXT_FILE")],
    out: Annotated[Path | None, typer.Option(help="The .safetensors file to write; else one in GATESCOPE_DATA")] = None,
    title: Annotated[str, typer.Option(help="What to call the network")] = "",
    cell: Annotated[str, typer.Option(help="Kind of cell")] = DEFAULT.cell,
    options: Annotated[list[str] | None, typer.Option(help="A choice the cell offers, such as window=8")] = None,
    layers: Annotated[int, typer.Option(help="Recurrent layers")] = DEFAULT.layers,
    hidden: Annotated[int, typer.Option(help="Units a layer")] = DEFAULT.hidden,
    embedding: Annotated[str, typer.Option(help="Numbers a character becomes; none is one-hot")] = "none",
    epochs: Annotated[int, typer.Option(help="Times to read the text, at most")] = DEFAULT.epochs,
    patience: Annotated[int, typer.Option(help="Epochs without improvement before it stops")] = DEFAULT.patience,
    batch_size: Annotated[int, typer.Option(help="Sequences read side by side")] = DEFAULT.batch_size,
    sequence_length: Annotated[int, typer.Option(help="Steps the gradient goes back")] = DEFAULT.sequence_length,
    learning_rate: Annotated[float, typer.Option(help="The schedule's highest")] = DEFAULT.learning_rate,
    warm_up: Annotated[float, typer.Option(help="Fraction of steps in which it rises to that")] = DEFAULT.warm_up,
    weight_decay: Annotated[float, typer.Option(help="AdamW's pull of the weights to zero")] = DEFAULT.weight_decay,
    clip: Annotated[float, typer.Option(help="Longest gradient; a longer one is shortened to it")] = DEFAULT.clip,
    dropout: Annotated[float, typer.Option(help="Fraction of outputs left out while training")] = DEFAULT.dropout,
    validation: Annotated[float, typer.Option(help="Fraction held out, at the text's end")] = DEFAULT.validation,
    seed: Annotated[int, typer.Option(help="Where chance begins")] = DEFAULT.seed,
    threads: Annotated[int, typer.Option(help="Threads that share a batch")] = DEFAULT.threads,
) -> None:
    """Train a network on a text and keep the weights that predict its held-out end best."""
    try:
        recipe = Recipe(
            cell=cell,
            options=tuple(map(cell_option, options or [])),
            layers=layers,
            hidden=hidden,
            embedding=embedding_size(embedding),
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            sequence_length=sequence_length,
            learning_rate=learning_rate,
            warm_up=warm_up,
            weight_decay=weight_decay,
            clip=clip,
            dropout=dropout,
            validation=validation,
            seed=seed,
            threads=threads,
        )
        text = text_file.read_text("utf-8")
        path = out or Settings().data.expanduser() / f"{text_file.stem}-{cell}.safetensors"
        if path.suffix != ".safetensors":
            raise Problem(("--out", "must end in .safetensors"))
        path.parent.mkdir(parents=True, exist_ok=True)
        network = watched(run_training(text, recipe, title))
    except UnicodeDecodeError:
        raise Problem((str(text_file), "is not UTF-8 text")) from None
    except ValueError as error:
        raise Problem(("recipe", str(error))) from None
    path.write_bytes(network.to_bytes())
    path.with_suffix(".json").write_text(json.dumps(network.card, indent=1) + "\n")
    print(f"{path}: {network.card['validation_loss']} nats a character on the held-out end")


@cli.command()
def convert(
    weights: Annotated[Path, typer.Argument(help="model.pt, or Keras' model.weights.h5 or model.h5", metavar="FILE")],
    out: Annotated[Path | None, typer.Option(help="The .safetensors file to write; else one beside FILE")] = None,
    vocabulary: Annotated[Path | None, typer.Option(help="JSON: a list of texts, or {text: number}")] = None,
    title: Annotated[str, typer.Option(help="What to call the network")] = "",
    nonlinearity: Annotated[str | None, typer.Option(help="tanh or relu, of an nn.RNN or SimpleRNN")] = None,
) -> None:
    """Make a network of PyTorch or Keras weights, here on this machine; no program in the file is run."""
    path = out or weights.with_name(f"{weights.name.removesuffix('.h5').partition('.')[0]}.safetensors")
    if path.suffix != ".safetensors":
        raise Problem(("--out", "must end in .safetensors"))
    try:
        texts = read_vocabulary(vocabulary) if vocabulary else None
        network, recognised = run_conversion(weights, texts, title, nonlinearity)
    except BadNetwork as bad:
        raise Problem((str(weights), str(bad))) from None
    written(path, network.to_bytes())
    for name, file in recognised["names"].items():
        print(f"{name} {network.parameters[name].shape} from {file}")
    for name in recognised["absent"]:
        print(f"{name} is absent")
    print(f"{path}: {network.cell.id}, layers {network.layers}, hidden {network.hidden}, {network.size:,} weights")


def cell_option(text: str) -> tuple[str, int | str]:
    """The name and the value that --options gives as name=value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise Problem(("--options", "must be name=value"))
    return name, int(value) if value.isdecimal() else value


def embedding_size(text: str) -> int | None:
    """The size that --embedding names; None for one-hot input."""
    if text == "none":
        return None
    if not text.isdecimal():
        raise Problem(("--embedding", "must be a whole number or none"))
    return int(text)


def watched(events: Iterable[dict]) -> Network:
    """Show a training's events as a progress bar and a line an epoch; the network that comes at its end."""
    with ExitStack() as stack:
        bar = None
        for event in events:
            if event["event"] == "progress":
                bar = bar or stack.enter_context(typer.progressbar(length=event["steps"]))
                bar.label = f"loss {event['loss']:.3f}, {event['characters_per_second']:,.0f} characters/s"
                bar.update(1)
            elif event["event"] == "validation":
                line = "epoch {epoch}: loss {loss:.4f}, held out {validation_loss:.4f} nats a character"
                typer.echo(f"\r{line.format(**event):<100}")
            else:
                network = event["network"]
    return network


def main() -> None:
    """Run the command line; a person's mistake ends it with one line and exit status 2."""
    try:
        cli()
    except Problem as problem:
        sys.exit(mistake(str(problem)))
    except ValidationError as error:
        first = error.errors()[0]
        sys.exit(mistake(f"GATESCOPE_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}"))
    except Refused as refused:
        sys.exit(mistake(str(refused)))
    except OSError as error:
        sys.exit(mistake(f"{error.filename or 'gatescope'}: {error.strerror}"))


def mistake(sentence: str) -> int:
    """Say what was wrong on standard error; the exit status to leave with."""
    print(f"gatescope: {sentence}", file=sys.stderr)
    return 2
