"""How well a reader finds what stands in passages that it has not seen, in seconds: to choose between plans."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.evaluation.metrics import auroc
from service.training.batches import PackedTensors
from service.training.loop import quick
from service.training.model import Batch, Scores, SpanReader
from service.training.packing import SEED, Packed, in_batches

LONGEST_SPAN = 30
TOKENS = 49_152


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    f1: float
    """Of tokens, the best span of all passages against the nearest right one; of the answerable, in percent."""
    exact: float
    auroc: float
    """Of the best span's score, answerable against unanswerable, in percent."""
    answerable: int
    unanswerable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Best:
    row: int
    first: int
    last: int
    score: float


def measure(reader: SpanReader, tensors: PackedTensors) -> Measured:
    """Of spans alone: what is answered with yes or no is left out."""
    packed = tensors.packed
    best: dict[int, _Best] = {}
    reader.to(tensors.device).eval()
    with torch.inference_mode(), quick(tensors.device):
        for examples in in_batches(packed, tokens=TOKENS, chance=random.Random(SEED)):
            places = tensors.places(examples)
            batch = tensors.batch(places)
            scores = Scores(*reader(batch.input_ids, batch.token_type_ids, batch.attention_mask))
            found = _best_spans(scores, batch).double().cpu().numpy()
            rows, group = places.rows.cpu().numpy(), places.group.cpu().numpy()
            for row, at, (score, first, last) in zip(rows, group, found, strict=True):
                example = int(examples[at])
                if example not in best or score > best[example].score:
                    best[example] = _Best(row=int(row), first=int(first), last=int(last), score=float(score))
    gold = _gold(packed)
    spans = [example for example in best if not packed.verdicts[slice(*packed.examples[example : example + 2])].any()]
    judged = {example: _overlap(best[example], gold[example]) for example in spans if gold[example]}
    nothing = [best[example].score for example in spans if not gold[example]]
    return Measured(
        f1=100 * float(np.mean(list(judged.values()))),
        exact=100 * float(np.mean([value == 1 for value in judged.values()])),
        auroc=100 * auroc([best[example].score for example in judged], nothing) if nothing else float("nan"),
        answerable=len(judged),
        unanswerable=len(nothing),
    )


def _best_spans(scores: Scores, batch: Batch) -> Tensor:
    """Of each row: score, first token, last token; (rows, 3)."""
    starts, ends = (one[:, :-2] for one in batch.candidates(scores))
    length = starts.shape[1]
    tops = []
    for width in range(min(LONGEST_SPAN, length)):
        value, at = (starts[:, : length - width] + ends[:, width:]).max(1)
        tops.append(torch.stack([value, at.float(), (at + width).float()], 1))
    every = torch.stack(tops, 1)
    return every[torch.arange(len(every)), every[..., 0].argmax(1)]


def _gold(packed: Packed) -> list[list[tuple[int, int, int]]]:
    example_of = np.repeat(np.arange(len(packed.examples) - 1), np.diff(packed.examples))
    gold: list[list[tuple[int, int, int]]] = [[] for _ in range(len(packed.examples) - 1)]
    spans: NDArray[np.int32] = packed.spans
    for row, first, last in spans.tolist():
        gold[example_of[row]].append((row, first, last))
    return gold


def _overlap(best: _Best, gold: list[tuple[int, int, int]]) -> float:
    def f1(row: int, first: int, last: int) -> float:
        common = min(last, best.last) - max(first, best.first) + 1 if row == best.row else 0
        return 2 * max(0, common) / (last - first + 1 + best.last - best.first + 1)

    return max(f1(*span) for span in gold)
