"""What `scripts/measure_bulk` runs."""

from __future__ import annotations

import argparse
import html
import json
import re
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

import typer

from embeddings.domain import Source
from service import bootstrap
from service.evaluation.benchmark import answering
from service.evaluation.circumstances import ROOT, circumstances
from service.evaluation.encoding import distinct_passages, plain_encoder, seconds_of
from service.evaluation.peps import peps, questions
from service.evaluation.served import Served, served
from service.evaluation.tables import Cell, table, write_section
from service.settings import Settings

PART = "bulk"
COLLECTION = "bulk"
FILES_CHANGED = 100
QUESTIONS = 200
SAMPLED_FILES, SAMPLED_PASSAGES = 400, 800
"""For plain sentence-transformers, which gets through few."""
PLAIN_RUNS = 3
REST_SECONDS = 900
"""At most: until nearly all passages are in an index."""
AT_REST = 0.01
"""The share of passages that no index holds yet."""
MEDIA_TYPES = {".md": "text/markdown", ".rst": "text/x-rst", ".txt": "text/plain"}
_ARTICLE = re.compile(r"<REUTERS.*?NEWID=\"(\d+)\".*?<TEXT(.*?)</TEXT>", re.DOTALL)
_TITLE = re.compile(r"<TITLE>(.*?)</TITLE>", re.DOTALL)
_BODY = re.compile(r"<BODY>(.*?)</BODY>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


def main() -> None:
    options = _options()
    stamp = circumstances(f"scripts/measure_bulk DATA{f' --files {options.files}' if options.files else ''}")
    with tempfile.TemporaryDirectory(prefix="loccit-bulk-", dir=options.work) as folder:
        library = Path(folder) / "library"
        sizes = _unpacked(options.data, library, options.files)
        content = "\n\n".join(
            [f"### {sum(sizes.values()):,} files", *_measured(Path(folder), library, sizes, options.data), str(stamp)]
        )
    typer.echo(content)
    if options.page is not None:
        write_section(options.page, PART, content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="measure_bulk", add_help=False)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--files", type=int, help="of each corpus at most")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    if not (options.data / "corpora" / "win32_markdown.tar.xz").is_file():
        parser.error(f"{options.data} holds no corpora/win32_markdown.tar.xz")
    return options


# The files -------------------------------------------------------------------------------------------------------


def _unpacked(data: Path, library: Path, most: int | None) -> dict[str, int]:
    """The files of each corpus, in a folder of its own."""
    corpora = data / "corpora"
    members = {
        "win32": _members(corpora / "win32_markdown.tar.xz", r".*\.md"),
        "peps": _members(corpora / "peps_rst.tar.xz", r"(.*/)?pep-\d{4}\.(rst|txt)"),
        "reuters": _articles(corpora / "reuters21578_sgm.tar.xz"),
    }
    return {name: _written(library / name, islice(found, most)) for name, found in members.items()}


def _members(archive: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            if re.fullmatch(pattern, member.name) and (file := opened.extractfile(member)):
                yield member.name.removeprefix("./"), file.read()


def _articles(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Each article as a text file: its headline, and what it says."""
    for name, content in _members(archive, r".*\.sgm"):
        for number, text in _ARTICLE.findall(content.decode("latin-1")):
            parts = [found[1] for pattern in (_TITLE, _BODY) if (found := pattern.search(text))] or [_TAG.sub("", text)]
            said = html.unescape("\n\n".join(part.strip() for part in parts)).replace("\x03", "").strip()
            yield f"{Path(name).stem}/{number}.txt", said.encode()


def _written(folder: Path, files: Iterator[tuple[str, bytes]]) -> int:
    count = 0
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        count += 1
    return count


def _change(library: Path) -> None:
    """The first files of the largest corpus change, the next are removed, and as many others are new."""
    paths = sorted(path for path in library.rglob("*.md") if path.stat().st_size)
    for path in paths[:FILES_CHANGED]:
        path.write_bytes(path.read_bytes() + b"\n\nThis page was revised.\n")
    for path in paths[FILES_CHANGED : 2 * FILES_CHANGED]:
        path.unlink()
    for number in range(FILES_CHANGED):
        (library / f"added-{number}.md").write_text(f"# Note {number}\n\nBerth {number} was added to the harbour.\n")


# Measuring -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Of `loccit ingest --sync`."""

    HEADER = ("new", "changed", "removed", "unchanged", "empty", "failed", "s")

    seconds: float
    said: Mapping[str, Any]

    def row(self, name: str) -> list[Cell]:
        counts = (self.said[count] for count in ("new", "changed", "removed", "unchanged", "empty"))
        return [name, *counts, len(self.said["failed"]), self.seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    documents: int
    passages: int
    texts: int
    """Distinct ones, each encoded once."""

    @property
    def row(self) -> list[Cell]:
        return [self.documents, self.passages, self.texts]


def _measured(folder: Path, library: Path, sizes: Mapping[str, int], data: Path) -> Iterator[str]:
    sample, encode_plainly = _plain(library)
    plain = [len(sample) / seconds_of(encode_plainly) for _ in range(PLAIN_RUNS)]
    with served(folder / "data") as service:
        with _watched(service) as most:
            typer.echo(f"taking in {sum(sizes.values())} files", err=True)
            first = _ingest(library, service)
        held = _held(service, folder / "data")
        second = _ingest(library, service)
        _change(library)
        third = _ingest(library, service)
        in_the_end = _held(service, folder / "data")
        _come_to_rest(service, in_the_end)
        typer.echo("asking", err=True)
        asked = answering(service, COLLECTION, "about the PEPs, among all", questions(peps(data), QUESTIONS))
        resting = service.memory_megabytes()
    plain += [len(sample) / seconds_of(encode_plainly) for _ in range(PLAIN_RUNS)]
    changes = f"{FILES_CHANGED} changed, {FILES_CHANGED} removed, {FILES_CHANGED} added"
    runs = [first.row("first run"), second.row("again"), third.row(changes)]
    rate = median(plain)
    rows: list[list[Cell]] = [
        [f"plain sentence-transformers, torch fp32, on {len(sample)} of these passages, before and after", rate, 1.0],
        ["first run, distinct passages", held.texts / first.seconds, held.texts / first.seconds / rate],
        ["first run, all passages", held.passages / first.seconds, held.passages / first.seconds / rate],
    ]
    memory: list[list[Cell]] = [
        ["service and its parsers, the most during the first run", max(most)],
        ["service, after the questions", resting],
    ]
    yield ", ".join(f"{name}: {count:,} files" for name, count in sizes.items()) + "."
    yield table(["`loccit ingest --sync`", *_Run.HEADER], runs)
    yield table(
        ["held", "documents", "passages", "distinct texts"],
        [["after the first run", *held.row], ["in the end", *in_the_end.row]],
    )
    yield table(["", "passages/s", "ratio"], rows)
    yield table(["requests", "clients", "count", "p50 ms", "p95 ms", "per second"], asked)
    yield table(["memory", "MB"], memory)
    yield _failures(first)


def _plain(library: Path) -> tuple[list[str], Callable[[], object]]:
    """Passages of files that are spread over the library, and what encodes them with sentence-transformers."""
    encoder = bootstrap.make_encoder(Settings())
    paths = sorted(path for path in library.rglob("*") if path.is_file() and path.stat().st_size)
    sources = (
        Source(content=path.read_bytes(), media_type=MEDIA_TYPES[path.suffix])
        for path in paths[:: max(1, len(paths) // SAMPLED_FILES)]
    )
    passages = distinct_passages(sources, encoder)
    sample = passages[:: max(1, len(passages) // SAMPLED_PASSAGES)]
    return sample, plain_encoder(sample, encoder)


def _ingest(library: Path, service: Served) -> _Run:
    command: list[str | Path] = [sys.executable, "-P", "-m", "service", "ingest", library, "--sync", "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--collection", COLLECTION, "--url", service.url], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    return _Run(seconds=time.perf_counter() - began, said=json.loads(done.stdout))


def _held(service: Served, data: Path) -> _Held:
    with urlopen(f"{service.url}/v1/collections/{COLLECTION}") as reply:
        found = json.load(reply)
    texts = max(map(_stored_vectors, (data / "collections").glob("*/collection.db")))
    return _Held(documents=found["documents"], passages=found["passages"], texts=texts)


def _come_to_rest(service: Served, held: _Held) -> None:
    deadline = time.monotonic() + REST_SECONDS
    while _tail(service) > AT_REST * held.passages and time.monotonic() < deadline:
        time.sleep(5)


def _tail(service: Served) -> float:
    with urlopen(f"{service.url}/metrics") as reply:
        found = re.search(r"^loccit_tail_passages (\S+)$", reply.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def _stored_vectors(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


@contextmanager
def _watched(service: Served) -> Iterator[list[float]]:
    """Megabytes of the service and all that it starts, proportional where they share, twice a second."""
    seen = [0.0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            seen.append(sum(map(_proportional_megabytes, family_of(service.process_id))))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def family_of(process_id: int) -> Iterator[int]:
    yield process_id
    for path in Path(f"/proc/{process_id}/task").glob("*/children"):
        children = ""
        with suppress(OSError):  # a thread may end meanwhile
            children = path.read_text()
        for child in children.split():
            yield from family_of(int(child))


def _proportional_megabytes(process_id: int) -> float:
    try:
        rollup = Path(f"/proc/{process_id}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def _failures(run: _Run) -> str:
    failed = run.said["failed"]
    if not failed:
        return "No file failed."
    return "\n".join(["The first that failed:", "", *(f"- `{json.dumps(one)}`" for one in failed[:10])])


if __name__ == "__main__":
    main()
