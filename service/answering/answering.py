"""Use case: from a question to an answer whose every citation has been compared with the stored text."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain, zip_longest
from typing import Protocol

from embeddings.domain import Hit, SearchResult, Span
from embeddings.filters import Filter
from embeddings.text import content_words
from service.answering.citations import Candidate, candidates
from service.answering.composing import Finding, compose, is_settled
from service.answering.depth import ReadingOrder, reading_order
from service.answering.domain import Answer, NoAnswerReason, Reading, ReadingPassage, ReadSpan, Support
from service.answering.followups import Exchange, complete
from service.answering.intents import Part, inquire, names_something
from service.answering.pace import Pace
from service.answering.passages import sentences_to_read, to_read
from service.answering.ports import Reader, StoredText
from service.answering.spelling import Speller
from service.answering.statements import Statement
from service.answering.verdicts import Word
from service.answering.widening import as_shown

__all__ = ["Answering", "AskRequest", "Exchange", "SearchableCollection"]

SHARES_NO_WORD = 0.1
"""What a sentence weighs as evidence that has no word of the question, in words: alone, it may say no to anything."""

NO_SPELLER = Speller(())
Search = Callable[[str], SearchResult]

_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]")


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
class _Looked:
    """What was found for a part of the question, and what the reader made of it as far as the deadline left room."""

    part: Part
    found: SearchResult
    finding: Finding
    milliseconds: float
    is_cut_short: bool
    """By the deadline."""


class Answering:
    """Answers from passages alone. Safe to call from many threads if its readers are.

    `foreign` reads questions that are written mostly in other letters than Latin ones; None where nothing can.
    `speller` mends what is asked; without one every question is taken as it is.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        encoder_name: str,
        foreign: Reader | None = None,
        speller: Speller = NO_SPELLER,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._reader = reader
        self._encoder_name = encoder_name
        self._foreign = foreign
        self._speller = speller
        self._clock = clock
        self._pace = Pace()

    def answer(self, request: AskRequest, collection: SearchableCollection) -> Answer:
        started = self._clock()
        # Once for each question, though it is searched to be mended and again to be read.
        search = cache(partial(collection.search, top_k=request.top_k, filter=request.filter, explain=request.explain))
        question = self._mended(complete(request.question, request.history), search)
        inquiry = inquire(question)
        fitting = self._foreign if _is_mostly_foreign(question) else self._reader
        reader = fitting or self._reader
        looked = [self._look(part, request, search, reader, started) for part in inquiry.parts]
        threshold = reader.threshold if request.min_confidence is None else request.min_confidence
        reason = _reason_not_to_answer(looked)
        # Whoever gives a threshold of their own wants to see even the strangest candidate.
        if reason is None and request.min_confidence is None:
            reason = _reason_to_doubt(question, looked, is_readable=bool(fitting))
        findings = [each.finding for each in looked]
        statement = (
            Statement(text=None)
            if reason
            else compose(inquiry, findings, threshold=threshold, stored=collection, evidence=partial(_evidence, reader))
        )
        if statement.text is None and reason is None:
            reason = NoAnswerReason.LOW_CONFIDENCE
        return Answer(
            question=request.question,
            question_used=question,
            no_answer_reason=reason,
            answer=statement.text,
            confidence=_confidence(statement, findings),
            claims=statement.claims,
            citations=statement.citations,
            hits=_merged(looked, most=request.top_k),
            degraded="deadline" if any(each.is_cut_short for each in looked) else None,
            encoder=self._encoder_name,
            reader=reader.name,
            seq=looked[0].found.seq,
            timings_ms=self._timings(looked, started),
            explain=_explain(looked, threshold=threshold) if request.explain else None,
        )

    def _mended(self, question: str, search: Search) -> str:
        doubtful = self._speller.doubtful(question)
        if not doubtful:
            return question
        passages = [to_read(hit) for hit in search(question).hits]
        texts = [text for one in passages for text in (one.context, one.text)]
        return self._speller.mended(question, doubtful, texts)

    def _look(self, part: Part, request: AskRequest, search: Search, reader: Reader, started: float) -> _Looked:
        found = search(part.question)
        order = reading_order(found.hits)
        most = len(order.hits)
        if request.max_latency_ms is not None:
            most = min(most, self._pace.items_within(request.max_latency_ms - 1000 * (self._clock() - started)))
        reading_started = self._clock()
        finding = _read(reader, part, order, most)
        milliseconds = 1000 * (self._clock() - reading_started)
        self._pace.record(items=len(finding.hits), milliseconds=milliseconds)
        return _Looked(
            part=part,
            found=found,
            finding=finding,
            milliseconds=milliseconds,
            is_cut_short=len(finding.hits) == most < len(order.hits) and _next_round(finding, order) > 0,
        )

    def _timings(self, looked: Sequence[_Looked], started: float) -> dict[str, float]:
        timings: dict[str, float] = {}
        for each in looked:
            for stage, milliseconds in (*each.found.timings_ms.items(), ("read", each.milliseconds)):
                timings[stage] = timings.get(stage, 0.0) + milliseconds
        timings["total"] = 1000 * (self._clock() - started)
        return {stage: round(milliseconds, 3) for stage, milliseconds in timings.items()}


def _read(reader: Reader, part: Part, order: ReadingOrder, most: int) -> Finding:
    """Of the first passages, until they settle the question or `most` are read."""

    def finding(readings: Sequence[Reading]) -> Finding:
        hits = order.hits[: len(readings)]
        ranked = as_shown(part, candidates(hits, readings))
        return Finding(part=part, hits=hits, readings=tuple(readings), ranked=ranked)

    latest = finding(())

    def more(readings: Sequence[Reading]) -> int:
        nonlocal latest
        latest = finding(readings)
        return _next_round(latest, order)

    readings = reader.read(part.question, [to_read(hit) for hit in order.hits[:most]], more=more)
    return latest if len(latest.hits) == len(readings) else finding(readings)


def _next_round(finding: Finding, order: ReadingOrder) -> int:
    """How many passages are still to be read after those of the finding."""
    read = len(finding.hits)
    unread, is_promising = order.hits[read:], read < order.promising
    if is_settled(finding.part.intent, finding.ranked, unread, is_promising=is_promising):
        return 0
    return order.next_round(read)


def _evidence(reader: Reader, part: Part, hit: Hit, word: Word) -> Candidate | None:
    """The sentence of a passage that is about the question and alone says it most clearly."""
    sentences = sentences_to_read(hit)
    readings = reader.read(part.question, [passage for _, passage in sentences])
    if not readings:
        return None
    asked = frozenset(content_words(part.question))

    def probability(reading: Reading) -> float:
        return reading.yes if word == "yes" else reading.no

    def clearness(pair: tuple[tuple[Span, ReadingPassage], Reading]) -> float:
        (_, sentence), reading = pair
        shared = len(asked.intersection(content_words(sentence.text)))
        return probability(reading) * (SHARES_NO_WORD + shared)

    (span, _), reading = max(zip(sentences, readings, strict=True), key=clearness)
    whole = Reading(spans=(ReadSpan(span=span, probability=min(1.0, probability(reading))),), no_answer=0.0)
    return next(iter(candidates([hit], [whole])), None)


def _reason_not_to_answer(looked: Sequence[_Looked]) -> NoAnswerReason | None:
    """Why no reader could help."""
    found = next((each.found for each in looked if each.found.hits), looked[0].found)
    if found.live_passages == 0:
        return NoAnswerReason.EMPTY_COLLECTION
    if found.allowed_passages == 0:
        return NoAnswerReason.FILTERED_OUT
    return None if found.hits else NoAnswerReason.NO_PASSAGES


def _reason_to_doubt(question: str, looked: Sequence[_Looked], *, is_readable: bool) -> NoAnswerReason | None:
    """Why what the reader says would be chance, however sure it is."""
    if not is_readable:
        return NoAnswerReason.UNSUPPORTED_LANGUAGE
    documents = {hit.passage.document_id for each in looked for hit in each.found.hits}
    if len(documents) > 1 and not names_something(question):
        return NoAnswerReason.LOW_CONFIDENCE
    return None


def _confidence(statement: Statement, findings: Sequence[Finding]) -> float:
    """Of the conclusion, where one is drawn; else of the best claim, or of the least sure where several are wanted."""
    claims = statement.claims
    if not claims:
        return max((finding.ranked[0].probability for finding in findings if finding.ranked), default=0.0)
    if claims[0].support is Support.DERIVED:
        return claims[0].confidence
    return (max if len(findings) == 1 else min)(claim.confidence for claim in claims)


def _merged(looked: Sequence[_Looked], *, most: int) -> tuple[Hit, ...]:
    """The hits of all parts by turns, each passage once, with the best probability that the reader gave in it."""
    turns = chain.from_iterable(zip_longest(*(_scored(each) for each in looked)))
    merged: dict[str, Hit] = {}
    for hit in filter(None, turns):
        merged.setdefault(hit.passage.passage_id, hit)
    return tuple(merged.values())[:most]


def _scored(looked: _Looked) -> Iterator[Hit]:
    """The hits in their order; unread ones as they are."""
    best = {hit.passage.passage_id: 0.0 for hit in looked.finding.hits}
    for candidate in reversed(looked.finding.ranked):
        best[candidate.passage.passage_id] = candidate.probability
    for hit in looked.found.hits:
        yield replace(hit, scores=replace(hit.scores, reader=best.get(hit.passage.passage_id)))


def _explain(looked: Sequence[_Looked], *, threshold: float) -> Mapping[str, object]:
    parts = [
        {
            "question": each.part.question,
            "intent": each.part.intent,
            "search": each.found.explain,
            "reader": [
                _explained(hit, reading) for hit, reading in zip(each.finding.hits, each.finding.readings, strict=True)
            ],
        }
        for each in looked
    ]
    return {"parts": parts, "threshold": threshold}


def _explained(hit: Hit, reading: Reading) -> Mapping[str, object]:
    return {
        "passage_id": hit.passage.passage_id,
        "no_answer": reading.no_answer,
        "yes": reading.yes,
        "no": reading.no,
        "spans": [
            {"start": each.span.start, "end": each.span.end, "probability": each.probability} for each in reading.spans
        ],
    }


def _is_mostly_foreign(text: str) -> bool:
    """Whether more letters than not are other than Latin ones."""
    return 2 * len(_LATIN.findall(text)) < len(_LETTER.findall(text))
