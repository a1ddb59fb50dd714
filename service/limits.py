"""How much one request may ask for, where a deployment may decide otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    question_characters: int = 2_000
    top_k: int = 50
    batch: int = 32
    """Requests."""


_STANDARD = Limits()
_IN_FORCE: ContextVar[Limits] = ContextVar("limits", default=_STANDARD)


def limits_in_force() -> Limits:
    return _IN_FORCE.get()


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """While the block runs, and in the threads it starts for calls of its own, these are in force."""
    token = _IN_FORCE.set(limits)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)
