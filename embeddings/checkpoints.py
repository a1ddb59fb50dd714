"""Index generations on disk: write-once folders under a manifest, published by renames. They are only a cache.

    index/CURRENT                 the name of the generation to load
    index/<seq>-<random>/         keys, vector index, word index, MANIFEST.json with the SHA-256 of each file

A generation is never changed. Whoever doubts it throws it away: everything in it is rebuilt from the store.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from embeddings.arrays import Keys
from embeddings.errors import IndexUnsound
from embeddings.files import UNFINISHED, replace_file, sha256_of, storage_errors, sync_file, sync_folder, write_synced
from embeddings.memory import give_back
from embeddings.ports import VectorIndexes, WordIndexes
from embeddings.views import PassageStream, Segment, count_words, segment_of

FORMAT = 1
MANIFEST = "MANIFEST.json"
CURRENT = "CURRENT"
KEYS = "keys.bin"
KEPT = 2
"""Generations kept: the current one and the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    seq: int
    segment: Segment
    words: int


def keys_digest(passage_keys: Keys) -> str:
    return hashlib.sha256(np.sort(passage_keys).astype("<i8").tobytes()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """The generations of one collection. One thread writes; loading is safe at any time."""

    folder: Path
    fingerprint: str
    dimension: int
    vectors: VectorIndexes
    words: WordIndexes

    def write(self, passages: PassageStream, seq: int) -> Generation:
        """Raises DiskFull, StoreReadOnly; then the generations before are untouched."""
        name = f"{seq:012d}-{secrets.token_hex(4)}"
        unfinished = self.folder / (name + UNFINISHED)
        with storage_errors():
            try:
                self._fill(unfinished, passages, seq)
                os.rename(unfinished, self.folder / name)
            except BaseException:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
            sync_folder(self.folder)
            replace_file(self.folder / CURRENT, name.encode())
        self.remove_older(keep=KEPT)
        give_back()  # what the index took while it was made, before it is read
        return self.load(name)

    def _fill(self, place: Path, passages: PassageStream, seq: int) -> None:
        place.mkdir(mode=0o700)
        write_synced(place / KEYS, np.stack([passages.passage_keys, passages.indexing_keys]).astype("<i8").tobytes())
        self.vectors.build(passages.vectors, rows=len(passages), dimension=self.dimension).save(place)
        give_back()  # what the vectors took, before the words are indexed
        counted = _Counted(passages.words)
        self.words.build(place, counted, passages.indexing_keys)
        manifest = {
            "format": FORMAT,
            "seq": seq,
            "rows": len(passages),
            "words": counted.words,
            "dimension": self.dimension,
            "kind": self.vectors.kind(len(passages)),
            "fingerprint": self.fingerprint,
            "passages": keys_digest(passages.passage_keys),
            "files": {str(path.relative_to(place)): _sealed(path) for path in _contents(place)},
        }
        write_synced(place / MANIFEST, json.dumps(manifest, indent=1).encode())
        for folder in [place, *(path for path in place.rglob("*") if path.is_dir())]:
            sync_folder(folder)

    def names(self) -> list[str]:
        """Whole generations, the one that CURRENT names first, then newest first."""
        found = sorted((path.name for path in self.folder.iterdir() if (path / MANIFEST).is_file()), reverse=True)
        found = [name for name in found if not name.endswith(UNFINISHED)]
        current = self.folder / CURRENT
        chosen = current.read_text("utf-8", "replace") if current.is_file() else ""
        return sorted(found, key=lambda name: name != chosen)

    def load(self, name: str) -> Generation:
        """Raises IndexUnsound where anything is not as the manifest says."""
        place = self.folder / name
        try:
            manifest = json.loads((place / MANIFEST).read_bytes())
            self._check(place, manifest)
            keys = np.fromfile(place / KEYS, "<i8").astype(np.int64).reshape(2, manifest["rows"])
            vectors = self.vectors.load(place, rows=manifest["rows"], dimension=self.dimension)
            segment = segment_of(keys[0], keys[1], vectors, self.words.load(place, rows=manifest["rows"]))
            if keys_digest(keys[0]) != manifest["passages"]:
                raise IndexUnsound("the keys are not those of the manifest")
            return Generation(seq=manifest["seq"], segment=segment, words=manifest["words"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexUnsound(f"the index generation cannot be read: {type(error).__name__}") from error

    def _check(self, place: Path, manifest: dict[str, Any]) -> None:
        expected = {
            "format": FORMAT,
            "dimension": self.dimension,
            "kind": self.vectors.kind(manifest["rows"]),
            "fingerprint": self.fingerprint,
        }
        if {name: manifest[name] for name in expected} != expected:
            raise IndexUnsound("the index generation was made by another encoder or version")
        files = manifest["files"]
        if not isinstance(files, dict) or not files:
            raise IndexUnsound("the manifest lists no files")
        for name, seal in files.items():
            if _seal(place / name) != seal:
                raise IndexUnsound(f"{name} is damaged")

    def remove_older(self, *, keep: int) -> None:
        """Raises StoreReadOnly where they cannot be removed."""
        with storage_errors():
            for name in self.names()[keep:]:
                shutil.rmtree(self.folder / name)


@dataclass(slots=True)
class _Counted:
    """Counts the words of the lists that are taken from it."""

    lists: Iterable[str]
    words: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[str]:
        for one in self.lists:
            self.words += count_words([one])
            yield one


def _contents(place: Path) -> list[Path]:
    """Everything but lock files, which tantivy makes again as it likes."""
    return sorted(path for path in place.rglob("*") if path.is_file() and path.suffix != ".lock")


def _seal(path: Path) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _sealed(path: Path) -> dict[str, object]:
    """Sync a file that a library wrote, and describe it."""
    sync_file(path)
    return _seal(path)
