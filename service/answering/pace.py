"""How long reading takes, learnt while serving; used only where a caller sets a deadline."""

from __future__ import annotations


class Pace:
    """A running mean of milliseconds per item. A race between threads costs one observation, never more."""

    def __init__(self, *, milliseconds_per_item: float = 2.0, weight_of_new: float = 0.2) -> None:
        self._milliseconds_per_item = milliseconds_per_item
        self._weight_of_new = weight_of_new

    def record(self, *, items: int, milliseconds: float) -> None:
        if items:
            observed = milliseconds / items
            self._milliseconds_per_item += self._weight_of_new * (observed - self._milliseconds_per_item)

    def items_within(self, milliseconds: float) -> int:
        """At least one."""
        return max(1, int(milliseconds / max(self._milliseconds_per_item, 1e-3)))
