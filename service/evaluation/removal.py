"""What each part is worth: the same questions on whole articles with one part removed in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from embeddings.collection import Collection
from embeddings.domain import Hit, SearchResult
from embeddings.filters import Filter, parse_filter
from embeddings.retrieval import DEPTH
from service.answering.answering import Answering
from service.bootstrap import Engine, make_reader
from service.evaluation.answers import best_answer, holds_answer, is_in_paragraph, mean_f1
from service.evaluation.asking import filled
from service.evaluation.datasets import Article, ReadingQuestion, drawn
from service.evaluation.metrics import auroc, share
from service.evaluation.tables import Cell, percent, table


@dataclass(frozen=True, slots=True)
class Rearranged:
    """A collection whose candidates are ranked by one signal alone."""

    collection: Collection
    signal: Callable[[Hit], float]

    def search(self, question: str, *, top_k: int, filter: Filter | None = None, explain: bool = False) -> SearchResult:
        found = self.collection.search(question, top_k=DEPTH, filter=filter, explain=explain)
        return replace(found, hits=tuple(sorted(found.hits, key=lambda hit: -self.signal(hit))[:top_k]))

    def slice(self, document_id: str, version: int, start: int, end: int) -> str:
        return self.collection.slice(document_id, version, start, end)


def measure(engine: Engine, articles: Sequence[Article], *, questions: int) -> str:
    collection = filled(engine, "parts-removed", ((one.document_id, one.title, one.text) for one in articles))
    asked = drawn([question for article in articles for question in article.questions], questions)
    settings = engine.settings.model_copy(update={"reader": "quoting"})
    quoting = Answering(reader=make_reader(settings, engine.encoder), encoder_name=engine.encoder.name)
    shipped = engine.answering
    ways: Mapping[str, tuple[Answering, Collection | Rearranged]] = {
        "everything": (shipped, collection),
        "no trained reader (whole sentences)": (quoting, collection),
        "no BM25": (shipped, Rearranged(collection, lambda hit: hit.scores.similarity or 0.0)),
        "no similarity": (shipped, Rearranged(collection, lambda hit: hit.scores.bm25 or 0.0)),
    }
    rows: list[list[Cell]] = [[name, *_figures(*way, asked)] for name, way in ways.items()]
    return table(
        ["%", "F1 of the answer", "a quote holds it", "a quote is of its paragraph", "AUROC against article removed"],
        rows,
    )


def _figures(answering: Answering, collection: Collection | Rearranged, asked: Sequence[ReadingQuestion]) -> list[Cell]:
    answers = [best_answer(answering, collection, one.question) for one in asked]
    removed = [
        best_answer(answering, collection, one.question, parse_filter({"@document_id": {"ne": one.document_id}}))
        for one in asked[::4]
    ]
    pairs = list(zip(answers, asked, strict=True))
    return [
        percent(mean_f1(pairs)),
        percent(share(holds_answer(answer, one) for answer, one in pairs)),
        percent(share(is_in_paragraph(answer, one) for answer, one in pairs)),
        percent(auroc([answer.confidence for answer in answers], [answer.confidence for answer in removed])),
    ]
