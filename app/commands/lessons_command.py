"""`gatescope lessons`: writes a file of lessons of a task on which recurrent networks are told apart."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatescope.app.http.problems import Problem
from gatescope.models.refused import Refused
from gatescope.models.training.benchmarks import BENCHMARKS, benchmark

Benchmark = StrEnum("Benchmark", {name: name for name in BENCHMARKS})


def lessons(
    name: Annotated[Benchmark, typer.Argument(help="The task", metavar="TASK")],
    out: Annotated[Path, typer.Argument(help="The file to write, for `gatescope train`", metavar="FILE")],
    count: Annotated[int, typer.Option(help="How many lessons")] = 3000,
    steps: Annotated[int | None, typer.Option(help="Steps of a lesson (of the longest), else the task's usual")] = None,
    seed: Annotated[int, typer.Option(help="Where chance begins")] = 0,
) -> None:
    """Write lessons of a task: reber, adding, forest, gestures or signal."""
    try:
        text = benchmark(name.value, count, steps, seed)
    except Refused as refused:
        raise Problem((f"--{refused.field}", refused.detail)) from None
    out.write_text(text)
    typer.echo(f"{out}: {count:,} lessons, {len(text):,} characters")
