"""The reader by itself: each question with the whole paragraph that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.answering.domain import ReadingPassage
from service.answering.ports import Reader
from service.evaluation.datasets import Article, drawn
from service.evaluation.metrics import auroc, exact_match, f1
from service.evaluation.tables import Cell, percent, table


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    name: str
    scores: tuple[float, ...]
    """F1 of each question."""
    exact: tuple[bool, ...]
    confidences: tuple[float, ...]
    elsewhere: tuple[float, ...]
    """Confidences in another paragraph of the same article, which does not hold the answer."""


def read_alone(reader: Reader, name: str, articles: Sequence[Article], *, questions: int) -> Alone:
    by_id = {article.document_id: article for article in articles}
    scores, exact, confidences, elsewhere = [], [], [], []
    for asked in drawn([question for article in articles for question in article.questions], questions):
        article = by_id[asked.document_id]
        text = article.text[asked.paragraph.start : asked.paragraph.end]
        answer, confidence = _best(reader, asked.question, text, article.title)
        scores.append(f1(answer, asked.answers))
        exact.append(exact_match(answer, asked.answers))
        confidences.append(confidence)
        other = next((each for each in article.paragraphs if not any(form in each for form in asked.answers)), None)
        if other is not None:
            elsewhere.append(_best(reader, asked.question, other, article.title)[1])
    return Alone(
        name=name,
        scores=tuple(scores),
        exact=tuple(exact),
        confidences=tuple(confidences),
        elsewhere=tuple(elsewhere),
    )


def _best(reader: Reader, question: str, text: str, title: str) -> tuple[str, float]:
    passage = ReadingPassage(text=text, context=title, similarity=None, bm25=None, fused=0.0)
    spans = reader.read(question, [passage])[0].spans
    if not spans:
        return "", 0.0
    best = max(spans, key=lambda each: each.probability)
    return text[best.span.start : best.span.end], best.probability


def report(sets: Sequence[Alone]) -> str:
    rows: list[list[Cell]] = [
        [
            one.name,
            len(one.scores),
            percent(sum(one.scores) / len(one.scores)),
            percent(sum(one.exact) / len(one.exact)),
            percent(auroc(one.confidences, one.elsewhere)),
        ]
        for one in sets
    ]
    return table(
        ["%", "questions", "F1", "exact match", "AUROC against another paragraph of the article"],
        rows,
    )
