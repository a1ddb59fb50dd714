"""A small disk is filled to the last byte, emptied by deletes without a restart, and filled again."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embeddings.collection import Collection
from embeddings.errors import DiskFull
from tests.integration.conftest import plain
from tests.torture import checks

SIZE_BYTES = 12_000_000
DOCUMENT_BYTES = 60_000
RESERVE_BYTES = 2_000_000
"""What somebody frees when the disk is full: deletes are writes and need some space, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    fills: int
    acknowledged: int
    refused: int
    faults: tuple[str, ...]


def can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "loccit-torture", str(place)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def run(workplace: Path, *, fills: int, progress: Callable[[int], None] = lambda fill: None) -> Outcome:
    acknowledged, refused = 0, 0
    faults: list[str] = []
    for fill in range(1, fills + 1):
        with small_disk(workplace / "disk") as disk:
            stored, refusals = fill_and_go_on(disk / "data", fill, faults)
            faults += [f"fill {fill}: {one}" for one in checks.findings(disk / "data")]
            with checks.opened(disk / "data") as library:
                kept = {name: text for name, (_, text) in checks.texts(library)["notes"].items()}
            if kept != stored:
                faults.append(f"fill {fill}: {sorted(kept.keys() ^ stored.keys())} differ from what was acknowledged")
        acknowledged, refused = acknowledged + len(stored), refused + refusals
        progress(fill)
    return Outcome(fills=fills, acknowledged=acknowledged, refused=refused, faults=tuple(faults))


def fill_and_go_on(data: Path, fill: int, faults: list[str]) -> tuple[dict[str, str], int]:
    """What was acknowledged in the end, and how many documents were refused."""
    stored: dict[str, str] = {}
    reserve = data.with_name("reserve")
    reserve.write_bytes(bytes(RESERVE_BYTES))
    with checks.opened(data) as library:
        library.create("notes")
        notes = library.collection("notes")
        refused = fill_up(notes, stored, fill)
        if not notes.search("eggs of the ledger", top_k=10).hits:
            faults.append(f"fill {fill}: a search found nothing on the full disk")
        reserve.unlink()
        for name in list(stored)[::2]:
            notes.delete(name, purge=True)
            del stored[name]
        before = len(stored)
        refused += fill_up(notes, stored, fill + 1_000)
        if len(stored) == before:
            faults.append(f"fill {fill}: nothing could be written after half of the documents were purged")
    return stored, refused


def fill_up(notes: Collection, stored: dict[str, str], fill: int) -> int:
    """Documents until two are refused."""
    refused = 0
    for number in range(10_000):
        name, text = f"note-{fill}-{number}", document(fill * 1_000 + number)
        try:
            notes.put(name, plain(text))
            stored[name] = text
        except DiskFull:
            refused += 1
            if refused == 2:
                break
    return refused


def document(number: int) -> str:
    line = checks.text_of(number * 17 + 16)
    return " ".join(f"{line} Line {place}." for place in range(DOCUMENT_BYTES // len(line)))
