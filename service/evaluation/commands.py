"""What `loccit evaluate` and `loccit calibrate` do."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from service.answering.calibration import Calibration
from service.calling import Refused
from service.evaluation.cases import Reply
from service.evaluation.errors import InvalidQuestions
from service.evaluation.figures import Gate, confidences
from service.evaluation.fitting import FEWEST, CannotFit, Choice, choose, cross_validated, fit
from service.evaluation.interview import Interview, interviewing
from service.evaluation.judging import is_right
from service.evaluation.metrics import Operation, calibration_error, reliability, risk_coverage, wilson
from service.evaluation.questions import Question, read_questions
from service.evaluation.reports import Comparison, Report, compare, lines, read_report, worst_page
from service.running import running_url
from service.settings import Settings

_ASSIGNMENT = re.compile(r"LOCCIT_\w+=.*", re.IGNORECASE | re.DOTALL)
_NOT_COMPARED = frozenset({"data", "url", "host", "port", "seeds"})
"""Settings that say where, not how."""
WITHOUT_PLOTS = "No pictures were drawn: they need matplotlib (pip install 'loccit[plots]')."


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    record: Mapping[str, Any]
    """For programs."""
    lines: tuple[str, ...]
    """For people."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    failures: tuple[str, ...] = ()
    """Gates that were not passed."""


# Evaluate --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    questions: Path
    collection: str
    corpus: Path | None
    against: str | None
    output: Path
    gates: Sequence[Gate]


def evaluate(settings: Settings, wanted: Evaluation) -> Outcome:
    """Raises InvalidQuestions, Refused, and ValidationError where `against` gives a setting a wrong value."""
    questions = read_questions(wanted.questions)
    earlier, variant = _read_against(wanted.against)
    other_settings = None if variant is None else Settings(**{**_given(settings), **variant})
    if variant is not None and wanted.corpus is None and _is_running(settings):
        raise Refused("A service runs on this data. Stop it to compare settings, or name a folder with --corpus.")
    report, notes = _report(wanted.questions.name, settings, questions, wanted)
    if other_settings is not None:
        with _on_a_copy(other_settings, wanted.corpus) as apart:
            earlier, _ = _report(str(wanted.against), apart, questions, wanted)
    comparison = None if earlier is None else compare(report, earlier)
    record = {**report.record(), "against": None if comparison is None else comparison.record()}
    notes += _write(wanted.output, report, comparison, record)
    return Outcome(
        record=record,
        lines=(*lines(report, comparison), "", f"Report and worst cases: {wanted.output}"),
        notes=tuple(notes),
        failures=tuple(failure for gate in wanted.gates if (failure := gate.failure(report.figures))),
    )


def _given(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.model_fields_set}


def _is_running(settings: Settings) -> bool:
    return (settings.url or running_url(settings.data)) is not None


def _read_against(against: str | None) -> tuple[Report | None, dict[str, str] | None]:
    """An earlier report, or other settings. Raises InvalidQuestions."""
    if against is None:
        return None, None
    if not _ASSIGNMENT.fullmatch(against):
        return read_report(Path(against)), None
    variant: dict[str, str] = {}
    for part in re.split(r",(?=LOCCIT_)", against, flags=re.IGNORECASE):
        variable, _, value = part.partition("=")
        name = variable.lower().removeprefix("loccit_")
        if name not in Settings.model_fields or name in _NOT_COMPARED:
            raise InvalidQuestions(f"{variable} is no setting that can be compared; see docs/settings.md.")
        variant[name] = value
    return None, variant


@contextmanager
def _on_a_copy(settings: Settings, corpus: Path | None) -> Iterator[Settings]:
    """Other settings may cut or encode everything anew: that happens to a copy of the data folder."""
    if corpus is not None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="loccit-") as folder:
        data = Path(folder) / "data"
        shutil.copytree(settings.data, data)
        yield settings.model_copy(update={"data": data})


def _report(
    name: str, settings: Settings, questions: Sequence[Question], wanted: Evaluation
) -> tuple[Report, list[str]]:
    with interviewing(settings, collection=wanted.collection, corpus=wanted.corpus) as interview:
        cases = interview.cases(interview.locate(questions))
    return Report.of(name, interview.models, cases), _passed_over(interview)


def _passed_over(interview: Interview) -> list[str]:
    if not interview.passed_over:
        return []
    named = ", ".join(interview.passed_over[:3]) + (", …" if len(interview.passed_over) > 3 else "")
    return [f"{len(interview.passed_over)} files were passed over, of types that are not read: {named}"]


def _write(folder: Path, report: Report, comparison: Comparison | None, record: Mapping[str, Any]) -> list[str]:
    """Gives what was left out."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "report.json", record)
    (folder / "worst.md").write_text(worst_page(report), "utf-8")
    shown = {report.name: confidences(report.cases)}
    if comparison is not None:
        shown[comparison.other.name] = confidences(comparison.other.cases)
    answered = [case for case in report.cases if case.answer is not None]
    wrong = sum(not case.is_best_right for case in answered)
    now = Operation(
        threshold=min((case.confidence for case in answered), default=1.0),
        answered=len(answered),
        coverage=len(answered) / len(report.cases),
        risk=wrong / len(answered) if answered else 0.0,
    )
    return _draw(folder, shown, now=now)


def _draw(
    folder: Path, shown: Mapping[str, tuple[list[float], list[bool]]], *, now: Operation | None = None
) -> list[str]:
    if find_spec("matplotlib") is None:
        return [WITHOUT_PLOTS]
    from service.evaluation.plots import draw_reliability, draw_risk_coverage

    draw_reliability(folder / "reliability.png", {name: reliability(*pair) for name, pair in shown.items()})
    draw_risk_coverage(
        folder / "risk-coverage.png", {name: risk_coverage(*pair) for name, pair in shown.items()}, now=now
    )
    return []


def _write_json(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


# Calibrate -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrating:
    questions: Path
    collection: str
    corpus: Path | None
    precision: float
    output: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitted:
    calibration: Calibration
    choice: Choice
    right: Sequence[bool]
    before: Sequence[float]
    after: Sequence[float]
    """Under the curve that is kept."""
    unseen: Sequence[float]
    """Each under a curve fitted without it."""


def calibrate(settings: Settings, wanted: Calibrating) -> Outcome:
    """Raises InvalidQuestions, Refused."""
    place = settings.calibration_file
    if place is None:
        raise Refused("LOCCIT_CALIBRATION is off; take that away first.")
    if wanted.corpus is None and _is_running(settings):
        raise Refused("A service runs on this data. Stop it to calibrate, or name a folder with --corpus.")
    questions = read_questions(wanted.questions)
    uncalibrated = settings.model_copy(update={"calibration": "off"})
    with interviewing(uncalibrated, collection=wanted.collection, corpus=wanted.corpus) as interview:
        replies = interview.best(interview.locate(questions))
    try:
        fitted = _fitted(replies, interview.models, precision=wanted.precision)
    except CannotFit as error:
        raise Refused(f"{error} Nothing was written.") from None
    _keep(place, fitted.calibration)
    record = _calibration_record(fitted, wanted.precision, place)
    wanted.output.mkdir(parents=True, exist_ok=True)
    _write_json(wanted.output / "report.json", record)
    shown = {"before": (list(fitted.before), list(fitted.right)), "after": (list(fitted.unseen), list(fitted.right))}
    notes = [*_passed_over(interview), *_draw(wanted.output, shown)]
    return Outcome(record=record, lines=tuple(_calibration_lines(record, wanted.output)), notes=tuple(notes))


def _fitted(replies: Sequence[tuple[Question, Reply]], models: Mapping[str, str], *, precision: float) -> _Fitted:
    """Raises CannotFit."""
    said = [(question, reply) for question, reply in replies if reply.answer is not None]
    if len(said) < FEWEST:
        raise CannotFit(
            f"Only {len(said)} questions led to an answer; at least {FEWEST} are needed, better some hundred."
        )
    before = [reply.confidence for _, reply in said]
    right = [
        question.is_answerable and is_right(question, reply.answer or "", reply.quotes) for question, reply in said
    ]
    curve = fit(before, right)
    after = [curve(confidence) for confidence in before]
    choice = choose(after, right, precision=precision)
    calibration = Calibration(
        curve=curve, threshold=choice.threshold, questions=len(said), reader=models["reader"], encoder=models["encoder"]
    )
    unseen = cross_validated(before, right)
    return _Fitted(calibration=calibration, choice=choice, right=right, before=before, after=after, unseen=unseen)


def _keep(place: Path, calibration: Calibration) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = place.with_suffix(".tmp")
    unfinished.write_text(calibration.to_json(), "utf-8")
    unfinished.replace(place)


def _calibration_record(fitted: _Fitted, precision: float, place: Path) -> dict[str, Any]:
    operation = fitted.choice.operation
    return {
        "file": str(place),
        "calibration": json.loads(fitted.calibration.to_json()),
        "precision": {
            "wanted": precision,
            "reached": 1 - operation.risk,
            "interval_95": wilson(fitted.choice.right, operation.answered),
        },
        "operation": asdict(operation),
        "calibration_error": {
            "before": calibration_error(fitted.before, fitted.right),
            "after": calibration_error(fitted.unseen, fitted.right),
        },
        "reliability": {
            "before": [asdict(one) for one in reliability(fitted.before, fitted.right)],
            "after": [asdict(one) for one in reliability(fitted.unseen, fitted.right)],
        },
    }


def _calibration_lines(record: Mapping[str, Any], output: Path) -> Iterator[str]:
    calibration, operation, error = record["calibration"], record["operation"], record["calibration_error"]
    low, high = record["precision"]["interval_95"]
    yield f"{calibration['method']}, fitted to the answers to {calibration['questions']} questions"
    yield (
        f"threshold {calibration['threshold']:.3f}: answers {operation['answered']} of them,"
        f" {record['precision']['reached']:.1%} right (95 %: {low:.1%} to {high:.1%})"
    )
    yield f"calibration error {error['before']:.3f} before, {error['after']:.3f} after (cross-validated)"
    yield f"Written to {record['file']}; a service takes it at its next start. Pictures and figures: {output}"


def reset_calibration(settings: Settings) -> Outcome:
    place = settings.calibration_file
    was_there = place is not None and place.exists()
    if place is not None:
        place.unlink(missing_ok=True)
    told = f"Removed {place}; a service notices at its next start." if was_there else "There was no calibration."
    return Outcome(record={"removed": was_there}, lines=(told,))
