"""Where the service that holds a data folder answers, for commands on the same machine.

Imports nothing of the service: a command that finds one running needs nothing else of it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

_FILE = "service.json"


@dataclass(frozen=True, slots=True)
class Running:
    """A service that holds a data folder, and the key for those who can read that folder."""

    url: str
    key: str = field(repr=False)


def running(data: Path) -> Running | None:
    """None where none runs."""
    try:
        found = json.loads((data / _FILE).read_text("utf-8"))
        os.kill(found["pid"], 0)
        return Running(str(found["url"]), str(found["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running_url(data: Path) -> str | None:
    """None where none runs."""
    found = running(data)
    return None if found is None else found.url


def announce(data: Path, here: Running) -> None:
    """This process is the one that answers. Only who may read the data folder reads it."""
    content = {"url": here.url, "pid": os.getpid(), "key": here.key}
    unfinished = (data / _FILE).with_suffix(".tmp")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file)
    unfinished.replace(data / _FILE)


def withdraw(data: Path) -> None:
    (data / _FILE).unlink(missing_ok=True)
