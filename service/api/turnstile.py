"""Turns questions away while too many wait, before anything is done for them.

That has to cost next to nothing: refusals come by the thousand when there is most to do, and Python does one thing at a
time, so what they take is taken from those who were let in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embeddings.errors import Busy
from service.access import Access
from service.api.gates import Gate
from service.api.middleware import SECURITY_HEADERS, request_id_of
from service.api.problems import problem_object, problem_of
from service.metrics import Metrics

_UNUSUAL = frozenset({b"origin", b"expect", b"transfer-encoding", b"upgrade", b"x-forwarded-proto"})
"""Headers of requests that are refused on the long way, where their meaning is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnstile:
    gates: Mapping[bytes, Gate]
    """By the path of each call that it stands before; all are by POST."""
    access: Access
    metrics: Metrics

    def refusal(self, method: bytes, path: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        """The whole response; None where the request may pass, or has to be looked at more closely."""
        gate = self.gates.get(path)
        if gate is None or method != b"POST":
            return None
        try:
            gate.require_room()
        except Busy as busy:
            return self._written(busy, path.decode("ascii"), headers)
        return None

    def _written(self, busy: Busy, path: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        began = time.perf_counter()
        sent = {name: value.decode("latin-1") for name, value in headers}
        host = sent.get(b"host", "")
        if len(sent) < len(headers) or not _UNUSUAL.isdisjoint(sent) or not self.access.knows_host(host):
            return None
        problem = problem_of(busy)
        request_id = request_id_of(sent.get(b"x-request-id", ""))
        body = json.dumps(problem_object(problem, {"state": {"base_url": f"http://{host}", "request_id": request_id}}))
        lines = {
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
            "X-Request-Id": request_id,
            **problem.headers,
            **SECURITY_HEADERS,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.metrics.rejection(problem.kind.slug)
        seconds = time.perf_counter() - began
        self.metrics.request(method="POST", route=path, status=problem.kind.status, seconds=seconds)
        return f"HTTP/1.1 {problem.kind.status} Service Unavailable\r\n{head}\r\n{body}".encode("ascii")
