"""The reader as a torch module, and the losses that normalise over all passages of a question together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

HIDDEN = -1e4
"""The score of what is no candidate."""


class Scores(NamedTuple):
    """Of the rows of a batch: of each token as the first and as the last of an answer, and of yes and no."""

    starts: Tensor
    ends: Tensor
    verdicts: Tensor


class SpanReader(nn.Module):
    """Scores of what a passage may answer, against 0 for no answer: comparable between passages of one question.

    A span from token i to j scores `start[i] + end[j]`, a yes or no twice its logit. Both start and end hold a
    term for the whole passage, so that the relevance of a passage moves all of its spans.
    """

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokens = nn.Linear(width, 2)
        self.passage = nn.Linear(width, 4)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        """Shapes (batch, length) to starts and ends of (batch, length), and verdicts yes and no of (batch, 2)."""
        states: Tensor = self.encoder(
            input_ids=input_ids, token_type_ids=token_type_ids, attention_mask=attention_mask
        ).last_hidden_state
        boundaries = self.tokens(states.float())
        whole = self.passage(states[:, 0].float())
        return boundaries[..., 0] + whole[:, 0:1], boundaries[..., 1] + whole[:, 1:2], whole[:, 2:4]


class SameWords(nn.Module):
    """An encoder that numbers the same word pieces otherwise and knows no segments, in the place of a BERT."""

    numbers: Tensor

    def __init__(self, encoder: nn.Module, numbers: Tensor) -> None:
        """`numbers` holds its number of each of BERT's."""
        super().__init__()
        self.encoder = encoder
        self.register_buffer("numbers", numbers, persistent=False)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        return self.encoder(input_ids=self.numbers[input_ids], attention_mask=attention_mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows are passages; those of one question have the same group."""

    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor
    is_candidate: Tensor
    """Where a span may start or end, bool, (rows, length)."""
    is_start: Tensor
    is_end: Tensor
    """Where an answer does, bool, (rows, length)."""
    is_verdict: Tensor
    """bool, (rows, 2): yes, no."""
    group: Tensor
    """int64, (rows,)."""
    groups: int

    def candidates(self, scores: Scores) -> tuple[Tensor, Tensor]:
        """Of starts and of ends, each with the verdicts behind them: (rows, length + 2)."""
        starts, ends = (one.float().masked_fill(~self.is_candidate, HIDDEN) for one in (scores.starts, scores.ends))
        verdicts = scores.verdicts.float()
        return torch.cat([starts, verdicts], 1), torch.cat([ends, verdicts], 1)


def loss(scores: Scores, batch: Batch) -> Tensor:
    """Negative log-likelihood of any right start and any right end (Clark and Gardner 2018, shared normalisation)."""
    answered = _sums(torch.cat([batch.is_start, batch.is_verdict], 1).any(1).float(), batch) > 0
    parts = []
    for candidates, is_right in zip(batch.candidates(scores), (batch.is_start, batch.is_end), strict=True):
        right = candidates.masked_fill(~torch.cat([is_right, batch.is_verdict], 1), HIDDEN)
        wanted = _log_sum(right, batch, with_nothing=False)
        parts.append(_log_sum(candidates, batch, with_nothing=True) - wanted * answered)
    return torch.stack(parts).mean()


def distillation_loss(scores: Scores, taught: Scores, batch: Batch, *, temperature: float) -> Tensor:
    """Cross-entropy of the reader against its teacher, over all passages of a question (Hinton et al. 2015)."""
    parts = []
    for own, other in zip(batch.candidates(scores), batch.candidates(taught), strict=True):
        own, other = own / temperature, other / temperature
        likely = torch.exp(other - _log_sum(other, batch, with_nothing=True)[batch.group][:, None])
        # No answer scores 0 and adds nothing to the sum.
        parts.append(_log_sum(own, batch, with_nothing=True) - _sums((likely * own).sum(1), batch))
    return torch.stack(parts).mean() * temperature**2


def _sums(rows: Tensor, batch: Batch) -> Tensor:
    return rows.new_zeros(batch.groups).index_add(0, batch.group, rows)


def _log_sum(scores: Tensor, batch: Batch, *, with_nothing: bool) -> Tensor:
    """Over all candidates of each question; `with_nothing` adds the score 0 of no answer."""
    rows = torch.logsumexp(scores, 1)
    floor = 0.0 if with_nothing else HIDDEN
    highest = rows.new_full((batch.groups,), floor).scatter_reduce(0, batch.group, rows.detach(), "amax")
    sums = _sums(torch.exp(rows - highest[batch.group]), batch)
    if with_nothing:
        sums = sums + torch.exp(-highest)
    return highest + torch.log(sums)
