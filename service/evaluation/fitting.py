"""Fits a calibration to what a reader answered: a monotone curve, and the threshold that keeps a precision. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.answering.calibration import Curve, Isotonic, Platt, log_odds
from service.evaluation.metrics import Operation, risk_coverage

FEWEST = 20
"""Answers that anything is fitted to."""
ENOUGH_FOR_ISOTONIC = 200
FOLDS = 5
NEAREST = 1e-6
"""To 0 and 1: what a confidence is fitted with."""
LEAST_RISE = 1e-9
"""From knot to knot: between values that differ by rounding alone, no straight line rises."""

Numbers: TypeAlias = NDArray[np.float64]


class CannotFit(Exception):
    """What stands against it, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A threshold of the calibrated confidence, and what it does on the questions that it was chosen on."""

    threshold: float
    operation: Operation

    @property
    def right(self) -> int:
        return round(self.operation.answered * (1 - self.operation.risk))


def fit(confidences: Sequence[float], right: Sequence[bool]) -> Curve:
    """Platt's for a few answers, isotonic for many. Raises CannotFit."""
    if min(sum(right), len(right) - sum(right)) == 0:
        raise CannotFit("All answers are right, or all are wrong; add questions of the other kind.")
    inner = np.clip(np.asarray(confidences, dtype=np.float64), NEAREST, 1 - NEAREST)
    targets = _smoothed(np.asarray(right, dtype=np.bool_))
    return fit_platt(inner, targets) if len(right) < ENOUGH_FOR_ISOTONIC else fit_isotonic(inner, targets)


def _smoothed(right: NDArray[np.bool_]) -> Numbers:
    """Never quite 0 or 1. Source: Platt 1999, section 2.2."""
    hits = int(right.sum())
    return np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))


def fit_platt(confidences: Numbers, targets: Numbers) -> Platt:
    """By Newton's method with halved steps. Raises CannotFit where more confidence means fewer right answers."""
    points = np.column_stack([[log_odds(one) for one in confidences], np.ones(len(confidences))])
    weights = np.zeros(2)
    for _ in range(100):
        probabilities = 1 / (1 + np.exp(-points @ weights))
        gradient = points.T @ (targets - probabilities)
        curvature = (points.T * (probabilities * (1 - probabilities))) @ points + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while _loss(points @ (weights + step), targets) > _loss(points @ weights, targets) + 1e-12:
            step = step / 2
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    if weights[0] <= NEAREST:
        raise CannotFit("On these questions the confidence doesn't tell right answers from wrong ones; add questions.")
    return Platt(slope=float(weights[0]), offset=float(weights[1]))


def _loss(scores: Numbers, targets: Numbers) -> float:
    return float((np.logaddexp(0, scores) - targets * scores).sum())


def fit_isotonic(confidences: Numbers, targets: Numbers) -> Isotonic:
    """A knot in the middle of each pool: no two confidences get the same probability, so no ranking changes."""
    levels, places, counts = np.unique(confidences, return_inverse=True, return_counts=True)
    means = np.bincount(places, weights=targets) / counts
    pooled = pool_adjacent_violators(means, counts.astype(np.float64))
    firsts = [0]
    for place, value in enumerate(pooled):
        if value - pooled[firsts[-1]] > LEAST_RISE:
            firsts.append(place)
    sizes = np.add.reduceat(counts, firsts)
    middles = np.add.reduceat(levels * counts, firsts) / sizes
    return Isotonic(
        knots=tuple((float(middle), float(pooled[first])) for middle, first in zip(middles, firsts, strict=True))
    )


def pool_adjacent_violators(values: Sequence[float] | Numbers, weights: Sequence[float] | Numbers) -> Numbers:
    """The nondecreasing sequence nearest to the values by weighted squares. Source: Ayer et al., 1955."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        mean, total, count = float(value), float(weight), 1
        while pools and pools[-1][0] >= mean:
            before, heft, length = pools.pop()
            if before > mean:
                mean = (before * heft + mean * total) / (heft + total)
            total, count = total + heft, count + length
        pools.append((mean, total, count))
    return np.repeat([mean for mean, _, _ in pools], [count for _, _, count in pools])


def cross_validated(confidences: Sequence[float], right: Sequence[bool]) -> list[float]:
    """Each confidence under a curve that was fitted without it. Raises CannotFit."""
    found = [0.0] * len(right)
    for fold in range(FOLDS):
        kept = [place for place in range(len(right)) if place % FOLDS != fold]
        curve = fit([confidences[place] for place in kept], [right[place] for place in kept])
        for place in range(fold, len(right), FOLDS):
            found[place] = curve(confidences[place])
    return found


def choose(confidences: Sequence[float], right: Sequence[bool], *, precision: float) -> Choice:
    """The lowest threshold at which so many of the answers are right; halfway to the next confidence below it.

    Raises CannotFit where no threshold does.
    """
    operations = risk_coverage(confidences, right)
    good = [place for place, one in enumerate(operations) if 1 - one.risk >= precision]
    if not good:
        best = min(operations, key=lambda one: (one.risk, -one.coverage))
        raise CannotFit(
            f"No threshold reaches a precision of {precision:g} on these questions; the best is {1 - best.risk:.3f},"
            f" which answers {best.coverage:.0%} of them. Ask for less, or see what is wrong with `loccit evaluate`."
        )
    chosen = operations[good[-1]]
    below = operations[good[-1] + 1].threshold if good[-1] + 1 < len(operations) else 0.0
    return Choice(threshold=(chosen.threshold + below) / 2, operation=chosen)
