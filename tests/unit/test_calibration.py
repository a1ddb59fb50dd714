from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from embeddings.domain import Span
from service.answering.calibration import CalibratedReader, Calibration, Isotonic, Platt, UnsoundCalibration
from service.answering.domain import Reading, ReadingPassage, ReadSpan
from service.answering.ports import More
from service.evaluation.fitting import CannotFit, choose, cross_validated, fit

PLATT = Calibration(
    curve=Platt(slope=0.5, offset=-1.0), threshold=0.3, reader="quoting", encoder="all-MiniLM-L6-v2", questions=60
)
ISOTONIC = replace(PLATT, curve=Isotonic(knots=((0.2, 0.1), (0.6, 0.5))))


class TwoSpans:
    name = "quoting"
    threshold = 0.16

    def read(self, question: str, passages: Sequence[ReadingPassage], *, more: More | None = None) -> list[Reading]:
        spans = (ReadSpan(span=Span(0, 3), probability=0.6), ReadSpan(span=Span(4, 7), probability=0.2))
        return [Reading(spans=spans, no_answer=0.2, yes=0.6) for _ in passages]


def test_a_calibrated_reader_finds_the_same_with_other_probabilities() -> None:
    reader = CalibratedReader(TwoSpans(), ISOTONIC)
    passage = ReadingPassage(text="one two", context="", similarity=None, bm25=None, fused=0.0)
    (reading,) = reader.read("?", [passage])
    assert [(one.span, one.probability) for one in reading.spans] == [(Span(0, 3), 0.5), (Span(4, 7), 0.1)]
    assert reading.no_answer == pytest.approx(1 - 0.75)  # 0.8 lies halfway between (0.6, 0.5) and (1, 1)
    assert (reading.yes, reading.no) == (0.5, 0)
    assert (reader.name, reader.threshold) == ("quoting", 0.3)


def test_whether_to_read_more_is_judged_by_calibrated_probabilities() -> None:
    seen: list[float] = []

    class Asking(TwoSpans):
        def read(self, question: str, passages: Sequence[ReadingPassage], *, more: More | None = None) -> list[Reading]:
            readings = super().read(question, passages)
            assert more is None or more(readings) == 0
            return readings

    def more(readings: Sequence[Reading]) -> int:
        seen.extend(reading.spans[0].probability for reading in readings)
        return 0

    passage = ReadingPassage(text="one two", context="", similarity=None, bm25=None, fused=0.0)
    CalibratedReader(Asking(), ISOTONIC).read("?", [passage], more=more)
    CalibratedReader(Asking(), ISOTONIC).read("?", [passage])
    assert seen == [0.5]


def test_platt_moves_log_odds_and_leaves_certainty() -> None:
    assert PLATT.curve(0.5) == pytest.approx(1 / (1 + 2.718281828))
    assert (PLATT.curve(0.0), PLATT.curve(1.0)) == (0, 1)


@pytest.mark.parametrize("calibration", [PLATT, ISOTONIC])
def test_a_calibration_survives_being_stored(calibration: Calibration, tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(calibration.to_json())
    assert Calibration.load(tmp_path / "calibration.json") == calibration


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 1.5},
        {"threshold": None},
        {"slope": -1},
        {"slope": "steep"},
        {"method": "isotonic"},
        {"method": "isotonic", "knots": [[0.5, 0.5], [0.4, 0.6]]},
        {"method": "isotonic", "knots": [[0.5, 0.5], [0.6, 0.5]]},
        {"method": "isotonic", "knots": [[0.0, 0.5]]},
        {"format": 2},
    ],
)
def test_a_damaged_calibration_is_refused_with_the_mend(change: dict[str, object]) -> None:
    with pytest.raises(UnsoundCalibration, match="run `loccit calibrate` again"):
        Calibration.from_json(json.dumps(json.loads(PLATT.to_json()) | change))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_calibration_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_bytes(content)
    with pytest.raises(UnsoundCalibration, match="damaged"):
        Calibration.load(tmp_path / "calibration.json")


def test_a_calibration_of_another_reader_or_encoder_is_refused() -> None:
    PLATT.require_fit(reader="quoting", encoder="all-MiniLM-L6-v2")
    for reader, encoder in (("span", "all-MiniLM-L6-v2"), ("quoting", "e5")):
        with pytest.raises(UnsoundCalibration, match="fitted to the reader quoting"):
            PLATT.require_fit(reader=reader, encoder=encoder)


def test_few_answers_are_fitted_by_platt_and_many_isotonically() -> None:
    confidences = [place / 300 for place in range(1, 300)]
    right = [place % 3 == 0 or place > 200 for place in range(1, 300)]
    assert isinstance(fit(confidences[::10], right[::10]), Platt)
    curve = fit(confidences, right)
    assert isinstance(curve, Isotonic)
    # of the lower two thirds one in three is right
    assert curve(0.3) == pytest.approx(1 / 3, abs=0.05)
    assert curve(0.9) > 0.95


def test_platt_finds_the_line_that_made_the_data() -> None:
    confidences = [0.2] * 100 + [0.8] * 100
    right = [place < 40 for place in range(100)] + [place < 60 for place in range(100)]
    curve = fit(confidences[::2], right[::2])
    assert curve(0.2) == pytest.approx(0.4, abs=0.02)
    assert curve(0.8) == pytest.approx(0.6, abs=0.02)


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(CannotFit, match="All answers are right"):
        fit([0.1, 0.9], [True, True])
    with pytest.raises(CannotFit, match="doesn't tell right answers from wrong"):
        fit([0.1, 0.2, 0.8, 0.9], [True, True, False, False])


def test_every_confidence_is_validated_by_a_curve_fitted_without_it() -> None:
    confidences = [0.1, 0.3, 0.6, 0.9] * 5
    right = [place % 4 > 1 for place in range(20)]
    found = cross_validated(confidences, right)
    assert len(found) == 20
    changed = cross_validated(confidences, [not right[0], *right[1:]])
    # question 0 belongs to the first fold; its own outcome touches no confidence there
    assert found[::5] == changed[::5]
    assert found[1] != changed[1]


def test_the_threshold_answers_as_much_as_the_precision_allows() -> None:
    confidences = [0.9, 0.8, 0.7, 0.6, 0.5]
    right = [True, False, True, True, False]
    assert choose(confidences, right, precision=0.75).threshold == pytest.approx(0.55)
    assert choose(confidences, right, precision=0.75).right == 3
    assert choose(confidences, right, precision=0.9).threshold == pytest.approx(0.85)
    assert choose(confidences, right, precision=0.5).threshold == pytest.approx(0.25)
    with pytest.raises(CannotFit, match="the best is"):
        choose([0.9, 0.5], [False, True], precision=0.9)


def test_a_broken_calibration_is_told_and_reading_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from service import bootstrap
    from service.settings import Settings

    settings = Settings(data=tmp_path)
    encoder = bootstrap.make_encoder(settings)
    reader = TwoSpans()
    (tmp_path / "calibration.json").write_text(replace(PLATT, encoder=encoder.name).to_json())
    assert bootstrap.calibrated(reader, encoder, settings).threshold == 0.3
    assert bootstrap.calibrated(reader, encoder, settings.model_copy(update={"calibration": "off"})) is reader
    (tmp_path / "calibration.json").write_text("{")
    with caplog.at_level(logging.ERROR):
        assert bootstrap.calibrated(reader, encoder, settings) is reader
    [record] = [each for each in caplog.records if each.name == bootstrap.logger.name]
    assert "calibration.json: it is damaged" in record.getMessage()
