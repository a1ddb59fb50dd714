"""What the process that serves and those that answer for it say to each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple, Self

from service.api.schemas.requests import AskBody, SearchBody
from service.asking import Answered

BODIES: Mapping[str, type[SearchBody | AskBody]] = {"search": SearchBody, "ask": AskBody}


FAILURE = b""
"""The reply where a process could not answer."""


class Request(NamedTuple):
    verb: str
    collection: str
    place: str
    """The name of the collection's folder."""
    seq: int
    """What has to be seen at least: whoever asks may know of all that was written until then."""
    waited_ms: float
    body: object
    """As it was sent, once JSON is read."""

    @classmethod
    def of(cls, sent: bytes) -> Self:
        return cls(**json.loads(sent))

    def written(self) -> bytes:
        return json.dumps(self._asdict()).encode()


def reply(answered: Answered) -> bytes:
    told = {"timings_ms": answered.timings_ms, "outcome": answered.outcome}
    return json.dumps(told).encode() + b"\n" + answered.json


def answered_by(replied: bytes) -> Answered | None:
    """None of a failure."""
    if replied == FAILURE:
        return None
    told, _, answer = replied.partition(b"\n")
    return Answered(json=answer, **json.loads(told))
