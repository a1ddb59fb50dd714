"""A user's own calibration: a monotone map of a reader's confidence, and the threshold that goes with it."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from service.answering.domain import Reading, ReadingPassage
from service.answering.ports import More, Reader

FORMAT = 1


class UnsoundCalibration(ValueError):
    """What is wrong with a stored calibration, and how to mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platt:
    """Linear in log odds. Source: Platt 1999, with log odds in place of the raw score."""

    slope: float
    """Above 0."""
    offset: float

    def __call__(self, confidence: float) -> float:
        return _logistic(self.slope * log_odds(confidence) + self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotonic:
    """Straight lines between knots, from (0, 0) to (1, 1): strictly increasing, so that it changes no ranking."""

    knots: tuple[tuple[float, float], ...]
    """(confidence, probability), both strictly between 0 and 1 and strictly increasing."""

    def __call__(self, confidence: float) -> float:
        points = ((0.0, 0.0), *self.knots, (1.0, 1.0))
        place = min(bisect_right(points, confidence, key=lambda point: point[0]), len(points) - 1)
        (left, low), (right, high) = points[place - 1], points[place]
        share = (confidence - left) / (right - left)
        return low * (1 - share) + high * share  # exact at both ends


Curve: TypeAlias = Platt | Isotonic


def log_odds(probability: float) -> float:
    if 0 < probability < 1:
        return math.log(probability) - math.log1p(-probability)
    return math.inf if probability >= 1 else -math.inf


def _logistic(value: float) -> float:
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    curve: Curve
    threshold: float
    """Of the calibrated confidence."""
    reader: str
    encoder: str
    """Whose confidences it was fitted to, with that reader."""
    questions: int

    def to_json(self) -> str:
        stored = {
            "format": FORMAT,
            **_stored(self.curve),
            "threshold": self.threshold,
            "reader": self.reader,
            "encoder": self.encoder,
            "questions": self.questions,
        }
        return json.dumps(stored, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Raises UnsoundCalibration."""
        try:
            stored = json.loads(text)
            if stored["format"] != FORMAT:
                raise UnsoundCalibration("it was written by another version; run `loccit calibrate` again")
            return cls(
                curve=_curve(stored),
                threshold=_share(stored["threshold"]),
                reader=str(stored["reader"]),
                encoder=str(stored["encoder"]),
                questions=int(stored["questions"]),
            )
        except UnsoundCalibration:
            raise
        except (ValueError, TypeError, KeyError, RecursionError):
            raise UnsoundCalibration("it is damaged; run `loccit calibrate` again, or --reset") from None

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Raises UnsoundCalibration, FileNotFoundError."""
        try:
            return cls.from_json(path.read_text("utf-8"))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnsoundCalibration(f"it cannot be read ({error.strerror}); give the service access to it") from error
        except UnicodeDecodeError:
            raise UnsoundCalibration("it is damaged; run `loccit calibrate` again, or --reset") from None

    def require_fit(self, *, reader: str, encoder: str) -> None:
        """Raises UnsoundCalibration where confidences come from elsewhere than those it was fitted to."""
        if (self.reader, self.encoder) != (reader, encoder):
            raise UnsoundCalibration(
                f"it was fitted to the reader {self.reader} with the encoder {self.encoder}, not to {reader} with"
                f" {encoder}; run `loccit calibrate` again, or --reset"
            )


def _stored(curve: Curve) -> Mapping[str, object]:
    if isinstance(curve, Platt):
        return {"method": "platt", "slope": curve.slope, "offset": curve.offset}
    return {"method": "isotonic", "knots": curve.knots}


def _curve(stored: Mapping[str, Any]) -> Curve:
    if stored["method"] == "platt":
        slope, offset = float(stored["slope"]), float(stored["offset"])
        if not (0 < slope < math.inf and math.isfinite(offset)):
            raise ValueError("slope")
        return Platt(slope=slope, offset=offset)
    knots = tuple((_share(x), _share(y)) for x, y in stored["knots"])
    points = ((0.0, 0.0), *knots, (1.0, 1.0))
    if stored["method"] != "isotonic" or not all(one[0] < two[0] and one[1] < two[1] for one, two in pairwise(points)):
        raise ValueError("knots")
    return Isotonic(knots=knots)


def _share(value: Any) -> float:
    if not 0 <= float(value) <= 1:
        raise ValueError("not between 0 and 1")
    return float(value)


class CalibratedReader:
    """A reader whose probabilities are mapped and whose threshold is replaced; what it finds stays the same."""

    def __init__(self, reader: Reader, calibration: Calibration) -> None:
        self._reader = reader
        self._calibration = calibration

    @property
    def name(self) -> str:
        return self._reader.name

    @property
    def threshold(self) -> float:
        return self._calibration.threshold

    def read(self, question: str, passages: Sequence[ReadingPassage], *, more: More | None = None) -> list[Reading]:
        seen: More | None = None if more is None else lambda readings: more(self._all_calibrated(readings))
        return self._all_calibrated(self._reader.read(question, passages, more=seen))

    def _all_calibrated(self, readings: Sequence[Reading]) -> list[Reading]:
        return [self._calibrated(reading) for reading in readings]

    def _calibrated(self, reading: Reading) -> Reading:
        curve = self._calibration.curve
        return replace(
            reading,
            spans=tuple(replace(span, probability=curve(span.probability)) for span in reading.spans),
            no_answer=1 - curve(1 - reading.no_answer),
            yes=curve(reading.yes),
            no=curve(reading.no),
        )
