"""Search and ask: from a body of the contract to the JSON that answers it, in whichever process it is worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from embeddings.searchable import Searchable
from service.answering.answering import Answering
from service.api.schemas.requests import AskBody, SearchBody
from service.api.schemas.responses import AnswerModel, SearchModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    json: bytes
    timings_ms: Mapping[str, float]
    outcome: str | None = None
    """Of a question that was asked: `answered`, or the reason why it was not. None of a search."""


def work_out(body: SearchBody | AskBody, collection: Searchable, answering: Answering, *, waited_ms: float) -> Answered:
    if isinstance(body, SearchBody):
        return _search(body, collection)
    return _ask(body, collection, answering, waited_ms=waited_ms)


def _search(body: SearchBody, collection: Searchable) -> Answered:
    result = collection.search(
        body.question,
        top_k=body.top_k,
        filter=body.filter,
        max_per_document=body.max_per_document,
        explain=body.explain,
    )
    model = SearchModel.from_domain(body.question, result)
    return Answered(json=model.model_dump_json().encode(), timings_ms=result.timings_ms)


def _ask(body: AskBody, collection: Searchable, answering: Answering, *, waited_ms: float) -> Answered:
    answer = answering.answer(body.to_domain(waited_ms=waited_ms), collection)
    return Answered(
        json=AnswerModel.from_domain(answer).model_dump_json().encode(),
        timings_ms=answer.timings_ms,
        outcome=answer.no_answer_reason.value if answer.no_answer_reason else "answered",
    )
