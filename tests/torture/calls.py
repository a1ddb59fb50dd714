"""A process is killed, or told that the disk failed or is full, at its first, second, third … system call of a kind.

`strace` injects it. The sweep of a scenario ends with the number that no thread of the process reaches.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from embeddings.errors import LoccitError
from tests.torture import checks, scenarios

ROOT = Path(__file__).parents[2]
KILL = "signal=SIGKILL"
ENDED_BY_KILL = 137
SECONDS = 60
CALLS: Mapping[str, str] = {
    "write": "write",
    "pwrite64": "pwrite64",
    "fsync": "fsync",
    "fdatasync": "fdatasync",
    "rename": "rename,renameat,renameat2",
    "unlink": "unlink,unlinkat,rmdir",
    "ftruncate": "ftruncate",
    "mkdir": "mkdir,mkdirat",
}
FAULTS: Mapping[str, Sequence[str]] = {
    "write": ("EIO", "ENOSPC"),
    "pwrite64": ("EIO", "ENOSPC"),
    "fsync": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO",),
    "rename": ("EIO", "ENOSPC"),
    "unlink": ("EIO",),
    "ftruncate": ("EIO",),
    "mkdir": ("ENOSPC",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    scenario: str
    call: str
    what: str
    """`signal=SIGKILL`, or `error=EIO`."""
    when: str
    """The n-th call of a thread, `3`, or it and all later ones, `3+`."""

    def __str__(self) -> str:
        return f"{self.scenario}: {self.what} at {self.call} {self.when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    scenario: str
    what: str
    call: str
    points: int
    acknowledged: int
    refused: int
    faults: tuple[str, ...]


def has_strace() -> bool:
    return shutil.which("strace") is not None


def sweep(
    workplace: Path,
    scenario: str,
    call: str,
    what: str,
    *,
    lasting: bool = False,
    step: int = 1,
    workers: int = 2,
    deadline: float = float("inf"),
    progress: Callable[[Point], None] = lambda point: None,
) -> Outcome:
    """Every `step`-th call until the scenario ends untouched, `workers` at a time."""
    points, counts, faults = 0, Counter[str](), list[str]()
    prepared = prepare(workplace)
    with ThreadPoolExecutor(workers) as pool:
        for numbers in batches(step, workers):
            tried = [
                Point(scenario=scenario, call=call, what=what, when=f"{number}{'+' * lasting}") for number in numbers
            ]
            results = list(pool.map(lambda point: try_point(point, prepared, workplace), tried))
            for point, result in zip(tried, results, strict=True):
                if result is not None:
                    points += 1
                    counts.update(result.counts)
                    faults += [f"{point}: {one}" for one in result.faults]
                    progress(point)
            if None in results or time.monotonic() > deadline:
                break
    return Outcome(
        scenario=scenario,
        what=what,
        call=call,
        points=points,
        acknowledged=counts["put"] + counts["deleted"] + counts["checkpoint"] + counts["restored"],
        refused=counts["refused"],
        faults=tuple(faults),
    )


def batches(step: int, size: int) -> Iterator[list[int]]:
    for first in count(1, step * size):
        yield [first + step * place for place in range(size)]


def prepare(workplace: Path) -> Path:
    prepared = workplace / "prepared"
    if not prepared.exists():
        workplace.mkdir(parents=True, exist_ok=True)
        scenarios.prepare(prepared)
    return prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    counts: Counter[str]
    faults: tuple[str, ...]


def try_point(point: Point, prepared: Path, workplace: Path) -> Result | None:
    """None where the scenario ended before the call came."""
    place = workplace / f"{point.scenario}-{point.call}-{point.what.partition('=')[2]}-{point.when}"
    data = place / "data"
    place.mkdir()
    if point.scenario != "first-start":
        shutil.copytree(prepared, data)
    ended, was_injected = run(point, data, place / "trace")
    lines = [line.split() for line in ended.stdout.splitlines()]
    found = [*faults_of(point, ended), *faults_of_store(data, lines, has_before=point.scenario != "first-start")]
    shutil.rmtree(place)
    if not was_injected and not found:
        return None
    return Result(counts=Counter(line[0] for line in lines), faults=tuple(found))


def run(point: Point, data: Path, trace: Path) -> tuple[subprocess.CompletedProcess[str], bool]:
    names = CALLS[point.call]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={names}",
         "-e", f"inject={names}:{point.what}:when={point.when}",
         sys.executable, "-m", scenarios.__name__, point.scenario, str(data)],
        capture_output=True, text=True, cwd=ROOT, env=environment, check=False, timeout=SECONDS,
    )  # fmt: skip
    traced = trace.read_text("utf-8", "replace")
    return ended, "(INJECTED)" in traced or "killed by SIGKILL" in traced


def faults_of(point: Point, ended: subprocess.CompletedProcess[str]) -> Iterator[str]:
    """What of the process's end is not as it should be: it may be killed, and it may refuse, but not fall over."""
    if point.what == KILL or ended.returncode == 0:
        return
    last = ended.stderr.strip().splitlines()[-1:] or [f"ended with {ended.returncode}"]
    if not last[0].startswith("embeddings.errors.") and point.call != "write":
        yield f"fell over: {last[0]}"


def faults_of_store(data: Path, lines: list[list[str]], *, has_before: bool) -> Iterator[str]:
    yield from checks.findings(data) if data.exists() else ()
    try:
        stored = state_of(data)
    except LoccitError as error:
        yield f"does not open again: {error}"
        return
    before = {f"note-{number}": checks.text_of(number) for number in range(scenarios.DOCUMENTS)} if has_before else {}
    expected = dict(before)
    for what, *words in lines:
        if what == "put":
            expected[words[0]] = checks.text_of(int(words[1]))
        elif what == "deleted":
            del expected[words[0]]
    refused = any(line[0] == "refused" for line in lines)
    wrong = {name for name in expected.keys() | stored.keys() if expected.get(name) != stored.get(name)}
    # One write may have been under way; those that were refused have left everything as it was.
    if len(wrong) > 1 or (wrong and refused and lines[-1][0] != "refused"):
        yield f"{sorted(wrong)} differ from what was acknowledged"
    if not checks.equals_a_rebuild(data, data.with_name("twin")):
        yield "the indexes answer otherwise than the store"


def state_of(data: Path) -> dict[str, str]:
    """Opened twice: the first time may mend, the second must find it mended."""
    with checks.opened(data) as library:
        library.create("notes")
    with checks.opened(data) as library:
        stored = checks.texts(library)["notes"]
    return {name: text for name, (_, text) in stored.items()}
