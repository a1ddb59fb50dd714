"""Documents that come together: prepared side by side, committed one after another in their order."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import apsw
import numpy as np
import pytest

from embeddings.arrays import Vectors
from embeddings.collection import GROUP, Collection
from embeddings.corpus.writes import store_vectors
from embeddings.domain import LoadedDocument, Source
from embeddings.errors import DiskFull, IdempotencyConflict, InvalidText, StoreReadOnly
from embeddings.files import Originals
from embeddings.inspection import inspect
from embeddings.library import Library
from embeddings.loaders.plain import PlainLoader
from embeddings.registry import add_job, jobs_of
from service.jobs import JobRecord, Jobs, Upload
from tests.integration.conftest import OpenLibrary, happens, parts, plain

ROOT = Path(__file__).parents[2]
UNREADABLE = plain("nul \0 nul")


def note(number: int) -> str:
    return " ".join(f"Entry {number} of the ledger lists {count} eggs." for count in range(number % 40 + 1))


def test_receipts_come_in_order_each_when_its_document_can_be_found(collection: Collection) -> None:
    receipts = collection.put_many((f"note-{number}", plain(note(number))) for number in range(30))
    for number, receipt in enumerate(receipts):
        assert (receipt.document_id, receipt.version, receipt.seq) == (f"note-{number}", 1, number + 1)
        assert collection.seq >= receipt.seq
        assert collection.text(receipt.document_id).text == note(number)


def test_many_put_at_once_are_stored_as_if_put_one_by_one(open_library: OpenLibrary) -> None:
    library = open_library()
    documents = [(f"note-{number % 7}", plain(note(number))) for number in range(20)]
    stored: dict[str, list[tuple[object, ...]]] = {}
    for name in ("one-by-one", "many"):
        library.create(name)
        notes = library.collection(name)
        if name == "many":
            list(notes.put_many(documents))
        else:
            for document_id, source in documents:
                notes.put(document_id, source)
        with notes.database.reading() as connection:
            stored[name] = connection.execute(
                "SELECT indexing_key, start, end, p.content_sha, words, vector, crc32"
                " FROM live_passages p JOIN vectors USING (content_sha) ORDER BY passage_key"
            ).fetchall()
        assert {record.version for record in notes.documents()} == {2, 3}
    assert stored["many"] == stored["one-by-one"]


def test_the_first_that_is_refused_ends_it_and_those_before_it_stay(collection: Collection) -> None:
    documents = [("good", plain("A wren sings.")), ("bad", UNREADABLE), ("late", plain("A teal swims."))]
    with pytest.raises(InvalidText):
        list(collection.put_many(documents))
    assert [record.document_id for record in collection.documents()] == ["good"]


def test_the_same_bytes_from_many_threads_are_kept_once_and_whole(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    contents = [bytes([number]) * 100_000 for number in range(8)] * 8
    with ThreadPoolExecutor(8) as pool:
        shas = [sha for added in pool.map(originals.add, [[one] for one in contents]) for sha in added]
    assert [originals.read(sha) for sha in shas] == contents
    assert sorted(originals.all()) == sorted(set(shas))


WRITER = """
import sys
from pathlib import Path
from embeddings.library import Library
from embeddings.loaders.plain import PlainLoader
from embeddings.registry import add_job, jobs_of
from tests.integration.conftest import parts
from tests.integration.test_bulk import note, plain

library = Library(Path(sys.argv[1]), parts(), free_disk_floor_bytes=0)
library.create("notes")
documents = ((f"note-{number}", plain(note(number))) for number in range(100_000))
for receipt in library.collection("notes").put_many(documents):
    print(receipt.document_id, flush=True)
"""


def test_every_receipt_holds_when_the_process_is_killed_among_many(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        receipts = [process.stdout.readline() for _ in range(20)]
        process.kill()
        receipts += process.stdout.readlines()
    assert [finding for finding in inspect(tmp_path / "data", parts()) if not finding.ok] == []
    library = Library(tmp_path / "data", parts(), free_disk_floor_bytes=0)
    notes = library.collection("notes")
    stored = {record.document_id: notes.text(record.document_id).text for record in notes.documents(limit=100_000)}
    library.close()
    acknowledged = [line.strip() for line in receipts if line.endswith("\n")]
    assert acknowledged == [f"note-{number}" for number in range(len(acknowledged))]
    assert stored == {f"note-{number}": note(number) for number in range(len(stored))}
    assert 0 <= len(stored) - len(acknowledged) <= GROUP


@pytest.fixture
def library(open_library: OpenLibrary) -> Library:
    library = open_library()
    library.create("notes")
    return library


@pytest.fixture
def jobs(library: Library) -> Iterator[Jobs]:
    jobs = Jobs(library)
    yield jobs
    jobs.close()


def finished(jobs: Jobs, job: JobRecord) -> JobRecord:
    deadline = time.monotonic() + 30
    while not (job := jobs.get(job.job_id)).is_finished:
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.01)
    return job


def test_a_job_goes_on_after_an_item_that_fails_and_keeps_the_order_of_versions(jobs: Jobs) -> None:
    sources = {0: plain("First."), 1: UNREADABLE, 2: plain("Second."), 3: plain("Third.")}
    uploads = [Upload(document_id="bad" if number == 1 else "note", source=one) for number, one in sources.items()]
    job = finished(jobs, jobs.submit("notes", uploads))
    assert job.state == "failed"
    assert [(item.state, item.version) for item in job.items] == [
        ("succeeded", 1), ("failed", None), ("succeeded", 2), ("succeeded", 3)
    ]  # fmt: skip


def test_an_item_that_meets_a_fault_of_ours_fails_alone(
    library: Library, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PlainLoader.load

    def faulty(self: PlainLoader, source: Source) -> LoadedDocument:
        if b"Entry 5 " in source.content:
            raise RecursionError
        return original(self, source)

    monkeypatch.setattr(PlainLoader, "load", faulty)
    uploads = [Upload(document_id=f"note-{number}", source=plain(note(number))) for number in range(10)]
    job = finished(jobs, jobs.submit("notes", uploads))
    assert [item.document_id for item in job.items if item.state == "failed"] == ["note-5"]
    assert job.items[5].problem == "The document could not be read, by a fault of the service. Its log says more."
    assert library.collection("notes").info().documents == 9


def test_a_job_that_is_cancelled_commits_nothing_more(
    library: Library, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = library.collection("notes")
    encoder = notes._parts.encoder
    original = encoder.encode_passages
    submitted: SimpleQueue[JobRecord] = SimpleQueue()

    def cancelling(self: object, texts: list[str]) -> Vectors:
        if any(f"Entry {GROUP + 3} " in text for text in texts):
            jobs.cancel(submitted.get(timeout=10).job_id)
        return original(texts)

    monkeypatch.setattr(type(encoder), "encode_passages", cancelling)
    uploads = [Upload(document_id=f"note-{number}", source=plain(note(number))) for number in range(3 * GROUP)]
    job = jobs.submit("notes", uploads)
    submitted.put(job)
    job = finished(jobs, job)
    done = [item.document_id for item in job.items if item.state == "succeeded"]
    assert job.state == "cancelled"
    assert done == [f"note-{number}" for number in range(len(done))]
    assert len(done) <= GROUP
    assert {record.document_id for record in notes.documents()} == set(done)
    assert finished(jobs, jobs.submit("notes", uploads[:2])).state == "succeeded"


def holding(folder: Path, word: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()]


def test_a_purge_leaves_no_trace_of_what_came_as_a_job(library: Library, jobs: Jobs, tmp_path: Path) -> None:
    secret = plain("The canaryword is swordfish.", title="canaryword", metadata={"word": "canaryword"})
    assert finished(jobs, jobs.submit("notes", [Upload(document_id="secret", source=secret)])).state == "succeeded"
    assert holding(tmp_path, b"canaryword")
    library.collection("notes").delete("secret", purge=True)
    assert holding(tmp_path, b"canaryword") == []


def test_nothing_is_kept_of_a_file_that_a_job_refuses(library: Library, jobs: Jobs, tmp_path: Path) -> None:
    refused = plain("nul \0 canaryword")
    uploads = [Upload(document_id="bad", source=refused), Upload(document_id="good", source=plain("A wren sings."))]
    job = finished(jobs, jobs.submit("notes", uploads))
    assert [item.state for item in job.items] == ["failed", "succeeded"]
    assert holding(tmp_path, b"canaryword") == []
    notes = library.collection("notes")
    assert len(list(notes.originals.all())) == 1
    assert notes.original("good").content == b"A wren sings."


def registered(library: Library) -> list[str]:
    return jobs_of(library.system, "notes")


def test_a_repeated_request_leaves_neither_bytes_nor_a_job(library: Library, jobs: Jobs) -> None:
    def submit(text: str) -> JobRecord:
        return jobs.submit(
            "notes", [Upload(document_id="wren", source=plain(text))], idempotency_key="k", body_sha256=text
        )

    first = finished(jobs, submit("A wren sings."))
    assert submit("A wren sings.").job_id == first.job_id
    with pytest.raises(IdempotencyConflict):
        submit("A teal swims.")
    assert registered(library) == [first.job_id]
    assert len(list(library.collection("notes").originals.all())) == 1


def test_a_request_that_cannot_be_accepted_leaves_neither_bytes_nor_a_job(
    library: Library, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DiskFull("The disk is full.")

    monkeypatch.setattr("embeddings.corpus.jobs.add_job", full)
    with pytest.raises(DiskFull):
        jobs.submit("notes", [Upload(document_id="wren", source=plain("A wren sings."))])
    assert registered(library) == []
    assert list(library.collection("notes").originals.all()) == []


def test_what_a_failed_disk_may_have_taken_all_the_same_is_kept(
    library: Library, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise apsw.IOError("disk I/O error")

    monkeypatch.setattr("embeddings.corpus.jobs.add_job", failing)
    with pytest.raises(StoreReadOnly):
        jobs.submit("notes", [Upload(document_id="wren", source=plain("A wren sings."))])
    assert len(registered(library)) == 1
    assert len(list(library.collection("notes").originals.all())) == 1


def test_old_jobs_are_forgotten_everywhere(
    library: Library, jobs: Jobs, open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embeddings.corpus.jobs.KEPT_JOBS", 2)
    done = [
        finished(jobs, jobs.submit("notes", [Upload(document_id="wren", source=plain(note(n)))])).job_id
        for n in range(4)
    ]
    jobs.close()
    assert sorted(registered(library)) == sorted(done[2:])
    add_job(library.system, "of-a-job-that-is-gone", "notes")
    reopened = open_library()
    Jobs(reopened).close()
    assert sorted(registered(reopened)) == sorted(done[2:])


def test_jobs_are_forgotten_a_month_after_their_end(
    library: Library, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = finished(jobs, jobs.submit("notes", [Upload(document_id="wren", source=plain(note(1)))]))
    monkeypatch.setattr("embeddings.corpus.jobs.KEPT_DAYS", 0)
    finished(jobs, jobs.submit("notes", [Upload(document_id="wren", source=plain(note(2)))]))
    jobs.close()
    assert old.job_id not in registered(library)


def test_a_put_that_fails_leaves_nothing(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DiskFull("The disk is full.")

    for place in ("embeddings.corpus.writes.put_version", "embeddings.corpus.writes.known_vectors"):
        with monkeypatch.context() as patched:
            patched.setattr(place, full)
            with pytest.raises(DiskFull):
                collection.put("wren", plain("A wren sings."))
    with pytest.raises(InvalidText):
        list(collection.put_many([("bad", UNREADABLE), ("late", plain("A teal swims."))]))
    assert list(collection.originals.all()) == []


def vectors(collection: Collection) -> int:
    with collection.database.reading() as connection:
        return int(connection.execute("SELECT count(*) FROM vectors").get)


def test_what_a_killed_process_left_is_told_and_removed(open_library: OpenLibrary, tmp_path: Path) -> None:
    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    notes.put("wren", plain("A wren sings."))
    notes.originals.add([b"never committed"])
    with notes.database.writing() as connection:
        store_vectors(connection, {b"never named": np.zeros(notes._parts.encoder.dimension, np.float32)})
    library.close()
    told = {finding.name: finding for finding in inspect(tmp_path / "data", parts())}
    for part in ("notes: originals", "notes: vectors"):
        assert told[part].ok
        assert "1 that nothing names" in told[part].detail
    notes = open_library().collection("notes")
    assert happens(lambda: len(list(notes.originals.all())) == 1 and vectors(notes) == 1)


def test_unused_vectors_are_dropped_in_steps_that_can_be_stopped(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embeddings.erasing.LOOKED_UP", 2)
    collection.put("wren", plain("A wren sings."))
    unused = {bytes([first]): np.zeros(collection._parts.encoder.dimension, np.float32) for first in range(0, 250, 50)}
    with collection.database.writing() as connection:
        store_vectors(connection, unused)
    steps = iter([False, True])
    collection.drop_unused_vectors(lambda: next(steps))
    assert 1 < vectors(collection) < 6
    collection.drop_unused_vectors()
    assert vectors(collection) == 1
    assert [hit.passage.text for hit in collection.search("wren", top_k=1).hits] == ["A wren sings."]


def test_what_an_unfinished_job_has_encoded_stays_until_it_is_cancelled(
    library: Library, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embeddings.encoding.HELD", 2)
    notes = library.collection("notes")
    encoder = notes._parts.encoder
    original = encoder.encode_passages
    stored: list[int] = []

    def cancelling(self: object, texts: list[str]) -> Vectors:
        if vectors(notes):
            notes.drop_unused_vectors()
            stored.append(vectors(notes))
            jobs.cancel(registered(library)[0])
        return original(texts)

    monkeypatch.setattr(type(encoder), "encode_passages", cancelling)
    long = "\n\n".join(f"# {number}\n" + note(39) for number in range(8))
    job = finished(jobs, jobs.submit("notes", [Upload(document_id="long", source=plain(long))]))
    assert job.state == "cancelled"
    assert stored
    assert min(stored) > 0
    jobs.close()
    assert vectors(notes) == 0
