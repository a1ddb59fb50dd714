"""Keys over HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field

from service.api.schemas.fields import CollectionId
from service.api.schemas.requests import Body
from service.keys import Grant, Key, Rates, Scope

ASKS_PER_MINUTE = 60
UPLOADS_PER_MINUTE = 10
VISITOR_ASKS_PER_MINUTE = 10
_ORIGIN = re.compile(r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?")

_DATED = re.compile(r"\d{4}-\d\d-\d\d")

Rate = Annotated[int | None, Field(ge=1, le=1_000_000)]


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise ValueError("An origin is `https://` and the name of a host in lower case, and a port where it has one.")
    return value


def _text(value: object) -> object:
    """Not a number of seconds: nobody would know since when."""
    if not isinstance(value, str) or not _DATED.match(value):
        raise ValueError("A moment is text, as in 2030-01-31T12:00:00Z.")
    return value


def _countable(value: datetime) -> datetime:
    if not 1970 < value.year < 9999:
        raise ValueError("The year is out of range.")
    return value


def _to_come(value: datetime) -> datetime:
    if value <= datetime.now(UTC):
        raise ValueError("This moment is past; name one to come, or leave it out.")
    return value


Moment = Annotated[
    AwareDatetime, Field(strict=False), BeforeValidator(_text), AfterValidator(_countable), AfterValidator(_to_come)
]


class KeyBody(Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    scopes: Annotated[list[Literal["ask", "ingest", "admin"]], Field(min_length=1, max_length=3)]
    collections: Annotated[list[CollectionId], Field(min_length=1, max_length=1000)] | None = None
    origins: Annotated[list[Annotated[str, AfterValidator(_origin)]], Field(max_length=100)] = Field(
        default_factory=list
    )
    asks_per_minute: Rate = ASKS_PER_MINUTE
    uploads_per_minute: Rate = UPLOADS_PER_MINUTE
    visitor_asks_per_minute: Rate = None
    expires_at: Moment | None = None

    def grant(self) -> Grant:
        visitor_asks = self.visitor_asks_per_minute or (VISITOR_ASKS_PER_MINUTE if self.origins else None)
        return Grant(
            scopes=frozenset(Scope(one) for one in self.scopes),
            collections=None if self.collections is None else frozenset(self.collections),
            origins=frozenset(self.origins),
            rates=Rates(asks=self.asks_per_minute, uploads=self.uploads_per_minute, visitor_asks=visitor_asks),
        )


class KeyModel(BaseModel):
    key_id: str
    name: str
    scopes: list[str]
    collections: list[str] | None
    origins: list[str]
    asks_per_minute: int | None
    uploads_per_minute: int | None
    visitor_asks_per_minute: int | None
    created_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, key: Key) -> KeyModel:
        return cls.model_validate(_fields(key))


class NewKeyModel(KeyModel):
    key: str

    @classmethod
    def of_new(cls, key: Key, presented: str) -> NewKeyModel:
        return cls.model_validate({**_fields(key), "key": presented})


class KeysModel(BaseModel):
    items: list[KeyModel]
    next_cursor: str | None = None


def _fields(key: Key) -> dict[str, object]:
    grant = key.grant
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(grant.scopes),
        "collections": None if grant.collections is None else sorted(grant.collections),
        "origins": sorted(grant.origins),
        "asks_per_minute": grant.rates.asks,
        "uploads_per_minute": grant.rates.uploads,
        "visitor_asks_per_minute": grant.rates.visitor_asks,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
    }
