"""More questions than can be answered: who is refused, who waits, and for whom nothing is computed any more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import anyio
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from embeddings.errors import Busy
from service.api.app import create_app
from service.api.gates import Gate
from service.api.leaving import unless_gone
from service.api.schemas.requests import AskBody
from service.bootstrap import Engine
from service.settings import Settings
from tests.api.conftest import Api, calling


class Work:
    """Calls that end when they are told to."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.may_end = threading.Event()

    def __call__(self, name: str) -> str:
        assert self.may_end.wait(10)
        self.done.append(name)
        return name


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.may_end.set()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not condition():
            await anyio.sleep(0.001)


def test_who_waits_longer_than_one_may_is_refused(work: Work) -> None:
    async def scenario() -> None:
        gate = Gate(width=1, waiting=5, longest_wait_seconds=0.02)
        first = asyncio.create_task(gate.run(partial(work, "first")))
        await until(lambda: gate.occupied == 1)
        with pytest.raises(Busy):
            await gate.run(partial(work, "second"))
        work.may_end.set()
        assert await first == "first"
        assert await gate.run(partial(work, "third")) == "third"
        assert gate.occupied == 0

    anyio.run(scenario)
    assert work.done == ["first", "third"]


def test_who_would_wait_longer_than_one_may_is_refused_at_once() -> None:
    async def scenario() -> None:
        gate = Gate(width=1, waiting=100, longest_wait_seconds=0.2)
        for _ in range(10):
            await gate.run(partial(time.sleep, 0.02))
        assert gate.expected_wait_seconds == 0.0
        with gate.admission(80):
            assert gate.expected_wait_seconds > 0.2
            with pytest.raises(Busy):
                await gate.run(partial(time.sleep, 0))
        await gate.run(partial(time.sleep, 0))

    anyio.run(scenario)


def test_nothing_is_computed_for_a_client_that_left_while_it_waited(work: Work) -> None:
    async def scenario() -> None:
        gate = Gate(width=1, waiting=5)
        left = asyncio.Event()
        first = asyncio.create_task(gate.run(partial(work, "first")))
        second = asyncio.create_task(unless_gone(leaving_at(left), partial(gate.run, partial(work, "second"))))
        third = asyncio.create_task(unless_gone(leaving_at(asyncio.Event()), partial(gate.run, partial(work, "third"))))
        await until(lambda: gate.occupied == 3)
        left.set()
        with pytest.raises(ClientDisconnect):
            await second
        assert gate.occupied == 2
        work.may_end.set()
        assert [await first, await third] == ["first", "third"]

    anyio.run(scenario)
    assert work.done == ["first", "third"]


def leaving_at(moment: asyncio.Event) -> Receive:
    async def receive() -> Message:
        await moment.wait()
        return {"type": "http.disconnect"}

    return receive


def test_what_is_under_way_is_ended_though_its_client_left(work: Work) -> None:
    async def scenario() -> None:
        gate = Gate(width=1, waiting=0)
        left = asyncio.Event()
        only = asyncio.create_task(unless_gone(leaving_at(left), partial(gate.run, partial(work, "only"))))
        await until(lambda: gate.occupied == 1)
        left.set()
        await anyio.sleep(0.01)
        with pytest.raises(Busy):
            await gate.run(partial(work, "another"))
        work.may_end.set()
        assert await only == "only"

    anyio.run(scenario)


@pytest.fixture
def small(other_settings: Callable[..., Settings], engine: Engine) -> FastAPI:
    """Takes one question, and lets three wait."""
    return create_app(other_settings(threads=1, waiting_reads=3), engine=engine)


def test_a_batch_takes_as_many_places_as_it_has_questions(small: FastAPI, lighthouse: str) -> None:
    question = {"question": "How tall is the tower?", "collection": lighthouse}
    with calling(small) as api, ExitStack() as waiting:
        waiting.enter_context(small.state.gates.questions.admission())
        assert status(api, {"requests": [question] * 3}) == 200
        assert status(api, {"requests": [question] * 4}) == 503
        waiting.close()
        assert status(api, {"requests": [question] * 9}) == 200


def status(api: Api, body: object) -> int:
    return api("POST", "/v1/search/batch", json=body).status_code


def test_a_refusal_reads_nothing_of_the_question(small: FastAPI) -> None:
    with calling(small) as api, small.state.gates.questions.admission(4):
        response = api("POST", "/v1/ask", content=b"{", headers={"Content-Type": "application/json"})
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(("waited", "left"), [(30, 70), (130, 0)])
def test_the_time_that_a_question_waits_is_taken_off_the_time_it_has(waited: float, left: float) -> None:
    body = AskBody(question="How tall is the tower?", max_latency_ms=100)
    assert body.to_domain(waited_ms=waited).max_latency_ms == left
