"""When more processes are worth their memory: while requests compete for seconds, and for a while after."""

from __future__ import annotations

import pytest

from service.answerers import demand
from service.answerers.demand import GAP_SECONDS, PATIENCE_SECONDS, REST_SECONDS, Demand


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(demand, "time", clock)
    return clock


def compete(clock: Clock, told: Demand, *, seconds: float, every: float = GAP_SECONDS / 4) -> None:
    end = clock.now + seconds
    told.note()
    while clock.now < end:
        clock.now += every
        told.note()


def test_there_is_none_before_requests_have_competed_for_a_while(clock: Clock) -> None:
    told = Demand()
    assert told.has_ended()
    compete(clock, told, seconds=PATIENCE_SECONDS - GAP_SECONDS)
    assert told.has_ended()
    compete(clock, told, seconds=2 * GAP_SECONDS)
    assert not told.has_ended()


def test_those_that_compete_now_and_then_make_none(clock: Clock) -> None:
    told = Demand()
    compete(clock, told, seconds=20 * PATIENCE_SECONDS, every=1.1 * GAP_SECONDS)
    assert told.has_ended()


def test_it_ends_after_a_long_rest_and_has_to_come_anew(clock: Clock) -> None:
    told = Demand()
    compete(clock, told, seconds=PATIENCE_SECONDS)
    clock.now += REST_SECONDS - 1
    assert not told.has_ended()
    told.note()
    clock.now += REST_SECONDS + 1
    assert told.has_ended()
    told.note()
    assert told.has_ended()
    compete(clock, told, seconds=PATIENCE_SECONDS)
    assert not told.has_ended()
