"""What `scripts/profile` runs: a service in this process is asked over HTTP, and every stage of an answer is timed."""

from __future__ import annotations

import argparse
import logging
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import typer
import uvicorn
from numpy.typing import NDArray

from service import bootstrap, logs
from service.api.app import create_app
from service.bootstrap import Engine
from service.evaluation.asking import filled
from service.evaluation.circumstances import circumstances
from service.evaluation.peps import peps, questions
from service.evaluation.served import Request, drive
from service.evaluation.stages import BESIDE, Call, Calls, Stage, Watch, alone, watching
from service.evaluation.tables import Cell, percent, table, write_section
from service.serving import configuration
from service.settings import Settings

PART = "profile"
PARAGRAPH = "\n\n"
VERBS = ("search", "ask")
COLLECTION = "peps"
WARM_UP = 20
BYTES_OF_A_NUMBER = 2
"""In the vector index."""

ENCODER = "encode: the model"
VECTORS = "search: all vectors"
READER = "read: tokens, the model, spans"
HTTP = "HTTP: client, server, checks, change of threads"
STAGES = (
    Stage(name="encode: tokens", functions=("embeddings.encoders.tokenization:FileTokenizer.token_ids",)),
    Stage(name=ENCODER, functions=("embeddings.encoders.compiled:run_one",), is_kept=True),
    Stage(name=VECTORS, functions=("embeddings.indexes.faiss:FlatIndex.search",)),
    Stage(name="search: vectors of candidates", functions=("embeddings.indexes.faiss:FlatIndex.similarities",)),
    Stage(
        name="search: words",
        functions=(
            "embeddings.indexes.tantivy:TantivyIndex.candidates",
            "embeddings.indexes.tantivy:TantivyIndex.document_frequency",
        ),
    ),
    Stage(name="search: candidates from the store", functions=("embeddings.corpus.passages:candidates",)),
    Stage(name="search: scores by words, fusion", functions=("embeddings.bm25:scores", "embeddings.fusion:fuse")),
    Stage(name="search: passages from the store", functions=("embeddings.corpus.passages:passages",)),
    Stage(name="search: the rest", functions=("embeddings.searchable:Searchable.search",)),
    Stage(name=READER, functions=("service.answering.readers.span:SpanReader._seen",), is_kept=True),
    Stage(name="read: the rest", functions=("service.answering.readers.span:SpanReader.read",)),
    Stage(name="compose and cite", functions=("service.answering.answering:Answering.answer",)),
    Stage(
        name="JSON",
        functions=(
            "service.asking:_search",
            "service.asking:_ask",
            "service.api.routes.questions:as_json",
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Of one question, in milliseconds."""

    stages: Mapping[str, float]
    floors: Mapping[str, float]
    """What the models take alone for the same input, and a plain read of as many bytes as the vectors have."""

    @property
    def total(self) -> float:
        return _one_after_another(self.stages)


def _one_after_another(stages: Mapping[str, float]) -> float:
    return sum(milliseconds for name, milliseconds in stages.items() if not name.startswith(BESIDE))


def main() -> None:
    options = _options()
    stamp = circumstances("scripts/profile DATA")
    documents = peps(options.data)[:: 60 if options.quick else 4]
    asked = questions(documents, 10 if options.quick else 200)
    with (
        tempfile.TemporaryDirectory(prefix="loccit-") as folder,
        closing(bootstrap.start(Settings(data=Path(folder), seeds=False))) as engine,
    ):
        collection = filled(engine, COLLECTION, ((one.document_id, one.title, one.text) for one in documents))
        passages = collection.info().passages
        tables = [report(verb, _profiles(engine, verb, asked, passages)) for verb in VERBS]
    explained = (
        f"{len(asked)} questions on {passages:,} passages, one after another; medians, so the parts need not add up, "
        "and what runs beside the encoding is no part of the whole. "
        "The floor is what each model takes for the same input when it runs alone in the same process, and what one "
        "reading of as many bytes as the vectors have takes."
    )
    content = f"### Where the time goes\n\n{explained}\n\n{PARAGRAPH.join(tables)}\n\n{stamp}"
    typer.echo(content)
    if options.page is not None:
        write_section(options.page, PART, content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="profile", add_help=False)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    if not (options.data / "corpora" / "peps_rst.tar.xz").is_file():
        parser.error(f"{options.data} holds no corpora/peps_rst.tar.xz")
    return options


def _profiles(engine: Engine, verb: str, asked: Sequence[str], passages: int) -> list[Profile]:
    requests = [
        Request(method="POST", path=f"/v1/{verb}", body={"question": question, "collection": COLLECTION})
        for question in asked
    ]
    taken: list[tuple[dict[str, float], Calls]] = []
    with _served_here(engine) as url, watching(STAGES) as watch:
        drive(url, requests[:WARM_UP], clients=1)
        load = drive(url, _one_by_one(requests, watch, taken), clients=1)
    reading = _reading_milliseconds(passages * engine.encoder.dimension * BYTES_OF_A_NUMBER)
    with ThreadPoolExecutor(engine.settings.threads) as pool:
        return [
            Profile(
                stages={HTTP: whole - _one_after_another(stages), **stages},
                floors={**_floors(calls, pool), VECTORS: reading},
            )
            for whole, (stages, calls) in zip(load.milliseconds, taken, strict=True)
        ]


def _floors(calls: Calls, pool: Executor) -> dict[str, float]:
    return alone({ENCODER: calls[ENCODER], READER: [_runs(call, pool) for call in calls.get(READER, ())]})


def _runs(call: Call, pool: Executor) -> Callable[[], object]:
    """What the model alone computes for the same passages."""
    reader, asked, passages = call.arguments
    inputs = [reader.tokenizer.input(asked, one.context, one.text) for one in passages]
    longest_first = sorted(inputs, key=lambda one: -len(one.token_ids))
    return lambda: list(pool.map(reader.score, longest_first))


def _one_by_one(
    requests: Sequence[Request], watch: Watch, taken: list[tuple[dict[str, float], Calls]]
) -> Iterator[Request]:
    """The only client takes its next request when it has the answer to the one before."""
    for request in requests:
        watch.clear()
        yield request
        taken.append((dict(watch.milliseconds), dict(watch.calls)))


@contextmanager
def _served_here(engine: Engine) -> Iterator[str]:
    """The service as it is always run, but in a thread of this process."""
    server = uvicorn.Server(configuration(engine.settings, create_app(engine.settings, engine=engine)))
    with _logged(engine.settings), socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="service")
        serving.start()
        while not server.started and serving.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            serving.join()


@contextmanager
def _logged(settings: Settings) -> Iterator[None]:
    """What the service says about each request is written as always, but into a file."""
    with (settings.data / "service.log").open("w", encoding="utf-8") as written:
        with redirect_stderr(written):
            logs.configure(settings.log_level)
        try:
            yield
        finally:
            logging.getLogger().handlers.clear()


def _reading_milliseconds(size: int) -> float:
    """One thread reads so many bytes, as fast as it can."""
    numbers = np.ones(max(1, size // 8), np.int64)
    return min(_seconds(numbers) for _ in range(20)) * 1000


def _seconds(numbers: NDArray[np.int64]) -> float:
    began = time.perf_counter()
    numbers.max()
    return time.perf_counter() - began


def report(verb: str, profiles: Sequence[Profile]) -> str:
    possible = (HTTP, *(stage.name for stage in STAGES), *(BESIDE + stage.name for stage in STAGES))
    names = [name for name in possible if any(name in one.stages for one in profiles)]
    whole = median(one.total for one in profiles)
    rows = [
        _row(name, [(one.stages.get(name, 0.0), one.floors.get(name, 0.0)) for one in profiles], whole)
        for name in names
    ]
    rows.append(_row("**the whole**", [(one.total, sum(one.floors.values())) for one in profiles], whole))
    return table([verb, "ms", "% of the whole", "floor, ms", "above its floor, ms", "above, % of the whole"], rows)


def _row(name: str, pairs: Sequence[tuple[float, float]], whole: float) -> list[Cell]:
    """Of what each question took there, and the floor of that."""
    taken, floor = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    above = median(one - least for one, least in pairs)
    return [
        name,
        f"{taken:.2f}",
        percent(taken / whole),
        f"{floor:.2f}" if floor else "–",
        f"{above:.2f}",
        percent(above / whole),
    ]


if __name__ == "__main__":
    main()
