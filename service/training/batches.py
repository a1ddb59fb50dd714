"""Examples as tensors, in batches of like length."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch

from embeddings.domain import Span
from service.answering.readers.inputs import ReaderInput, ReaderTokenizer
from service.training.examples import Example, Verdict
from service.training.model import Batch

SORTED_TOGETHER = 2048
"""Examples that are sorted by length among themselves, so that batches waste little and order stays random."""


def batches(
    examples: Sequence[Example], tokenizer: ReaderTokenizer, *, tokens: int, chance: random.Random
) -> Iterator[Batch]:
    """Of at most about so many tokens each, padding counted."""
    for start in range(0, len(examples), SORTED_TOGETHER):
        chunk = [(example, inputs_of(example, tokenizer)) for example in examples[start : start + SORTED_TOGETHER]]
        chunk.sort(key=lambda pair: max(len(one.token_ids) for one in pair[1]))
        cut = list(_cut(chunk, tokens))
        chance.shuffle(cut)
        yield from map(batch_of, cut)


def inputs_of(example: Example, tokenizer: ReaderTokenizer) -> list[ReaderInput]:
    return tokenizer.inputs(example.question, [(passage.context, passage.text) for passage in example.passages])


Pair = tuple[Example, list[ReaderInput]]


def _cut(chunk: Sequence[Pair], tokens: int) -> Iterator[list[Pair]]:
    batch: list[Pair] = []
    for pair in chunk:
        length = max(len(one.token_ids) for one in pair[1])
        rows = sum(len(inputs) for _, inputs in batch) + len(pair[1])
        if batch and rows * length > tokens:
            yield batch
            batch = []
        batch.append(pair)
    if batch:
        yield batch


def batch_of(pairs: Sequence[Pair]) -> Batch:
    rows = [
        (group, passage, one)
        for group, (example, inputs) in enumerate(pairs)
        for passage, one in zip(example.passages, inputs, strict=True)
    ]
    shape = (len(rows), max(len(one.token_ids) for _, _, one in rows))
    ids, segments, mask = (torch.zeros(shape, dtype=torch.int64) for _ in range(3))
    candidate, start, end = (torch.zeros(shape, dtype=torch.bool) for _ in range(3))
    verdicts = torch.zeros((len(rows), 2), dtype=torch.bool)
    for row, (_, passage, one) in enumerate(rows):
        length, last = len(one.token_ids), one.first + len(one.offsets)
        ids[row, :length] = torch.tensor(one.token_ids)
        segments[row, :length] = torch.tensor(one.segments)
        mask[row, :length] = 1
        candidate[row, one.first : last] = True
        for first_token, last_token in token_spans(one, passage.spans):
            start[row, first_token] = True
            end[row, last_token] = True
        if passage.verdict is not None:
            verdicts[row, list(Verdict).index(passage.verdict)] = True
    return Batch(
        input_ids=ids,
        token_type_ids=segments,
        attention_mask=mask,
        is_candidate=candidate,
        is_start=start,
        is_end=end,
        is_verdict=verdicts,
        group=torch.tensor([group for group, _, _ in rows]),
        groups=len(pairs),
    )


def token_spans(one: ReaderInput, spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """First and last token, in the input, of each span that the input holds whole."""
    for span in spans:
        inside = [
            at for at, (start, end) in enumerate(one.offsets) if start < span.end and end > span.start and start < end
        ]
        if inside and one.offsets[inside[-1]][1] >= span.end:
            yield one.first + inside[0], one.first + inside[-1]
