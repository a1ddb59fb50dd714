"""Runs schemathesis against a service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
LONGEST_SECONDS = 60
"""Of an answer: a batch of questions takes its time."""
PHASES = "examples,coverage,fuzzing,stateful"
NOT_CHECKED = (
    "ignored_auth",  # What is sent has a key that allows all; what keys refuse is tested where keys are.
    "positive_data_acceptance",  # Not all rules are ones of JSON Schema: a cursor was given out, a text is not blank.
    "use_after_free",  # To delete a job is to cancel it, and a deleted key or document is tested where they are.
)
_GENERATED = re.compile(r"^\s*([\d,]+) generated", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    is_sound: bool
    cases: int
    report: str


def fuzz(url: str, key: str, *, cases: int, seed: int, workers: int = 1, phases: str = PHASES) -> Found:
    """Send some `cases` requests, spread over all operations, and judge the answers. The report is shown at once.

    All checks are made by default; `--checks all` would make those too that the configuration takes from a call.
    """
    with urllib.request.urlopen(f"{url}/openapi.json") as response:
        operations = sum(map(len, json.load(response)["paths"].values()))
    options = {
        "--header": f"Authorization: Bearer {key}",
        "--phases": phases,
        "--exclude-checks": ",".join(NOT_CHECKED),
        "--max-examples": max(1, cases // operations),
        "--seed": seed,
        "--workers": workers,
        "--request-timeout": LONGEST_SECONDS,
        "--max-response-time": LONGEST_SECONDS,
        "--generation-database": "none",
    }
    schemathesis = [sys.executable, "-u", "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"]
    flags = ["--continue-on-failure", "--no-color"]
    command = [*schemathesis, f"{url}/openapi.json", *flags, *map(str, chain.from_iterable(options.items()))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = []
        for line in process.stdout or ():
            sys.stdout.write(line)
            lines.append(line)
    report = "".join(lines)
    generated = _GENERATED.search(report)
    return Found(
        is_sound=process.returncode == 0, cases=int(generated[1].replace(",", "")) if generated else 0, report=report
    )
