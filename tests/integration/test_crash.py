"""A process is killed while it writes: what it acknowledged is there afterwards, and nothing else is half there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embeddings.inspection import inspect
from embeddings.library import Library
from tests.integration.conftest import parts

WRITER = """
import sys
from pathlib import Path
from embeddings import library as upkeep
from embeddings.library import Library
from embeddings.live_view import Patience
from tests.integration.conftest import parts, plain

upkeep.LOOK_SECONDS = 0.005
upkeep.AT_REST = Patience(rows=0, tail_share=0.0, removed_share=0.0)
library = Library(Path(sys.argv[1]), parts(), free_disk_floor_bytes=0)
library.create("notes")
notes = library.collection("notes")
for number in range(int(sys.argv[2]), 10_000):
    name = f"note-{number % 40}"
    if number % 7 == 6:
        try:
            notes.delete(name)
        except Exception as error:
            assert type(error).__name__ == "UnknownDocument", error
        print("deleted", name, number, flush=True)
    else:
        text = " ".join(f"Entry {number} of the ledger lists {i} eggs." for i in range(number % 30 + 1))
        receipt = notes.put(name, plain(text))
        print("put", name, number, flush=True)
    if number % 25 == 24:
        notes.live.checkpoint()
"""


def run_until_killed(data: Path, first: int, after_seconds: float) -> list[list[str]]:
    """Acknowledged writes, in order."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(data), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    first_line = process.stdout.readline()
    time.sleep(after_seconds)
    process.send_signal(signal.SIGKILL)
    lines = [first_line, *process.stdout.readlines()]
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    return [line.split() for line in lines if line.endswith("\n")]


def expected_state(ledger: list[list[str]]) -> dict[str, int | None]:
    return {name: None if what == "deleted" else int(number) for what, name, number in ledger}


@pytest.mark.parametrize("seed", range(2))
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    expected: dict[str, int | None] = {}
    first = 0
    for _ in range(3):
        ledger = run_until_killed(tmp_path / "data", first, chance.uniform(0.05, 0.6))
        expected |= expected_state(ledger)
        in_flight = int(ledger[-1][2]) + 1
        expected.pop(f"note-{in_flight % 40}", None)  # done or not, nobody was told
        first = in_flight + 1
    assert [finding for finding in inspect(tmp_path / "data", parts()) if not finding.ok] == []
    library = Library(tmp_path / "data", parts(), free_disk_floor_bytes=0)
    try:
        notes = library.collection("notes")
        stored = {record.document_id: record for record in notes.documents(limit=1000)}
        for name, number in expected.items():
            assert (name in stored) == (number is not None), name
            if number is not None:
                assert f"Entry {number} of the ledger" in notes.text(name).text
        assert notes.info().passages == sum(record.passages for record in stored.values())
    finally:
        library.close()


PURGER = """
import os, signal, sys
from pathlib import Path
from embeddings.corpus.database import Database
from embeddings.files import Originals
from embeddings.library import Library
from embeddings.live_view import LiveView
from tests.integration.conftest import parts, plain

library = Library(Path(sys.argv[1]), parts(), free_disk_floor_bytes=0)
library.create("notes")
notes = library.collection("notes")
for number in range(3):
    notes.put(f"note-{number}", plain(f"A canary named heron{number} sings."))
notes.live.checkpoint()
steps = {"log": (Database, "truncate_log"), "index": (LiveView, "checkpoint"), "original": (Originals, "remove")}
setattr(*steps[sys.argv[2]], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
notes.delete("note-1", purge=True)
"""


@pytest.mark.parametrize("before", ["log", "index", "original"])
def test_a_purge_that_was_cut_short_is_finished_at_the_next_start(tmp_path: Path, before: str) -> None:
    data = tmp_path / "data"
    killed = subprocess.run(
        [sys.executable, "-c", PURGER, str(data), before], cwd=Path(__file__).parents[2], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert [finding for finding in inspect(data, parts()) if not finding.ok] == []
    library = Library(data, parts(), free_disk_floor_bytes=0)
    try:
        assert [record.document_id for record in library.collection("notes").documents()] == ["note-0", "note-2"]
    finally:
        library.close()
    held = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert b"heron0" in held
    assert b"heron1" not in held
    assert [finding for finding in inspect(data, parts()) if not finding.ok] == []


def test_a_second_process_is_refused_while_the_first_holds_the_folder(tmp_path: Path) -> None:
    library = Library(tmp_path / "data", parts(), free_disk_floor_bytes=0)
    try:
        code = (
            "import sys; from pathlib import Path; from embeddings.library import Library;"
            " from tests.integration.conftest import parts; Library(Path(sys.argv[1]), parts())"
        )
        refused = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "data")],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            check=False,
        )
        assert refused.returncode != 0
        assert "Another Loccit process uses this data folder" in refused.stderr
    finally:
        library.close()
