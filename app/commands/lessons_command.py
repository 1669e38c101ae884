"""`gatescope lessons`: writes a file of lessons of a task on which recurrent networks are told apart."""

from pathlib import Path
from typing import Annotated

import typer

from gatescope.models.refused import refusals_called
from gatescope.models.training.benchmarks import BENCHMARKS, benchmark

# how whoever types the command knows what the networks may refuse
TYPED = {"task": "TASK", "steps": "--steps", "count": "--count"}


def lessons(
    name: Annotated[str, typer.Argument(help=f"The task: {', '.join(BENCHMARKS)}", metavar="TASK")],
    out: Annotated[Path, typer.Argument(help="The file to write, for `gatescope train`", metavar="FILE")],
    count: Annotated[int, typer.Option(help="How many lessons")] = 3000,
    steps: Annotated[int | None, typer.Option(help="Steps of a lesson (of the longest), else the task's usual")] = None,
    seed: Annotated[int, typer.Option(help="Where chance begins")] = 0,
) -> None:
    """Write lessons of a task on which recurrent networks are told apart."""
    with refusals_called(TYPED):
        text = benchmark(name, count, steps, seed)
    out.write_text(text)
    typer.echo(f"{out}: {count:,} lessons, {len(text):,} characters")
