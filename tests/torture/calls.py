"""A process is killed, or told that the disk failed or is full, at its first, second, third … system call of a kind.

`strace` injects it. The sweep of a scenario ends with the number that no thread of the process reaches.
"""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from embeddings.errors import LoccitError
from tests.torture import checks, scenarios

KILL = "signal=SIGKILL"
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
        acknowledged=counts["put"] + counts["deleted"] + counts["purged"] + counts["checkpoint"] + counts["restored"],
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
    ended = run(point, data, place)
    lines = [line.split() for line in ended.said.splitlines()]
    found = [*faults_of(point, ended), *faults_of_store(data, lines, ended, has_before=point.scenario != "first-start")]
    shutil.rmtree(place)
    if not ended.was_injected and not found:
        return None
    return Result(counts=Counter(line[0] for line in lines), faults=tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    exit_code: int
    said: str
    complaint: str
    was_injected: bool


def run(point: Point, data: Path, place: Path) -> Ended:
    """In a process forked from one that has imported everything, to which strace attaches before it begins."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", scenarios.__name__])
    process = context.Process(target=scenarios.run_traced, args=(point.scenario, str(data), str(place)))
    process.start()
    names, trace = CALLS[point.call], place / "trace"
    strace = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", str(trace), "-p", str(process.pid), "-e", f"trace={names}",
         "-e", f"inject={names}:{point.what}:when={point.when}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    process.join(SECONDS)
    process.kill()
    process.join()
    strace.wait()
    traced = trace.read_text("utf-8", "replace")
    return Ended(
        exit_code=process.exitcode or 0,
        said=(place / scenarios.SAID).read_text("utf-8"),
        complaint=(place / scenarios.COMPLAINED).read_text("utf-8"),
        was_injected="(INJECTED)" in traced or "killed by SIGKILL" in traced,
    )


def faults_of(point: Point, ended: Ended) -> Iterator[str]:
    """What of the process's end is not as it should be: it may be killed, and it may refuse, but not fall over."""
    if point.what == KILL or ended.exit_code == 0:
        return
    last = ended.complaint.strip().splitlines()[-1:] or [f"ended with {ended.exit_code}"]
    if not last[0].startswith("embeddings.errors."):
        yield f"fell over: {last[0]}"


def faults_of_store(data: Path, lines: list[list[str]], ended: Ended, *, has_before: bool) -> Iterator[str]:
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
        elif what in ("deleted", "purged"):
            del expected[words[0]]
        elif what == "refused" and words[1] == "purged" and words[2] not in stored:
            # A purge deletes first: one that is refused may have got that far, and can be repeated.
            del expected[words[2]]
    wrong = {name for name in expected.keys() | stored.keys() if expected.get(name) != stored.get(name)}
    # One write may have been under way when the process ended; refused ones have left everything as it was.
    if len(wrong) > (ended.exit_code != 0):
        yield f"{sorted(wrong)} differ from what was acknowledged"
    if not checks.equals_a_rebuild(data, data.with_name("twin"), checks.QUESTIONS[:4]):
        yield "the indexes answer otherwise than the store"


def state_of(data: Path) -> dict[str, str]:
    """Opened twice: the first time may mend, the second must find it mended."""
    with checks.opened(data) as library:
        library.create("notes")
    with checks.opened(data) as library:
        stored = checks.texts(library)["notes"]
    return {name: text for name, (_, text) in stored.items()}
