"""Questions on PDF files: is the page of the evidence among the first passages?"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from embeddings.collection import Collection
from embeddings.domain import Source
from embeddings.filters import Filter, parse_filter
from service.bootstrap import Engine
from service.evaluation.tables import Cell, percent, table

DEPTHS = (1, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuestion:
    question: str
    document_id: str
    pages: frozenset[int]
    """Of the evidence, counted from 1."""


def page_questions(folder: Path) -> list[PageQuestion]:
    records = [json.loads(line) for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]
    return [
        PageQuestion(
            question=one["question"],
            document_id=one["document"],
            pages=frozenset(evidence["page_index"] + 1 for evidence in one["evidence"]),
        )
        for one in records
    ]


def measure(engine: Engine, folder: Path, *, quick: bool = False) -> str:
    questions = page_questions(folder)[: 2 if quick else None]
    names = sorted({one.document_id for one in questions} if quick else {path.name for path in folder.glob("*.pdf")})
    engine.library.create("pdf")
    collection = engine.library.collection("pdf")
    started = time.perf_counter()
    for name in names:
        collection.put(name, Source(content=(folder / name).read_bytes(), media_type="application/pdf"))
    seconds = time.perf_counter() - started
    in_all = [_rank(collection, one, None) for one in questions]
    in_one = [_rank(collection, one, parse_filter({"@document_id": {"eq": one.document_id}})) for one in questions]
    header = [f"{len(questions)} questions, evidence page among the first, %", *(f"{depth}" for depth in DEPTHS)]
    rows: list[list[Cell]] = [
        [f"asked of all {len(names)} files", *_shares(in_all)],
        ["asked of its own file", *_shares(in_one)],
    ]
    passages = collection.info().passages
    return f"{table(header, rows)}\n\n{passages:,} passages; read, encoded and stored in {seconds:.0f} s."


def _rank(collection: Collection, asked: PageQuestion, filter: Filter | None) -> int:
    """From 1; far past the deepest where the page is not found."""
    hits = collection.search(asked.question, top_k=max(DEPTHS), filter=filter).hits
    ranks = (
        rank
        for rank, hit in enumerate(hits, 1)
        if hit.passage.document_id == asked.document_id and hit.passage.page in asked.pages
    )
    return next(ranks, 10 * max(DEPTHS))


def _shares(ranks: list[int]) -> list[float]:
    return [percent(sum(rank <= depth for rank in ranks) / len(ranks)) for depth in DEPTHS]
