"""What `scripts/measure_scale` runs."""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import cycle, islice, takewhile
from pathlib import Path
from urllib.request import urlopen

import typer

from embeddings.library import Library
from service import bootstrap
from service.evaluation.circumstances import circumstances
from service.evaluation.metrics import percentile
from service.evaluation.peps import Pep, peps, questions
from service.evaluation.remixing import Remix, RemixEncoder, sentences
from service.evaluation.served import Load, Request, Served, drive, served, until
from service.evaluation.tables import Cell, percent, table, write_section
from service.settings import Settings

PART = "scale"
COLLECTION = "scale"
SENTENCES = 20_000
"""Encoded in earnest; fewer for few passages."""
SENTENCES_OF_A_PEP = 80
"""About so many of those that are used."""
CLIENTS = (1, 8)
WARM_UP_SECONDS = 8.0
"""Enough for a service to begin the process that answers many."""
QUESTIONS = 200
UPDATES = 100
UPDATE_LENGTH = 1_200
"""Of a document, in code points."""
DELETED_SHARE = 0.07
"""Of the documents: so many that a new index is due once writing rests."""
LEAST_REMOVED = 1_000
"""Passages: fewer are not worth a new index."""
REST_SECONDS = 30
LONGEST_BUILD_SECONDS = 1800
EXPLAINED = (
    "The passages are made, not found: sentences of the PEPs in new company, each passage with the mean of its "
    "sentences' vectors and some noise in place of a vector of its own, since encoding so many would take hours. They "
    "are cut, stored and indexed like any other; questions and updates go through the real encoder. Their words are "
    "those of the PEPs, so each word is in more passages than in a real library of that size. Files were in the "
    "system's cache. Service and clients share the cores."
)


def main() -> None:
    options = _options()
    stamp = circumstances(f"scripts/measure_scale DATA --passages {options.passages}")
    documents = peps(options.data)
    with tempfile.TemporaryDirectory(prefix="loccit-scale-", dir=options.work) as folder:
        data = Path(folder) / "data"
        built = _built(data, documents, options.passages)
        measured = _measured(data, documents, built)
        found = _recall(data, documents)
    content = "\n\n".join([f"### {built.passages:,} passages", EXPLAINED, built.table, *measured, found, str(stamp)])
    typer.echo(content)
    if options.page is not None:
        write_section(options.page, PART, content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="measure_scale", add_help=False)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    if not (options.data / "corpora" / "peps_rst.tar.xz").is_file():
        parser.error(f"{options.data} holds no corpora/peps_rst.tar.xz")
    return options


# Building --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    documents: int
    passages: int
    table: str


def _built(data: Path, documents: Sequence[Pep], wanted: int) -> _Built:
    originals = _thinned(documents, min(SENTENCES, wanted // 10))
    known = [sentence for _, found in originals for sentence in found]
    remix = Remix(originals=originals)
    parts = bootstrap.parts(bootstrap.make_encoder(Settings()))
    typer.echo(f"encoding {len(known)} sentences", err=True)
    parts = replace(parts, encoder=RemixEncoder(parts.encoder, known))
    began = time.perf_counter()
    with closing(Library(data, parts)) as library:
        library.create(COLLECTION)
        collection = library.collection(COLLECTION)
        made = 0
        for _ in collection.put_many(takewhile(lambda _: collection.live.current.passages < wanted, remix)):
            made += 1
            if made % 500 == 0:
                passages, seconds = collection.live.current.passages, time.perf_counter() - began
                typer.echo(f"{passages} passages after {seconds:.0f} s", err=True)
        streamed = time.perf_counter() - began
        passages = collection.live.current.passages
        collection.live.checkpoint()
        kind = collection.info().index_kind
    whole = time.perf_counter() - began
    rows: list[list[Cell]] = [
        ["documents; passages", f"{made:,}; {passages:,}"],
        ["index", kind],
        ["streamed in, indexes built meanwhile, s", streamed],
        ["the last index and closing, s", whole - streamed],
        ["most memory of the process that built it, MB", _peak_megabytes()],
        ["on disk, MB", sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) / 1e6],
    ]
    return _Built(documents=made, passages=passages, table=table(["built from a stream", ""], rows))


def _thinned(documents: Sequence[Pep], wanted: int) -> list[tuple[str, Sequence[str]]]:
    """Titles and sentences: every so manieth document, so that there are about as many sentences as are encoded."""
    step = max(1, len(documents) * SENTENCES_OF_A_PEP // max(1, wanted))
    found = [(pep.title, sentences(pep)) for pep in documents[::step]]
    share = -(-sum(len(own) for _, own in found) // max(1, wanted))
    return [(title, own[:: max(1, share)]) for title, own in found if own]


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


# Serving ---------------------------------------------------------------------------------------------------------


def _measured(data: Path, documents: list[Pep], built: _Built) -> list[str]:
    asked = [
        Request(method="POST", path="/v1/search", body={"question": question, "collection": COLLECTION})
        for question in questions(documents, QUESTIONS)
    ]
    with served(data) as service:
        memory: list[list[Cell]] = [["ready", *_memory(service)]]
        drive(service.url, _updates(documents, 1), clients=1)  # the first begins the process that parses
        rows = [_row("nothing else", _warmed(service, asked, clients)) for clients in CLIENTS]
        memory.append(["after searches", *_memory(service)])
        typer.echo("updating", err=True)
        rows += _meanwhile(service, asked, _updates(documents, UPDATES), "documents are put and deleted")
        typer.echo("building a new index", err=True)
        doomed = range(int(DELETED_SHARE * built.documents))
        rows += _meanwhile(service, asked, _deletions(doomed), f"{len(doomed):,} documents are deleted")
        if DELETED_SHARE * built.passages > LEAST_REMOVED:
            rows += _meanwhile(service, asked, _updates_until_rebuilt(service, documents), "a new index is built")
            memory.append(["after a new index was built", *_memory(service)])
    return [
        table(["", "s"], [["from `scripts/serve` to ready", f"{service.start_seconds:.2f}"]]),
        table(["while", "requests", "clients", "count", "p50 ms", "p95 ms", "longest ms", "per second"], rows),
        table(["memory of the service and the processes it has begun", "MB", "highest so far (resident), MB"], memory),
    ]


def _warmed(service: Served, asked: Sequence[Request], clients: int) -> Load:
    drive(service.url, until(time.monotonic() + WARM_UP_SECONDS, asked), clients=clients)
    return drive(service.url, [*asked, *asked], clients=clients)


def _memory(service: Served) -> list[Cell]:
    return [service.memory_of_all_megabytes(), service.most_memory_of_all_megabytes()]


def _row(during: str, load: Load, requests: str = "search") -> list[Cell]:
    times = load.milliseconds
    return [
        during, requests, load.clients, len(times), percentile(times, 50), percentile(times, 95), max(times),
        load.per_second,
    ]  # fmt: skip


def _meanwhile(service: Served, asked: Sequence[Request], changes: Iterable[Request], during: str) -> list[list[Cell]]:
    """One client searches for as long as another one changes things."""
    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(drive, service.url, changes, clients=1)
        searches = drive(service.url, takewhile(lambda _: not changing.done(), cycle(asked)), clients=1)
        return [_row(during, searches), _row(during, changing.result(), "update")]


def _updates(documents: Sequence[Pep], number: int) -> Iterator[Request]:
    """Short documents: each is put, put anew and deleted."""
    for place, pep in enumerate(islice((one for one in documents if len(one.text) > UPDATE_LENGTH), number)):
        path = f"/v1/collections/{COLLECTION}/documents/update-{place}"
        for text in (pep.text[: UPDATE_LENGTH // 2], pep.text[:UPDATE_LENGTH]):
            yield Request(method="PUT", path=f"{path}?wait=true", body={"text": text, "title": pep.title})
        yield Request(method="DELETE", path=path)


def _deletions(numbers: Iterable[int]) -> Iterator[Request]:
    for number in numbers:
        yield Request(method="DELETE", path=f"/v1/collections/{COLLECTION}/documents/remix-{number}")


def _updates_until_rebuilt(service: Served, documents: Sequence[Pep]) -> Iterator[Request]:
    """The service starts to build by itself, once it has seen that the many deletions are over; then updates begin."""
    time.sleep(REST_SECONDS)
    patience = time.monotonic() + LONGEST_BUILD_SECONDS
    for update in cycle(_updates(documents, UPDATES)):
        yield update
        if _dead_ratio(service) < DELETED_SHARE / 2 or time.monotonic() > patience:
            return


def _dead_ratio(service: Served) -> float:
    with urlopen(f"{service.url}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("loccit_dead_ratio "))


def _recall(data: Path, documents: list[Pep]) -> str:
    encoder = bootstrap.make_encoder(Settings())
    asked = encoder.encode_questions(questions(documents, QUESTIONS))
    with closing(Library(data, bootstrap.parts(encoder))) as library:
        live = library.collection(COLLECTION).live
        shares = {"stored vectors": live.recall(), "the questions": live.recall(asked)}
    rows: list[list[Cell]] = [[f"asked with {what}", percent(share)] for what, share in shares.items()]
    return table(["recall@10 of the index on disk", "%"], rows)


if __name__ == "__main__":
    main()
