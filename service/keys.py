"""Keys: random, kept as a hash; each with scopes, collections, rates, an end, and the pages that may use it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from embeddings.errors import LoccitError
from embeddings.library import Library

_PRESENTED = re.compile(r"loccit_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_INSERT = "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class UnknownKey(LoccitError):
    """There is no key with this id."""


class Scope(StrEnum):
    ASK = "ask"
    """Ask, search and read."""
    INGEST = "ingest"
    """Put and delete documents, and watch jobs."""
    ADMIN = "admin"
    """Everything: also collections, keys and metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often a minute; None: as often as wanted."""

    asks: int | None = None
    uploads: int | None = None
    visitor_asks: int | None = None
    """Of one network address: a browser key is in the hands of every visitor of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the holder of a key may do."""

    scopes: frozenset[Scope]
    collections: frozenset[str] | None = None
    """None: all."""
    origins: frozenset[str] = frozenset()
    """Of the pages that may use it; where there are any, nobody else may."""
    rates: Rates = Rates()

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def covers(self, collection: str) -> bool:
        return self.collections is None or collection in self.collections


EVERYTHING = Grant(scopes=frozenset(Scope))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    key_id: str
    name: str
    grant: Grant
    created_at: datetime
    expires_at: datetime | None

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


class Keys:
    """All keys, held in memory too, since every request asks for one. Safe to call from many threads."""

    def __init__(self, library: Library) -> None:
        self._database = library.system
        self._lock = threading.Lock()
        self._keys: Mapping[str, tuple[Key, bytes]] = {}
        self._read()

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def origins(self) -> frozenset[str]:
        """Of the pages that may use some key."""
        return frozenset(origin for key, _ in self._keys.values() for origin in key.grant.origins)

    def all(self) -> list[Key]:
        return sorted((key for key, _ in self._keys.values()), key=lambda key: (key.created_at, key.key_id))

    def find(self, presented: str) -> Key | None:
        """The key that this is, unless it is expired. Takes as long for a wrong secret as for the right one."""
        match = _PRESENTED.fullmatch(presented)
        key, expected = self._keys.get(match[1], (None, b"")) if match else (None, b"")
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).digest()
        is_right = hmac.compare_digest(digest, expected or bytes(len(digest)))
        return key if key is not None and is_right and not key.is_expired else None

    def add(self, name: str, grant: Grant, *, expires_at: datetime | None = None) -> tuple[Key, str]:
        """The new key, and what its holder has to present: it is not kept, and cannot be shown again."""
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        presented = f"loccit_{key_id}_{secret}"
        row = (
            key_id, name, hashlib.sha256(presented.encode()).digest(), json.dumps(sorted(grant.scopes)),
            None if grant.collections is None else json.dumps(sorted(grant.collections)),
            json.dumps(sorted(grant.origins)),
            grant.rates.asks, grant.rates.uploads, grant.rates.visitor_asks,
            time.time_ns() // 1000, None if expires_at is None else int(expires_at.timestamp() * 1_000_000),
        )  # fmt: skip
        with self._lock:
            with self._database.writing() as connection:
                connection.execute(_INSERT, row)
            self._read()
        return self._keys[key_id][0], presented

    def revoke(self, key_id: str) -> None:
        """From the return on it opens nothing. Raises UnknownKey."""
        with self._lock:
            if key_id not in self._keys:
                raise UnknownKey("There is no such key.")
            with self._database.writing() as connection:
                connection.execute("DELETE FROM keys WHERE key_id = ?", (key_id,))
            self._read()

    def _read(self) -> None:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM keys").fetchall()
        self._keys = {row[0]: (_key(row), row[2]) for row in rows}


def _key(row: tuple[object, ...]) -> Key:
    key_id, name, _, scopes, collections, origins, asks, uploads, visitor_asks, created_at, expires_at = row
    return Key(
        key_id=str(key_id),
        name=str(name),
        grant=Grant(
            scopes=frozenset(Scope(one) for one in json.loads(str(scopes))),
            collections=None if collections is None else frozenset(json.loads(str(collections))),
            origins=frozenset(json.loads(str(origins))),
            rates=Rates(asks=_number(asks), uploads=_number(uploads), visitor_asks=_number(visitor_asks)),
        ),
        created_at=_moment(created_at),
        expires_at=None if expires_at is None else _moment(expires_at),
    )


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))


def _moment(microseconds: object) -> datetime:
    return datetime.fromtimestamp(int(str(microseconds)) / 1_000_000, UTC)
