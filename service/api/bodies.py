"""JSON bodies, read strictly: whatever comes out is finite, whole text, of 64-bit integers and of modest depth."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from anyio import to_thread

from service.api.pointers import FieldError, pointer_to
from service.api.problems import INVALID_REQUEST, MALFORMED_JSON, Problem, invalid

_MAX_DEPTH = 64
_INT64 = range(-(2**63), 2**63)
_INT64_DIGITS = 20
_LARGE_BYTES = 1_000_000
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Stands for a number that is none, until the walk knows where it stands."""

    reason: str


async def reading(size: int, read: Callable[[], Read]) -> Read:
    """What is read of so many bytes: in a thread where they are many, since all others would wait meanwhile."""
    return read() if size <= _LARGE_BYTES else await to_thread.run_sync(read)


def parse_json(body: bytes) -> object:
    """Raises Problem: malformed JSON, or a value that cannot be used, naming the field."""
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=lambda name: _Unusable(f"{name} is not a number in JSON."),
        )
    except UnicodeDecodeError:
        raise Problem(MALFORMED_JSON, "This is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Problem(MALFORMED_JSON, f"Line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise _too_deep() from None
    _check(value)
    return value


def parse_json_at(place: str, sent: bytes) -> object:
    """JSON that stands elsewhere than in the body, in a header perhaps. Raises Problem, which names the place."""
    try:
        return parse_json(sent)
    except Problem as problem:
        whole = FieldError("", f"This is not valid JSON. {problem.detail}")
        found = [FieldError(place + one.pointer, one.detail) for one in problem.errors or (whole,)]
        raise Problem(INVALID_REQUEST, f"{found[0].pointer}: {found[0].detail}", errors=found) from None


def _integer(digits: str) -> int | _Unusable:
    if len(digits) <= _INT64_DIGITS and (value := int(digits)) in _INT64:
        return value
    return _Unusable("The number is too large for a 64-bit integer.")


def _finite(digits: str) -> float | _Unusable:
    value = float(digits)
    return value if math.isfinite(value) else _Unusable("The number is too large.")


def _check(root: object) -> None:
    places: list[tuple[tuple[str | int, ...], object]] = [((), root)]
    while places:
        path, value = places.pop()
        if isinstance(value, _Unusable):
            raise invalid(pointer_to(path), value.reason)
        if isinstance(value, str):
            _check_text(path, value)
        elif isinstance(value, dict):
            for key in value:
                _check_text((*path, key), key)
            places.extend(((*path, key), below) for key, below in value.items())
        elif isinstance(value, list):
            places.extend(((*path, index), below) for index, below in enumerate(value))
        if len(path) > _MAX_DEPTH:
            raise _too_deep()


def _check_text(path: tuple[str | int, ...], text: str) -> None:
    if (fault := fault_of(text)) is not None:
        raise invalid(pointer_to(path), fault)


def fault_of(text: str) -> str | None:
    """Why no text like this is taken; None where it is."""
    if not is_whole(text):
        return "Half a surrogate pair is no character; send whole ones."
    return "The character NUL is not allowed." if "\0" in text else None


def is_whole(text: str) -> bool:
    """Whether the text is free of lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep() -> Problem:
    return Problem(MALFORMED_JSON, f"This is nested too deeply; {_MAX_DEPTH} levels are read.")
