"""Fits the reader's confidence on held-out questions, asked as users ask them: of whole articles, with retrieval."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from embeddings.collection import Collection
from embeddings.domain import Hit, Span
from embeddings.filters import Filter, parse_filter
from service.answering.depth import reading_order
from service.answering.passages import to_read
from service.answering.readers.confidence import verdict_features
from service.answering.readers.span import SpanReader
from service.answering.verdicts import verdict_of
from service.bootstrap import Engine, start
from service.evaluation.asking import filled
from service.evaluation.datasets import strangers
from service.evaluation.metrics import calibration_error, f1
from service.evaluation.unanswerable import changed
from service.settings import Settings
from service.training.examples import Asked, Verdict, answer_spans, joined, records, share
from service.training.mixture import (
    HELD_OUT,
    YES_NO,
    asked_in,
    is_held_out,
    is_kept_apart,
    yes_no_example,
)
from service.training.packing import SEED

Matrix: TypeAlias = NDArray[np.float64]

FILES = ("reading/more/squad_train.jsonl.gz", "reading/squadshifts_new_wiki.json.gz")
MOST_QUESTIONS = 900
"""Of each file."""
CANDIDATES = 2
"""Of each question, the best: only they are ever shown."""
TOP_K = 8
REMOVED, CHANGED = 0.15, 0.1
"""Shares of the questions asked again with their article left out of the search, or so changed that nothing answers."""
VERDICTS_REMOVED = 0.5
"""Share of the yes/no questions asked again without the document that answers them."""
EVALUATED_STRANGERS = 250
"""Those that `scripts/evaluate` asks."""
STRANGERS = 150
GOOD_OVERLAP = 0.5
"""F1 with an accepted answer from which a span counts as right."""
RIDGE = 1e-3
STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    weights: tuple[float, ...]
    verdict_weights: tuple[float, ...]
    threshold: float
    calibration_error: float
    """Of the best candidates of one half of the questions, when fitted on the other."""
    questions: int
    precision: float
    answered: float
    """Share of the answerable questions, at the threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    features: Matrix
    """A row for each of the best candidates."""
    right: NDArray[np.bool_]
    is_answerable: bool


def fit_confidence(reader: SpanReader, data: Path, folder: Path, *, precision: float) -> Fit:
    engine = start(Settings(data=folder, seeds=False, reader="quoting"))
    try:
        found = (case for file in FILES for case in _cases(engine, reader, data, file))
        cases = [case for case in found if len(case.features)]
        verdict_weights = _verdict_weights(engine, reader, data)
    finally:
        engine.close()
    random.Random(SEED).shuffle(cases)
    weights = _fitted(cases)
    halves = (cases[::2], cases[1::2])
    error = float(np.mean([_error(_fitted(one), other) for one, other in (halves, halves[::-1])]))
    confidences = np.array([_logistic(case.features[:1] @ weights)[0] for case in cases])
    right = np.array([bool(case.right[0]) for case in cases])
    threshold = _threshold(confidences, right, precision)
    answerable = np.array([case.is_answerable for case in cases])
    shown = confidences >= threshold
    return Fit(
        weights=tuple(map(float, weights)),
        verdict_weights=verdict_weights,
        threshold=threshold,
        calibration_error=error,
        questions=len(cases),
        precision=float(right[shown].mean()),
        answered=float(shown[answerable].mean()),
    )


# Questions on whole articles --------------------------------------------------------------------------------------


def _cases(engine: Engine, reader: SpanReader, data: Path, file: str) -> Iterator[Case]:
    asked = [one for one in asked_in(data / file) if is_held_out(one) and not is_kept_apart(one)]
    texts = joined(asked, attrgetter("title"))
    name = Path(file).name.split(".")[0].replace("_", "-")
    collection = filled(engine, name, ((_id(title), title, text) for title, text in texts.items()))
    chance = random.Random(SEED)
    for one in sorted(asked, key=lambda one: share(one.question))[:MOST_QUESTIONS]:
        yield _case(reader, collection, one.question, one)
        if chance.random() < REMOVED:
            elsewhere = parse_filter({"@document_id": {"ne": _id(one.title)}})
            yield _case(reader, collection, one.question, None, elsewhere)
        other = changed(one.question, one.paragraph, [texts[one.title]], chance)
        if other and chance.random() < CHANGED:
            yield _case(reader, collection, other, None)
    for question in strangers(data, EVALUATED_STRANGERS + STRANGERS)[EVALUATED_STRANGERS:]:
        yield _case(reader, collection, question, None)


def _id(title: str) -> str:
    return "-".join(title.split()) or "untitled"


def _case(
    reader: SpanReader, collection: Collection, question: str, gold: Asked | None, filter: Filter | None = None
) -> Case:
    order = reading_order(collection.search(question, top_k=TOP_K, filter=filter).hits)
    hits = order.hits[: order.promising]
    found = [
        (features, _is_right(hit, span, gold))
        for hit, weighed in zip(hits, reader.weigh(question, list(map(to_read, hits))), strict=True)
        for span, features in zip(weighed.spans, weighed.features, strict=True)
    ]
    best = sorted(found, key=lambda pair: -pair[0][1])[:CANDIDATES]
    return Case(
        features=np.array([features for features, _ in best]),
        right=np.array([right for _, right in best]),
        is_answerable=gold is not None,
    )


def _is_right(hit: Hit, span: Span, gold: Asked | None) -> bool:
    if gold is None:
        return False
    text = hit.passage.text[span.start : span.end]
    if f1(text, gold.answers) >= GOOD_OVERLAP:
        return True
    is_of_paragraph = hit.passage.document_id == _id(gold.title) and hit.passage.text[:60] in gold.paragraph
    return is_of_paragraph and any(
        span.start < place.end and place.start < span.end for place in answer_spans(hit.passage.text, gold.answers)
    )


# Yes and no -------------------------------------------------------------------------------------------------------


def _verdict_weights(engine: Engine, reader: SpanReader, data: Path) -> tuple[float, ...]:
    """On held-out yes/no questions asked of everything that any was made of; some again without what theirs was."""
    rows, right = zip(*_verdicts(engine, reader, data), strict=True)
    return tuple(map(float, _regression(np.array(rows), np.array(right))))


def _verdicts(engine: Engine, reader: SpanReader, data: Path) -> Iterator[tuple[tuple[float, ...], bool]]:
    texts = {one.text: one.context for record in records(data / YES_NO) for one in yes_no_example(record).passages}
    ids = {text: str(number) for number, text in enumerate(texts)}
    collection = filled(engine, "yes-no", ((ids[text], title or None, text) for text, title in texts.items()))
    chance = random.Random(SEED)
    for record in records(data / YES_NO):
        if share(record["question"]) < HELD_OUT:
            example = yes_no_example(record)
            (passage,) = example.passages
            yield from _verdict(reader, collection, example.question, passage.verdict)
            if chance.random() < VERDICTS_REMOVED:
                elsewhere = parse_filter({"@document_id": {"ne": ids[passage.text]}})
                yield from _verdict(reader, collection, example.question, None, elsewhere)


def _verdict(
    reader: SpanReader, collection: Collection, question: str, verdict: Verdict | None, filter: Filter | None = None
) -> Iterator[tuple[tuple[float, ...], bool]]:
    passages = [to_read(hit) for hit in collection.search(question, top_k=TOP_K, filter=filter).hits]
    said = verdict_of([one.decoded for one in reader.weigh(question, passages)])
    if said is not None:
        yield verdict_features(said, passages), said.word == verdict


# Regression -------------------------------------------------------------------------------------------------------


def _fitted(cases: Sequence[Case]) -> Matrix:
    return _regression(np.vstack([case.features for case in cases]), np.concatenate([case.right for case in cases]))


def _regression(rows: Matrix, right: NDArray[np.bool_]) -> Matrix:
    """Logistic, by Newton's method."""
    weights = np.zeros(rows.shape[1])
    penalty = RIDGE * len(rows) * np.eye(len(weights))
    for _ in range(STEPS):
        predicted = _logistic(rows @ weights)
        slope = rows.T @ (right - predicted) - penalty @ weights
        curve = (rows * (predicted * (1 - predicted))[:, None]).T @ rows + penalty
        weights = weights + np.linalg.solve(curve, slope)
    return weights


def _logistic(scores: Matrix) -> Matrix:
    return np.asarray(1 / (1 + np.exp(-np.clip(scores, -30, 30))))


def _error(weights: Matrix, cases: Sequence[Case]) -> float:
    confidences = [float(_logistic(case.features[:1] @ weights)[0]) for case in cases]
    return calibration_error(confidences, [bool(case.right[0]) for case in cases])


def _threshold(confidences: Matrix, right: NDArray[np.bool_], precision: float) -> float:
    """The lowest at which so many of all that is answered are right."""
    order = np.argsort(-confidences, kind="stable")
    precisions = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(precisions >= precision)
    return float(confidences[order[good[-1]]]) if len(good) else 1.0
