"""How often a key or an address may call."""

from __future__ import annotations

import pytest

from service.rates import MOST_BUCKETS, RateLimiter, network_of


def test_a_bucket_fills_again_and_the_table_stays_small() -> None:
    now = [0.0]
    limiter = RateLimiter(lambda: now[0])
    assert [limiter.take("a", 60) for _ in range(61)][-2:] == [0, 1]
    assert limiter.take("b", 60) == 0
    now[0] += 2
    assert [limiter.take("a", 60) for _ in range(3)] == [0, 0, 1]
    assert limiter.take("c", 2, tokens=5) == 0  # more than a minute's worth is a minute's worth
    for number in range(MOST_BUCKETS + 10):
        limiter.take(number, 60)
    assert len(limiter._buckets) == MOST_BUCKETS


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("testclient", "unknown"),
        ("", "unknown"),
    ],
)
def test_addresses_of_one_customer_are_one(address: str, network: str) -> None:
    assert network_of(address) == network
