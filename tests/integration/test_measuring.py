"""What the measuring scripts do beside counting: they rank with a real collection and put load on a real server."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embeddings.collection import Collection
from embeddings.domain import Source
from service.evaluation.bulk import family_of
from service.evaluation.offering import offer
from service.evaluation.rankings import rank
from service.evaluation.served import Request, drive

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("script", ["evaluate", "benchmark", "compare_txtai", "measure_scale", "profile"])
def test_a_measuring_script_explains_itself_from_any_folder(script: str, tmp_path: Path) -> None:
    finished = subprocess.run([ROOT / "scripts" / script, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0
    assert finished.stdout.startswith(f"usage: scripts/{script} DATA")


@pytest.mark.parametrize("script", ["evaluate", "benchmark", "compare_txtai", "measure_scale", "profile"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "name the folder of the data"), (["--nonsense"], "unknown option"), (["--page"], "--page needs a value")],
    ids=["nothing", "unknown", "no value"],
)
def test_wrong_usage_is_said_in_one_line(script: str, arguments: list[str], said: str) -> None:
    finished = subprocess.run([ROOT / "scripts" / script, *arguments], capture_output=True, text=True)
    assert finished.returncode == 2
    assert said in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_every_way_of_ranking_gives_each_document_once(collection: Collection) -> None:
    for name, text in {
        "harbour": "Ships lie in the harbour.\n\nThe harbour is deep.",
        "mountain": "A mountain is steep.",
        "valley": "The valley is green.",
    }.items():
        collection.put(name, Source(content=text.encode(), media_type="text/plain"))
    rankings = rank(collection, "harbour ships")
    assert set(rankings) == {"as shipped", "similarity alone", "BM25 alone", "reciprocal ranks"}
    assert {ranking[0] for ranking in rankings.values()} == {"harbour"}
    assert rankings["BM25 alone"] == ["harbour"]
    for way in ("as shipped", "similarity alone", "reciprocal ranks"):
        assert sorted(rankings[way]) == ["harbour", "mountain", "valley"]


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Says nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def echo() -> Iterator[str]:
    with serving(_Echo) as url:
        yield url


@pytest.mark.parametrize("clients", [1, 4])
def test_every_request_is_sent_once_and_timed(echo: str, clients: int) -> None:
    requests = [Request(method="POST", path="/echo", body={"number": number}) for number in range(12)]
    load = drive(echo, requests, clients=clients)
    assert sorted(json.loads(reply)["number"] for reply in load.replies) == list(range(12))
    assert len(load.milliseconds) == 12
    assert min(load.milliseconds) > 0
    assert load.per_second == pytest.approx(12 / load.seconds)


def test_a_request_that_fails_is_no_measurement(echo: str) -> None:
    with pytest.raises(RuntimeError, match="POST /broken: 500"):
        drive(echo, [Request(method="POST", path="/broken", body={})], clients=2)


class _Moody(_Echo):
    """Refuses, stays silent or hangs up where it is told to."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/silent":
            time.sleep(0.5)
        if self.path in ("/silent", "/broken"):
            self.close_connection = True
            return
        if self.path == "/full":
            self.send_response(503)
            self.send_header("Retry-After", "1")
        else:
            self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def test_what_becomes_of_every_request_of_an_open_loop_is_told() -> None:
    with serving(_Moody) as url:
        requests = [Request(method="POST", path=path, body={}) for path in ("/fine", "/full", "/silent", "/broken")]
        outcomes = offer(url, requests, per_second=100, seconds=0.4, deadline_seconds=0.2)
    told = {(one.status, one.says_when, one.error.partition(":")[0]) for one in outcomes}
    assert told == {
        (200, False, ""),
        (503, True, ""),
        (None, False, "no answer in time"),
        (None, False, "closed without an answer"),
    }
    statuses = [one.status for one in outcomes]
    assert 20 < len(statuses) < 70
    assert all(one.milliseconds > 0 for one in outcomes)


PEP = """PEP: 9999
Title: Harbours

Depth
=====

The harbour is twelve metres deep.
"""


@pytest.fixture
def one_pep(tmp_path: Path) -> Path:
    """A folder of data with one proposal in it."""
    (tmp_path / "corpora").mkdir()
    with tarfile.open(tmp_path / "corpora" / "peps_rst.tar.xz", "w:xz") as archive:
        member = tarfile.TarInfo("peps/pep-9999.rst")
        member.size = len(PEP)
        archive.addfile(member, io.BytesIO(PEP.encode()))
    return tmp_path


@pytest.mark.slow
def test_the_time_of_every_stage_is_told_and_written_into_a_page(one_pep: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    command = [sys.executable, "-m", "service.evaluation.profiling", str(one_pep), "--quick", "--page", str(page)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    written = page.read_text("utf-8")
    assert "2 questions on 1 passages" in written
    assert [line.split(" | ")[0] for line in written.splitlines() if "100.0" in line] == ["| **the whole**"] * 2


def test_memory_is_watched_on_while_threads_end() -> None:
    """Whose folder in /proc goes with them."""
    over = threading.Event()

    def begin_and_end() -> None:
        while not over.is_set():
            thread = threading.Thread(target=str)
            thread.start()
            thread.join()

    restless = threading.Thread(target=begin_and_end)
    restless.start()
    try:
        families = [set(family_of(os.getpid())) for _ in range(500)]
    finally:
        over.set()
        restless.join()

    assert all(os.getpid() in family for family in families)
