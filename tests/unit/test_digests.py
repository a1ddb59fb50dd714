from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from service.digests import Digests

OLD = 1_600_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "docs" / "a.md"
    path.parent.mkdir()
    write(path, "One lamp.")
    return path


def write(path: Path, text: str, *, at: int = OLD) -> None:
    path.write_text(text)
    os.utime(path, (at, at))


def digests(path: Path) -> Digests:
    return Digests.of_folders(path.parents[1] / "data", [path.parent])


def reads(path: Path, made: Digests, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the file has to be read for its digest."""
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError))
        try:
            made.of(path)
        except PermissionError:
            return True
    return False


@pytest.mark.parametrize("look", [Digests.of, Digests.read])
def test_what_was_looked_at_once_is_known_to_later_runs(
    path: Path, look: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digests(path)
    assert callable(look)
    look(first, path)
    first.save()
    second = digests(path)
    assert not reads(path, second, monkeypatch)
    assert second.of(path) == hashlib.sha256(b"One lamp.").hexdigest()


def test_the_same_size_and_time_do_not_hide_a_change(path: Path) -> None:
    first = digests(path)
    first.of(path)
    first.save()
    write(path, "Two lamp.")
    assert digests(path).of(path) == hashlib.sha256(b"Two lamp.").hexdigest()


def test_a_file_that_has_just_changed_is_looked_at_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("Just now.")
    made = digests(path)
    made.of(path)
    assert reads(path, made, monkeypatch)


def test_what_was_kept_amiss_is_not_believed(path: Path) -> None:
    kept = path.parents[1] / "data" / "digests"
    first = digests(path)
    first.of(path)
    first.save()
    for content in (b"", b"[]", b'{"a": 1}', b'{"a": [["x"], 1]}', b"\xff"):
        next(kept.iterdir()).write_bytes(content)
        assert digests(path).of(path) == hashlib.sha256(b"One lamp.").hexdigest()
