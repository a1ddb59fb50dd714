"""What `scripts/benchmark` runs."""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import typer

from service.evaluation.circumstances import circumstances
from service.evaluation.datasets import seed_questions
from service.evaluation.metrics import percentile
from service.evaluation.peps import Pep, peps, questions
from service.evaluation.served import Load, Request, Served, drive, served
from service.evaluation.tables import Cell, table, write_section

CLIENTS = (1, 8)
WARM_UP = 20
REST_SECONDS = 30
"""Between ingestion and questions: people ask what has been there for a while, when indexes are up to date."""
BYTES_PER_MEGABYTE = 1e6
PARTS = ("serving", "encoding")
TITLES = {"serving": "Start, memory and answering times over HTTP", "encoding": "Encoding and storing"}


def main() -> None:
    options = _options()
    documents = peps(options.data)
    for part in options.only or PARTS:
        stamp = circumstances(" ".join(["scripts/benchmark", "DATA", *(f"--only {one}" for one in options.only or ())]))
        measured = _serving(documents, options) if part == "serving" else _encoding(documents, options)
        content = f"### {TITLES[part]}\n\n{measured}\n\n{stamp}"
        typer.echo(content + "\n")
        if options.page is not None:
            write_section(options.page, part, content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmark", add_help=False)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    if not (options.data / "corpora" / "peps_rst.tar.xz").is_file():
        parser.error(f"{options.data} holds no corpora/peps_rst.tar.xz")
    return options


# Encoding --------------------------------------------------------------------------------------------------------


def _encoding(documents: Sequence[Pep], options: argparse.Namespace) -> str:
    from service.evaluation.encoding import compare

    drawn = sorted(documents, key=lambda one: hashlib.sha256(one.document_id.encode()).digest())
    return compare(drawn[: 4 if options.quick else 40], runs=3 if options.quick else 5)


# Serving ---------------------------------------------------------------------------------------------------------


def _serving(documents: list[Pep], options: argparse.Namespace) -> str:
    documents = documents[:: 25 if options.quick else 1]
    about_peps = questions(documents, 40 if options.quick else 200)
    about_seeds = [one.question for one in seed_questions(options.data)]
    with tempfile.TemporaryDirectory(prefix="loccit-") as folder:
        with served(Path(folder) / "unmeasured"):
            pass
        data = Path(folder) / "data"
        with served(data) as first:
            pass
        with served(data) as second:
            memory: list[list[Cell]] = [["ready", *_memory(second)]]
            rows = answering(second, "default", "seeds", about_seeds)
            memory.append(["after questions on the seeds", *_memory(second)])
            ingested = _ingest(second, documents)
            memory.append(["after taking in the PEPs", *_memory(second)])
            time.sleep(REST_SECONDS)
            rows += answering(second, "peps", "PEPs", about_peps)
            memory.append(["after questions on the PEPs", *_memory(second)])
    starts: list[list[Cell]] = [
        ["first, reading the seeds in", f"{first.start_seconds:.2f}"],
        ["second", f"{second.start_seconds:.2f}"],
    ]
    return "\n\n".join(
        [
            table(["from `scripts/serve` to ready", "s"], starts),
            table(["requests", "clients", "count", "p50 ms", "p95 ms", "per second"], rows),
            ingested,
            table(["memory of the service (resident)", "MB", "highest so far, MB"], memory),
            "The load comes from the same machine, so service and clients share its cores.",
        ]
    )


def _memory(service: Served) -> list[Cell]:
    return [service.memory_megabytes(), service.memory_megabytes("VmHWM")]


def answering(service: Served, collection: str, name: str, asked: Sequence[str]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for verb in ("search", "ask"):
        requests = [
            Request(method="POST", path=f"/v1/{verb}", body={"question": question, "collection": collection})
            for question in asked
        ]
        drive(service.url, requests[:WARM_UP], clients=max(CLIENTS))
        for clients in CLIENTS:
            repeats = -(-2 * clients * WARM_UP // len(requests))
            rows.append(_row(f"{verb}, {name}", drive(service.url, requests * repeats, clients=clients)))
    return rows


def _row(name: str, load: Load) -> list[Cell]:
    times = load.milliseconds
    return [name, load.clients, len(times), percentile(times, 50), percentile(times, 95), load.per_second]


def _ingest(service: Served, documents: Sequence[Pep]) -> str:
    made = Request(method="PUT", path="/v1/collections/peps", body={"title": "PEPs"})
    drive(service.url, [made], clients=1)
    requests = [
        Request(
            method="PUT",
            path=f"/v1/collections/peps/documents/{one.document_id}?wait=true",
            body={"text": one.text, "title": one.title},
        )
        for one in documents
    ]
    load = drive(service.url, requests, clients=1)
    passages = sum(json.loads(reply)["passages"] for reply in load.replies)
    megabytes = sum(len(one.text.encode()) for one in documents) / BYTES_PER_MEGABYTE
    header = ["taken in over HTTP, one document after another", "documents", "MB", "passages", "s", "passages/s"]
    row: list[Cell] = ["PEPs", len(documents), megabytes, passages, load.seconds, passages / load.seconds]
    return table(header, [row])


if __name__ == "__main__":
    main()
