"""One question with what was answered, and how that is to be judged. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from embeddings.domain import Span
from service.evaluation.judging import Quote, is_at, is_right
from service.evaluation.metrics import exact_match, f1
from service.evaluation.questions import Evidence, Question

PASSAGES = 10
"""What nDCG looks at."""
READ_PASSAGES = 8
"""What the service reads by default, and recall looks at."""

Found: TypeAlias = tuple[tuple[str, Span], ...]
"""The places of a passage: its own, and others where the same words stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    answer: str | None
    confidence: float
    quotes: tuple[Quote, ...]
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Scores are 0 to 1, and None where they say nothing of this question."""

    question_id: str
    question: str
    is_answerable: bool
    expected: tuple[str, ...]
    answer: str | None
    confidence: float
    """Of the answer, or of the best candidate where none was given."""
    quotes: tuple[str, ...]
    best_answer: str | None
    """With `min_confidence` 0: what it would have said."""
    is_best_right: bool
    milliseconds: float
    right: float
    """An answer whose quote holds the gold answer; no answer where there is none."""
    exact_match: float
    f1: float
    quote_holds_answer: float | None
    ndcg_at_10: float | None
    recall_at_8: float | None
    citation_precision: float | None
    citation_recall: float | None

    def record(self) -> Mapping[str, Any]:
        return asdict(self)


def case(question: Question, reply: Reply, best: Reply, passages: Sequence[Found]) -> Case:
    """`passages`: those that a search gave, best first, where it is known what they should hold."""
    is_best_right = question.is_answerable and is_right(question, best.answer or "", best.quotes)
    holds_answer = reply.answer is not None and is_best_right
    declined_rightly = reply.answer is None and not question.is_answerable
    places = targets(question)
    cited = [((quote.document_id, quote.span),) for quote in reply.quotes]
    return Case(
        question_id=question.question_id,
        question=question.question,
        is_answerable=question.is_answerable,
        expected=question.items or question.answers,
        answer=reply.answer,
        confidence=best.confidence,
        quotes=tuple(quote.text for quote in best.quotes),
        best_answer=best.answer,
        is_best_right=is_best_right,
        milliseconds=reply.milliseconds,
        right=float(holds_answer or declined_rightly),
        exact_match=float(
            declined_rightly or (reply.answer is not None and exact_match(reply.answer, question.golden))
        ),
        f1=float(declined_rightly) if reply.answer is None else f1(reply.answer, question.golden),
        quote_holds_answer=float(holds_answer) if question.is_answerable else None,
        ndcg_at_10=ndcg_of_targets(passages[:PASSAGES], places) if places else None,
        recall_at_8=_share_found(passages[:READ_PASSAGES], places) if places else None,
        citation_precision=_share_at_a_target(cited, places) if places and cited else None,
        citation_recall=_share_found(cited, places) if places and cited else None,
    )


Target: TypeAlias = tuple[Evidence, ...]
"""Places of which any one will do."""


def targets(question: Question) -> list[Target]:
    """What has to be found: each place of the evidence, or another that says the same."""
    return [(place, *question.alternatives) for place in question.evidence]


def ndcg_of_targets(passages: Sequence[Found], places: Sequence[Target]) -> float:
    """Each target gains 1 at the first passage that has it; a second passage on the same target gains nothing."""
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(places), PASSAGES) + 1))
    return min(1.0, sum(1 / math.log2(rank + 1) for rank in _first_ranks(passages, places)) / ideal)


def _first_ranks(passages: Sequence[Found], places: Sequence[Target]) -> Iterator[int]:
    for target in places:
        ranks = (rank for rank, passage in enumerate(passages, start=1) if _has(passage, target))
        yield from (rank for rank in [next(ranks, None)] if rank is not None)


def _share_found(passages: Sequence[Found], places: Sequence[Target]) -> float:
    return sum(any(_has(passage, target) for passage in passages) for target in places) / len(places)


def _share_at_a_target(cited: Sequence[Found], places: Sequence[Target]) -> float:
    return sum(any(_has(one, target) for target in places) for one in cited) / len(cited)


def _has(passage: Found, target: Target) -> bool:
    return any(is_at(Quote(document, span, ""), place) for document, span in passage for place in target)
