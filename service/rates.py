"""How often somebody may do something: a bucket of tokens for each, in a table that cannot grow without end."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MOST_BUCKETS = 10_000
"""The one used longest ago is forgotten first; it would be full again in a minute anyway."""


class RateLimiter:
    """Called from the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, who: Hashable, per_minute: int, tokens: int = 1) -> int:
        """Take that many tokens, at most a minute's worth; 0, or the seconds to wait where they are not there."""
        now = self._clock()
        left, filled_at = self._buckets.pop(who, (float(per_minute), now))
        left = min(float(per_minute), left + (now - filled_at) * per_minute / 60)
        wanted = min(tokens, per_minute)
        waiting = 0 if left >= wanted else math.ceil((wanted - left) * 60 / per_minute)
        self._buckets[who] = (left if waiting else left - wanted, now)
        while len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return waiting


def network_of(address: str) -> str:
    """The address itself; of IPv6 the /64, in which one customer has all addresses."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address
