from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings import bm25, fusion

STATISTICS = bm25.WordStatistics(passages=4, mean_length=5.0, document_frequency={"heron": 1, "the": 4, "absent": 0})


def score(question: list[str], passage: str) -> float:
    return bm25.scores(question, {7: passage}, STATISTICS)[7]


def test_idf_of_a_rare_word_by_hand() -> None:
    assert STATISTICS.idf("heron") == pytest.approx(math.log(1 + (4 - 1 + 0.5) / (1 + 0.5)))


def test_a_score_by_hand() -> None:
    passage = "the heron waits heron therons"
    expected = math.log(10 / 3) * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 5 / 5))
    assert score(["heron"], passage) == pytest.approx(expected)


def test_a_word_asked_twice_counts_once() -> None:
    assert score(["heron", "heron"], "heron") == score(["heron"], "heron")


@given(
    st.lists(st.sampled_from(["heron", "the", "absent"]), max_size=5),
    st.lists(st.sampled_from(["heron", "the", "x"]), max_size=300),
)
def test_no_score_exceeds_the_bound(question: list[str], passage: list[str]) -> None:
    assert 0 <= score(question, " ".join(passage)) <= bm25.bound(question, STATISTICS) + 1e-9


def test_fused_scores_by_hand_and_without_any_known_word() -> None:
    fused = fusion.fuse({1: 0.5, 2: 0.2}, {1: 0.0, 2: 3.0}, bm25_bound=6.0)
    assert fused == pytest.approx({1: 0.2, 2: 0.08 + 0.6 * 0.5})
    assert fusion.fuse({1: 0.5}, {1: 0.0}, bm25_bound=0.0) == pytest.approx({1: 0.2})


def test_a_fused_score_does_not_depend_on_the_other_candidates() -> None:
    alone = fusion.fuse({1: 0.5}, {1: 2.0}, bm25_bound=6.0)
    assert fusion.fuse({1: 0.5, 2: 0.9}, {1: 2.0, 2: 5.0}, bm25_bound=6.0)[1] == alone[1]


def test_equal_scores_share_the_better_rank() -> None:
    assert fusion.ranks({7: 1.0, 8: 3.0, 9: 3.0, 5: 0.5}) == {8: 1, 9: 1, 7: 3, 5: 4}
