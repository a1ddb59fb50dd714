from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from service import receiving

REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    await PlainTextResponse(body + message["body"])(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.MonkeyPatch.context() as patched:
        patched.setattr(receiving, "HEAD_SECONDS", 0.4)
        server = uvicorn.Server(uvicorn.Config(app, http=receiving.PatientProtocol, lifespan="off", log_config=None))
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        serving.start()
        yield listening.getsockname()
        server.should_exit = True
        serving.join(10)


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as made:
        yield made


def answer(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"hi"):
        received += connection.recv(4096)
    return received


def seconds_until_closed(connection: socket.socket, drips: bytes) -> float:
    """How long the service keeps a connection on which a byte comes now and then."""
    began = time.monotonic()
    connection.settimeout(0.05)
    for drip in drips:
        try:
            connection.sendall(bytes([drip]))
            if not connection.recv(4096):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


def test_a_head_that_drips_in_is_cut_off(connection: socket.socket) -> None:
    assert 0.3 < seconds_until_closed(connection, REQUEST[:20] * 10) < 3


def test_a_connection_that_says_nothing_is_closed(connection: socket.socket) -> None:
    assert connection.recv(1) == b""


def test_empty_lines_after_an_answer_hold_no_connection(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    answer(connection)

    assert seconds_until_closed(connection, b"\r\n" * 100) < 3


def test_a_head_that_does_not_end_is_refused(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000)

    assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_body_may_take_longer_than_a_head_and_another_request_may_follow(connection: socket.socket) -> None:
    for _ in range(2):
        connection.sendall(REQUEST[:-2])
        time.sleep(0.6)
        connection.sendall(REQUEST[-2:])

        assert answer(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000,
        b"GET /?q=" + b"x" * 66_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x00\x01\r\n",
    ],
    ids=["long headers", "a long address", "no HTTP"],
)
def test_what_is_no_request_is_refused_by_a_problem(connection: socket.socket, head: bytes) -> None:
    connection.sendall(head)
    reply = b"".join(iter(lambda: connection.recv(65_536), b""))
    told, _, body = reply.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in told
    assert (problem["status"], problem["type"].rpartition("/")[2]) == (400, "malformed-request")
    assert problem["detail"]
    assert problem["instance"]
