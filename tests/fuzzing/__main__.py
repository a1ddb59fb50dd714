"""`scripts/fuzz`: requests made from the OpenAPI document, to a service on a temporary folder."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from service.evaluation.served import served
from service.running import running
from tests.fuzzing.requests import fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz")
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loccit-fuzz-") as folder:
        data = Path(folder) / "data"
        with served(data):
            here = running(data)
            if here is None:
                raise RuntimeError("the service left no address")
            found = fuzz(here.url, here.key, cases=options.cases, seed=options.seed, workers=options.workers)
        sys.stderr.writelines(_exceptions(data.with_suffix(".log")))
    return 0 if found.is_sound else 1


def _exceptions(log: Path) -> Iterator[str]:
    """What the service itself said of what it did not foresee."""
    for line in log.read_text("utf-8").splitlines():
        if line.startswith("{") and "exception" in (entry := json.loads(line)):
            yield f"{entry['exception']}\n"


if __name__ == "__main__":
    sys.exit(main())
