"""What `scripts/measure_load` runs: more questions than a service can answer, and some while it takes documents in."""

from __future__ import annotations

import argparse
import json
import math
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import typer

from embeddings.text import sentence_spans
from service.evaluation.circumstances import circumstances
from service.evaluation.metrics import percentile
from service.evaluation.offering import offer
from service.evaluation.served import Load, Request, Served, drive, served, until
from service.evaluation.tables import Cell, percent, table, write_section
from service.seeds import FOLDER

PART = "load"
PATH = "/v1/collections/load"
VERBS = ("ask", "search")
CLIENTS = (1, 2, 8)
TIMES_CAPACITY = (1, 10)
DEADLINE_SECONDS = 10.0
MOST_QUESTIONS = 200
QUESTION_WORDS = 10
TAKEN_IN_CHARACTERS = 12_000_000
"""Enough to be busy with for longer than is measured."""
COPIES_IN_DOCUMENT = 8
EXPLAINED = (
    "What it can answer is the most that clients get who ask again as soon as they have the answer. Offered are as "
    "many, and ten times as many, at random moments, by clients who hang up after ten seconds. Goodput is answers in "
    "time per second, as a share of what it can answer. The load comes from the same machine and takes its "
    "part of the processors. Of how late the event loop is, `/metrics` counts buckets; their upper ends "
    "are shown."
)
ANSWERED = ("what it can answer", "clients", "p50 ms", "p95 ms", "p99 ms", "per second")
OFFERED = (
    "offered",
    "per second",
    "answered in time, per second",
    "goodput, %",
    "503 with Retry-After, %",
    "anything else, %",
    "answers: p50 ms",
    "p95 ms",
    "p99 ms",
    "refusals: p99 ms",
)
LATE = ("the event loop is late by, while it does", "p99 ms", "most, ms", "looks")
_LATE_BUCKET = re.compile(r'^loccit_loop_lag_seconds_bucket{le="([^"]+)"} (\S+)$', re.MULTILINE)
_FINE, _BUSY = 200, 503


def main() -> None:
    options = _options()
    stamp = circumstances("scripts/measure_load" + (" --corpus FOLDER" if options.corpus else ""))
    measured = _measured(_texts(options.corpus or FOLDER), options.seconds)
    content = f"### Under load\n\n{EXPLAINED}\n\n{measured}\n\n{stamp}"
    typer.echo(content)
    if options.page is not None:
        write_section(options.page, PART, content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="measure_load", add_help=False)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    if options.corpus is not None and not (options.corpus.is_dir() and _texts(options.corpus)):
        parser.error(f"{options.corpus} is no folder with .txt, .md or .rst files")
    return options


def _measured(texts: Mapping[str, str], seconds: float) -> str:
    answered: list[list[Cell]] = []
    offered: list[list[Cell]] = []
    late: list[list[Cell]] = []
    with tempfile.TemporaryDirectory(prefix="loccit-") as folder, served(Path(folder) / "data") as service:
        _take_in(service, texts)
        watch = _LoopWatch(service)
        time.sleep(seconds / 2)
        late.append(["nothing", *watch.lateness()])
        for verb in VERBS:
            requests = _requests(verb, texts)
            loads = [_closed(service, requests, clients, seconds) for clients in CLIENTS]
            answered += [[verb, load.clients, *_figures(load.milliseconds), load.per_second] for load in loads]
            late.append([f"{verb}, {CLIENTS[-1]} clients", *watch.lateness()])
            capacity = max(load.per_second for load in loads)
            for times in TIMES_CAPACITY:
                what = f"{verb}, {times} times what it can answer"
                offered.append([what, *_overload(service, requests, times * capacity, capacity, seconds)])
                late.append([what, *watch.lateness()])
        with _taking_in(service, texts):
            load = _closed(service, _requests("search", texts), 1, seconds)
        answered.append(["search, while it takes documents in", 1, *_figures(load.milliseconds), load.per_second])
        late.append(["search, 1 client, while it takes documents in", *watch.lateness()])
    return "\n\n".join([table(ANSWERED, answered), table(OFFERED, offered), table(LATE, late)])


def _requests(verb: str, texts: Mapping[str, str]) -> list[Request]:
    return [_post(f"/v1/{verb}", {"question": one, "collection": "load"}) for one in _questions(texts)]


# Load --------------------------------------------------------------------------------------------------------------


def _closed(service: Served, requests: Sequence[Request], clients: int, seconds: float) -> Load:
    return drive(service.url, until(time.monotonic() + seconds, requests), clients=clients)


def _overload(
    service: Served, requests: Sequence[Request], per_second: float, capacity: float, seconds: float
) -> list[Cell]:
    began = time.perf_counter()
    outcomes = offer(service.url, requests, per_second=per_second, seconds=seconds, deadline_seconds=DEADLINE_SECONDS)
    took = time.perf_counter() - began
    answers = [one.milliseconds for one in outcomes if one.status == _FINE]
    refusals = [one.milliseconds for one in outcomes if one.status == _BUSY and one.says_when]
    others = len(outcomes) - len(answers) - len(refusals)
    for one in outcomes:
        if one.error or one.status not in (_FINE, _BUSY):
            typer.echo(f"neither answered nor refused: {one}", err=True)
    return [
        len(outcomes) / seconds,
        len(answers) / took,
        percent(len(answers) / took / capacity),
        percent(len(refusals) / len(outcomes)),
        percent(others / len(outcomes)),
        *_figures(answers),
        percentile(refusals, 99) if refusals else math.nan,
    ]


def _figures(milliseconds: Sequence[float]) -> list[Cell]:
    return [percentile(milliseconds, percents) if milliseconds else math.nan for percents in (50, 95, 99)]


class _LoopWatch:
    """What the service counts of its event loop, from one look to the next."""

    def __init__(self, service: Served) -> None:
        self._service = service
        self._before = self._counts()

    def _counts(self) -> dict[float, float]:
        """How many looks found it late by at most so many seconds."""
        text = drive(self._service.url, [Request(method="GET", path="/metrics")], clients=1).replies[0].decode()
        return {float(bound): float(count) for bound, count in _LATE_BUCKET.findall(text)}

    def lateness(self) -> list[Cell]:
        """99th percentile and most, since the last time, in milliseconds; and how many looks there were."""
        counts = self._counts()
        seen = {bound: count - self._before[bound] for bound, count in counts.items()}
        self._before = counts
        looks = seen[math.inf]
        return [
            *(1000 * min(b for b, count in seen.items() if count >= share * looks) for share in (0.99, 1)),
            int(looks),
        ]


# Questions and documents -------------------------------------------------------------------------------------------


def _questions(texts: Mapping[str, str]) -> list[str]:
    """What is said about the beginnings of sentences, spread over all texts."""
    beginnings = [
        " ".join(text[span.start : span.end].split()[:QUESTION_WORDS])
        for text in texts.values()
        for span in sentence_spans(text)
    ]
    asked = [f"What is said about {one.strip('.?!')}?" for one in dict.fromkeys(beginnings) if " " in one]
    return asked[:: math.ceil(len(asked) / MOST_QUESTIONS)]


def _texts(folder: Path) -> dict[str, str]:
    """By file name."""
    files = sorted(file for file in folder.iterdir() if file.suffix in (".txt", ".md", ".rst"))
    found = {file.name: file.read_text("utf-8", errors="replace") for file in files}
    return {name: text for name, text in found.items() if text.strip()}


def _take_in(service: Served, texts: Mapping[str, str]) -> None:
    made = Request(method="PUT", path=PATH, body={})
    puts = [
        Request(method="PUT", path=f"{PATH}/documents/{number}?wait=true", body={"text": text, "title": name})
        for number, (name, text) in enumerate(texts.items())
    ]
    drive(service.url, [made, *puts], clients=1)


@contextmanager
def _taking_in(service: Served, texts: Mapping[str, str]) -> Iterator[None]:
    """Raises RuntimeError where the documents did not last until the end."""
    accepted = drive(service.url, [_post(f"{PATH}/documents", {"documents": list(_more(texts))})], clients=1)
    job = f"/v1/jobs/{json.loads(accepted.replies[0])['job_id']}"
    yield
    state = json.loads(drive(service.url, [Request(method="GET", path=job)], clients=1).replies[0])["state"]
    drive(service.url, [Request(method="DELETE", path=job)], clients=1)
    if state != "running":
        raise RuntimeError(f"the documents were taken in before all was measured: {state}")


def _more(texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The texts over and over, a little different each time, since nothing is encoded twice; several in a document,
    since a request takes a thousand of them at most."""
    written = 0
    for turn in count(step=COPIES_IN_DOCUMENT):
        for text in texts.values():
            if written > TAKEN_IN_CHARACTERS:
                return
            copies = (re.sub(r"(?<=\w)\.(?=\s)", f" {turn + copy}.", text) for copy in range(COPIES_IN_DOCUMENT))
            yield {"text": "\n\n".join(copies)}
            written += COPIES_IN_DOCUMENT * len(text)


def _post(path: str, body: object) -> Request:
    return Request(method="POST", path=path, body=body)


if __name__ == "__main__":
    main()
