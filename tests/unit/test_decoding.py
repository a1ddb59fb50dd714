from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.answering.readers.decoding import LONGEST_SPAN, Decoded, PassageScores, Scores, alone, together

SCORE = st.floats(-6, 6)


@st.composite
def passages(draw: st.DrawFn) -> PassageScores:
    tokens = draw(st.integers(0, 7))
    starts, ends = (np.array(draw(st.lists(SCORE, min_size=tokens, max_size=tokens)), float) for _ in range(2))
    breaks = draw(st.lists(st.integers(0, 1), min_size=tokens, max_size=tokens))
    return scored(starts, ends, yes=draw(SCORE), no=draw(SCORE), paragraphs=np.cumsum(breaks))


def scored(
    starts: Scores, ends: Scores, *, yes: float, no: float, paragraphs: NDArray[np.int64] | None = None
) -> PassageScores:
    whole = np.zeros(len(starts), np.int64)
    return PassageScores(
        starts=starts, ends=ends, yes=yes, no=no, paragraphs=whole if paragraphs is None else paragraphs
    )


def decode(passages: list[PassageScores]) -> list[Decoded]:
    return together([alone(one) for one in passages])


def weights_of(one: PassageScores) -> dict[tuple[int, int], float]:
    """The oracle: every span by itself."""
    tokens = range(len(one.starts))
    return {
        (first, last): float(np.exp(one.starts[first] + one.ends[last]))
        for first, last in product(tokens, tokens)
        if first <= last < first + LONGEST_SPAN and one.paragraphs[first] == one.paragraphs[last]
    }


@given(st.lists(passages(), min_size=1, max_size=3))
def test_spans_verdicts_and_nothing_share_one_probability(scores: list[PassageScores]) -> None:
    weights = [weights_of(one) for one in scores]
    verdicts = [(float(np.exp(one.yes)), float(np.exp(one.no))) for one in scores]
    everything = 1.0 + sum(sum(table.values()) for table in weights) + sum(map(sum, verdicts))

    found = decode(scores)

    for decoded, table, (yes, no) in zip(found, weights, verdicts, strict=True):
        assert decoded.mass == pytest.approx((sum(table.values()) + yes + no) / everything)
        assert (decoded.yes, decoded.no) == pytest.approx((yes / everything, no / everything))
        assert_best(decoded, table, everything)


def assert_best(decoded: Decoded, table: dict[tuple[int, int], float], everything: float) -> None:
    left = dict(table)
    for span in decoded.spans:
        assert left[span.first, span.last] == pytest.approx(max(left.values()))
        touching = [pair for pair in left if pair[0] <= span.last and span.first <= pair[1]]
        assert span.probability == pytest.approx(sum(left.pop(pair) for pair in touching) / everything)


def test_a_passage_without_words_has_no_span() -> None:
    empty = scored(np.zeros(0), np.zeros(0), yes=-4.0, no=-4.0)

    assert decode([empty])[0].spans == ()


def test_what_one_passage_answers_takes_from_the_others() -> None:
    sure = scored(np.array([9.0]), np.array([9.0]), yes=-9.0, no=-9.0)
    unsure = scored(np.array([1.0]), np.array([1.0]), yes=-9.0, no=-9.0)

    by_itself = decode([unsure])[0].spans[0].probability
    beside = decode([unsure, sure])[0].spans[0].probability

    assert by_itself > 0.8
    assert beside < 0.01
