from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from service.answering.calibration import Curve
from service.evaluation.fitting import NEAREST, CannotFit, fit_isotonic, fit_platt, pool_adjacent_violators

shares = st.floats(0.001, 0.999)
weighted = st.lists(st.tuples(st.floats(-10, 10), st.integers(1, 5)), min_size=1, max_size=30)
judged = st.lists(st.tuples(shares, shares), min_size=1, max_size=40)


@given(weighted)
def test_pooling_is_nondecreasing_keeps_the_mean_and_changes_nothing_twice(pairs: list[tuple[float, int]]) -> None:
    values, weights = [value for value, _ in pairs], [weight for _, weight in pairs]
    pooled = pool_adjacent_violators(values, weights)
    assert (np.diff(pooled) >= 0).all()
    assert np.isclose(np.average(pooled, weights=weights), np.average(values, weights=weights))
    assert np.allclose(pool_adjacent_violators(pooled, weights), pooled)


@given(weighted)
def test_pooling_gives_the_greatest_of_the_least_means(pairs: list[tuple[float, int]]) -> None:
    """Against the min-max formula of Robertson, Wright and Dykstra 1988, section 1.4."""
    values, weights = np.array([value for value, _ in pairs]), np.array([weight for _, weight in pairs])
    size = len(values)
    expected = [
        max(
            min(np.average(values[low : high + 1], weights=weights[low : high + 1]) for high in range(place, size))
            for low in range(place + 1)
        )
        for place in range(size)
    ]
    assert np.allclose(pool_adjacent_violators(values, weights), expected)


@given(st.lists(st.floats(-10, 10), unique=True, min_size=1).map(sorted))
def test_what_rises_already_is_left_alone(values: list[float]) -> None:
    assert list(pool_adjacent_violators(values, [1] * len(values))) == values


def assert_rises(curve: Curve) -> None:
    mapped = [curve(place / 200) for place in range(201)]
    assert (mapped[0], mapped[-1]) == (0, 1)
    assert all(one < other for one, other in pairwise(mapped))


@given(judged)
@example([(0.5, 0.7189295085598191)] * 3 + [(0.75, 0.7189295085598191)])  # whose mean differs by rounding
def test_an_isotonic_curve_always_rises_and_so_keeps_every_ranking(pairs: list[tuple[float, float]]) -> None:
    confidences, targets = np.array(pairs).T
    assert_rises(fit_isotonic(confidences, targets))


@given(judged)
def test_a_platt_curve_always_rises_or_is_refused(pairs: list[tuple[float, float]]) -> None:
    confidences, targets = np.array(pairs).T
    try:
        curve = fit_platt(confidences, targets)
    except CannotFit:
        return
    assert curve.slope > NEAREST
    assert all(curve(place / 50) <= curve((place + 1) / 50) for place in range(50))
