"""A job whose process is killed goes on at the next start, and ends as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from embeddings.inspection import inspect
from embeddings.library import Library
from service.jobs import Jobs, Upload
from tests.integration.conftest import parts, plain

ROOT = Path(__file__).parents[2]

VERSIONS = """
    SELECT document_id, version, hex(text_sha), hex(source_sha), v.version_key IS current_key
    FROM versions v JOIN documents USING (document_key) ORDER BY document_id, version"""
PASSAGES = """
    SELECT p.passage_id, p.start, p.end, hex(vector)
    FROM live_passages p JOIN vectors USING (content_sha) ORDER BY p.passage_id"""
WORKER = """
import sys, time
from pathlib import Path
from tests.integration.test_resuming import begun, uploads

library, jobs = begun(Path(sys.argv[1]))
job = jobs.submit("notes", uploads())
while jobs.get(job.job_id).done < int(sys.argv[2]):
    time.sleep(0.001)
print(job.job_id, flush=True)
time.sleep(60)
"""


def uploads() -> list[Upload]:
    """Some ids twice, so that the order matters; some that fail; texts that recur."""
    texts = {number: f"Entry {number % 300} of the ledger lists eggs. " * (number % 9 + 1) for number in range(700)}
    broken = {number: f"nul \0 nul {number}" for number in range(0, 700, 50)}
    return [Upload(document_id=f"note-{n % 500}", source=plain(text)) for n, text in {**texts, **broken}.items()]


def begun(data: Path) -> tuple[Library, Jobs]:
    library = Library(data, parts(), free_disk_floor_bytes=0)
    library.create("notes")
    return library, Jobs(library)


def ended(data: Path, job_id: str | None) -> dict[str, object]:
    """Everything that the job, or a new one, leaves in the store, but times and the job's own id."""
    library, jobs = begun(data)
    job = jobs.submit("notes", uploads()) if job_id is None else jobs.get(job_id)
    deadline = time.monotonic() + 60
    while not (job := jobs.get(job.job_id)).is_finished:
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.01)
    jobs.close()
    notes = library.collection("notes")
    with notes.database.reading() as connection:
        versions, passages = (connection.execute(query).fetchall() for query in (VERSIONS, PASSAGES))
    seq = notes.seq
    library.close()
    assert [finding for finding in inspect(data, parts()) if not finding.ok] == []
    return {"state": job.state, "items": job.items, "versions": versions, "passages": passages, "seq": seq}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return ended(tmp_path_factory.mktemp("undisturbed"), None)


@pytest.mark.parametrize("done", [0, 1, 300])
def test_a_job_that_is_killed_ends_as_an_undisturbed_one(
    tmp_path: Path, undisturbed: dict[str, object], done: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path), str(done)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        job_id = process.stdout.readline().strip()
        process.kill()
    assert undisturbed["state"] == "failed"
    assert ended(tmp_path, job_id) == undisturbed
