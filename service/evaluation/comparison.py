"""What `scripts/compare_txtai` runs: two services over HTTP by turns, with the same texts, questions and client."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import typer

from embeddings.domain import Source
from service import bootstrap
from service.evaluation.circumstances import circumstances
from service.evaluation.contenders import Contender, Loccit, Text, Txtai
from service.evaluation.datasets import JUDGED, JudgedCollection, judged_collection
from service.evaluation.metrics import ndcg, percentile
from service.evaluation.peps import Pep, peps, questions
from service.evaluation.served import Load, Request, Served, drive, until
from service.evaluation.tables import Cell, percent, table, write_section
from service.settings import Settings

CLIENTS = (1, 8)
BATCH = 32
"""Texts handed in at once while others search."""
TITLES = {"speed": "Beside txtai: speed", "ranking": "Beside txtai: ranking"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    texts: int
    """Handed in at once, before anybody searches."""
    later: int
    """Handed in by and by, while somebody searches."""
    questions: int
    warm_up_seconds: int
    """Asked before each number of clients is measured."""
    judged: tuple[str, ...]
    judged_documents: int | None


WHOLE = Sizes(texts=900, later=10 * BATCH, questions=200, warm_up_seconds=8, judged=JUDGED, judged_documents=None)
QUICK = Sizes(texts=64, later=2 * BATCH, questions=10, warm_up_seconds=1, judged=("med",), judged_documents=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One row of the table."""

    name: str
    more_is_better: bool = False

    def times_better(self, own: float, others: float) -> float:
        return own / others if self.more_is_better else others / own


START = Measure(name="start, the texts there, s")
INGEST = Measure(name="texts/s taken in, nobody searching", more_is_better=True)
MEMORY = Measure(name="memory at the end, of all processes, MB")
LATER = Measure(name=f"while searched: texts/s taken in, {BATCH} at a time", more_is_better=True)

Run = Mapping[Measure, float]


def main() -> None:
    options = _options()
    sizes = QUICK if options.quick else WHOLE
    contenders = (Txtai.installed(options.txtai), Loccit())
    for part in options.only or TITLES:
        stamp = circumstances(f"scripts/compare_txtai DATA --only {part} --runs {options.runs}")
        measured = (
            _speed(contenders, options.data, sizes, options.runs)
            if part == "speed"
            else _ranking(contenders, options.data, sizes)
        )
        content = f"### {TITLES[part]}\n\n{measured}\n\n{stamp}"
        typer.echo(content + "\n")
        if options.page is not None:
            write_section(options.page, f"txtai-{part}", content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compare_txtai", add_help=False)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--txtai", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--only", action="append", choices=list(TITLES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs needs at least 1")
    for needed in (Path("corpora") / "peps_rst.tar.xz", Path("retrieval")):
        if not (options.data / needed).exists():
            parser.error(f"{options.data} holds no {needed}")
    return options


# Speed -----------------------------------------------------------------------------------------------------------


def _speed(contenders: Sequence[Contender], data: Path, sizes: Sizes, times: int) -> str:
    documents = peps(data)
    texts = passages_of(documents, sizes.texts + sizes.later)
    titles = {one.title for one in texts}
    asked = questions([one for one in documents if one.title in titles], sizes.questions)
    for contender in contenders:
        _start_once(contender)
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for number in range(times):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            runs[contender.name].append(_run(contender, texts, asked, sizes))
    return f"{_explained(texts, asked, sizes, times)}\n\n{speed_table(runs)}"


def _start_once(contender: Contender) -> None:
    """The first start of an installation compiles its modules, and is not measured."""
    with tempfile.TemporaryDirectory(prefix="loccit-") as folder, contender.running(Path(folder)):
        pass


def passages_of(documents: Sequence[Pep], most: int) -> list[Text]:
    """Passages as this engine cuts them, each text once; always the same ones."""
    ingestion = bootstrap.parts(bootstrap.make_encoder(Settings())).ingestion
    texts: dict[str, Text] = {}
    for one in sorted(documents, key=lambda each: hashlib.sha256(each.document_id.encode()).digest()):
        if len(texts) >= most:
            break
        source = Source(content=one.text.encode(), media_type="text/plain", title=one.title)
        for number, passage in enumerate(ingestion.prepare(source).passages):
            text = passage.chunk.text
            texts.setdefault(text, Text(document_id=f"{one.document_id}-{number}", title=one.title, text=text))
    return list(texts.values())[:most]


def _run(contender: Contender, texts: Sequence[Text], asked: Sequence[str], sizes: Sizes) -> Run:
    first, later = texts[: sizes.texts], texts[sizes.texts :]
    searches = [contender.search(question) for question in asked]
    found: dict[Measure, float] = {}
    with tempfile.TemporaryDirectory(prefix="loccit-") as folder:
        with contender.running(Path(folder)) as service:
            contender.put(service, first[:BATCH])
            seconds = _seconds(lambda: contender.put(service, first[BATCH:]))
            found[INGEST] = len(first[BATCH:]) / seconds
        with contender.running(Path(folder)) as service:
            found[START] = service.start_seconds
            for clients in CLIENTS:
                drive(service.url, until(time.monotonic() + sizes.warm_up_seconds, searches), clients=clients)
                repeats = 1 if clients == 1 else 2
                load = drive(service.url, searches * repeats, clients=clients)
                found |= _answering(f"{clients} client{'s' if clients > 1 else ''}", load)
            found |= _while_taking_in(contender, service, later, searches)
            found[MEMORY] = service.memory_of_all_megabytes()
    _tell(contender, ", ".join(f"{measure.name} {value:.4g}" for measure, value in found.items()))
    return found


def _tell(contender: Contender, found: str) -> None:
    typer.echo(f"{contender.name}: {found}", err=True)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _answering(when: str, load: Load) -> Run:
    return {
        Measure(name=f"{when}: search p50, ms"): percentile(load.milliseconds, 50),
        Measure(name=f"{when}: search p95, ms"): percentile(load.milliseconds, 95),
        Measure(name=f"{when}: searches/s", more_is_better=True): load.per_second,
    }


def _while_taking_in(contender: Contender, service: Served, later: Sequence[Text], searches: Sequence[Request]) -> Run:
    """One client searches for as long as another hands in texts."""
    parts = [later[start : start + BATCH] for start in range(0, len(later), BATCH)]

    def put_all() -> None:
        for part in parts:
            contender.put(service, part)

    with _in_background(put_all) as work:
        load = drive(service.url, _until_done(work, searches), clients=1)
    return {LATER: len(later) / work.seconds, **_answering("1 client, texts coming in", load)}


class _Work(threading.Thread):
    """A thread whose time is known, and whose error is not lost."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(name="work")
        self._work = work
        self.seconds = 0.0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.seconds = _seconds(self._work)
        except Exception as error:
            self.error = error


@contextmanager
def _in_background(work: Callable[[], object]) -> Iterator[_Work]:
    thread = _Work(work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
    if thread.error is not None:
        raise thread.error


def _until_done(work: _Work, searches: Sequence[Request]) -> Iterator[Request]:
    """At least one, and then again and again all."""
    number = 0
    while number == 0 or work.is_alive():
        yield searches[number % len(searches)]
        number += 1


def _explained(texts: Sequence[Text], asked: Sequence[str], sizes: Sizes, runs: int) -> str:
    words = sum(len(one.text.split()) for one in texts) / len(texts)
    return (
        f"Medians of {runs} runs by turns, in brackets the lowest and the highest. {sizes.texts:,} passages of PEPs as "
        f"this engine cuts them, {words:.0f} words on average, each a document of its own; then {sizes.later:,} more "
        f"while one client searches; {len(asked)} questions. Both services keep texts, words and vectors on disk, "
        f"start anew between taking in and searching, are asked for {sizes.warm_up_seconds} s before it counts, "
        "compute with the same MiniLM weights (txtai as torch has them, Loccit compiled to 8 bits), and are asked by "
        "the same client."
    )


def speed_table(runs: Mapping[str, Sequence[Run]]) -> str:
    """The last contender is compared with the first, run by run."""
    (other, others), (own, owns) = runs.items()
    rows: list[list[Cell]] = []
    for measure in owns[0]:
        pairs = [(one[measure], another[measure]) for one, another in zip(owns, others, strict=True)]
        better = [measure.times_better(one, another) for one, another in pairs]
        rows.append(
            [
                measure.name,
                _median([another for _, another in pairs]),
                _median([one for one, _ in pairs]),
                _median(better),
            ]
        )
    return table(["", other, own, "times better"], rows)


def _median(values: Sequence[float]) -> str:
    return f"{_figure(median(values))} ({_figure(min(values))} to {_figure(max(values))})"


def _figure(value: float) -> str:
    """Three digits."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


# Ranking ---------------------------------------------------------------------------------------------------------


def _ranking(contenders: Sequence[Contender], data: Path, sizes: Sizes) -> str:
    judged = [judged_collection(data, name) for name in sizes.judged]
    rows: list[list[Cell]] = []
    for contender in contenders:
        scores = [percent(_score(contender, one, sizes.judged_documents)) for one in judged]
        rows.append([contender.name, *scores, sum(scores) / len(scores)])
    header = ["nDCG@10, %", *(f"{one.name}, {len(one.queries)} queries" for one in judged), "mean"]
    return f"Each judged document was put whole, its title with it.\n\n{table(header, rows)}"


def _score(contender: Contender, judged: JudgedCollection, most: int | None) -> float:
    """nDCG@10, a mean over all judged queries."""
    texts = [
        Text(document_id=one.document_id, title=one.title, text=one.text)
        for one in judged.documents[:most]
        if one.text.strip()
    ]
    with tempfile.TemporaryDirectory(prefix="loccit-") as folder, contender.running(Path(folder)) as service:
        contender.put(service, texts)
        replies = drive(service.url, map(contender.search, judged.queries.values()), clients=1).replies
    rankings = map(contender.ranking, replies)
    scores = [ndcg(ranking, judged.gains[query], 10) for query, ranking in zip(judged.queries, rankings, strict=True)]
    mean = sum(scores) / len(scores)
    _tell(contender, f"nDCG@10 on {judged.name} {mean:.4f}")
    return mean


if __name__ == "__main__":
    main()
