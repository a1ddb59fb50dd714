"""From a question to ranked passages: dense and word candidates under one filter, scored exactly, fused."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat

import numpy as np

from embeddings import bm25, crowding, fusion
from embeddings.ahead import meanwhile
from embeddings.arrays import Keys, RowNumbers, Vectors
from embeddings.corpus import passages as stored
from embeddings.corpus.conditions import Condition, condition
from embeddings.corpus.database import Connection, Snapshots
from embeddings.domain import Hit, Scores, SearchResult
from embeddings.filters import Filter
from embeddings.ports import Encoder
from embeddings.text import content_words
from embeddings.views import View

DEPTH = 50
"""Candidates of each kind at least; four times as many while repeats or a cap leave too few."""
DEEPEST = 256 * DEPTH
"""Where repeats hide what else there is deeper than this, a list stays shorter: it would take reading a collection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    question: str
    top_k: int
    filter: Filter | None = None
    max_per_document: int | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Stopwatch:
    timings_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.timings_ms[name] = round(self.timings_ms.get(name, 0.0) + (time.perf_counter() - started) * 1000, 3)


def search(query: Query, view: View, database: Snapshots, encoder: Encoder, collection: str) -> SearchResult:
    """Search one immutable view. What was deleted since the view was made drops out when the store is read."""
    watch = Stopwatch()
    with watch.stage("total"), database.reading() as connection:
        asked = _Search(query, view, connection, collection)
        with meanwhile(asked.by_words) as by_words:
            with watch.stage("encode"):
                vector = encoder.encode_questions([query.question])[0]
            with watch.stage("search"):
                nearest = asked.by_similarity(vector)
                found = asked.run(vector, nearest, by_words())
    return SearchResult(
        hits=found.hits,
        seq=view.seq,
        live_passages=view.passages,
        allowed_passages=found.allowed_passages,
        timings_ms=watch.timings_ms,
        explain=found.explain,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The passages worth ranking, by key, with every score of each."""

    similarity: Mapping[int, float]
    bm25: Mapping[int, float]
    fused: Mapping[int, float]
    stored: Mapping[int, stored.Candidate]
    are_all: bool
    """No passage beyond these can come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worded:
    """What the words of the question find, before anything is known of its vector."""

    rows: Sequence[RowNumbers]
    """Of each segment."""
    stored: Mapping[int, stored.Candidate]
    bm25: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    hits: tuple[Hit, ...]
    allowed_passages: int
    explain: Mapping[str, object] | None


class _Search:
    """One query over one view and one snapshot of the store."""

    def __init__(self, query: Query, view: View, connection: Connection, collection: str) -> None:
        self._query = query
        self._view = view
        self._connection = connection
        self._collection = collection
        self._depth = max(DEPTH, query.top_k)
        self._words = list(dict.fromkeys(content_words(query.question)))
        self._statistics = view.statistics(self._words)
        self._condition: Condition = condition(query.filter)
        allowed: Keys | None = None
        if query.filter is not None:
            allowed = stored.allowed_indexings(connection, view.seq, self._condition)
        self._rows = [segment.rows(allowed) for segment in view.segments]

    def by_words(self) -> _Worded:
        rows = self._view.word_candidates(self._words, self._depth, self._rows)
        keys = [segment.passage_keys[own] for segment, own in zip(self._view.segments, rows, strict=True)]
        known = self._stored(key for own in keys for key in own.tolist())
        return _Worded(rows=rows, stored=known, bm25=self._scores(known))

    def by_similarity(self, vector: Vectors) -> Sequence[RowNumbers]:
        """Of each segment, the rows nearest to the question."""
        segments = zip(self._view.segments, self._rows, strict=True)
        return [segment.vectors.search(vector, self._depth, rows)[0] for segment, rows in segments]

    def run(self, vector: Vectors, nearest: Sequence[RowNumbers], worded: _Worded) -> _Found:
        candidates = self._candidates(vector, nearest, worded)
        chosen = self._chosen(candidates)
        most = self._most_hits()
        while len(chosen) < most and not candidates.are_all and self._depth < DEEPEST:
            self._depth *= 4
            candidates = self._candidates(vector, self.by_similarity(vector), self.by_words())
            chosen = self._chosen(candidates)
        return _Found(
            hits=self._hits(candidates, chosen),
            allowed_passages=self._count_allowed(),
            explain=self._explain(candidates, chosen) if self._query.explain else None,
        )

    def _most_hits(self) -> int:
        """What a cap leaves of `top_k`; each document has one live indexing."""
        if self._query.max_per_document is None:
            return self._query.top_k
        segments = zip(self._view.segments, self._rows, strict=True)
        documents = sum(segment.count_indexings(rows) for segment, rows in segments)
        return min(self._query.top_k, self._query.max_per_document * documents)

    def _count_allowed(self) -> int:
        pairs = zip(self._view.segments, self._rows, strict=True)
        return sum(len(segment) if rows is None else int(np.count_nonzero(rows.mask)) for segment, rows in pairs)

    def _stored(self, keys: Iterable[int]) -> dict[int, stored.Candidate]:
        return stored.candidates(self._connection, self._view.seq, keys)

    def _scores(self, known: Mapping[int, stored.Candidate]) -> dict[int, float]:
        return bm25.scores(self._words, {key: one.words for key, one in known.items()}, self._statistics)

    def _candidates(self, vector: Vectors, nearest: Sequence[RowNumbers], worded: _Worded) -> Candidates:
        similarity, are_all = self._gather(vector, nearest, worded.rows)
        others = self._stored(key for key in similarity if key not in worded.stored)
        known = {**worded.stored, **others}
        similarity = {key: similarity[key] for key in known}
        words = {**worded.bm25, **self._scores(others)}
        fused = fusion.fuse(similarity, words, bm25_bound=bm25.bound(self._words, self._statistics))
        return Candidates(similarity=similarity, bm25=words, fused=fused, stored=known, are_all=are_all)

    def _gather(
        self, vector: Vectors, nearest: Sequence[RowNumbers], worded: Sequence[RowNumbers]
    ) -> tuple[dict[int, float], bool]:
        """The best passages by similarity, and those by words, with their similarities."""
        similarity: dict[int, float] = {}
        by_similarity: list[int] = []
        by_words: list[int] = []
        for segment, near, own in zip(self._view.segments, nearest, worded, strict=True):
            found = np.union1d(near, own)
            keys = segment.passage_keys
            similarity.update(
                zip(keys[found].tolist(), segment.vectors.similarities(vector, found).tolist(), strict=True)
            )
            by_similarity += keys[near].tolist()
            by_words += keys[own].tolist()
        best = sorted(by_similarity, key=lambda key: (-similarity[key], key))[: self._depth]
        are_all = len(best) == len(by_similarity) and all(len(near) < self._depth for near in nearest)
        return {key: similarity[key] for key in (*best, *by_words)}, are_all

    def _chosen(self, candidates: Candidates) -> list[int]:
        """The first `top_k`, each text once, at most `max_per_document` of a document, repetitions last."""
        order = crowding.weighted(candidates.fused, candidates.stored, self._words)
        ranked = sorted(order, key=lambda key: (-order[key], key))
        listing = crowding.Listing(self._words)
        chosen: list[int] = []
        repeating: list[int] = []
        texts: set[bytes] = set()
        of_document: Counter[int] = Counter()
        cap = self._query.max_per_document or self._query.top_k
        for key, may_repeat in chain(zip(ranked, repeat(False)), zip(repeating, repeat(True))):
            candidate = candidates.stored[key]
            if candidate.text_sha in texts or of_document[candidate.document_key] == cap:
                continue
            if not may_repeat and listing.holds_nearly(candidate):
                repeating.append(key)
                continue
            listing.add(candidate)
            texts.add(candidate.text_sha)
            of_document[candidate.document_key] += 1
            chosen.append(key)
            if len(chosen) == self._query.top_k:
                break
        return chosen

    def _hits(self, candidates: Candidates, chosen: list[int]) -> tuple[Hit, ...]:
        passages = stored.passages(
            self._connection, self._collection, chosen, seq=self._view.seq, condition=self._condition
        )
        return tuple(
            Hit(
                passage=passages[key],
                scores=Scores(
                    similarity=round(candidates.similarity[key], 6),
                    bm25=round(candidates.bm25[key], 6),
                    fused=round(candidates.fused[key], 6),
                ),
            )
            for key in chosen
        )

    def _explain(self, candidates: Candidates, chosen: list[int]) -> Mapping[str, object]:
        similarity, words = fusion.ranks(candidates.similarity), fusion.ranks(candidates.bm25)
        listed_by = crowding.weighted(candidates.fused, candidates.stored, self._words)
        return {
            "words": {word: round(self._statistics.idf(word), 4) for word in self._words},
            "passages": {"live": self._view.passages, "allowed": self._count_allowed()},
            "candidates": len(candidates.fused),
            "fusion": fusion.DESCRIPTION,
            "crowding": crowding.DESCRIPTION,
            "ranked": [
                {
                    "similarity": {"rank": similarity[key], "score": round(candidates.similarity[key], 6)},
                    "bm25": {"rank": words[key], "score": round(candidates.bm25[key], 6)},
                    "fused": round(candidates.fused[key], 6),
                    "listed_by": round(listed_by[key], 6),
                }
                for key in chosen
            ],
        }
