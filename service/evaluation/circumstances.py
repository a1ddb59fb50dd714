"""Under what a figure was measured: day, code, machine, command."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_VECTOR_FLAGS = re.compile(r"sse4_2|avx\w*|fma|f16c|amx\w*|neon|asimd\w*|sve\w*|i8mm|bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    moment: datetime
    commit: str
    cpu: str
    cores: int
    flags: tuple[str, ...]
    """Of the CPU: those that speed up arithmetic."""
    load: float
    """Mean number of busy processes in the minute before."""
    command: str

    def __str__(self) -> str:
        flags = " ".join(self.flags) or "no known vector instructions"
        return (
            f"{self.moment:%Y-%m-%d %H:%M} UTC, commit {self.commit}, `{self.command}`. "
            f"{self.cpu}, {self.cores} cores, load {self.load:.1f} before; {flags}. "
            f"Python {platform.python_version()}."
        )


def circumstances(command: str) -> Circumstances:
    information = _cpu_information()
    return Circumstances(
        moment=datetime.now(UTC),
        commit=_commit(),
        cpu=_field(information, "model name") or platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        flags=tuple(
            flag
            for flag in (_field(information, "flags") or _field(information, "Features")).split()
            if _VECTOR_FLAGS.fullmatch(flag)
        ),
        load=os.getloadavg()[0],
        command=command,
    )


def _cpu_information() -> str:
    try:
        return Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return ""


def _field(information: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", information, re.MULTILINE)
    return found.group(1).strip() if found else ""


def _commit() -> str:
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        return f"{commit} with changes" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()
