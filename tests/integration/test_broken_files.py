"""Forty broken and hostile files: each has its reason, nothing of them stays, and the service is as it was."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import httpx
import pytest

from embeddings.domain import Source
from embeddings.errors import InvalidInput, InvalidText
from embeddings.loaders.formats import Formats, all_formats
from embeddings.parsing import Limits, ParsingProcesses
from service.naming import MEDIA_TYPES
from tests.broken import FILES, Broken
from tests.integration.test_service_crash import served

MEBIBYTE = 1 << 20
MOST_GROWTH = 64 * MEBIBYTE


@pytest.fixture(scope="module")
def formats() -> Formats:
    return all_formats()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_broken_file_has_a_clear_reason(formats: Formats, file: Broken) -> None:
    with pytest.raises(InvalidInput, match=file.reason):
        formats.load(Source(content=file.made(), media_type=MEDIA_TYPES[PurePath(file.name).suffix]))


def test_markdown_that_keeps_its_parser_busy_is_given_up_in_another_process() -> None:
    limited = ParsingProcesses("embeddings.loaders", ["text/markdown"], limits=Limits(processor_seconds=1))
    started = time.process_time()
    with pytest.raises(InvalidText, match="limits of time"):
        limited.load(Source(content=b"[" * MEBIBYTE, media_type="text/markdown"))
    assert time.process_time() - started < 1


def resident_bytes(data: Path) -> int:
    """Of the process that holds the data folder."""
    wanted = f"LOCCIT_DATA={data}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_service = b"service\0serve" in (process / "cmdline").read_bytes()
            if is_service and wanted in (process / "environ").read_bytes().split(b"\0"):
                return int((process / "statm").read_text().split()[1]) * 4096
        except OSError:
            continue
    raise AssertionError("the service is gone")


def line_of_a_hundred_megabytes() -> Iterator[bytes]:
    for _ in range(100):
        yield b"x" * 1_000_000


def finished(client: httpx.Client, job_id: str) -> Any:
    deadline = time.monotonic() + 300
    while (job := client.get(f"/v1/jobs/{job_id}").json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.2)
    return job


def send(client: httpx.Client, files: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """What became of each."""
    form = [("file", (name, content, "application/octet-stream")) for name, content in files]
    accepted = client.post("/v1/collections/default/documents", files=form)
    assert accepted.status_code == 202, accepted.text
    return list(finished(client, accepted.json()["job_id"])["items"])


@pytest.mark.slow
def test_forty_broken_files_leave_the_service_as_it_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    contents = [(file.name, file.made()) for file in FILES]
    assert len(contents) >= 40
    with served(data, signal.SIGTERM) as client:
        assert send(client, [("warm.html", b"<p>A wren sings."), ("good.md", b"A *heron* waits.")])
        client.post("/v1/search", json={"question": "heron"})
        before = resident_bytes(data)
        items = send(client, contents)
        for file, item in zip(FILES, items, strict=True):
            assert (item["document_id"], item["state"]) == (file.name, "failed")
            assert file.reason in str(item["problem"])
        assert client.put(
            "/v1/collections/default/documents/line",
            content=line_of_a_hundred_megabytes(),
            headers={"content-type": "text/plain"},
        ).status_code == 413  # fmt: skip
        assert resident_bytes(data) - before < MOST_GROWTH
        stored = client.get("/v1/collections/default/documents").json()["items"]
        assert {one["document_id"] for one in stored} == {"warm.html", "good.md"}
        assert client.post("/v1/search", json={"question": "heron"}).json()["passages"][0]["document_id"] == "good.md"
    originals = [path for path in data.glob("collections/*/originals/??/*") if path.is_file()]
    assert len(originals) == 2
