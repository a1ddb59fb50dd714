"""Short pieces of work that `tests.torture.calls` interrupts at each system call.

Each says on standard output what it has acknowledged: `put NAME NUMBER`, `deleted NAME`, `purged NAME`, or
`refused ERROR` and what it was.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from embeddings.backups import back_up, restore
from embeddings.collection import Collection
from embeddings.errors import LoccitError
from embeddings.library import Library
from tests.integration.conftest import parts, plain
from tests.torture.checks import text_of

DOCUMENTS = 4
SAID = "said"
COMPLAINED = "complained"


def tell(*words: object) -> None:
    """By a call that no sweep interrupts."""
    os.writev(1, [f"{' '.join(map(str, words))}\n".encode()])


def attempt(work: Callable[[], object], *words: object) -> None:
    try:
        work()
    except LoccitError as error:
        tell("refused", type(error).__name__, *words)
    else:
        tell(*words)


def put(notes: Collection, name: str, number: int) -> None:
    attempt(lambda: notes.put(name, plain(text_of(number))), "put", name, number)


def open_notes(data: Path) -> tuple[Library, Collection]:
    library = Library(data, parts(), free_disk_floor_bytes=0)
    library.create("notes")
    return library, library.collection("notes")


def prepare(data: Path) -> None:
    """What the scenarios find; nothing interrupts this."""
    library, notes = open_notes(data)
    for number in range(DOCUMENTS):
        notes.put(f"note-{number}", plain(text_of(number)))
    library.close()


def first_start(data: Path) -> None:
    library, notes = open_notes(data)
    put(notes, "note-0", 20)
    library.close()


def ingest(data: Path) -> None:
    library, notes = open_notes(data)
    put(notes, "note-9", 30)
    put(notes, "note-0", 31)
    attempt(lambda: notes.delete("note-1"), "deleted", "note-1")
    attempt(lambda: notes.delete("note-2", purge=True), "purged", "note-2")
    found = notes.search("eggs of the ledger", top_k=50)
    assert {hit.passage.document_id for hit in found.hits}, "a search failed while the disk did"
    library.close()


def checkpoint(data: Path) -> None:
    library, notes = open_notes(data)
    put(notes, "note-9", 30)
    attempt(notes.live.checkpoint, "checkpoint")
    found = notes.search("eggs of the ledger", top_k=50)
    assert {hit.passage.document_id for hit in found.hits}, "a search failed while the disk did"
    library.close()


def bring_back(data: Path) -> None:
    """Back up, change something, restore: afterwards the change is there or gone, as one."""
    destination = data.with_name(data.name + "-backup")
    attempt(lambda: back_up(data, destination, lambda *_: None), "backup")
    attempt(lambda: restore(destination, data, lambda *_: None, overwrite=True), "restored")


SCENARIOS: dict[str, Callable[[Path], None]] = {
    "prepare": prepare,
    "first-start": first_start,
    "ingest": ingest,
    "checkpoint": checkpoint,
    "restore": bring_back,
}


def run_traced(scenario: str, data: str, place: str) -> None:
    """What it says and complains goes into files; it waits for strace to attach."""
    for descriptor, name in ((1, SAID), (2, COMPLAINED)):
        os.dup2(os.open(Path(place) / name, os.O_WRONLY | os.O_CREAT), descriptor)
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        time.sleep(0.002)
    time.sleep(0.02)
    try:
        SCENARIOS[scenario](Path(data))
    except BaseException:
        os.writev(2, [traceback.format_exc().encode()])
        os._exit(1)
