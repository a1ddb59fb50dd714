"""More questions than can be answered: who is refused, who waits, and for whom nothing is computed any more."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import anyio
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from embeddings.errors import Busy
from service.api.app import create_app
from service.api.gates import Gate
from service.api.leaving import unless_gone
from service.api.schemas.requests import AskBody
from service.bootstrap import Engine
from service.serving import configuration
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


@contextmanager
def no_room(small: FastAPI) -> Iterator[None]:
    with small.state.gates.asks.admission(4), small.state.gates.searches.admission(4):
        yield


def test_a_batch_takes_as_many_places_as_it_has_questions(small: FastAPI, lighthouse: str) -> None:
    question = {"question": "How tall is the tower?", "collection": lighthouse}
    with calling(small) as api, ExitStack() as waiting:
        waiting.enter_context(small.state.gates.searches.admission())
        assert status(api, {"requests": [question] * 3}) == 200
        assert status(api, {"requests": [question] * 4}) == 503
        waiting.close()
        assert status(api, {"requests": [question] * 9}) == 200


def status(api: Api, body: object) -> int:
    return api("POST", "/v1/search/batch", json=body).status_code


def test_who_searches_does_not_wait_for_those_who_ask(small: FastAPI, lighthouse: str) -> None:
    question = {"question": "How tall is the tower?", "collection": lighthouse}
    with calling(small) as api, small.state.gates.asks.admission(4):
        assert api("POST", "/v1/ask", json=question).status_code == 503
        assert api("POST", "/v1/search", json=question).status_code == 200


def test_a_refusal_reads_nothing_of_the_question(small: FastAPI) -> None:
    with calling(small) as api, no_room(small):
        response = api("POST", "/v1/ask", content=b"{", headers={"Content-Type": "application/json"})
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(("waited", "left"), [(30, 70), (130, 0)])
def test_the_time_that_a_question_waits_is_taken_off_the_time_it_has(waited: float, left: float) -> None:
    body = AskBody(question="How tall is the tower?", max_latency_ms=100)
    assert body.to_domain(waited_ms=waited).max_latency_ms == left


# Over a real connection: who is turned away never gets as far as the application ------------------------------------


@pytest.fixture
def address(small: FastAPI, engine: Engine) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(configuration(engine.settings, small))
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        serving.start()
        while not server.started and serving.is_alive():
            time.sleep(0.01)
        yield listening.getsockname()
        server.should_exit = True
        serving.join(10)


def test_who_is_turned_away_can_ask_again_on_the_same_connection(
    small: FastAPI, address: tuple[str, int], lighthouse: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"question": "How tall is the tower?", "collection": lighthouse})
    headers = {"Content-Type": "application/json", "X-Request-Id": "mine"}
    caplog.set_level("INFO", "loccit.requests")
    connection = http.client.HTTPConnection(*address, timeout=10)
    with closing(connection):
        with no_room(small):
            for path in ("/v1/search", "/v1/ask", "/v1/ask/batch"):
                connection.request("POST", path, body, headers)
                refused = connection.getresponse()
                problem = json.load(refused)
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
                assert refused.headers["X-Request-Id"] == problem["instance"] == "mine"
                assert problem["type"] == f"http://127.0.0.1:{address[1]}/docs/problems/busy"
            assert not caplog.records, "the log is for those who were let in"
        connection.request("POST", "/v1/search", body, headers)
        assert connection.getresponse().status == 200
    samples = small.state.metrics.text().decode()
    assert 'loccit_requests_total{method="POST",route="/v1/ask/batch",status="503"} 1.0' in samples
    assert 'loccit_rejections_total{reason="busy"} 3.0' in samples


def test_a_refusal_is_the_same_on_the_short_way_and_on_the_long_one(small: FastAPI, address: tuple[str, int]) -> None:
    long_way = {"Origin": f"http://127.0.0.1:{address[1]}", "X-Request-Id": "mine"}
    with no_room(small):
        short, long = (_asked(address, headers) for headers in ({"X-Request-Id": "mine"}, long_way))
    assert short == long


def _asked(address: tuple[str, int], headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection(*address, timeout=10)) as connection:
        connection.request("POST", "/v1/ask", b"{}", headers)
        response = connection.getresponse()
        sent = {name.lower(): value for name, value in response.headers.items() if name.lower() != "date"}
        return response.status, sent, response.read()


def test_the_body_of_who_is_turned_away_is_not_waited_for(small: FastAPI, address: tuple[str, int]) -> None:
    with no_room(small), socket.create_connection(address, timeout=10) as connection:
        head = f"POST /v1/ask HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\nContent-Length: 4\r\n\r\n".encode()
        for sent in (head, b"body" + head, b"bo"):
            connection.sendall(sent)
            if sent != b"bo":
                assert connection.recv(4096).startswith(b"HTTP/1.1 503 ")
        connection.sendall(b"dy" + head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    ("line", "host", "status"),
    [
        ("POST /v1/ask", "elsewhere.example", 421),
        ("GET /v1/ask", "localhost", 405),
        ("GET /health/live", "localhost", 200),
    ],
)
def test_others_are_answered_as_always_while_questions_are_turned_away(
    small: FastAPI, address: tuple[str, int], line: str, host: str, status: int
) -> None:
    with no_room(small), socket.create_connection(address, timeout=10) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
        assert connection.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())
