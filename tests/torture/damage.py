"""Every file of a store is truncated, emptied, zeroed, deleted, and has single bits flipped, one at a time.

Each damage is one of these, and nothing else:

harmless   nothing is reported, and texts and answers are those of the sound store
repaired   `loccit doctor` reports it, and after `--repair` and a start texts and answers are those of the sound store
detected   `loccit doctor` reports it, and says what cannot be repaired from the store alone
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from embeddings.domain import DocumentRecord, Source
from embeddings.errors import LoccitError
from embeddings.inspection import inspect
from embeddings.library import Library
from tests.integration.conftest import parts
from tests.torture import checks

DOCUMENTS = 20
HARMLESS, REPAIRED, DETECTED, SILENT = "harmless", "repaired", "detected", "SILENT"

Damage = Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    files: int
    damages: int
    by_kind: dict[str, Counter[str]]
    """What came of it, by the kind of file."""
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What the store holds and answers while it is whole."""

    texts: dict[str, dict[str, tuple[int, str]]]
    records: list[DocumentRecord]
    originals: list[bytes]
    answers: checks.Answers

    def equals(self, other: Sound) -> bool:
        return (self.texts, self.records, self.originals) == (
            other.texts,
            other.records,
            other.originals,
        ) and checks.same(self.answers, other.answers)


def run(
    workplace: Path, *, flips: int, seed: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> Outcome:
    """`flips` single bits in each database and index file, fewer in the many originals."""
    data = workplace / "data"
    sound = make_store(data)
    tried = list(damages(data, flips, random.Random(seed)))
    by_kind: dict[str, Counter[str]] = {}
    faults: list[str] = []
    for number, (path, what, damage) in enumerate(tried, start=1):
        name = path.relative_to(data)
        result, detail = outcome_of(damage, data, name, workplace / "damaged", sound)
        by_kind.setdefault(kind_of(name), Counter())[result] += 1
        if result == SILENT:
            faults.append(f"{kind_of(name)} {what}: {detail}")
        progress(number, len(tried))
    return Outcome(files=len({path for path, _, _ in tried}), damages=len(tried), by_kind=by_kind, faults=tuple(faults))


def make_store(data: Path) -> Sound:
    with checks.opened(data) as library:
        for collection in ("notes", "letters"):
            library.create(collection)
            for number in range(DOCUMENTS):
                library.collection(collection).put(f"note-{number}", described(number))
            library.collection(collection).live.checkpoint()
            library.collection(collection).put("note-0", described(100))
            library.collection(collection).delete("note-1")
    return look(data)


def described(number: int) -> Source:
    return Source(
        content=checks.text_of(number).encode(),
        media_type="text/plain",
        title=f"Ledger {number}",
        metadata={"number": number},
    )


def look(data: Path) -> Sound:
    with checks.opened(data) as library:
        return seen(library)


def seen(library: Library) -> Sound:
    collections = [library.collection(info.collection) for info in library.collections()]
    records = [(one, record.document_id) for one in collections for record in one.documents(limit=1000)]
    return Sound(
        texts=checks.texts(library),
        records=[one.document(document_id) for one, document_id in records],
        originals=[one.original(document_id).content for one, document_id in records],
        answers=checks.answers(library),
    )


def damages(data: Path, flips: int, chance: random.Random) -> Iterator[tuple[Path, str, Damage]]:
    originals = 0
    for path in sorted(path for path in data.rglob("*") if path.is_file() and path.stat().st_size):
        is_original = "originals" in path.parts
        originals += is_original
        if is_original and originals > 3:
            continue
        yield path, "deleted", Path.unlink
        yield path, "emptied", lambda path: truncate(path, 0)
        yield path, "cut in half", lambda path: truncate(path, path.stat().st_size // 2)
        yield path, "one byte short", lambda path: truncate(path, path.stat().st_size - 1)
        yield path, "zeroed", lambda path: zero(path)
        for _ in range(min(flips, 5) if is_original else flips):
            bit = chance.randrange(8 * path.stat().st_size)
            yield path, f"bit {bit} flipped", lambda path, bit=bit: flip(path, bit)  # type: ignore[misc]


def truncate(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(max(length, 0))


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def outcome_of(damage: Damage, data: Path, name: Path, place: Path, sound: Sound) -> tuple[str, str]:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(data, place)
    damage(place / name)
    is_reported = not all(one.ok for one in inspect(place, parts(), repair=True))
    try:
        is_same = look(place).equals(sound)
    except LoccitError as error:
        return (DETECTED, str(error)) if is_reported else (SILENT, f"not reported, but: {error}")
    if not is_reported:
        return (HARMLESS, "") if is_same else (SILENT, "other contents or answers, and nothing reported")
    return (REPAIRED if is_same and not checks.findings(place) else DETECTED), ""


def kind_of(name: Path) -> str:
    if "originals" in name.parts:
        return "original"
    if "index" in name.parts:
        return f"index/{'word index' if 'words' in name.parts else name.name}"
    return name.name
