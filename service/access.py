"""Who may speak to the service: which hosts it answers to, which pages may write to it, and who holds the key."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from service.settings import Settings, is_loopback

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::\d{1,5})?")
_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    hosts: frozenset[str]
    """Names that it answers to, in lower case, beside those of the loopback."""
    key_sha256: bytes | None

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names this service: protects a browser's user from rebound names."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        return is_loopback(found["name"]) or found["name"].lower().rstrip(".") in self.hosts

    def admits(self, authorization: str | None) -> bool:
        """Whether an Authorization header carries the key; without a configured key everybody is admitted."""
        if self.key_sha256 is None:
            return True
        scheme, _, key = (authorization or "").partition(" ")
        digest = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        return scheme.lower() == "bearer" and hmac.compare_digest(digest, self.key_sha256)


def access_of(settings: Settings) -> Access:
    key = settings.api_key
    return Access(
        hosts=frozenset({settings.host.lower(), *settings.allowed_hosts}),
        key_sha256=hashlib.sha256(key.get_secret_value().encode()).digest() if key else None,
    )


def is_foreign_write(method: str, *, host: str, origin: str | None, site: str | None) -> bool:
    """Whether a browser sends this for a page that is not the service's own; programs send neither header."""
    if method in _READING_METHODS:
        return False
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return True
    return site is not None and site not in _OWN_SITES
