"""Where time goes: functions are replaced by ones that measure how long each runs, what they call not counted twice."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pkgutil import resolve_name
from typing import Any

from embeddings.ahead import MEANWHILE


@dataclass(frozen=True, slots=True)
class Call:
    """Of a stage; calling it makes it again."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]

    def __call__(self) -> object:
        return self.function(*self.arguments, **self.named)


Calls = Mapping[str, Sequence[Call]]
"""By the stage's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    name: str
    functions: tuple[str, ...]
    """As `module:function` or `module:Class.method`. Named, not imported: who measures looks into every layer, and
    depends on none. A function that a module imported by name is named there."""
    is_kept: bool = False
    """Whether its calls are kept, to be made again alone."""


BESIDE = "beside the encoding: "
"""Before the name of a stage that runs while its question's thread does something else."""


@dataclass(slots=True)
class Watch:
    """What the stages took since it was last cleared."""

    milliseconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Of each stage, without the stages inside it."""
    calls: defaultdict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    _adding: threading.Lock = field(default_factory=threading.Lock)
    _inside: threading.local = field(default_factory=threading.local)

    def clear(self) -> None:
        self.milliseconds.clear()
        self.calls.clear()

    def timed(self, stage: Stage, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            inside = self._stack()
            inside.append(0.0)
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                taken = 1000 * (time.perf_counter() - began)
                own = taken - inside.pop()
                if inside:
                    inside[-1] += taken
                with self._adding:
                    self.milliseconds[_named(stage)] += own
                    if stage.is_kept:
                        self.calls[stage.name].append(Call(function, arguments, named))

        return call

    def _stack(self) -> list[float]:
        """For each call that is under way in this thread, what the stages inside it took."""
        if not hasattr(self._inside, "stack"):
            self._inside.stack = []
        stack: list[float] = self._inside.stack
        return stack


def _named(stage: Stage) -> str:
    return BESIDE + stage.name if threading.current_thread().name.startswith(MEANWHILE) else stage.name


@contextmanager
def watching(stages: Sequence[Stage]) -> Iterator[Watch]:
    """Their functions are measured until the block ends."""
    watch = Watch()
    originals = [(*_place(name), stage) for stage in stages for name in stage.functions]
    saved = [(owner, attribute, vars(owner)[attribute]) for owner, attribute, _ in originals]
    try:
        for owner, attribute, stage in originals:
            setattr(owner, attribute, watch.timed(stage, vars(owner)[attribute]))
        yield watch
    finally:
        for owner, attribute, function in saved:
            setattr(owner, attribute, function)


def _place(name: str) -> tuple[Any, str]:
    """The module or class that holds the function, and what it is called there."""
    module, _, path = name.partition(":")
    owner, _, attribute = path.rpartition(".")
    return resolve_name(f"{module}:{owner}" if owner else module), attribute


def alone(calls: Mapping[str, Sequence[Callable[[], object]]], *, times: int = 3) -> dict[str, float]:
    """Milliseconds of each stage's calls when nothing else runs: the fastest of some times."""
    return {name: sum(min(_milliseconds(call) for _ in range(times)) for call in made) for name, made in calls.items()}


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)
