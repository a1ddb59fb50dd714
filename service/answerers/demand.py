"""Whether there is more to do than one process does well, for long enough that others are worth their memory."""

from __future__ import annotations

import math
import threading
import time

PATIENCE_SECONDS = 2.0
"""For so long requests have been competing."""
GAP_SECONDS = 1.0
"""Without competition, after which it begins anew."""
REST_SECONDS = 600.0
"""Without competition, after which there is no demand any more."""


class Demand:
    """Told by the event loop, looked at by other threads."""

    def __init__(self) -> None:
        self._since = self._latest = -math.inf
        self._is_there = threading.Event()

    def note(self) -> None:
        """A request has others beside it that wait, or write."""
        now = time.monotonic()
        if now - self._latest > GAP_SECONDS:
            self._since = now
        self._latest = now
        if now - self._since >= PATIENCE_SECONDS:
            self._is_there.set()

    def wait(self) -> None:
        """Until there is some."""
        self._is_there.wait()

    def has_ended(self) -> bool:
        """Whether there has been none for long; then it has to come anew."""
        if self._is_there.is_set() and time.monotonic() - self._latest > REST_SECONDS:
            self._is_there.clear()
        return not self._is_there.is_set()

    def stop_waiting(self) -> None:
        """Nobody waits from now on."""
        self._latest = math.inf
        self._is_there.set()
