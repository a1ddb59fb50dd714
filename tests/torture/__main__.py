"""`scripts/torture`: all of it, with progress, and a report."""

from __future__ import annotations

import argparse
import logging
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import apsw
from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.test_collection_model import CollectionMachine
from tests.torture import calls, damage, full, kills

PARTS = ("kills", "calls", "disks", "full", "damage", "histories")
KILLED = ("ingest", "checkpoint", "restore", "first-start")
FAILED = ("ingest", "checkpoint", "restore")
HISTORY_STEPS = 50
SHOWN_FAULTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    title: str
    lines: tuple[str, ...]
    faults: tuple[str, ...] = ()


def main() -> int:
    options = parsed()
    logging.disable()
    workplace = Path(tempfile.mkdtemp(prefix="loccit-torture-", dir=options.work))
    started = time.monotonic()
    sections: list[Section] = []
    try:
        for part in options.only or PARTS:
            sections += SECTIONS[part](options, workplace)
            if options.page is not None:  # Also what comes later may be stopped.
                options.page.write_text(page(sections, time.monotonic() - started) + "\n", "utf-8")
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
        sys.stdout.write(page(sections, time.monotonic() - started) + "\n")
    return 1 if any(section.faults for section in sections) else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/torture")
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--flips", type=int, default=40)
    parser.add_argument("--histories", type=int, default=100)
    parser.add_argument("--fills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.kills, options.step, options.flips, options.histories, options.fills = 5, 25, 1, 3, 1
    return options


def note(text: str) -> None:
    """One line, drawn over again on a terminal."""
    sys.stderr.write(f"\r\x1b[K{text}" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()


def every(seconds: float) -> Callable[[str], None]:
    """Notes at most so often."""
    last = 0.0

    def maybe(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            note(text)

    return maybe


def random_kills(options: argparse.Namespace, workplace: Path) -> Iterator[Section]:
    place, tell = workplace / "kills", every(5)
    place.mkdir()
    outcome = kills.run(
        place,
        kills=options.kills,
        seed=options.seed,
        deadline=time.monotonic() + 60 * options.minutes,
        progress=lambda kill: tell(f"kills: {kill} of {options.kills}"),
    )
    lines = (
        f"**{outcome.kills} kills** of the service in {outcome.seconds:.0f} s, {outcome.during_start} as it started;",
        f"{kills.WRITERS} clients wrote and deleted, one asked and searched.",
        f"{outcome.writes:,} writes were acknowledged, {outcome.asks:,} questions answered and their quotes compared.",
        f"{outcome.in_doubt} writes were under way at a kill: {outcome.kept} of them had happened, the others had not.",
        "After each kill the store was inspected as `loccit doctor` does;",
        f"{outcome.twins} times its answers were compared with those of a copy without indexes.",
    )
    yield Section(title="Random kills under load", lines=lines, faults=outcome.faults)


def killing_calls(options: argparse.Namespace, workplace: Path) -> Iterator[Section]:
    wanted = [(scenario, call, calls.KILL) for scenario in KILLED for call in calls.CALLS]
    yield sweeps("SIGKILL at each system call", wanted, options, workplace / "calls")


def failing_disks(options: argparse.Namespace, workplace: Path) -> Iterator[Section]:
    wanted = [
        (scenario, call, f"error={error}")
        for scenario in FAILED
        for call, errors in calls.FAULTS.items()
        for error in errors
    ]
    yield sweeps("Each system call fails", wanted, options, workplace / "disks")


def sweeps(title: str, wanted: list[tuple[str, str, str]], options: argparse.Namespace, place: Path) -> Section:
    if not calls.has_strace():
        return Section(title=title, lines=("Not done: strace is not installed.",))
    tell, deadline = every(5), time.monotonic() + 60 * options.minutes
    outcomes = []
    for scenario, call, what in wanted:
        if time.monotonic() > deadline:
            break
        outcomes.append(
            calls.sweep(
                place,
                scenario,
                call,
                what,
                step=options.step,
                deadline=deadline,
                progress=lambda point: tell(str(point)),
            )
        )
    faults = sum(len(one.faults) for one in outcomes)

    def total(figure: str) -> int:
        return sum(getattr(one, figure) for one in outcomes)

    every_nth = "every one" if options.step == 1 else f"every {options.step}th"
    cut = (
        "" if time.monotonic() <= deadline else f" Cut short after {options.minutes:g} minutes: the rows show how far."
    )
    lines = [
        f"Of each kind of call, {every_nth}, until the work ends untouched.{cut}",
        "",
        "| work | call | what | points | acknowledged | refused | faults |",
        "|---|---|---|---:|---:|---:|---:|",
        *(
            f"| {one.scenario} | {one.call} | {one.what.partition('=')[2]} | {one.points} | {one.acknowledged}"
            f" | {one.refused} | {len(one.faults)} |"
            for one in outcomes
        ),
        f"| **all** | | | **{total('points')}** | {total('acknowledged')} | {total('refused')} | {faults} |",
    ]
    return Section(title=title, lines=tuple(lines), faults=tuple(chain.from_iterable(one.faults for one in outcomes)))


def full_disks(options: argparse.Namespace, workplace: Path) -> Iterator[Section]:
    if not full.can_mount():
        yield Section(title="A full disk", lines=("Not done: a small disk can be mounted by root only.",))
        return
    tell = every(5)
    outcome = full.run(
        workplace / "full", fills=options.fills, progress=lambda fill: tell(f"full disk: {fill} of {options.fills}")
    )
    lines = (
        f"A disk of {full.SIZE_BYTES / 1e6:.0f} MB was filled {2 * outcome.fills} times, half of the documents purged",
        f"in between: {outcome.refused} writes were refused, {outcome.acknowledged} documents were there at the end,",
        "and searches went on.",
    )
    yield Section(title="A full disk", lines=lines, faults=outcome.faults)


def damaged_files(options: argparse.Namespace, workplace: Path) -> Iterator[Section]:
    place, tell = workplace / "damage", every(5)
    place.mkdir()
    outcome = damage.run(
        place,
        flips=options.flips,
        seed=options.seed,
        progress=lambda done, total: tell(f"damage: {done} of {total}"),
    )
    results = (damage.HARMLESS, damage.REPAIRED, damage.DETECTED, damage.SILENT)
    lines = [
        f"{outcome.files} files of a store were deleted, emptied, cut, zeroed, and had up to {options.flips} single",
        f"bits flipped, one at a time: {outcome.damages} damages.",
        "",
        f"| file | {' | '.join(results)} |",
        f"|---|{'---:|' * len(results)}",
        *(
            f"| {kind} | {' | '.join(str(counts[result]) for result in results)} |"
            for kind, counts in sorted(outcome.by_kind.items())
        ),
    ]
    yield Section(title="Damaged files", lines=tuple(lines), faults=outcome.faults)


def histories(options: argparse.Namespace, workplace: Path) -> Iterator[Section]:
    note(f"histories: {options.histories} of {HISTORY_STEPS} steps")
    started, fault = time.monotonic(), ()
    chosen = settings(
        max_examples=options.histories,
        stateful_step_count=HISTORY_STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    tempfile.tempdir = str(workplace)
    try:
        run_state_machine_as_test(seeded(options.seed)(CollectionMachine), settings=chosen)
    except Exception as error:
        fault = (f"{type(error).__name__}: {error}",)  # type: ignore[assignment]
    finally:
        tempfile.tempdir = None
    lines = (
        f"{options.histories} histories of up to {HISTORY_STEPS} steps (put, put many, delete, purge, search,",
        "checkpoint, reopen, kill and reopen, back up, restore) were compared with a dictionary and with brute force",
        f"over all vectors, in {time.monotonic() - started:.0f} s.",
    )
    yield Section(title="Random histories", lines=lines, faults=fault)


SECTIONS: dict[str, Callable[[argparse.Namespace, Path], Iterator[Section]]] = {
    "kills": random_kills,
    "calls": killing_calls,
    "disks": failing_disks,
    "full": full_disks,
    "damage": damaged_files,
    "histories": histories,
}


def page(sections: list[Section], seconds: float) -> str:
    faults = sum(len(section.faults) for section in sections)
    lines = [
        "# Durability, measured",
        "",
        f"Written by `scripts/torture {' '.join(shown_arguments())}`".rstrip() + f" on {datetime.now(UTC):%Y-%m-%d},"
        f" in {seconds / 60:.0f} minutes, with Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()},"
        f" Linux {platform.release()}.",
        "",
        f"**{faults} faults.**"
        if faults
        else "**No fault:** nothing acknowledged was lost, nothing appeared that nobody"
        " sent, nothing deleted was found, nothing had to be mended by hand.",
    ]
    for section in sections:
        lines += ["", f"## {section.title}", "", *section.lines]
        if section.faults:
            shown = [f"- {fault}" for fault in section.faults[:SHOWN_FAULTS]]
            lines += ["", f"Faults ({len(section.faults)}, the first {len(shown)} are shown):", "", *shown]
    return "\n".join(lines)


def shown_arguments() -> list[str]:
    """As a reader would give them: without the page and the place of work."""
    given, shown = iter(sys.argv[1:]), []
    for one in given:
        if one in ("--page", "--work"):
            next(given, None)
        else:
            shown.append(one)
    return shown


if __name__ == "__main__":
    sys.exit(main())
