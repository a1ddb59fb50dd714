"""Asks the questions of a data set of its own paragraphs, so that training sees what a search finds.

What a search puts beside the right passage is what the reader has to tell from it when it serves: a far better
teacher than any paragraph drawn at random.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from embeddings.collection import Collection
from embeddings.domain import Hit, Span
from service.answering.passages import to_read
from service.bootstrap import start
from service.evaluation.asking import filled
from service.settings import Settings
from service.training.examples import Asked, Example, TrainingPassage, answer_spans, joined, records

TOP_K = 8
THREADS = 2


def search(
    sets: Mapping[str, Sequence[Asked]], folder: Path, *, report: Callable[[str, int, int], None]
) -> Iterator[tuple[str, list[Example]]]:
    """Each set by its name with an example for each of its questions: the passages found, best first.

    Spans are marked where the question's own paragraph holds its answer. Passages that hold it elsewhere are left
    out, since nobody knows whether they answer too. `report` is told a set's name, how many
    questions it has, and how many of them were asked.
    """
    engine = start(Settings(data=folder, seeds=False, reader="quoting"))
    try:
        for name, asked in sets.items():
            # Articles where the set names them, else each paragraph by itself.
            texts, titles = joined(asked, _document_id), {_document_id(one): one.title or None for one in asked}
            collection = filled(engine, name, ((id, titles[id], text) for id, text in texts.items()))
            yield name, list(_searched(collection, asked, texts, partial(report, name, len(asked))))
    finally:
        engine.close()


def _document_id(one: Asked) -> str:
    return hashlib.sha256((one.title or one.paragraph).encode()).hexdigest()[:16]


def _searched(
    collection: Collection,
    asked: Sequence[Asked],
    texts: Mapping[str, str],
    report: Callable[[int], None],
) -> Iterator[Example]:
    def searched(one: Asked) -> Example:
        start = texts[_document_id(one)].index(one.paragraph)
        paragraph = Span(start, start + len(one.paragraph))
        hits = collection.search(one.question, top_k=TOP_K).hits
        marked = (_marked(hit, one, paragraph) for hit in hits)
        return Example(question=one.question, passages=tuple(filter(None, marked)), source=one.source)

    with ThreadPoolExecutor(THREADS) as pool:
        for done, example in enumerate(pool.map(searched, asked), 1):
            report(done)
            yield example


def _marked(hit: Hit, one: Asked, paragraph: Span) -> TrainingPassage | None:
    passage, read = hit.passage, to_read(hit)
    spans = answer_spans(passage.text, one.answers)
    is_own = passage.document_id == _document_id(one)
    inside = tuple(
        span
        for span in spans
        if is_own and paragraph.start <= passage.start + span.start and passage.start + span.end <= paragraph.end
    )
    return TrainingPassage(text=passage.text, context=read.context, spans=inside) if inside or not spans else None


def write(examples: Sequence[Example], path: Path) -> None:
    """One JSON line for each, in their order."""
    with gzip.open(path.with_suffix(".part"), "wt", encoding="utf-8", compresslevel=6) as lines:
        for example in examples:
            passages = [
                {"text": one.text, "context": one.context, "spans": [[span.start, span.end] for span in one.spans]}
                for one in example.passages
            ]
            record = {"question": example.question, "passages": passages, "source": example.source}
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
    path.with_suffix(".part").replace(path)


def read(path: Path) -> list[Example]:
    return [
        Example(
            question=record["question"],
            passages=tuple(
                TrainingPassage(
                    text=one["text"], context=one["context"], spans=tuple(Span(*pair) for pair in one["spans"])
                )
                for one in record["passages"]
            ),
            source=record["source"],
        )
        for record in records(path)
    ]
