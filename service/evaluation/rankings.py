"""Judged collections: how well a search ranks their documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from embeddings.collection import Collection
from embeddings.domain import Hit
from service.bootstrap import Engine
from service.evaluation.asking import filled
from service.evaluation.datasets import JudgedCollection
from service.evaluation.metrics import ndcg, recall, reciprocal_ranks
from service.evaluation.tables import Cell, percent, table

DOCUMENTS = 50
"""Documents of a ranking; no more passages than this are read of it by a caller."""
COMPARED_PASSAGES = 300
"""Passages that the single signals rank, for comparison."""

Rankings = Mapping[str, list[str]]
"""Of each query's documents, by the way they were ranked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    collection: str
    queries: int
    ndcg: Mapping[str, float]
    """At 10, of each way of ranking, a mean over all judged queries."""
    recall: Mapping[str, float]
    """At 50."""


def score_collection(engine: Engine, judged: JudgedCollection, *, most: int | None = None) -> Scored:
    documents = ((one.document_id, one.title, one.text) for one in judged.documents)
    collection = filled(engine, judged.name, documents)
    queries = dict(list(judged.queries.items())[:most])
    rankings = {query: rank(collection, question) for query, question in queries.items()}
    return Scored(
        collection=judged.name,
        queries=len(rankings),
        ndcg=_means(rankings, judged, ndcg, 10),
        recall=_means(rankings, judged, recall, DOCUMENTS),
    )


def rank(collection: Collection, question: str) -> Rankings:
    hits = collection.search(question, top_k=DOCUMENTS, max_per_document=1).hits
    compared = collection.search(question, top_k=COMPARED_PASSAGES).hits
    by_similarity = _ranked(compared, lambda hit: hit.scores.similarity or 0.0)
    by_words = _ranked([hit for hit in compared if hit.scores.bm25], lambda hit: hit.scores.bm25 or 0.0)
    place = {hit.passage.passage_id: hit.passage.document_id for hit in compared}
    return {
        "as shipped": [hit.passage.document_id for hit in hits],
        "similarity alone": _documents(by_similarity, place),
        "BM25 alone": _documents(by_words, place),
        "reciprocal ranks": _documents(reciprocal_ranks([by_similarity[:100], by_words[:100]]), place),
    }


def _ranked(hits: Sequence[Hit], score: Callable[[Hit], float]) -> list[str]:
    return [hit.passage.passage_id for hit in sorted(hits, key=lambda hit: (-score(hit), hit.passage.passage_id))]


def _documents(passages: Sequence[str], place: Mapping[str, str]) -> list[str]:
    """The documents in the order of their best passages."""
    return list(dict.fromkeys(place[passage] for passage in passages))[:DOCUMENTS]


Metric = Callable[[Sequence[str], Mapping[str, float], int], float]


def _means(rankings: Mapping[str, Rankings], judged: JudgedCollection, metric: Metric, k: int) -> dict[str, float]:
    ways = list(next(iter(rankings.values())))
    return {
        way: sum(metric(ranking[way], judged.gains[query], k) for query, ranking in rankings.items()) / len(rankings)
        for way in ways
    }


def report(scored: Sequence[Scored]) -> str:
    header = ["nDCG@10 / recall@50, %", *(f"{one.collection}, {one.queries} queries" for one in scored), "mean"]
    return table(header, [_row(way, scored) for way in scored[0].ndcg])


def _row(way: str, scored: Sequence[Scored]) -> list[Cell]:
    pairs = [(percent(one.ndcg[way]), percent(one.recall[way])) for one in scored]
    means = [sum(column) / len(pairs) for column in zip(*pairs, strict=True)]
    return [way, *(f"{first:.1f} / {second:.1f}" for first, second in [*pairs, (means[0], means[1])])]
