"""Stages of an answer: what is inside one of them is counted once, and everything is put back."""

from __future__ import annotations

import sys
import time
from pkgutil import resolve_name

import pytest

from service.evaluation.profiling import ENCODER, HTTP, READER, STAGES, VECTORS, Profile, report
from service.evaluation.stages import Stage, Watch, alone, watching


class Kitchen:
    def cook(self, seconds: float) -> str:
        self.chop(seconds)
        time.sleep(seconds)
        return "soup"

    def chop(self, seconds: float) -> None:
        time.sleep(3 * seconds)


HERE = __name__
COOK = Stage(name="cook", functions=(f"{HERE}:Kitchen.cook",))
CHOP = Stage(name="chop", functions=(f"{HERE}:Kitchen.chop",), is_kept=True)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest imports tests under names that others don't find."""
    monkeypatch.setitem(sys.modules, HERE, sys.modules.get(HERE) or sys.modules[Kitchen.__module__])


def test_a_stage_does_not_count_the_stages_inside_it() -> None:
    with watching([COOK, CHOP]) as watch:
        assert Kitchen().cook(0.01) == "soup"
    assert 10 <= watch.milliseconds["cook"] < watch.milliseconds["chop"]
    assert watch.milliseconds["chop"] >= 30


def test_calls_that_are_kept_can_be_made_again() -> None:
    with watching([COOK, CHOP]) as watch:
        Kitchen().cook(0.001)
    assert set(watch.calls) == {"chop"}
    assert alone(watch.calls)["chop"] >= 3


def test_functions_are_put_back_whatever_happens() -> None:
    before = dict(vars(Kitchen))
    with pytest.raises(ZeroDivisionError), watching([COOK, CHOP]):
        raise ZeroDivisionError
    assert dict(vars(Kitchen)) == before


def test_a_cleared_watch_starts_anew() -> None:
    watch = Watch()
    watch.timed(CHOP, len)("abc")
    watch.clear()
    assert not watch.milliseconds
    assert not watch.calls


@pytest.mark.parametrize("name", [name for stage in STAGES for name in stage.functions])
def test_every_stage_of_an_answer_is_a_function(name: str) -> None:
    assert callable(resolve_name(name))


def test_the_table_shows_how_far_each_stage_is_from_its_floor() -> None:
    profile = Profile(
        stages={HTTP: 1.0, ENCODER: 2.0, VECTORS: 1.0, READER: 6.0}, floors={ENCODER: 1.5, VECTORS: 0.5, READER: 5.0}
    )
    lines = {line.split("|")[1].strip(): line for line in report("ask", [profile, profile, profile]).splitlines()}
    assert lines[READER].endswith("| 6.00 | 60.0 | 5.00 | 1.00 | 10.0 |")
    assert lines[HTTP].endswith("| 1.00 | 10.0 | – | 1.00 | 10.0 |")
    assert "JSON" not in lines
    assert lines["**the whole**"].endswith("| 10.00 | 100.0 | 7.00 | 3.00 | 30.0 |")
