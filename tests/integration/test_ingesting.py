"""Folders and a collection of a running engine, brought into step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from service import folder_command, ingesting
from service.calling import Call, Refused, _content
from service.digests import Digests
from service.folder_command import Request, follow
from service.folders import Choice, Patterns, find
from service.ingesting import Ingesting, Outcome, Plan, planned, stored_documents
from service.settings import Settings
from tests.api.conftest import Api, api, collection, engine, settings

__all__ = ["api", "collection", "engine", "settings"]

Step = Callable[..., tuple[Plan, Outcome]]


@pytest.fixture
def call(api: Api) -> Call:
    return lambda method, path, **sent: _content(api(method, path, **sent))


@pytest.fixture
def step(call: Call, collection: str) -> Step:
    """Plans and carries out."""

    def run(*named: Path, sync: bool = False, exclude: tuple[str, ...] = ()) -> tuple[Plan, Outcome]:
        found = find([str(one) for one in named], Choice(exclude=Patterns(exclude)))
        plan = planned(found, stored_documents(call, collection), Digests(), sync=sync, noticed=lambda _: None)
        return plan, Ingesting(call, collection, Digests(), most_bytes=100_000, told=lambda done, size: None).run(plan)

    return run


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "x").mkdir(parents=True)
    for number in range(5):
        (folder / "x" / f"{number}.md").write_text(f"# Lamp {number}\n\nLamp {number} stands on cliff {number}.")
    return folder


def counts(outcome: Outcome) -> tuple[int, int, int]:
    assert outcome.failures == []
    return outcome.new, outcome.changed, outcome.removed


def by_uri(call: Call, collection: str) -> dict[str, Any]:
    return {one["uri"]: one for one in call("GET", f"/v1/collections/{collection}/documents")["items"]}


def test_a_document_tells_its_file_and_what_the_file_tells(step: Step, call: Call, collection: str, docs: Path) -> None:
    (docs / "dated.md").write_text("---\ntitle: On lamps\nms.date: 05/31/2018\nauthor: Edda\n---\nThe lamp was lit.")
    assert counts(step(docs)[1]) == (6, 0, 0)
    stored = by_uri(call, collection)
    dated = stored[(docs / "dated.md").as_uri()]
    assert (dated["title"], dated["metadata"]) == ("On lamps", {"updated_at": "2018-05-31", "author": "Edda"})
    assert stored[(docs / "x/3.md").as_uri()]["title"] == "Lamp 3"
    assert stored[(docs / "x/3.md").as_uri()]["document_id"].startswith("x-3.md-")


def test_only_what_differs_is_sent_and_only_sync_removes(step: Step, call: Call, collection: str, docs: Path) -> None:
    step(docs)
    plan, _ = step(docs, sync=True)
    assert (plan.is_done, plan.unchanged) == (True, 5)
    (docs / "x/0.md").write_text("# Lamp 0\n\nNow it is out.")
    (docs / "new.txt").write_text("A new lamp.")
    (docs / "x/1.md").unlink()
    assert counts(step(docs)[1]) == (1, 1, 0)
    assert counts(step(docs, sync=True)[1]) == (0, 0, 1)
    stored = by_uri(call, collection)
    assert (docs / "x/1.md").as_uri() not in stored
    assert stored[(docs / "x/0.md").as_uri()]["version"] == 2


def test_a_file_that_says_the_same_under_another_head_is_sent_once(step: Step, docs: Path) -> None:
    dated = docs / "dated.md"
    dated.write_text("---\nauthor: Edda\n---\nThe lamp was lit.")
    step(docs)
    dated.write_text("---\nauthor: Hester\n---\nThe lamp was lit.")
    assert counts(step(docs)[1]) == (0, 1, 0)
    assert step(docs)[0].is_done


def test_a_run_waits_where_the_service_is_busy(
    call: Call, collection: str, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: set[tuple[str, str]] = set()

    def busy_at_first(method: str, path: str, **sent: Any) -> Any:
        if (method, path) not in told:
            told.add((method, path))
            raise Refused("Too much at once.", status=503)
        return call(method, path, **sent)

    monkeypatch.setattr(ingesting, "_RETRY_SECONDS", 0)
    stored = stored_documents(busy_at_first, collection)
    plan = planned(find([str(docs)], Choice()), stored, Digests(), sync=False, noticed=lambda _: None)
    outcome = Ingesting(busy_at_first, collection, Digests(), most_bytes=100_000, told=lambda *_: None).run(plan)
    assert counts(outcome) == (5, 0, 0)
    assert {method for method, _ in told} == {"GET", "POST"}


def test_what_came_from_elsewhere_is_never_touched(step: Step, call: Call, collection: str, docs: Path) -> None:
    step(docs)
    place = f"/v1/collections/{collection}/documents"
    by_hand = (docs / "by-hand.md").as_uri()
    call("PUT", f"{place}/by-hand", json={"text": "A lamp put by hand.", "uri": by_hand})
    call("PUT", f"{place}/without", json={"text": "A lamp that tells no file."})
    other = docs.parent / "others"
    shutil.copytree(docs, other)
    step(other)
    shutil.rmtree(other)
    shutil.rmtree(docs / "x")
    (docs / "left.md").write_text("The one lamp that is left.")
    assert counts(step(docs, sync=True)[1]) == (1, 0, 5)
    left = {one["document_id"] for one in call("GET", place)["items"]}
    assert {"by-hand", "without"} < left
    assert len([name for name in left if name.startswith(("x-", "others-x-"))]) == 5, "those of the other folder"


def test_files_that_are_excluded_but_there_keep_their_documents(step: Step, docs: Path) -> None:
    step(docs)
    plan, _ = step(docs, sync=True, exclude=("[01].md",))
    assert (plan.unchanged, plan.removals) == (3, ())


def test_folders_with_files_of_the_same_name_have_documents_of_their_own(
    step: Step, call: Call, collection: str, docs: Path
) -> None:
    other = docs.parent / "others"
    shutil.copytree(docs, other)
    assert counts(step(docs, other)[1]) == (10, 0, 0)
    assert step(other)[0].unchanged == 5
    assert step(docs / "x")[0].unchanged == 5, "a file is the same, whichever folder above it is named"
    assert len(by_uri(call, collection)) == 10


def test_a_folder_that_was_moved_keeps_its_documents(step: Step, call: Call, collection: str, docs: Path) -> None:
    step(docs)
    before = {one["document_id"]: one["version"] for one in by_uri(call, collection).values()}
    moved = docs.rename(docs.parent / "moved")
    assert counts(step(moved, sync=True)[1]) == (0, 5, 0)
    stored = by_uri(call, collection)
    assert {one["document_id"]: one["version"] for one in stored.values()} == before
    assert (moved / "x/3.md").as_uri() in stored


def test_what_fails_is_named_and_the_rest_goes_in(step: Step, docs: Path) -> None:
    (docs / "bad.txt").write_bytes(b"nul \0 nul")
    (docs / "cut.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (docs / "gone.md").symlink_to(docs / "nowhere.md")
    (docs / "empty.md").touch()
    plan, outcome = step(docs)
    assert (outcome.new, plan.empty) == (5, 1)
    assert {Path(one.path).name for one in outcome.failures} == {"bad.txt", "cut.pdf", "gone.md"}
    assert all(one.problem for one in outcome.failures)


def test_a_file_that_the_service_refuses_fails_alone(
    step: Step, docs: Path, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.routing.DocumentRoute.limit", staticmethod(lambda settings: 20_000))
    (docs / "large.md").write_text("A lamp shines. " * 3_000)
    (docs / "larger.md").write_text("A lamp shines. " * 10_000)
    _, outcome = step(docs)
    assert outcome.new == 5
    problems = {Path(one.path).name: one.problem for one in outcome.failures}
    assert problems == {
        "large.md": "This call takes at most 20,000 bytes.",
        "larger.md": "The file has 150,000 bytes, and at most 100,000 are taken (LOCCIT_MAX_DOCUMENT_BYTES).",
    }


def test_what_was_accepted_is_cancelled_when_the_run_is_stopped(
    call: Call, collection: str, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.ingesting.FILES_SENT", 1)

    def interrupt(done: int, size: int) -> None:
        raise KeyboardInterrupt

    found = find([str(docs)], Choice())
    plan = planned(found, [], Digests(), sync=False, noticed=lambda _: None)
    ingesting = Ingesting(call, collection, Digests(), most_bytes=100_000, told=interrupt)
    with pytest.raises(KeyboardInterrupt):
        ingesting.run(plan)
    ended = [call("GET", f"/v1/jobs/{job_id}")["state"] for job_id, _ in ingesting._jobs]
    assert ended
    assert set(ended) <= {"succeeded", "cancelled"}


def test_a_service_that_can_take_nothing_ends_the_run(docs: Path) -> None:
    def full(method: str, path: str, **sent: Any) -> Any:
        raise Refused("The disk is full.", status=507)

    plan = planned(find([str(docs)], Choice()), [], Digests(), sync=False, noticed=lambda _: None)
    with pytest.raises(Refused, match="disk is full"):
        Ingesting(full, "notes", Digests(), most_bytes=100_000, told=lambda done, size: None).run(plan)


def test_a_file_that_was_emptied_is_gone(step: Step, docs: Path) -> None:
    step(docs)
    (docs / "x/2.md").write_text("")
    assert counts(step(docs)[1]) == (0, 0, 0)
    assert counts(step(docs, sync=True)[1]) == (0, 0, 1)


def test_following_looks_again_soon_after_a_long_run(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_command, "run", lambda *_: time.sleep(0.5))
    monkeypatch.setattr(folder_command, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))
    request = Request(names=[str(docs)], collection="default")
    with pytest.raises(KeyboardInterrupt):
        follow(Settings(data=tmp_path / "data"), request, lambda _: None)

    assert pauses == [2.0]
