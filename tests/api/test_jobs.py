from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from embeddings.errors import Busy
from service.api.routes import jobs
from service.api.schemas.responses import JobItemModel, JobModel
from service.naming import short_hash
from tests.api.conftest import Api
from tests.api.test_refusals import pointers, problem


def finished(api: Api, job_id: str) -> Any:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        job = api.json("GET", f"/v1/jobs/{job_id}")
        if job["state"] in ("succeeded", "failed", "cancelled"):
            return job
        time.sleep(0.02)
    raise AssertionError("the job does not end")


def test_a_document_that_nobody_waits_for_becomes_a_job(api: Api, collection: str) -> None:
    path = f"/v1/collections/{collection}/documents/later"
    response = api("PUT", path, params={"wait": "false"}, json={"text": "A plover feigns."})
    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/jobs/{response.json()['job_id']}"
    assert finished(api, response.json()["job_id"])["state"] == "succeeded"
    assert api("GET", f"{path}/text").text == "A plover feigns."


def test_files_of_a_form_get_readable_ids(api: Api, collection: str) -> None:
    files = [
        ("file", ("notes.md", b"# Curlew\n\nIt probes.", "application/octet-stream")),
        ("file", ("../Été 鳥.txt", b"A godwit flies.", "text/plain")),
    ]
    job = finished(api, api.json("POST", f"/v1/collections/{collection}/documents", status=202, files=files)["job_id"])
    first, second = (item["document_id"] for item in job["items"])
    assert first == "notes.md"
    assert second.startswith("Ete-.txt-")
    assert api.json("GET", f"/v1/collections/{collection}/documents/{first}")["media_type"] == "text/markdown"


def test_a_form_may_tell_more_of_its_files(api: Api, collection: str) -> None:
    files = [
        ("file", ("a", b"# Curlew\n\nIt probes.", "text/markdown")),
        ("file", ("b.txt", b"A godwit flies.", "text/plain")),
    ]
    told = [
        {"document_id": "curlew", "uri": "file:///birds/a.md", "metadata": {"kind": "wader"}},
        {"title": "On godwits"},
    ]
    path = f"/v1/collections/{collection}/documents"
    job_id = api.json("POST", path, status=202, files=files, data={"documents": json.dumps(told)})["job_id"]
    assert [item["document_id"] for item in finished(api, job_id)["items"]] == ["curlew", "b.txt"]
    curlew = api.json("GET", f"{path}/curlew")
    assert (curlew["title"], curlew["uri"], curlew["metadata"]) == ("Curlew", "file:///birds/a.md", {"kind": "wader"})
    assert api.json("GET", f"{path}/b.txt")["title"] == "On godwits"


@pytest.mark.parametrize(
    ("told", "pointer"),
    [
        ("[{}]", "/documents"),
        ('[{}, {"document_id": "a b"}]', "/documents/1/document_id"),
        ('[{"colour": 1}, {}]', "/documents/0/colour"),
        ("{}", "/documents"),
        ("nope", "/documents"),
    ],
)
def test_what_a_form_tells_amiss_is_refused(api: Api, collection: str, told: str, pointer: str) -> None:
    files = [("file", (name, b"A", "text/plain")) for name in ("a.txt", "b.txt")]
    path = f"/v1/collections/{collection}/documents"
    assert pointers(api("POST", path, files=files, data={"documents": told})) == [pointer]


def test_missing_ids_are_made_of_the_text(api: Api, collection: str) -> None:
    body = {"documents": [{"text": "A knot wades."}]}
    made = [api.json("POST", f"/v1/collections/{collection}/documents", status=202, json=body) for _ in range(2)]
    assert len({finished(api, job["job_id"])["items"][0]["document_id"] for job in made}) == 1


def test_files_without_names_are_documents_of_their_own(api: Api, collection: str) -> None:
    texts = (b"A ruff dances.", b"A reeve looks on.")
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename=""\r\nContent-Type: text/plain\r\n\r\n'
    body = b"".join(head + text + b"\r\n" for text in texts)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    path = f"/v1/collections/{collection}/documents"
    job_id = api.json("POST", path, status=202, content=body + b"--x--\r\n", headers=headers)["job_id"]
    made = {item["document_id"] for item in finished(api, job_id)["items"]}
    assert made == {f"text-{short_hash(text)}" for text in texts}


def test_a_file_that_cannot_be_read_is_named(api: Api, collection: str) -> None:
    files = [("file", ("a.txt", b"A", "text/plain")), ("file", ("film.mp4", b"..", "video/mp4"))]
    refused = problem(api("POST", f"/v1/collections/{collection}/documents", files=files), 415)
    assert refused["errors"][0]["pointer"] == "/file/1"
    assert "film.mp4" in refused["detail"]


def test_a_form_without_files_is_refused(api: Api, collection: str) -> None:
    path = f"/v1/collections/{collection}/documents"
    assert pointers(api("POST", path, files=[("other", ("a.txt", b"A", "text/plain"))])) == ["/file"]
    problem(api("POST", path, content=b"..", headers={"Content-Type": "multipart/form-data"}), 400)
    assert pointers(api("POST", path, json={"documents": []})) == ["/documents"]


def test_a_repeated_key_gives_the_same_job_and_refuses_another_body(api: Api, collection: str) -> None:
    path = f"/v1/collections/{collection}/documents"

    def post(text: str) -> Any:
        return api(
            "POST", path, files=[("file", ("a.txt", text.encode(), "text/plain"))], headers={"Idempotency-Key": "k"}
        )

    assert post("One.").json() == post("One.").json()
    assert pointers(post("Two.")) == ["Idempotency-Key"]
    assert pointers(api("POST", path, headers={"Idempotency-Key": "a key"}, json={})) == ["Idempotency-Key"]


def test_the_events_of_a_job_end_with_the_whole_job(api: Api, collection: str) -> None:
    body = {"documents": [{"document_id": "watched", "text": "A crake creaks."}]}
    job_id = api.json("POST", f"/v1/collections/{collection}/documents", status=202, json=body)["job_id"]
    response = api("GET", f"/v1/jobs/{job_id}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n") for event in response.text.strip().split("\n\n")]
    assert {event[0] for event in events} == {"event: item", "event: progress", "event: end"}
    assert json.loads(events[-1][1].removeprefix("data: "))["state"] == "succeeded"


def test_each_item_is_told_once_a_state_even_where_the_service_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    running = JobModel(
        job_id="j", collection="c", state="running", done=1, total=2, unit="documents", rate_per_s=None, eta_s=None,
        items=[JobItemModel(document_id="twice", state="succeeded", version=1),
               JobItemModel(document_id="twice", state="queued")],
        created_at=datetime.now(UTC), finished_at=None,
    )  # fmt: skip
    items = [running.items[0], JobItemModel(document_id="twice", state="succeeded", version=2)]
    done = running.model_copy(update={"state": "succeeded", "items": items})
    looks: Iterator[JobModel | Busy] = iter([running, Busy("Full."), done])

    async def look(*_: object) -> JobModel:
        seen = next(looks)
        if isinstance(seen, Busy):
            raise seen
        return seen

    async def told() -> list[str]:
        return [event.split("\n")[0] async for event in jobs._events(None, running)]  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "_job", look)
    monkeypatch.setattr(jobs, "_LOOK_EVERY_SECONDS", 0)
    assert anyio.run(told) == [*["event: item"] * 2, "event: progress", "event: item", "event: end"]


def test_a_finished_job_stays_as_it_is(api: Api, collection: str) -> None:
    body = {"documents": [{"text": "A teal swims."}]}
    job_id = api.json("POST", f"/v1/collections/{collection}/documents", status=202, json=body)["job_id"]
    finished(api, job_id)
    assert api.json("DELETE", f"/v1/jobs/{job_id}")["state"] == "succeeded"
    problem(api("GET", "/v1/jobs/no-such-one"), 404)


def test_a_job_whose_bytes_go_while_it_is_looked_at_is_told_all_the_same(
    api: Api, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty text is refused, and its bytes are forgotten, maybe before whoever sent it has the answer."""
    path = f"/v1/collections/{collection}/documents"
    job_id = api.json("POST", path, status=202, json={"documents": [{"document_id": "empty", "text": ""}]})["job_id"]
    finished(api, job_id)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    job = api.json("GET", f"/v1/jobs/{job_id}")
    assert (job["state"], job["done"], job["total"]) == ("failed", 1, 1)
