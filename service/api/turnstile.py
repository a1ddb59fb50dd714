"""Turns questions away while too many wait, before anything is done for them.

That has to cost next to nothing: refusals come by the thousand when there is most to do, and Python does one thing at a
time, so what they take is taken from those who were let in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from embeddings.errors import Busy
from service.access import Access
from service.api.gates import TOO_MANY_WAIT, Gate
from service.api.middleware import SECURITY_HEADERS, request_id_of
from service.api.problems import problem_object, problem_of
from service.metrics import Metrics

_UNUSUAL = frozenset({b"origin", b"expect", b"transfer-encoding", b"upgrade", b"x-forwarded-proto"})
"""Headers of requests that are refused on the long way, where their meaning is known."""
_CACHED = 64
_BUSY = problem_of(Busy(TOO_MANY_WAIT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnstile:
    gates: Mapping[bytes, Gate]
    """By the path of each call that it stands before; all are by POST."""
    access: Access
    metrics: Metrics
    _counters: dict[bytes, Callable[[float], None]] = field(default_factory=dict)

    def refusal(self, method: bytes, path: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        """The whole response; None where the request may pass, or has to be looked at more closely."""
        gate = self.gates.get(path)
        if gate is None or method != b"POST" or gate.has_room():
            return None
        began = time.perf_counter()
        sent = dict(headers)
        host = sent.get(b"host", b"").decode("latin-1")
        if len(sent) < len(headers) or not _UNUSUAL.isdisjoint(sent) or not self.access.knows_host(host):
            return None
        refusal = _refusal(host, request_id_of(sent.get(b"x-request-id", b"").decode("latin-1")))
        self._counter(path)(time.perf_counter() - began)
        return refusal

    def _counter(self, path: bytes) -> Callable[[float], None]:
        if path not in self._counters:
            self._counters[path] = self.metrics.rejections(
                _BUSY.kind.slug, method="POST", route=path.decode("ascii"), status=_BUSY.kind.status
            )
        return self._counters[path]


def _refusal(host: str, request_id: str) -> bytes:
    stand_in = "#" * len(request_id)  # No other character of a refusal is one.
    return _refusal_of(host, stand_in).replace(stand_in, request_id).encode("ascii")


@lru_cache(maxsize=_CACHED)
def _refusal_of(host: str, request_id: str) -> str:
    body = json.dumps(problem_object(_BUSY, {"state": {"base_url": f"http://{host}", "request_id": request_id}}))
    lines = {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
        **_BUSY.headers,
        **SECURITY_HEADERS,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {_BUSY.kind.status} Service Unavailable\r\n{head}\r\n{body}"
