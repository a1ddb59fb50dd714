from __future__ import annotations

from pathlib import Path

from embeddings.memory import give_back

BLOCK, BLOCKS = 100_000, 2_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_freed_memory_goes_back_to_the_system() -> None:
    blocks = [bytearray(b"x" * BLOCK) for _ in range(BLOCKS)]
    kept = blocks[::100]  # So that the heap cannot simply end earlier.
    del blocks
    before = resident_bytes()

    give_back()

    assert before - resident_bytes() > 0.8 * BLOCK * BLOCKS
    assert len(kept) == BLOCKS / 100
