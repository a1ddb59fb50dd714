"""Who may speak to the service: which hosts it answers to, which pages may use it, and what a key allows."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from service.keys import EVERYTHING, Grant, Keys
from service.settings import Settings, is_loopback

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::\d{1,5})?")
_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who was let in."""

    grant: Grant
    key_id: str | None = None
    """None for whoever runs the service: with the key of the settings, or without any on a machine of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    hosts: frozenset[str]
    """Names that it answers to, in lower case, beside those of the loopback."""
    key_sha256: bytes | None
    """Of the key of the settings."""
    keys: Keys | None = None
    is_private: bool = True
    """Whether it can be reached from this machine only; then it needs no key as long as there is none."""
    local_key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """Made at each start for commands of those who can read the data folder anyway; allows everything."""

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names this service: protects a browser's user from rebound names."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        return is_loopback(found["name"]) or found["name"].lower().rstrip(".") in self.hosts

    def serves_page_of(self, origin: str | None) -> bool:
        """Whether some key is meant for the pages of another site."""
        return origin is not None and self.keys is not None and origin in self.keys.origins

    def caller(self, authorization: str | None) -> Caller | None:
        """Who presents this Authorization header; None for nobody that is known."""
        scheme, _, presented = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            presented = presented.strip()
            if self._is_operator(presented):
                return Caller(grant=EVERYTHING)
            key = self.keys.find(presented) if self.keys else None
            if key is not None:
                return Caller(grant=key.grant, key_id=key.key_id)
        needs_key = self.key_sha256 is not None or bool(self.keys) or not self.is_private
        return None if needs_key else Caller(grant=EVERYTHING)

    def _is_operator(self, presented: str) -> bool:
        digest = _sha256(presented)
        is_local = hmac.compare_digest(digest, _sha256(self.local_key))
        return is_local or (self.key_sha256 is not None and hmac.compare_digest(digest, self.key_sha256))


def access_of(settings: Settings, keys: Keys | None = None) -> Access:
    key = settings.api_key
    return Access(
        hosts=frozenset({settings.host.lower(), *settings.allowed_hosts}),
        key_sha256=_sha256(key.get_secret_value()) if key else None,
        keys=keys,
        is_private=settings.is_loopback,
    )


def is_foreign(*, host: str, origin: str | None, site: str | None) -> bool:
    """Whether a browser sends this for a page that is not the service's own; programs send neither header."""
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return True
    return site is not None and site not in _OWN_SITES


def is_foreign_write(method: str, *, host: str, origin: str | None, site: str | None) -> bool:
    return method not in _READING_METHODS and is_foreign(host=host, origin=origin, site=site)


def _sha256(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
