"""`loccit evaluate` and `loccit calibrate` as a user runs them, on the seeds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import run_here

ROOT = Path(__file__).parents[2]
SEEDS = str(ROOT / "seeds")
EXAMPLE = ROOT / "docs" / "examples" / "questions.jsonl"
Loccit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def loccit(tmp_path: Path) -> Loccit:
    environment = {
        "LOCCIT_DATA": str(tmp_path / "data"),
        "LOCCIT_READER": "quoting",
        "LOCCIT_FREE_DISK_FLOOR_BYTES": "0",
        "PATH": "/usr/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_here(*arguments, cwd=tmp_path, environment=environment)

    return run


@pytest.fixture
def few(tmp_path: Path) -> str:
    """Three questions with an answer and two without."""
    lines = EXAMPLE.read_text("utf-8").splitlines()
    (tmp_path / "few.jsonl").write_text("\n".join([*lines[:3], *lines[-2:]]), "utf-8")
    return "few.jsonl"


@pytest.mark.slow
def test_a_folder_is_measured_without_touching_the_data(loccit: Loccit, few: str, tmp_path: Path) -> None:
    measured = loccit("evaluate", few, "--corpus", SEEDS, "--output", "out", "--fail-under", "f1=0.99")
    assert measured.returncode == 1, measured.stderr
    assert measured.stdout.startswith("few.jsonl: 5 questions, 3 of them answerable")
    assert "loccit: f1 is " in measured.stderr
    assert not (tmp_path / "data").exists()
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["reliability.png", "report.json", "risk-coverage.png", "worst.md"]
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["models"]["reader"] == "quoting"
    assert report["figures"]["recall_at_8"] == {"value": 1.0, "cases": 3}
    again = loccit("evaluate", few, "--corpus", SEEDS, "--against", "out/report.json", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["against"]["differences"]["right"] == 0


@pytest.mark.slow
def test_what_is_fitted_is_served_from_the_next_start_until_it_is_reset(loccit: Loccit, tmp_path: Path) -> None:
    fitted = loccit("calibrate", str(EXAMPLE), "--corpus", SEEDS, "--precision", "0.7", "--output", "out")
    assert fitted.returncode == 0, fitted.stderr
    stored = json.loads((tmp_path / "data" / "calibration.json").read_text("utf-8"))
    assert (stored["method"], stored["reader"]) == ("platt", "quoting")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["reliability.png", "risk-coverage.png"]
    question = "How many incubators have been built in Science City?"
    calibrated = json.loads(loccit("ask", question, "--json").stdout)
    checked = {one["name"]: one for one in json.loads(loccit("doctor", "--json").stdout)}
    assert checked["calibration"]["ok"]
    (tmp_path / "data" / "calibration.json").write_text("{")
    damaged = loccit("ask", question, "--json")
    assert damaged.stderr.count("goes on without the calibration") == 1
    assert json.loads(damaged.stdout)["answer"] == calibrated["answer"]
    assert json.loads(damaged.stdout)["confidence"] != calibrated["confidence"]
    assert loccit("doctor").returncode == 1
    assert loccit("calibrate", "--reset").returncode == 0
    assert not (tmp_path / "data" / "calibration.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "missing.jsonl"), "No such file"),
        (("evaluate", "few.jsonl", "--fail-under", "speed=1"), "there is no figure 'speed'"),
        (("evaluate", "few.jsonl", "--against", "LOCCIT_NONSENSE=1"), "LOCCIT_NONSENSE is no setting"),
        (("evaluate", "few.jsonl", "--against", "LOCCIT_THREADS=many"), "LOCCIT_THREADS"),
        (("evaluate", "few.jsonl", "--against", "missing.json"), "missing.json: No such file"),
        (("calibrate",), "Name a file of questions"),
    ],
)
def test_wrong_usage_is_told_in_one_line(loccit: Loccit, few: str, arguments: tuple[str, ...], said: str) -> None:
    ended = loccit(*arguments)
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
