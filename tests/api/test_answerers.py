"""Processes that search and ask beside the one that serves: the same answers, of all that was written, always."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from service import asking, bootstrap
from service.answerers import demand, pool
from service.answerers.messages import BODIES
from service.api.app import create_app
from service.api.schemas.requests import AskBody
from service.bootstrap import Engine
from service.evaluation.served import begun_by
from service.settings import Settings
from tests.api.conftest import TEXT, Api, calling
from tests.integration.conftest import happens

OF_EACH_ANSWER = ("id", "timings_ms")
"""What no two answers have in common."""
ROOT = Path(__file__).parents[2]
TALL = "How tall is the tower of Harwick Lighthouse?"


def call_for_processes(engine: Engine) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(demand, "PATIENCE_SECONDS", 0)
        engine.answerers.demand.note()


@pytest.fixture(scope="module")
def engine(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    helped = settings.model_copy(update={"data": tmp_path_factory.mktemp("helped"), "processes": 1})
    with closing(bootstrap.start(helped)) as engine:
        call_for_processes(engine)
        yield engine


@pytest.fixture(scope="module")
def api(engine: Engine) -> Iterator[Api]:
    with calling(create_app(engine.settings, engine=engine)) as api:
        yield api


@pytest.fixture
def helped(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that serves works nothing out by itself."""
    assert happens(lambda: engine.answerers.ready == 1)
    monkeypatch.setattr("service.api.dependencies.work_out", _refuse)


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("the process that serves had to work this out")


def pids(engine: Engine) -> list[int]:
    return [process._process.pid for process in engine.answerers._processes]


def common(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in OF_EACH_ANSWER}


@pytest.mark.parametrize("verb", BODIES)
@pytest.mark.parametrize(
    "asked",
    [
        {"question": TALL},
        {
            "question": "When was it built?",
            "top_k": 1,
            "filter": {"@title": {"eq": "Harwick Lighthouse"}},
            "explain": True,
        },
        {"question": "Who was the first person on the moon? 🌙"},
    ],
)
def test_a_process_answers_as_the_one_that_serves_does(
    engine: Engine, api: Api, lighthouse: str, helped: None, verb: str, asked: dict[str, Any]
) -> None:
    sent = {**asked, "collection": lighthouse}
    body = BODIES[verb].model_validate(sent)
    here = asking.work_out(body, engine.library.collection(lighthouse), engine.answering, waited_ms=0)
    assert common(api.json("POST", f"/v1/{verb}", json=sent)) == common(json.loads(here.json))


def test_what_was_written_is_seen_at_once_and_what_was_deleted_never_again(
    api: Api, collection: str, helped: None
) -> None:
    search = partial(api.json, "POST", "/v1/search", json={"question": "Which bird?", "collection": collection})
    for number in range(20):
        path = f"/v1/collections/{collection}/documents/{number}"
        seq = api.json("PUT", path, status=201, json={"text": f"The bird of day {number} is a wren."})["seq"]
        found = search()
        assert [one["document_id"] for one in found["passages"]] == [str(number)]
        assert found["seq"] == seq
        api.json("DELETE", path, params={"purge": "true"} if number % 2 else {})
        assert search()["passages"] == []


def test_another_collection_may_take_the_name_of_one_that_was_deleted(api: Api, lighthouse: str, helped: None) -> None:
    asked = {"question": TALL, "collection": lighthouse}
    assert api.json("POST", "/v1/ask", json=asked)["answered"]
    assert api("DELETE", f"/v1/collections/{lighthouse}").status_code == 204
    assert api("POST", "/v1/ask", json=asked).status_code == 404
    api.json("PUT", f"/v1/collections/{lighthouse}", status=201)
    assert api.json("POST", "/v1/ask", json=asked)["no_answer_reason"] == "empty_collection"


def test_a_batch_is_answered_in_its_order(api: Api, lighthouse: str, helped: None) -> None:
    asked = [{"question": TALL, "collection": lighthouse}, {"question": TALL, "collection": "nowhere"}]
    for verb in BODIES:
        answer, problem = api.json("POST", f"/v1/{verb}/batch", json={"requests": asked})["responses"]
        alone = api.json("POST", f"/v1/{verb}", json=asked[0])
        assert common(answer) == common(alone)
        assert (problem["status"], problem["errors"][0]["pointer"]) == (404, "/collection")


def test_limits_of_the_deployment_hold_there_too(settings: Settings, tmp_path: Path, monkeypatch: Any) -> None:
    changes = {"data": tmp_path / "data", "processes": 1, "max_top_k": 200, "max_question_characters": 5_000}
    with closing(bootstrap.start(settings.model_copy(update=changes))) as engine:
        call_for_processes(engine)
        monkeypatch.setattr("service.api.dependencies.work_out", _refuse)
        assert happens(lambda: engine.answerers.ready == 1)
        with calling(create_app(engine.settings, engine=engine)) as api:
            asked = {"question": "Where is the wren? " * 200, "top_k": 200}
            assert api.json("POST", "/v1/search", json=asked)["passages"] == []


def test_a_process_that_is_killed_costs_no_answer_and_is_replaced(engine: Engine, api: Api, lighthouse: str) -> None:
    asked = {"question": TALL, "collection": lighthouse}
    (killed,) = pids(engine)
    stop = threading.Event()

    def ask() -> set[bool]:
        answered = set()
        while not stop.is_set():
            answered.add(api.json("POST", "/v1/ask", json=asked)["answered"])
        return answered

    with ThreadPoolExecutor(4) as clients:
        asked_until_then = [clients.submit(ask) for _ in range(4)]
        try:
            os.kill(killed, signal.SIGKILL)
            assert happens(lambda: engine.answerers.ready == 0)
            assert happens(lambda: engine.answerers.ready == 1)
        finally:
            stop.set()
        assert [one.result() for one in asked_until_then] == [{True}] * 4
    assert pids(engine) != [killed]


def test_a_process_that_hangs_is_replaced(
    engine: Engine, api: Api, lighthouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert happens(lambda: engine.answerers.ready == 1)
    (hanging,) = pids(engine)
    monkeypatch.setattr(pool, "LONGEST_ANSWER_SECONDS", 0.2)
    os.kill(hanging, signal.SIGSTOP)
    assert api.json("POST", "/v1/ask", json={"question": TALL, "collection": lighthouse})["answered"]
    assert happens(lambda: pids(engine) not in ([], [hanging]) and engine.answerers.ready == 1)


def test_what_a_process_cannot_answer_is_worked_out_here(
    engine: Engine, api: Api, lighthouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = engine.library.collection(lighthouse)
    worked_out: list[str] = []

    def work_out(body: AskBody, *given: Any, **named: Any) -> asking.Answered:
        worked_out.append(body.question)
        return asking.work_out(body, *given, **named)

    assert happens(lambda: engine.answerers.ready == 1)
    monkeypatch.setattr("service.api.dependencies.work_out", work_out)
    monkeypatch.setattr(collection, "folder", Path("/no/such/folder"))
    assert api.json("POST", "/v1/ask", json={"question": TALL, "collection": lighthouse})["answered"]
    assert worked_out == [TALL]


def test_its_operator_sees_how_many_there_are(api: Api, lighthouse: str, helped: None) -> None:
    assert api.json("GET", "/health/ready")["checks"]["processes"] == {"ok": True, "detail": "1 of at most 1 answer"}
    before = api("GET", "/metrics").text
    api.json("POST", "/v1/ask", json={"question": TALL, "collection": lighthouse})
    after = api("GET", "/metrics").text
    assert "loccit_answering_processes 1.0" in after
    for counted in ('loccit_answers_total{outcome="answered"}', 'loccit_stage_seconds_count{stage="read"}'):
        assert value(after, counted) == value(before, counted) + 1


def value(metrics: str, name: str) -> float:
    return next((float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(name)), 0.0)


def test_without_a_process_that_can_be_begun_it_serves_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MODULE", "service.no_such_module")
    helped = settings.model_copy(update={"data": tmp_path / "data", "processes": 1})
    with closing(bootstrap.start(helped)) as engine, calling(create_app(helped, engine=engine)) as api:
        call_for_processes(engine)
        api.json("PUT", "/v1/collections/default/documents/a", status=201, json={"text": TEXT})
        assert api.json("POST", "/v1/ask", json={"question": TALL})["answered"]
        assert api.json("GET", "/health/ready")["checks"]["processes"]["detail"] == "0 of at most 1 answer"


def test_without_memory_for_one_it_serves_alone(
    engine: Engine, api: Api, lighthouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[None] = []
    monkeypatch.setattr(pool, "has_room_for_as_much_again", lambda: looked.append(None))
    assert happens(lambda: engine.answerers.ready == 1)
    for pid in pids(engine):
        os.kill(pid, signal.SIGKILL)
    assert happens(lambda: len(looked) > 1)
    assert pids(engine) == []
    assert api.json("POST", "/v1/ask", json={"question": TALL, "collection": lighthouse})["answered"]


def test_one_that_is_not_needed_any_more_ends_until_it_is(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert happens(lambda: engine.answerers.ready == 1)
    ended = pids(engine)
    monkeypatch.setattr(pool, "LOOK_SECONDS", 0.01)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(demand, "REST_SECONDS", 0)
        assert happens(lambda: pids(engine) == [])
    assert engine.answerers.ready == 0
    call_for_processes(engine)
    assert happens(lambda: engine.answerers.ready == 1)
    assert pids(engine) != ended


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_one_is_begun_while_many_ask_and_ends_with_a_service_that_is_stopped_or_killed(
    tmp_path: Path, sent: signal.Signals
) -> None:
    environment = {
        "LOCCIT_DATA": str(tmp_path / "data"), "LOCCIT_SEEDS": "false", "LOCCIT_PROCESSES": "1", "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as serving:  # fmt: skip
        assert serving.stdout is not None
        (address,) = re.findall(rb"http://\S+", serving.stdout.readline())
        assert begun_by(serving.pid) == []
        stop = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=address.decode(), timeout=60) as client:
                while not stop.is_set():
                    assert client.post("/v1/search", json={"question": TALL}).status_code == 200

        with ThreadPoolExecutor(8) as clients:
            asking = [clients.submit(ask) for _ in range(8)]
            assert happens(lambda: begun_by(serving.pid) != [])
            stop.set()
        assert [one.result() for one in asking] == [None] * 8
        (begun,) = begun_by(serving.pid)
        serving.send_signal(sent)
        assert serving.wait(30) == (0 if sent == signal.SIGTERM else -signal.SIGKILL)
    assert happens(lambda: not Path(f"/proc/{begun}").exists())


def test_when_the_engine_is_closed_so_are_they(settings: Settings, tmp_path: Path) -> None:
    engine = bootstrap.start(settings.model_copy(update={"data": tmp_path / "data", "processes": 2}))
    call_for_processes(engine)
    assert happens(lambda: engine.answerers.ready == 2)
    begun = pids(engine)
    engine.close()
    for pid in begun:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
