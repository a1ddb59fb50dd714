"""The reader as a torch module, and the loss that normalises over all passages of a question together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

HIDDEN = -1e4
"""The score of what is no candidate."""


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

    @property
    def tokens(self) -> int:
        return int(self.input_ids.numel())


def loss(outputs: Any, batch: Batch) -> Tensor:
    """Negative log-likelihood of any right start and any right end (Clark and Gardner 2018, shared normalisation)."""
    starts, ends, verdicts = outputs
    answered = _any_of(torch.cat([batch.is_start, batch.is_verdict], 1).any(1), batch)
    total = torch.zeros(())
    for scores, is_right in ((starts, batch.is_start), (ends, batch.is_end)):
        masked = torch.cat([scores.masked_fill(~batch.is_candidate, HIDDEN), verdicts], 1)
        right = masked.masked_fill(~torch.cat([is_right, batch.is_verdict], 1), HIDDEN)
        everything = _log_sum(masked, batch, with_nothing=True)
        wanted = _log_sum(right, batch, with_nothing=False)
        total = total + (everything - torch.where(answered, wanted, torch.zeros(()))).mean()
    return total / 2


def _any_of(rows: Tensor, batch: Batch) -> Tensor:
    return torch.zeros(batch.groups).index_add(0, batch.group, rows.float()) > 0


def _log_sum(scores: Tensor, batch: Batch, *, with_nothing: bool) -> Tensor:
    """Over all candidates of each question; `with_nothing` adds the score 0 of no answer."""
    rows = torch.logsumexp(scores, 1)
    floor = 0.0 if with_nothing else HIDDEN
    highest = torch.full((batch.groups,), floor).scatter_reduce(0, batch.group, rows.detach(), "amax")
    sums = torch.zeros(batch.groups).index_add(0, batch.group, torch.exp(rows - highest[batch.group]))
    if with_nothing:
        sums = sums + torch.exp(-highest)
    return highest + torch.log(sums)
