"""Shows how far long work is: a bar on a terminal, a line now and then elsewhere. Always on standard error."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

_LINE_EVERY_SECONDS = 10.0
_TELLING_SHARE = 50
"""Before one in so many is done, nobody knows how long the rest takes."""


class Display:
    """Of `weight` in all, told as it is done; the items are only counted, since some take much longer than others."""

    def __init__(self, what: str, *, items: int, weight: int) -> None:
        self._what = what
        self._items = items
        self._weight = max(weight, 1)
        self._begun = time.monotonic()
        self._line_at = self._begun + _LINE_EVERY_SECONDS
        self._console = Console(stderr=True, highlight=False)
        self._bar = self._made_bar() if self._console.is_terminal else None
        self._task = None if self._bar is None else self._bar.add_task(what, total=self._weight, told="")

    def _made_bar(self) -> Progress:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(compact=True),
        )
        return Progress(*columns, console=self._console, transient=True)

    def __enter__(self) -> Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, items: int, weight: int) -> None:
        seconds = time.monotonic() - self._begun
        told = f"{items:,} of {self._items:,} {self._what}, {items / max(seconds, 0.001):.1f}/s"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=weight, told=told.replace(f" {self._what}", ""))
        elif time.monotonic() >= self._line_at:
            left = seconds * (self._weight - weight) / max(weight, 1)
            is_known = weight * _TELLING_SHARE >= self._weight
            self._console.out(f"{told}, {in_words(left)} left" if is_known else told)
            self._line_at = time.monotonic() + _LINE_EVERY_SECONDS


def in_words(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
