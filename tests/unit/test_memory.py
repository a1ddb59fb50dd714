"""Memory is given back to the system; and how much room there is for another process, in a container too."""

from __future__ import annotations

from pathlib import Path

import pytest

from embeddings import memory
from embeddings.memory import give_back, has_room_for_as_much_again, resident_bytes

BLOCK, BLOCKS = 100_000, 2_000
GIGABYTE = 2**30


def test_freed_memory_goes_back_to_the_system() -> None:
    blocks = [bytearray(b"x" * BLOCK) for _ in range(BLOCKS)]
    kept = blocks[::100]  # So that the heap cannot simply end earlier.
    del blocks
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > 0.8 * BLOCK * BLOCKS
    assert len(kept) == BLOCKS / 100


def write(path: Path, content: str) -> None:
    path.write_text(content, "ascii")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its files, with plenty of memory and no limit."""
    monkeypatch.setattr(memory, "_SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    write(tmp_path / "meminfo", f"MemTotal:  99 kB\nMemAvailable:   {64 * GIGABYTE // 1024} kB\nHugePages_Total: 0\n")
    write(tmp_path / "memory.max", "max\n")
    return tmp_path


def test_there_is_room_where_the_system_has_plenty(system: Path) -> None:
    assert has_room_for_as_much_again()
    (system / "memory.max").unlink()
    assert has_room_for_as_much_again()


def test_there_is_none_where_the_system_is_short_of_it(system: Path) -> None:
    write(system / "meminfo", "MemTotal:  99 kB\nMemAvailable:   20480 kB\n")
    assert not has_room_for_as_much_again()


@pytest.mark.parametrize(
    ("taken", "of_files", "is_room"), [(60, 0, True), (64, 0, False), (64, 60, True)], ids=["free", "full", "cached"]
)
def test_the_limit_of_a_container_counts_too(system: Path, taken: int, of_files: int, is_room: bool) -> None:
    """Gigabytes; pages of files are given up when others need them."""
    write(system / "memory.max", f"{64 * GIGABYTE}\n")
    write(system / "memory.current", f"{taken * GIGABYTE}\n")
    write(system / "memory.stat", f"anon 5\ninactive_file {of_files * GIGABYTE}\n")
    assert has_room_for_as_much_again() == is_room


def test_where_nothing_can_be_told_there_is_taken_to_be_room(system: Path) -> None:
    (system / "meminfo").unlink()
    assert has_room_for_as_much_again()
