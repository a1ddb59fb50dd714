"""A little of what `scripts/torture` does at length."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture import calls, damage, full, kills


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_random_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    outcome = kills.run(tmp_path, kills=3, seed=7, longest_seconds=0.4)
    assert outcome.faults == ()
    assert outcome.kills == 3
    assert outcome.writes > 0


@pytest.mark.skipif(not calls.has_strace(), reason="strace is not installed: no system call can be interrupted")
@pytest.mark.parametrize(
    ("scenario", "call", "what", "when"),
    [
        ("ingest", "fdatasync", calls.KILL, "5"),
        ("restore", "rename", calls.KILL, "3"),
        ("ingest", "write", "error=EIO", "1+"),
        ("ingest", "pwrite64", "error=ENOSPC", "60"),
    ],
)
def test_an_interrupted_system_call_loses_nothing(
    tmp_path: Path, scenario: str, call: str, what: str, when: str
) -> None:
    point = calls.Point(scenario=scenario, call=call, what=what, when=when)
    result = calls.try_point(point, calls.prepare(tmp_path), tmp_path)
    assert result is not None, "the call never came"
    assert result.faults == ()


@pytest.mark.skipif(not full.can_mount(), reason="only root can mount a small disk")
def test_a_full_disk_loses_nothing_and_needs_no_restart(tmp_path: Path) -> None:
    outcome = full.run(tmp_path, fills=1)
    assert outcome.faults == ()
    assert outcome.refused > 0


def test_a_damaged_file_is_harmless_repaired_or_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sound = damage.make_store(data)
    tried = [one for one in damage.damages(data, 1, random.Random(7)) if "index" not in one[0].parts]
    for path, what, damaging in random.Random(7).sample(tried, 6):
        name = path.relative_to(data)
        result, detail = damage.outcome_of(damaging, data, name, tmp_path / "damaged", sound)
        assert result != damage.SILENT, (name, what, detail)
