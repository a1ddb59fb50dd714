"""Examples as arrays of tokens: made once, where the data are, and trained from anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embeddings.domain import Span
from service.answering.readers.inputs import ReaderInput, ReaderTokenizer
from service.training.examples import Example, Verdict

SEED = 20261123
SORTED_TOGETHER = 4096
"""Examples that are sorted by length among themselves, so that batches waste little and order stays random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Rows are passages, each with its question; those of one example stand together."""

    tokens: NDArray[np.uint16]
    """Of all rows, one after another."""
    starts: NDArray[np.int64]
    """Of each row's tokens, and their end: (rows + 1,)."""
    passage: NDArray[np.int16]
    """Where in its row the tokens of context and passage begin."""
    first: NDArray[np.int16]
    """Where in its row a span may begin, (rows,)."""
    last: NDArray[np.int16]
    """Behind the last place where a span may end, (rows,)."""
    verdicts: NDArray[np.int8]
    """(rows,): 1 and 2 where the passage says yes or no, else 0."""
    examples: NDArray[np.int64]
    """The first row of each example, and the end of all: (examples + 1,)."""
    spans: NDArray[np.int32]
    """Of right answers, (spans, 3): row, first token, last token."""

    def save(self, path: Path) -> None:
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Packed:
        with np.load(path, allow_pickle=False) as stored:
            return cls(**{field.name: stored[field.name] for field in fields(cls)})

    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)


def pack(examples: Sequence[Example], tokenizer: ReaderTokenizer) -> Packed:
    rows: list[ReaderInput] = []
    verdicts: list[int] = []
    spans: list[tuple[int, int, int]] = []
    ends = [0]
    for example in examples:
        inputs = tokenizer.inputs(example.question, [(one.context, one.text) for one in example.passages])
        for passage, one in zip(example.passages, inputs, strict=True):
            spans += ((len(rows), *pair) for pair in token_spans(one, passage.spans))
            verdicts.append(0 if passage.verdict is None else 1 + list(Verdict).index(passage.verdict))
            rows.append(one)
        ends.append(len(rows))
    return Packed(
        tokens=np.concatenate([np.array(one.token_ids, np.uint16) for one in rows]),
        starts=np.cumsum([0, *(len(one.token_ids) for one in rows)]),
        passage=np.array([one.segments.index(1) for one in rows], np.int16),
        first=np.array([one.first for one in rows], np.int16),
        last=np.array([one.first + len(one.offsets) for one in rows], np.int16),
        verdicts=np.array(verdicts, np.int8),
        examples=np.array(ends, np.int64),
        spans=np.array(spans, np.int32).reshape(-1, 3),
    )


def token_spans(one: ReaderInput, spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """First and last token, in the input, of each span that the input holds whole."""
    for span in spans:
        inside = [
            at for at, (start, end) in enumerate(one.offsets) if start < span.end and end > span.start and start < end
        ]
        if inside and one.offsets[inside[-1]][1] >= span.end:
            yield one.first + inside[0], one.first + inside[-1]


def in_batches(packed: Packed, *, tokens: int, chance: random.Random) -> list[NDArray[np.int64]]:
    """Numbers of examples, each once, in batches of at most about so many tokens, padding counted."""
    sizes = np.diff(packed.examples)
    longest = np.maximum.reduceat(packed.lengths(), packed.examples[:-1])
    order = list(range(len(sizes)))
    chance.shuffle(order)
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(order), SORTED_TOGETHER):
        chunk = sorted(order[start : start + SORTED_TOGETHER], key=lambda at: longest[at])
        found += _cut(chunk, sizes, longest, tokens)
    chance.shuffle(found)
    return found


def _cut(
    chunk: Sequence[int], sizes: NDArray[np.int64], longest: NDArray[np.int64], tokens: int
) -> Iterator[NDArray[np.int64]]:
    batch: list[int] = []
    rows = 0
    for at in chunk:
        if batch and (rows + sizes[at]) * longest[at] > tokens:
            yield np.array(batch)
            batch, rows = [], 0
        batch.append(at)
        rows += int(sizes[at])
    if batch:
        yield np.array(batch)
