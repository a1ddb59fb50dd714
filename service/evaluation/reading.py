"""Reading-comprehension questions put to whole articles, so that finding the paragraph is part of the task."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from embeddings.filters import parse_filter
from service.bootstrap import Engine
from service.evaluation.asking import Reply, ask, filled
from service.evaluation.datasets import Article, ReadingQuestion, drawn
from service.evaluation.judging import overlap
from service.evaluation.metrics import auroc, calibration_error, exact_match, f1, holds, share
from service.evaluation.tables import Cell, percent, table
from service.evaluation.unanswerable import changed

SEED = 20261123


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    question: ReadingQuestion
    reply: Reply
    best: Reply
    """With `min_confidence` 0: what it would have said."""

    def holds_answer(self, reply: Reply) -> bool:
        return any(holds(quote.text, form) for form in self.question.answers for quote in reply.quotes)

    @property
    def is_found(self) -> bool:
        """Whether one of the passages holds the answer where it stands."""
        return any(
            passage.document_id == self.question.document_id and passage.start <= span.start and span.end <= passage.end
            for passage in self.best.passages
            for span in self.question.spans
        )

    @property
    def is_in_paragraph(self) -> bool:
        return any(
            quote.document_id == self.question.document_id and overlap(quote.span, self.question.paragraph)
            for quote in self.best.quotes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    name: str
    articles: int
    passages: int
    answerable: tuple[Asked, ...]
    removed: tuple[Reply, ...]
    """To questions whose article was kept out of the search."""
    strangers: tuple[Reply, ...]
    """To questions on something else altogether."""
    altered: tuple[Reply, ...]
    """To questions with a name, a number or a word changed, so that they look as if their paragraph answered them."""

    @property
    def unanswerable(self) -> tuple[Reply, ...]:
        return (*self.removed, *self.strangers)


def read_articles(
    engine: Engine, name: str, articles: Sequence[Article], strangers: Sequence[str], *, questions: int
) -> Read:
    """Ask so many questions, a quarter of them again without their article, and all again, changed, that can be."""
    collection = filled(engine, name, ((one.document_id, one.title or None, one.text) for one in articles))
    chosen = drawn([question for article in articles for question in article.questions], questions)

    def without_article(question: ReadingQuestion) -> Reply:
        elsewhere = parse_filter({"@document_id": {"ne": question.document_id}})
        return ask(engine.answering, collection, question.question, filter=elsewhere)

    return Read(
        name=name,
        articles=len(articles),
        passages=collection.info().passages,
        answerable=tuple(
            Asked(
                question=question,
                reply=ask(engine.answering, collection, question.question),
                best=ask(engine.answering, collection, question.question, min_confidence=0),
            )
            for question in chosen
        ),
        removed=tuple(map(without_article, chosen[: len(chosen) // 4])),
        strangers=tuple(ask(engine.answering, collection, question) for question in strangers),
        altered=tuple(ask(engine.answering, collection, question) for question in _altered(articles, chosen)),
    )


def _altered(articles: Sequence[Article], questions: Sequence[ReadingQuestion]) -> Iterator[str]:
    texts = {article.document_id: article.text for article in articles}
    chance = random.Random(SEED)
    for one in questions:
        text = texts[one.document_id]
        question = changed(one.question, text[one.paragraph.start : one.paragraph.end], [text], chance)
        if question is not None:
            yield question


def report(sets: Sequence[Read]) -> str:
    header = ["%", *(f"{one.name}: {one.articles} articles, {one.passages} passages" for one in sets)]
    columns = [_figures(one) for one in sets]
    return table(header, [[name, *(column[name] for column in columns)] for name in columns[0]])


def _figures(read: Read) -> dict[str, Cell]:
    asked = read.answerable
    nothing = read.unanswerable
    answered = [one for one in asked if one.reply.answer is not None]
    wrongly = [one for one in nothing if one.answer is not None]
    right = [one.holds_answer(one.best) for one in asked]
    confidences = [one.best.confidence for one in asked]
    hits = sum(one.holds_answer(one.reply) for one in answered)
    return {
        "questions: answerable / without their article / on something else / altered": (
            f"{len(asked)} / {len(read.removed)} / {len(read.strangers)} / {len(read.altered)}"
        ),
        "a quote holds the gold answer": percent(hits / len(asked)),
        "`min_confidence` 0: F1 of the answer": percent(_mean_f1(asked)),
        "`min_confidence` 0: exact match": percent(
            share(exact_match(one.best.answer or "", one.question.answers) for one in asked)
        ),
        "answered": percent(len(answered) / len(asked)),
        "precision of the answered": percent(hits / len(answered)) if answered else "–",
        "precision, unanswerable questions counted": percent(hits / max(1, len(answered) + len(wrongly))),
        "`min_confidence` 0: a quote holds the gold answer": percent(share(right)),
        "`min_confidence` 0: a quote is of the gold paragraph": percent(share(one.is_in_paragraph for one in asked)),
        "a passage with the answer among the 8": percent(share(one.is_found for one in asked)),
        "declined, article removed": percent(share(one.answer is None for one in read.removed)),
        "declined, on something else": percent(share(one.answer is None for one in read.strangers)),
        "declined, altered": percent(share(one.answer is None for one in read.altered)),
        "AUROC against article removed": percent(auroc(confidences, [one.confidence for one in read.removed])),
        "AUROC against something else": percent(auroc(confidences, [one.confidence for one in read.strangers])),
        "AUROC against altered": percent(auroc(confidences, [one.confidence for one in read.altered])),
        "calibration error, answerable": percent(calibration_error(confidences, right)),
        "calibration error, altered ones left out": percent(
            calibration_error([*confidences, *(one.confidence for one in nothing)], [*right, *[False] * len(nothing)])
        ),
        "citations that resolve": percent(_resolving(read)),
    }


def _mean_f1(asked: Sequence[Asked]) -> float:
    return sum(f1(one.best.answer or "", one.question.answers) for one in asked) / len(asked)


def _resolving(read: Read) -> float:
    replies = [reply for one in read.answerable for reply in (one.reply, one.best)] + [
        *read.unanswerable,
        *read.altered,
    ]
    return sum(one.resolving for one in replies) / max(1, sum(len(one.quotes) for one in replies))
