"""From scores of tokens to probabilities of spans, over all passages of a question together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Scores: TypeAlias = NDArray[np.float64]
Number = TypeVar("Number", np.float64, np.int64)

LONGEST_SPAN = 30
"""In tokens."""
MOST_SPANS = 4
"""Of a passage, none overlapping a better one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageScores:
    """Against 0 for no answer. A span from token i to j scores `starts[i] + ends[j]`."""

    starts: Scores
    """Of the passage's own tokens."""
    ends: Scores
    yes: float
    no: float
    """Twice the logit, as a span has two."""
    paragraphs: NDArray[np.int64]
    """Of each token the number of its paragraph; no span reaches from one into the next."""


@dataclass(frozen=True, slots=True)
class TokenSpan:
    first: int
    last: int
    """Inclusive."""
    probability: float
    """Of this span or one that overlaps it: readers agree on the place of an answer before they agree on its ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What one passage holds; over all passages, spans and verdicts and one answer of nothing sum to 1."""

    spans: tuple[TokenSpan, ...]
    """Best first."""
    yes: float
    no: float
    mass: float
    """Of all that this passage answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What one passage holds, as if it were sure to answer: all that takes time and needs no other passage."""

    decoded: Decoded
    """Of mass 1."""
    weight: float
    """The logarithm of that of all its answers together; no answer at all has 0."""


def alone(one: PassageScores) -> Alone:
    table = _table(one)
    weight = _log_sum(np.append(table, (one.yes, one.no)))
    return Alone(
        decoded=Decoded(
            spans=tuple(_best(np.exp(table - weight))),
            yes=float(np.exp(one.yes - weight)),
            no=float(np.exp(one.no - weight)),
            mass=1.0,
        ),
        weight=weight,
    )


def together(passages: Sequence[Alone]) -> list[Decoded]:
    """All passages weighed against each other and against no answer."""
    everything = _log_sum(np.array([0.0, *(one.weight for one in passages)]))
    return [_of_mass(float(np.exp(one.weight - everything)), one.decoded) for one in passages]


def _of_mass(mass: float, decoded: Decoded) -> Decoded:
    return Decoded(
        spans=tuple(TokenSpan(each.first, each.last, mass * each.probability) for each in decoded.spans),
        yes=mass * decoded.yes,
        no=mass * decoded.no,
        mass=mass,
    )


def _log_sum(scores: Scores) -> float:
    """The logarithm of the sum of their exponentials."""
    highest = float(scores.max())
    return highest + float(np.log(np.exp(scores - highest).sum()))


def _table(one: PassageScores) -> Scores:
    """Scores of spans, shape (tokens, lengths): entry (i, n) begins at token i and has n + 1 tokens."""
    tokens = len(one.starts)
    ends = np.full(tokens + LONGEST_SPAN, -np.inf)
    ends[:tokens] = one.ends
    paragraphs = np.full(tokens + LONGEST_SPAN, -1)
    paragraphs[:tokens] = one.paragraphs
    table: Scores = one.starts[:, None] + _windows(ends)[:tokens]
    table[_windows(paragraphs)[:tokens] != one.paragraphs[:, None]] = -np.inf
    return table


def _windows(values: NDArray[Number]) -> NDArray[Number]:
    """Of as many values as the longest span has tokens, beginning at each."""
    return np.lib.stride_tricks.sliding_window_view(values, LONGEST_SPAN)


def _best(probabilities: Scores) -> Iterator[TokenSpan]:
    """Of a table like that of the scores, which is used up."""
    rows, columns = np.indices(probabilities.shape)
    last = rows + columns
    for _ in range(min(MOST_SPANS, len(probabilities))):
        row, column = np.unravel_index(int(np.argmax(probabilities)), probabilities.shape)
        first, end = int(row), int(row + column)
        touching = (rows <= end) & (last >= first)
        mass = float(probabilities[touching].sum())
        if mass <= 0:
            return
        yield TokenSpan(first, end, mass)
        probabilities[touching] = 0
