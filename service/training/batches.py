"""Batches of packed examples, put together where they are trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from service.training.model import Batch, Scores
from service.training.packing import Packed


class PackedTensors:
    """What is packed, on the device that trains, so that a batch takes nothing but its rows' numbers there."""

    def __init__(self, packed: Packed, device: torch.device) -> None:
        self.packed = packed
        self.device = device
        self._tokens = self._put(packed.tokens.astype(np.int32))
        self._row_lengths, self._sizes = packed.lengths(), np.diff(packed.examples)
        self._starts, self._lengths = self._put(packed.starts[:-1]), self._put(self._row_lengths)
        self._passage, self._first, self._last = map(self._put, (packed.passage, packed.first, packed.last))
        self._is_start, self._is_end = (self._flags(packed.spans[:, (0, at)]) for at in (1, 2))
        self._verdicts = self._put(packed.verdicts)

    def _put(self, values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    def _flags(self, places: NDArray[np.int32]) -> Tensor:
        flags = np.zeros(len(self.packed.tokens), np.bool_)
        flags[self.packed.starts[places[:, 0]] + places[:, 1]] = True
        return self._put(flags)

    def places(self, examples: NDArray[np.int64]) -> Places:
        ends = self.packed.examples
        rows = np.concatenate([np.arange(ends[at], ends[at + 1]) for at in examples])
        return Places(
            rows=self._put(rows),
            group=self._put(np.repeat(np.arange(len(examples)), self._sizes[examples])),
            groups=len(examples),
            length=int(self._row_lengths[rows].max()),
        )

    def batch(self, places: Places) -> Batch:
        rows = places.rows
        at = torch.arange(places.length, device=self.device)
        held = at < self._lengths[rows][:, None]
        where = self.where(places)
        candidate = (at >= self._first[rows][:, None]) & (at < self._last[rows][:, None])
        verdicts = self._verdicts[rows][:, None]
        return Batch(
            input_ids=self._tokens[where].long() * held,
            token_type_ids=((at >= self._passage[rows][:, None]) & held).long(),
            attention_mask=held.long(),
            is_candidate=candidate,
            is_start=self._is_start[where] & candidate,
            is_end=self._is_end[where] & candidate,
            is_verdict=torch.cat([verdicts == 1, verdicts == 2], 1),
            group=places.group,
            groups=places.groups,
        )

    def where(self, places: Places) -> Tensor:
        """Of each token of a batch among all, (rows, length); beyond the end of a row anywhere."""
        every = self._starts[places.rows][:, None] + torch.arange(places.length, device=self.device)
        return every.clamp(max=len(self._tokens) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The rows of a batch."""

    rows: Tensor
    group: Tensor
    groups: int
    length: int
    """Of the longest."""


class Taught:
    """A teacher's scores of all that is packed."""

    def __init__(self, packed: PackedTensors, every: Scores | None = None) -> None:
        """`every` holds those of all tokens and of all rows."""
        self._packed = packed
        self._every = every or _no_scores(packed)

    def keep(self, places: Places, batch: Batch, scores: Scores) -> None:
        held = batch.attention_mask.bool()
        where = self._packed.where(places)[held]
        self._every.starts[where] = scores.starts[held].half()
        self._every.ends[where] = scores.ends[held].half()
        self._every.verdicts[places.rows] = scores.verdicts.half()

    def scores(self, places: Places) -> Scores:
        where = self._packed.where(places)
        return Scores(self._every.starts[where], self._every.ends[where], self._every.verdicts[places.rows])

    def save(self, path: Path) -> None:
        save_file(self._every._asdict(), path)

    @classmethod
    def load(cls, packed: PackedTensors, path: Path) -> Taught:
        return cls(packed, Scores(**load_file(path, device=str(packed.device))))


def _no_scores(packed: PackedTensors) -> Scores:
    """Of half precision: at most some 200 million tokens, a few bytes each."""
    tokens, rows = len(packed.packed.tokens), len(packed.packed.starts) - 1
    shapes = ((tokens,), (tokens,), (rows, 2))
    return Scores(*(torch.zeros(shape, dtype=torch.float16, device=packed.device) for shape in shapes))
