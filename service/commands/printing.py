"""What commands print: JSON or lines on standard output, progress on standard error where a person looks."""

from __future__ import annotations

import json
import re
import sys
import time
import unicodedata

import typer

_REDRAWN_EVERY_SECONDS = 0.1


def show(value: object, lines: list[str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
    else:
        for line in lines:
            typer.echo(line)


def note(text: str) -> None:
    typer.echo(f"loccit: {plain(text)}", err=True)


def plain(text: str) -> str:
    """One line that cannot steer a terminal. Blanks at its ends become one, so that parts of a line can be joined."""
    return re.sub(r"\s+", " ", "".join(" " if unicodedata.category(one) in ("Cc", "Cf") else one for one in text))


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class ProgressLine:
    """One line that is drawn over again; nothing where standard error is no terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._drawn_at = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._is_shown and (now - self._drawn_at >= _REDRAWN_EVERY_SECONDS or done == total):
            self._drawn_at = now
            typer.echo(f"\r\x1b[K{plain(what)}: {100 * done // max(total, 1)} %", nl=False, err=True)

    def close(self) -> None:
        if self._is_shown:
            typer.echo("\r\x1b[K", nl=False, err=True)
