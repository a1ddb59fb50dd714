"""On how many lanes the processes are asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from service.settings import Settings

Threads = Sequence[int]
"""Of each thread of a process that answers, how many lanes it answers on."""


def threads_each(settings: Settings) -> Mapping[str, Threads]:
    """Of one process, by verb.

    Models do most of an answer, and more than one at a time use all processors. A search is Python for the larger part,
    so one thread does them; the next one lies ready in a lane of its own, so that the thread need not wait for it. Not
    where that would leave no processor to the process that serves: it would come to refuse too late what is too much.
    """
    asks = math.ceil(settings.threads / settings.processes)
    return {"ask": [1] * asks, "search": [2 if settings.processes < settings.threads else 1]}


def at_once(settings: Settings) -> Mapping[str, int]:
    """How many requests of each verb are handed over, or worked on here, at a time."""
    if not settings.processes:
        return {"ask": settings.threads, "search": settings.threads}
    return {verb: settings.processes * sum(threads) for verb, threads in threads_each(settings).items()}
