"""`gatescope train`: a training in the shell, with a bar; Ctrl-C ends it cleanly and keeps what was learnt."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gatescope.app.files import atomic_write
from gatescope.app.http.problems import Problem
from gatescope.app.networks.text_decoding import decoded
from gatescope.app.settings import Settings
from gatescope.models.network.network import Network
from gatescope.models.training.checkpoint import network_of
from gatescope.models.training.device import batches_here
from gatescope.models.training.job import Diverged, MemoryHost, Recipe, Spec, plan, run_job
from gatescope.models.training.recipe import duration


def train(
    text_file: Annotated[Path, typer.Argument(help="The text to learn, or a file of lessons", metavar="TEXT_FILE")],
    out: Annotated[Path | None, typer.Option(help="The .safetensors file to write; else one in GATESCOPE_DATA")] = None,
    title: Annotated[str, typer.Option(help="What to call the network")] = "",
    cell: Annotated[str, typer.Option(help="Kind of cell")] = Recipe.cell,
    options: Annotated[list[str] | None, typer.Option(help="A choice the cell offers, such as window=8")] = None,
    layers: Annotated[int | None, typer.Option(help="Recurrent layers")] = None,
    hidden: Annotated[int | None, typer.Option(help="Units a layer")] = None,
    embedding: Annotated[str | None, typer.Option(help="Numbers a character becomes; none is one-hot")] = None,
    convolution: Annotated[str | None, typer.Option(help="CHANNELSxWINDOW before the recurrence, as 8x5")] = None,
    steps: Annotated[int | None, typer.Option(help="Batches to read, at most")] = None,
    epochs: Annotated[int | None, typer.Option(help="Times to read the text, in place of --steps")] = None,
    patience: Annotated[int | None, typer.Option(help="Validations without improvement before it stops")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Sequences read side by side")] = None,
    sequence_length: Annotated[int | None, typer.Option(help="Steps the gradient goes back")] = None,
    update_every: Annotated[int | None, typer.Option(help="Batches whose gradients are gathered")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The schedule's highest")] = None,
    warm_up: Annotated[float | None, typer.Option(help="Fraction of steps in which it rises to that")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="AdamW's pull of the weights to zero")] = None,
    clip: Annotated[float | None, typer.Option(help="Longest gradient; a longer one is shortened to it")] = None,
    dropout: Annotated[float | None, typer.Option(help="Fraction of outputs left out while training")] = None,
    validation: Annotated[float | None, typer.Option(help="Fraction held out, at the text's end")] = None,
    validate_every: Annotated[int | None, typer.Option(help="Steps between two validations")] = None,
    report_every: Annotated[int | None, typer.Option(help="Steps between two lines of the curve")] = None,
    sample_every: Annotated[int | None, typer.Option(help="Steps between two samples of its writing")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between two checkpoints")] = None,
    seed: Annotated[int | None, typer.Option(help="Where chance begins")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads that share a batch")] = None,
) -> None:
    """Train a network on a text and keep the weights that predict its held-out end best.

    What is not chosen follows from the text's size. Ctrl-C ends it and keeps the weights of that moment.
    """
    numbers = {
        "layers": layers,
        "hidden": hidden,
        "steps": steps,
        "patience": patience,
        "batch_size": batch_size,
        "sequence_length": sequence_length,
        "update_every": update_every,
        "learning_rate": learning_rate,
        "warm_up": warm_up,
        "weight_decay": weight_decay,
        "clip": clip,
        "dropout": dropout,
        "validation": validation,
        "validate_every": validate_every,
        "report_every": report_every,
        "sample_every": sample_every,
        "checkpoint_every": checkpoint_every,
        "seed": seed,
        "threads": threads,
    }
    chosen: dict[str, Any] = {name: value for name, value in numbers.items() if value is not None}
    chosen |= {"cell": cell, "options": tuple(map(cell_option, options or []))}
    if embedding is not None:
        chosen["embedding"] = embedding_size(embedding)
    if convolution is not None:
        chosen["convolution"] = convolution_size(convolution)
    text = text_of(text_file)
    path = out or Settings().data.expanduser() / f"{text_file.stem}-{cell}.safetensors"
    if path.suffix != ".safetensors":
        raise Problem(("--out", "must end in .safetensors"))
    try:
        recipe, estimate = plan(text, epochs=epochs, **chosen)
        path.parent.mkdir(parents=True, exist_ok=True)
        typer.echo(f"{estimate.parameters:,} weights, {recipe.steps:,} steps, about {duration(estimate.seconds)}")
        network = learnt(Spec(text, recipe, title))
    except Diverged as error:
        raise Problem(("training", f"{error}; a lower --learning-rate may help")) from None
    atomic_write(path, network.to_bytes())
    path.with_suffix(".json").write_text(json.dumps(network.card, indent=1) + "\n")
    told = f", {network.card['right']:.1%} right" if "right" in network.card else ""
    typer.echo(f"{path}: {network.card['validation_loss']:.4f} a step on what was held out{told}")


def learnt(spec: Spec) -> Network:
    """Run a training with a bar and a line of its writing a sample; the network it ends with, by itself or by
    Ctrl-C.
    """
    io = MemoryHost()
    with typer.progressbar(length=spec.recipe.steps) as bar, stopped_by_interrupt(io):
        for name, data in run_job(spec, None, io, batches_here()):
            if name == "progress":
                held_out = data["validation_loss"]
                bar.label = f"loss {data['loss']:.3f}" + ("" if held_out is None else f", held out {held_out:.3f}")
                bar.label += f", {data['characters_per_second']:,.0f} characters/s"
                bar.update(data["step"] - bar.pos)
            elif name == "sample":
                typer.echo(f"\r{data['step']:>7}  {' '.join(data['text'].split())[:100]:<110}")
    return network_of(io.content)


@contextmanager
def stopped_by_interrupt(io: MemoryHost) -> Iterator[None]:
    """Let Ctrl-C end the training after the step it is in; a second one ends the program."""

    def stop(*_: object) -> None:
        io.stop = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def text_of(file: Path) -> str:
    """The characters of a text file in any usual encoding."""
    try:
        return decoded(file.read_bytes()).characters
    except Problem as problem:
        raise Problem((str(file), problem.errors[0][1])) from None


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


def convolution_size(text: str) -> tuple[int, int]:
    """The channels and the window that --convolution gives as CHANNELSxWINDOW."""
    channels, _, window = text.partition("x")
    if not (channels.isdecimal() and window.isdecimal()):
        raise Problem(("--convolution", "must be CHANNELSxWINDOW, as 8x5"))
    return int(channels), int(window)
