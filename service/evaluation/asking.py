"""Asks the engine as the service does, and checks every citation against the stored text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from embeddings.collection import Collection
from embeddings.domain import Passage, Source, Span
from embeddings.filters import Filter
from service.answering.answering import Answering, AskRequest
from service.answering.domain import Citation
from service.bootstrap import Engine, start
from service.evaluation.judging import Quote
from service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    answer: str | None
    confidence: float
    quotes: tuple[Quote, ...]
    resolving: int
    """Quotes that stand in the stored text where they say."""
    passages: tuple[Passage, ...]


def open_engine(folder: Path) -> Engine:
    """As the service opens it, with the seeds in it."""
    return start(Settings(data=folder, seeds=True))


def ask(
    answering: Answering,
    collection: Collection,
    question: str,
    *,
    min_confidence: float | None = None,
    filter: Filter | None = None,
) -> Reply:
    request = AskRequest(question=question, min_confidence=min_confidence, filter=filter)
    answer = answering.answer(request, collection)
    return Reply(
        answer=answer.answer,
        confidence=answer.confidence,
        quotes=tuple(Quote(one.document_id, Span(one.start, one.end), one.quote) for one in answer.citations),
        resolving=sum(_resolves(one, collection) for one in answer.citations),
        passages=tuple(hit.passage for hit in answer.hits),
    )


def _resolves(citation: Citation, collection: Collection) -> bool:
    stored = collection.text(citation.document_id, citation.version).text
    return bool(citation.quote) and stored[citation.start : citation.end] == citation.quote


def filled(engine: Engine, name: str, documents: Iterable[tuple[str, str | None, str]]) -> Collection:
    """A new collection of documents given as id, title and text; what holds no text stays out."""
    engine.library.create(name)
    collection = engine.library.collection(name)
    for document_id, title, text in documents:
        if text.strip():
            collection.put(document_id, Source(content=text.encode(), media_type="text/plain", title=title))
    collection.live.checkpoint()
    return collection
