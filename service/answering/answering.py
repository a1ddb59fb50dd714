"""Use case: from a question to an answer whose every citation has been compared with the stored text."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from embeddings.domain import Hit, SearchResult
from embeddings.filters import Filter
from service.answering.citations import Candidate, candidates
from service.answering.claims import Statement, state
from service.answering.domain import Answer, NoAnswerReason, Reading, ReadingPassage
from service.answering.followups import Exchange, complete
from service.answering.pace import Pace
from service.answering.ports import Reader, StoredText

__all__ = ["Answering", "AskRequest", "Exchange", "SearchableCollection"]

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRequest:
    question: str
    top_k: int = 8
    filter: Filter | None = None
    min_confidence: float | None = None
    """Replaces the reader's threshold; 0 gives the best candidate whenever there is one."""
    max_latency_ms: float | None = None
    history: tuple[Exchange, ...] = ()
    """Oldest first."""
    explain: bool = False


class SearchableCollection(StoredText, Protocol):
    """What is asked: it finds passages and gives out the text that they were cut from."""

    def search(
        self, question: str, *, top_k: int, filter: Filter | None = None, explain: bool = False
    ) -> SearchResult: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What the reader made of the hits, all of them or those that the deadline left room for."""

    hits: tuple[Hit, ...]
    readings: tuple[Reading, ...]
    ranked: tuple[Candidate, ...]
    milliseconds: float


class Answering:
    """Answers from passages alone. Safe to call from many threads if the reader is."""

    def __init__(
        self,
        *,
        reader: Reader,
        encoder_name: str,
        encoder_is_multilingual: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._reader = reader
        self._encoder_name = encoder_name
        self._encoder_is_multilingual = encoder_is_multilingual
        self._clock = clock
        self._pace = Pace()

    def answer(self, request: AskRequest, collection: SearchableCollection) -> Answer:
        started = self._clock()
        question = complete(request.question, request.history)
        found = collection.search(question, top_k=request.top_k, filter=request.filter, explain=request.explain)
        read = self._read(question, found.hits, left_ms=self._left_ms(request, started))
        threshold = self._reader.threshold if request.min_confidence is None else request.min_confidence
        reason = self._reason_without_reading(request, question, found)
        statement = (
            Statement(text=None) if reason else state(question, read.ranked, threshold=threshold, stored=collection)
        )
        if statement.text is None and reason is None:
            reason = NoAnswerReason.LOW_CONFIDENCE
        return Answer(
            question=request.question,
            question_used=question,
            no_answer_reason=reason,
            answer=statement.text,
            confidence=_confidence(statement, read.ranked),
            claims=statement.claims,
            citations=statement.citations,
            hits=_scored(found.hits, read),
            degraded="deadline" if len(read.hits) < len(found.hits) else None,
            encoder=self._encoder_name,
            reader=self._reader.name,
            seq=found.seq,
            timings_ms=self._timings(found, read, started),
            explain=_explain(found, read, threshold=threshold) if request.explain else None,
        )

    def _left_ms(self, request: AskRequest, started: float) -> float | None:
        if request.max_latency_ms is None:
            return None
        return request.max_latency_ms - 1000 * (self._clock() - started)

    def _read(self, question: str, hits: tuple[Hit, ...], *, left_ms: float | None) -> _Read:
        hits = hits if left_ms is None else hits[: self._pace.items_within(left_ms)]
        started = self._clock()
        readings = tuple(self._reader.read(question, [_to_read(hit) for hit in hits])) if hits else ()
        milliseconds = 1000 * (self._clock() - started)
        self._pace.record(items=len(hits), milliseconds=milliseconds)
        ranked = tuple(candidates(hits, readings))
        return _Read(hits=hits, readings=readings, ranked=ranked, milliseconds=milliseconds)

    def _reason_without_reading(self, request: AskRequest, question: str, found: SearchResult) -> NoAnswerReason | None:
        """Why no reader could help; a caller who gives `min_confidence` wants to see even the strangest candidate."""
        if found.live_passages == 0:
            return NoAnswerReason.EMPTY_COLLECTION
        if found.allowed_passages == 0:
            return NoAnswerReason.FILTERED_OUT
        if not found.hits:
            return NoAnswerReason.NO_PASSAGES
        if request.min_confidence is None and not self._can_bridge(question, found.hits):
            return NoAnswerReason.UNSUPPORTED_LANGUAGE
        return None

    def _can_bridge(self, question: str, hits: Sequence[Hit]) -> bool:
        """False for a question that shares no script with the passages, if the encoder knows but one language."""
        if self._encoder_is_multilingual or not _is_mostly_cjk(question):
            return True
        return any(_is_mostly_cjk(hit.passage.text) for hit in hits)

    def _timings(self, found: SearchResult, read: _Read, started: float) -> dict[str, float]:
        total = 1000 * (self._clock() - started)
        timings = {**found.timings_ms, "read": read.milliseconds, "total": total}
        return {stage: round(milliseconds, 3) for stage, milliseconds in timings.items()}


def _to_read(hit: Hit) -> ReadingPassage:
    passage, scores = hit.passage, hit.scores
    return ReadingPassage(
        text=passage.text,
        context="\n".join(part for part in (passage.title, *passage.headings) if part),
        similarity=scores.similarity,
        bm25=scores.bm25,
        fused=scores.fused or 0.0,
    )


def _confidence(statement: Statement, ranked: Sequence[Candidate]) -> float:
    if statement.claims:
        return max(claim.confidence for claim in statement.claims)
    return ranked[0].probability if ranked else 0.0


def _scored(hits: Sequence[Hit], read: _Read) -> tuple[Hit, ...]:
    """The hits in their order, with the best probability that the reader gave in each; unread ones as they are."""
    best = {hit.passage.passage_id: 0.0 for hit in read.hits}
    for candidate in reversed(read.ranked):
        best[candidate.passage.passage_id] = candidate.probability
    return tuple(replace(hit, scores=replace(hit.scores, reader=best.get(hit.passage.passage_id))) for hit in hits)


def _explain(found: SearchResult, read: _Read, *, threshold: float) -> Mapping[str, object]:
    return {
        "search": found.explain,
        "reader": [
            {
                "passage_id": hit.passage.passage_id,
                "no_answer": reading.no_answer,
                "spans": [
                    {"start": each.span.start, "end": each.span.end, "probability": each.probability}
                    for each in reading.spans
                ],
            }
            for hit, reading in zip(read.hits, read.readings, strict=True)
        ],
        "threshold": threshold,
    }


def _is_mostly_cjk(text: str) -> bool:
    return 2 * len(_CJK.findall(text)) > len(_LETTER.findall(text))
