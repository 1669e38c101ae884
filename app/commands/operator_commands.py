"""`gatescope runs` and `gatescope uploads`: what is there, and how whoever runs the server stops and deletes it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gatescope.app.http.problems import Problem
from gatescope.app.networks.uploads import Uploads
from gatescope.app.runs.operator import Operator
from gatescope.app.settings import Settings
from gatescope.models.refused import printable

FINGERPRINT = 12  # characters of an owner's that are shown, and enough to name one
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids, as the list shows them")]
Data = Annotated[Path | None, typer.Option(help="The data directory [GATESCOPE_DATA]")]

runs = typer.Typer(invoke_without_command=True, help="List, stop and delete the runs of a data directory.")
uploads = typer.Typer(invoke_without_command=True, help="List and delete the uploaded networks of a data directory.")


@runs.callback()
def list_runs(context: typer.Context, data: Data = None) -> None:
    """List the runs: id, state, owner, when they were created, bytes, title."""
    context.obj = data_directory(data)
    if context.invoked_subcommand is None:
        with Operator.at(context.obj) as operator:
            for run in operator.runs():
                created = moment(run.created)
                title = printable(run.title)
                print(f"{run.id} {run.state:8} {run.owner[:FINGERPRINT]} {created} {run.size:>13,} {title}")


@runs.command("stop")
def stop_runs(
    context: typer.Context,
    ids: Ids = None,
    all_of: Annotated[str | None, typer.Option(help="Every run of this owner, as the list shows one")] = None,
) -> None:
    """End runs, their latest checkpoints kept."""
    with Operator.at(context.obj) as operator:
        chosen = list(ids or ())
        if all_of is not None:
            if len(all_of) < FINGERPRINT:
                raise Problem(("--all-of", f"must have the {FINGERPRINT} characters that the list shows, or more"))
            chosen += [run.id for run in operator.runs() if run.owner.startswith(all_of) and not run.is_over]
        for id in chosen:
            told(id, operator.stop(id), "is to stop" if operator.is_served else "is stopped", "is no run, or is over")


@runs.command("delete")
def delete_runs(context: typer.Context, ids: Ids = None) -> None:
    """Delete runs with their texts, logs and networks."""
    with Operator.at(context.obj) as operator:
        for id in ids or ():
            told(id, operator.delete(id), "is deleted", "is no run")


@uploads.callback()
def list_uploads(context: typer.Context, data: Data = None) -> None:
    """List the uploaded networks: id, owner, when they came, bytes."""
    context.obj = Uploads(data_directory(data) / "uploads")
    if context.invoked_subcommand is None:
        for path in sorted(context.obj.folder.glob("*.safetensors")):
            if context.obj.path(path.stem) and (owner := context.obj.owner(path.stem)) is not None:
                found = path.stat()
                print(f"{path.stem} {owner[:FINGERPRINT]} {moment(found.st_mtime)} {found.st_size:>13,}")


@uploads.command("delete")
def delete_uploads(context: typer.Context, ids: Ids = None) -> None:
    """Delete uploaded networks."""
    for id in ids or ():
        is_there = context.obj.path(id) is not None
        if is_there:
            context.obj.remove(id)
        told(id, is_there, "is deleted", "is no uploaded network")


def data_directory(given: Path | None) -> Path:
    """The data directory that is meant; one that is not there is not made."""
    folder = (Settings() if given is None else Settings(data=given)).data.expanduser()
    if not folder.is_dir():
        raise Problem((str(folder), "is no directory"))
    return folder


def moment(seconds: float) -> str:
    """A time, given in seconds since 1970, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%MZ")


def told(id: str, is_done: bool, done: str, otherwise: str) -> None:
    """Say what became of something; a Problem where nothing did."""
    if not is_done:
        raise Problem((printable(id), otherwise))
    print(f"{id} {done}")
