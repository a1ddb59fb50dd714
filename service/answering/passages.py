"""Passages as a reader gets them: whole, or sentence by sentence, with what they stand under."""

from __future__ import annotations

import re

from embeddings.domain import Hit, Passage, Span
from service.answering.citations import sentences_in
from service.answering.domain import ReadingPassage
from service.answering.questions import is_question

_SAYS = re.compile(r"(?:yes|no)\b", re.IGNORECASE)


def to_read(hit: Hit) -> ReadingPassage:
    passage, scores = hit.passage, hit.scores
    return ReadingPassage(
        text=passage.text,
        context=context_of(passage),
        similarity=scores.similarity,
        bm25=scores.bm25,
        fused=scores.fused or 0.0,
    )


def sentences_to_read(hit: Hit) -> list[tuple[Span, ReadingPassage]]:
    """Each sentence of a passage as a passage of its own, to see which one says it.

    A question says nothing, but is one with the yes or no that follows it.
    """
    text, context = hit.passage.text, context_of(hit.passage)
    spans: list[Span] = []
    for span in sentences_in(text):
        if spans and is_question(text[spans[-1].start : spans[-1].end]) and _SAYS.match(text, span.start, span.end):
            span = Span(spans.pop().start, span.end)
        spans.append(span)
    return [
        (
            span,
            ReadingPassage(text=text[span.start : span.end], context=context, similarity=None, bm25=None, fused=0.0),
        )
        for span in spans
        if not is_question(text[span.start : span.end])
    ]


def context_of(passage: Passage) -> str:
    return "\n".join(part for part in dict.fromkeys((passage.title, *passage.headings)) if part)
