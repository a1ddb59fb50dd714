"""`loccit backup` and `loccit restore`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import AsJson, Data, settings_of
from service.commands.printing import ProgressLine, note, show

if TYPE_CHECKING:
    from embeddings.backups import Backup

FAILED = 1

Destination = Annotated[
    Path, typer.Argument(metavar="DEST", help="A folder that does not exist yet.", show_default=False)
]
Source = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="A folder that `loccit backup` made.", show_default=False)
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Also where the data folder holds something, which is lost.")
]


def add_to(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(destination: Destination, data: Data = None, as_json: AsJson = False) -> None:
    """Copy all collections, also while the service runs; exits with 1 if something was too damaged to be copied."""
    from embeddings import backups

    with closing(ProgressLine()) as progress:
        made = backups.back_up(settings_of(data=data).data, destination.absolute(), progress)
    _show("Backed up", made, destination, as_json=as_json)
    for one in made.missing:
        note(f"not in the backup, since damaged: {one}")
    if made.missing:
        raise typer.Exit(FAILED)


def restore(source: Source, overwrite: Overwrite = False, data: Data = None, as_json: AsJson = False) -> None:
    """Bring back what a backup holds, while no service runs; every file is checked before anything changes."""
    from embeddings import backups

    folder = settings_of(data=data).data
    with closing(ProgressLine()) as progress:
        restored = backups.restore(source.absolute(), folder.absolute(), progress, overwrite=overwrite)
    _show("Restored", restored, folder, as_json=as_json)


def _show(what: str, one: Backup, place: Path, *, as_json: bool) -> None:
    listed = ", ".join(one.collections) or "no collections"
    line = f"{what} to {place}: {listed}; {one.files} files, {one.bytes / 1e6:.1f} MB, as of {one.created_at}."
    show(asdict(one), [line], as_json=as_json)
