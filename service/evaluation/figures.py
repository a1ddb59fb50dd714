"""From cases to figures, and what figures have to reach. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from service.evaluation.cases import Case
from service.evaluation.metrics import auroc, calibration_error, percentile, risk_coverage, risk_coverage_area


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    title: str
    unit: Literal["share", "number", "ms"] = "share"
    is_better_high: bool = True
    measure: Callable[[Sequence[Case]], tuple[float, int]]
    """Gives the figure and how many cases it stands on; not a number where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    value: float
    cases: int


Figures: TypeAlias = Mapping[str, Figure]


def measure(cases: Sequence[Case]) -> Figures:
    measured = {name: kind.measure(cases) for name, kind in KINDS.items()}
    return {name: Figure(value=value, cases=count) for name, (value, count) in measured.items()}


def confidences(cases: Iterable[Case]) -> tuple[list[float], list[bool]]:
    """Of the best answer to each question, and whether it is right; to an unanswerable one none is."""
    listed = list(cases)
    return [case.confidence for case in listed], [case.is_best_right for case in listed]


def _mean(score: Callable[[Case], float | None]) -> Callable[[Sequence[Case]], tuple[float, int]]:
    def measure(cases: Sequence[Case]) -> tuple[float, int]:
        scores = [value for value in map(score, cases) if value is not None]
        return (sum(scores) / len(scores) if scores else math.nan), len(scores)

    return measure


def _precision(case: Case) -> float | None:
    return None if case.answer is None else case.right


def _declined(case: Case) -> float | None:
    return None if case.is_answerable else float(case.answer is None)


def _abstention(cases: Sequence[Case]) -> tuple[float, int]:
    answerable = [case.confidence for case in cases if case.is_answerable]
    return auroc(answerable, [case.confidence for case in cases if not case.is_answerable]), len(cases)


def _area(cases: Sequence[Case]) -> tuple[float, int]:
    return risk_coverage_area(risk_coverage(*confidences(cases))), len(cases)


def _calibration(cases: Sequence[Case]) -> tuple[float, int]:
    return calibration_error(*confidences(cases)), len(cases)


def _latency(percent: float) -> Callable[[Sequence[Case]], tuple[float, int]]:
    return lambda cases: (percentile([case.milliseconds for case in cases], percent), len(cases))


KINDS: Mapping[str, Kind] = {
    "right": Kind(
        title="right: answered with a quote that holds it, or rightly declined", measure=_mean(lambda one: one.right)
    ),
    "exact_match": Kind(title="exact match of the answer", measure=_mean(lambda one: one.exact_match)),
    "f1": Kind(title="F1 of the answer", measure=_mean(lambda one: one.f1)),
    "quote_holds_answer": Kind(
        title="answerable: a quote holds the answer", measure=_mean(lambda one: one.quote_holds_answer)
    ),
    "answered": Kind(title="answered", measure=_mean(lambda one: float(one.answer is not None))),
    "precision": Kind(title="of what is answered: right", measure=_mean(_precision)),
    "declined": Kind(title="unanswerable: declined", measure=_mean(_declined)),
    "citation_precision": Kind(title="citations at the evidence", measure=_mean(lambda one: one.citation_precision)),
    "citation_recall": Kind(title="evidence that is cited", measure=_mean(lambda one: one.citation_recall)),
    "ndcg_at_10": Kind(title="search: nDCG@10", measure=_mean(lambda one: one.ndcg_at_10)),
    "recall_at_8": Kind(title="search: recall@8", measure=_mean(lambda one: one.recall_at_8)),
    "abstention_auroc": Kind(title="AUROC of confidence, answerable or not", measure=_abstention),
    "risk_coverage_area": Kind(title="area under risk–coverage", is_better_high=False, measure=_area),
    "calibration_error": Kind(
        title="calibration error, 10 bins of equal size", is_better_high=False, measure=_calibration
    ),
    "latency_p50_ms": Kind(title="time to answer, median", unit="ms", is_better_high=False, measure=_latency(50)),
    "latency_p95_ms": Kind(
        title="time to answer, 95th percentile", unit="ms", is_better_high=False, measure=_latency(95)
    ),
}


# Gates -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    name: str
    bound: float
    is_lower_bound: bool

    def failure(self, figures: Figures) -> str | None:
        value = figures[self.name].value
        if math.isnan(value):
            return f"{self.name} could not be measured: no question says what it needs"
        if self.is_lower_bound and value < self.bound:
            return f"{self.name} is {value:.4g}, under {self.bound:g}"
        if not self.is_lower_bound and value > self.bound:
            return f"{self.name} is {value:.4g}, over {self.bound:g}"
        return None


def parse_gate(text: str, *, is_lower_bound: bool) -> Gate:
    """From `f1=0.7`. Raises ValueError that says what is wrong and how to mend it."""
    name, equals, bound = text.partition("=")
    if name not in KINDS:
        raise ValueError(f"there is no figure {name!r}; take one of {', '.join(KINDS)}")
    if KINDS[name].is_better_high != is_lower_bound:
        other = "--fail-over" if is_lower_bound else "--fail-under"
        better = "high" if KINDS[name].is_better_high else "low"
        raise ValueError(f"{name} is better when it is {better}; write {other} {text}")
    try:
        number = float(bound)
    except ValueError:
        number = math.nan
    if not equals or not math.isfinite(number):
        raise ValueError(f"{text!r} names no bound; write {name}=0.7")
    return Gate(name=name, bound=number, is_lower_bound=is_lower_bound)
