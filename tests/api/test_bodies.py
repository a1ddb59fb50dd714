from __future__ import annotations

import threading

import anyio
import pytest

from service.api.bodies import parse_json, reading
from service.api.problems import INVALID_REQUEST, MALFORMED_JSON, Problem


def refused(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        parse_json(body)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"a": 1,}', b"\xff\xfe{}", b"[" * 25_000 + b"]" * 25_000, b'{"a":' * 100 + b"1" + b"}" * 100],
    ids=["empty", "open", "comma", "not UTF-8", "very deep", "deep"],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    assert refused(body).kind is MALFORMED_JSON


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"a": NaN}', "/a"),
        (b'{"a": [0, -Infinity]}', "/a/1"),
        (b'{"a": 1e999}', "/a"),
        (b'{"a": 9223372036854775808}', "/a"),
        (b'{"a": ' + b"9" * 5000 + b"}", "/a"),
        (rb'{"a": {"b/c~d": "\ud800"}}', "/a/b~1c~0d"),
        (rb'{"a": "x\u0000"}', "/a"),
    ],
    ids=["NaN", "Infinity", "1e999", "2^63", "5000 digits", "lone surrogate", "NUL"],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_place(body: bytes, pointer: str) -> None:
    problem = refused(body)
    assert problem.kind is INVALID_REQUEST
    assert [one.pointer for one in problem.errors] == [pointer]


def test_a_large_body_is_read_beside_the_loop() -> None:
    async def threads() -> list[bool]:
        here = threading.get_ident()
        return [await reading(size, threading.get_ident) == here for size in (1_000_000, 1_000_001)]

    assert anyio.run(threads) == [True, False]


def test_what_can_be_used_comes_out_as_it_went_in() -> None:
    body = '\ufeff{"a": [1, -9223372036854775808, 2.5, true, null, "鳥 🐦"]}'
    assert parse_json(body.encode()) == {"a": [1, -(2**63), 2.5, True, None, "鳥 🐦"]}
