"""What the measuring scripts do beside counting: they rank with a real collection and put load on a real server."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embeddings.collection import Collection
from embeddings.domain import Source
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


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


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
