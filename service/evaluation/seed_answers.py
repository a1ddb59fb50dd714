"""The questions on the seed documents, answered end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.bootstrap import Engine
from service.evaluation.asking import Reply, ask
from service.evaluation.judging import is_at_the_place, is_right
from service.evaluation.metrics import auroc, share
from service.evaluation.questions import Question
from service.evaluation.tables import Cell, percent, table
from service.seeds import COLLECTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    question: Question
    reply: Reply
    best: Reply
    """With `min_confidence` 0: what it would have said."""

    @property
    def is_answered(self) -> bool:
        return self.reply.answer is not None

    @property
    def is_right(self) -> bool:
        return is_right(self.question, self.reply.answer or "", self.reply.quotes)

    @property
    def is_best_right(self) -> bool:
        return is_right(self.question, self.best.answer or "", self.best.quotes)

    def details(self) -> dict[str, Any]:
        return {
            "id": self.question.question_id,
            "type": self.question.kind,
            "question": self.question.question,
            "expected": self.question.items or self.question.answers,
            "outcome": self._outcome(),
            "answer": self.reply.answer,
            "quotes": [quote.text for quote in self.reply.quotes],
            "best_is_right": self.is_best_right,
            "best_quotes": [quote.text for quote in self.best.quotes],
            "best_is_at_the_place": is_at_the_place(self.question, self.best.quotes),
            "confidence": self.reply.confidence,
        }

    def _outcome(self) -> str:
        if not self.is_answered:
            return "abstained" if self.question.is_answerable else "declined"
        return "right" if self.is_right else "wrong"


def answer_seeds(engine: Engine, questions: Sequence[Question]) -> list[Outcome]:
    collection = engine.library.collection(COLLECTION)
    return [
        Outcome(
            question=question,
            reply=ask(engine.answering, collection, question.question),
            best=ask(engine.answering, collection, question.question, min_confidence=0),
        )
        for question in questions
    ]


def report(outcomes: Sequence[Outcome]) -> str:
    return "\n\n".join([_summary(outcomes), _by_kind(outcomes)])


def _summary(outcomes: Sequence[Outcome]) -> str:
    answerable = [one for one in outcomes if one.question.is_answerable]
    others = [one for one in outcomes if not one.question.is_answerable]
    answered = [one for one in outcomes if one.is_answered]
    replies = [reply for one in outcomes for reply in (one.reply, one.best)]
    resolving, citations = sum(one.resolving for one in replies), sum(len(one.quotes) for one in replies)
    separation = auroc([one.best.confidence for one in answerable], [one.best.confidence for one in others])
    return table(
        ["of the seed questions", "%", "count"],
        [
            ["answerable: a quote holds the gold answer", *_counted([one.is_right for one in answerable])],
            [
                "answerable: answered, and wrong",
                *_counted([one.is_answered and not one.is_right for one in answerable]),
            ],
            ["answerable: abstained", *_counted([not one.is_answered for one in answerable])],
            ["unanswerable: declined", *_counted([not one.is_answered for one in others])],
            ["of all that is answered: right (precision)", *_counted([one.is_right for one in answered])],
            ["answerable, `min_confidence` 0: right", *_counted([one.is_best_right for one in answerable])],
            [
                "citations that resolve",
                percent(resolving / citations) if citations else "–",
                f"{resolving}/{citations}",
            ],
            ["AUROC of confidence, answerable against unanswerable", percent(separation), ""],
        ],
    )


def _counted(flags: Sequence[bool]) -> list[Cell]:
    return [percent(share(flags)), f"{sum(flags)}/{len(flags)}"]


def _by_kind(outcomes: Sequence[Outcome]) -> str:
    kinds = list(dict.fromkeys(one.question.kind for one in outcomes))
    rows: list[list[Cell]] = []
    for kind in kinds:
        found = [one.details()["outcome"] for one in outcomes if one.question.kind == kind]
        best = sum(one.is_best_right for one in outcomes if one.question.kind == kind)
        silent = found.count("abstained") + found.count("declined")
        rows.append([kind.replace("_", " "), len(found), found.count("right"), found.count("wrong"), silent, best])
    return table(["kind", "questions", "right", "wrong", "no answer", "right at `min_confidence` 0"], rows)
