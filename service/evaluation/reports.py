"""What an evaluation leaves behind: a report as JSON, the worst cases side by side, a table for the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.evaluation.cases import Case
from service.evaluation.errors import InvalidQuestions
from service.evaluation.figures import KINDS, Figure, Figures, confidences, measure
from service.evaluation.metrics import difference_interval, reliability, risk_coverage

FORMAT = 1
WORST = 20
PAIRED = ("f1", "right")
"""Scores that are compared question by question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    name: str
    """What was asked, with which settings."""
    models: Mapping[str, str]
    cases: tuple[Case, ...]
    figures: Figures

    @classmethod
    def of(cls, name: str, models: Mapping[str, str], cases: Sequence[Case]) -> Report:
        return cls(name=name, models=dict(models), cases=tuple(cases), figures=measure(cases))

    def record(self) -> dict[str, Any]:
        probabilities, right = confidences(self.cases)
        return {
            "format": FORMAT,
            "name": self.name,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "models": self.models,
            "figures": {name: _figure(figure) for name, figure in self.figures.items()},
            "reliability": [asdict(one) for one in reliability(probabilities, right)],
            "risk_coverage": [asdict(one) for one in risk_coverage(probabilities, right)],
            "cases": [one.record() for one in self.cases],
        }


def _figure(figure: Figure) -> Mapping[str, float | int | None]:
    return {"value": None if math.isnan(figure.value) else figure.value, "cases": figure.cases}


def read_report(path: Path) -> Report:
    """Raises InvalidQuestions where it is none."""
    try:
        stored = json.loads(path.read_text("utf-8"))
        if stored["format"] != FORMAT:
            raise ValueError("of another version")
        cases = [Case(**{**one, **_tuples(one)}) for one in stored["cases"]]
        return Report.of(stored["name"], stored["models"], cases)
    except OSError as error:
        raise InvalidQuestions(f"{path}: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidQuestions(f"{path} is no report that `loccit evaluate` of this version wrote.") from None


def _tuples(record: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(record[name]) for name in ("expected", "quotes")}


# Comparison ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """This report less another, on the questions that both have."""

    other: Report
    this_figures: Figures
    other_figures: Figures
    questions: int
    intervals: Mapping[str, tuple[float, float]]
    """95 %, by a paired bootstrap."""

    def difference(self, name: str) -> float:
        return self.this_figures[name].value - self.other_figures[name].value

    def record(self) -> Mapping[str, Any]:
        differences = {name: self.difference(name) for name in KINDS}
        return {
            "name": self.other.name,
            "questions": self.questions,
            "figures": {name: _figure(figure) for name, figure in self.other_figures.items()},
            "differences": {name: None if math.isnan(value) else value for name, value in differences.items()},
            "intervals_95": dict(self.intervals),
        }


def compare(this: Report, other: Report) -> Comparison:
    """Raises InvalidQuestions where no question is in both."""
    known = {(one.question_id, one.question): one for one in other.cases}
    pairs = [
        (one, known[one.question_id, one.question]) for one in this.cases if (one.question_id, one.question) in known
    ]
    if not pairs:
        raise InvalidQuestions(f"{other.name} holds none of these questions; compare reports on the same questions.")
    mine, others = [one for one, _ in pairs], [two for _, two in pairs]
    return Comparison(
        other=other,
        this_figures=measure(mine),
        other_figures=measure(others),
        questions=len(pairs),
        intervals={
            name: difference_interval([getattr(one, name) for one in mine], [getattr(two, name) for two in others])
            for name in PAIRED
        },
    )


# For people ------------------------------------------------------------------------------------------------------


def lines(report: Report, comparison: Comparison | None) -> list[str]:
    """A table for the terminal."""
    if comparison is None:
        header = ["", "", "questions"]
        rows = [[KINDS[name].title, _shown(name, one.value), str(one.cases)] for name, one in report.figures.items()]
    else:
        header = ["", "this", "other", "difference", "95 % interval"]
        rows = [_compared(name, comparison) for name in KINDS]
    answerable = sum(one.is_answerable for one in report.cases)
    head = f"{report.name}: {len(report.cases)} questions, {answerable} of them answerable"
    against = (
        [] if comparison is None else [f"against {comparison.other.name}: {comparison.questions} questions in both"]
    )
    return [head, *against, "", *_aligned([header, *rows])]


def _compared(name: str, comparison: Comparison) -> list[str]:
    interval = comparison.intervals.get(name)
    return [
        KINDS[name].title,
        _shown(name, comparison.this_figures[name].value),
        _shown(name, comparison.other_figures[name].value),
        _shown(name, comparison.difference(name), sign="+"),
        "" if interval is None else " to ".join(_shown(name, bound, sign="+") for bound in interval),
    ]


def _shown(name: str, value: float, *, sign: str = "") -> str:
    if math.isnan(value):
        return "–"
    return f"{value:{sign}.0f} ms" if KINDS[name].unit == "ms" else f"{value:{sign}.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]


def worst(cases: Sequence[Case], most: int = WORST) -> list[Case]:
    """Wrong answers by falling confidence, then answerable questions that got none, the least confident first."""
    wrong = sorted((one for one in cases if one.answer is not None and not one.right), key=lambda one: -one.confidence)
    missed = sorted((one for one in cases if one.answer is None and not one.right), key=lambda one: one.confidence)
    return [*wrong, *missed][:most]


def worst_page(report: Report) -> str:
    chosen = worst(report.cases)
    header = ["question", "expected", "answered", "confidence", "quote"]
    rows = [header, ["---"] * len(header), *map(_side_by_side, chosen)]
    told = f"The {len(chosen)} worst of {len(report.cases)} cases: confidently wrong first, then what was not answered."
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"# {report.name}\n\n{told}\n\n{table}\n" if chosen else f"# {report.name}\n\nNothing was wrong.\n"


def _side_by_side(one: Case) -> list[str]:
    answered = one.answer or f"*nothing*; the best was: {one.best_answer or '*nothing*'}"
    expected = ("; " if one.expected else "").join(one.expected) or "*nothing*"
    cells = [one.question, expected, answered, f"{one.confidence:.2f}", " … ".join(one.quotes)]
    return [" ".join(cell.replace("|", "\\|").split()) for cell in cells]
