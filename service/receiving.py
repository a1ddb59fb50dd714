"""HTTP as it comes in, with an end to it: a head is small and comes soon, or its connection is closed."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.problems import MALFORMED_REQUEST, Problem, problem_object
from service.api.turnstile import Turnstile

LONGEST_HEAD_BYTES = 65_536
HEAD_SECONDS = 15.0


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's own has neither limit: clients that drip a header now and then would hold connections for ever."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._is_in_body = False
        self._is_turned_away = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_in_body:
            self._head_bytes += len(data)
            self._expect_head()
        super().data_received(data)
        if not self._is_in_body and self._head_bytes > LONGEST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Address and headers have at most 64 KiB together; put what is long into the body.")

    def send_400_response(self, msg: str) -> None:
        """A problem like any other refusal; uvicorn's own is a line of plain text."""
        port = self.server[1] if self.server else None
        scope = {
            "state": {"base_url": f"http://localhost:{port}" if port else "http://localhost", "request_id": uuid4().hex}
        }
        body = json.dumps(problem_object(Problem(MALFORMED_REQUEST, msg), scope)).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def on_headers_complete(self) -> None:
        self._is_in_body = True
        self._stop_waiting()
        refusal = self._refusal()
        if refusal is None:
            super().on_headers_complete()
            return
        self._is_turned_away = True
        self._expect_head()  # of the next request, and until then the rest of this one, which nobody reads
        self.transport.write(refusal)

    def _refusal(self) -> bytes | None:
        """For a request that is turned away at once; only where nothing else is under way on its connection."""
        turnstile: Turnstile | None = self.app_state.get("turnstile")
        under_way: RequestResponseCycle | None = self.cycle
        is_busy = under_way is not None and not under_way.response_complete
        if turnstile is None or is_busy or self.flow.write_paused or not self.parser.should_keep_alive():
            return None
        return turnstile.refusal(self.parser.get_method(), self.url, self.headers)

    def on_body(self, body: bytes) -> None:
        if not self._is_turned_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_in_body = False
        self._head_bytes = 0
        if self._is_turned_away:
            self._is_turned_away = False
        else:
            super().on_message_complete()

    def _expect_head(self) -> None:
        """From the first byte of a request on, or from the connection's beginning; further bytes gain no time."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
