"""A little of what `scripts/fuzz` does at length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from service.evaluation.served import started
from service.running import running, running_url
from tests.fuzzing.requests import fuzz


@pytest.mark.slow
def test_what_is_answered_to_strange_requests_is_documented(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command: list[str | Path] = [sys.executable, "-m", "service", "serve", "--port", "0", "--data", data]
    with started(command, log=tmp_path / "log", address=lambda: running_url(data), ready="/health/ready"):
        here = running(data)
        assert here is not None
        found = fuzz(here.url, here.key, cases=62, seed=1, phases="examples,fuzzing")
    assert found.is_sound, found.report
    assert found.cases > 62
