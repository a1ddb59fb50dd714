"""Options that many commands take, and the settings that follow from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.settings import Settings

Url = Annotated[str | None, typer.Option(help="Of a running service; else LOCCIT_URL, else the one on this machine.")]
CollectionName = Annotated[str, typer.Option("--collection", "-c", help="The collection.")]
Data = Annotated[Path | None, typer.Option(help="The data folder (LOCCIT_DATA).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer of the service as JSON.")]


def settings_of(**given: object) -> Settings:
    """The environment's settings, and instead of them what was given."""
    return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
