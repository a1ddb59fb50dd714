"""Answers to reading questions, and what is right in them."""

from __future__ import annotations

from collections.abc import Sequence

from embeddings.filters import Filter
from service.answering.answering import Answering, AskRequest, SearchableCollection
from service.answering.domain import Answer
from service.evaluation.datasets import ReadingQuestion
from service.evaluation.metrics import f1, holds


def best_answer(
    answering: Answering, collection: SearchableCollection, question: str, filter: Filter | None = None
) -> Answer:
    """Whatever its confidence."""
    return answering.answer(AskRequest(question=question, min_confidence=0, filter=filter), collection)


def holds_answer(answer: Answer, asked: ReadingQuestion) -> bool:
    return any(holds(citation.quote, form) for citation in answer.citations for form in asked.answers)


def is_in_paragraph(answer: Answer, asked: ReadingQuestion) -> bool:
    return any(
        citation.document_id == asked.document_id
        and citation.start < asked.paragraph.end
        and asked.paragraph.start < citation.end
        for citation in answer.citations
    )


def mean_f1(pairs: Sequence[tuple[Answer, ReadingQuestion]]) -> float:
    return sum(f1(answer.answer or "", asked.answers) for answer, asked in pairs) / len(pairs)
