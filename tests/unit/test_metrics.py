from __future__ import annotations

import math

import pytest

from service.evaluation.metrics import (
    auroc,
    calibration_error,
    comparable_words,
    holds,
    ndcg,
    percentile,
    recall,
    reciprocal_ranks,
    share,
)

# Gains 3 (a), 2 (b), 1 (c); discounts 1, 1/log2(3) = 0.63093, 1/2, 1/log2(5) = 0.43068.
GAINS = {"a": 3.0, "b": 2.0, "c": 1.0}


@pytest.mark.parametrize(
    ("ranking", "k", "expected"),
    [
        (["a", "b", "c"], 10, 1.0),
        (["b", "x", "a", "c"], 10, (2 + 3 / 2 + 0.43068) / (3 + 2 * 0.63093 + 1 / 2)),
        (["b", "x", "a", "c"], 2, 2 / (3 + 2 * 0.63093)),
        (["x", "y"], 10, 0.0),
        ([], 10, 0.0),
    ],
)
def test_ndcg_equals_values_computed_by_hand(ranking: list[str], k: int, expected: float) -> None:
    assert ndcg(ranking, GAINS, k) == pytest.approx(expected, abs=1e-4)


def test_nothing_relevant_counts_as_zero() -> None:
    assert ndcg(["a"], {}, 10) == 0
    assert recall(["a"], {"a": 0.0}, 10) == 0


def test_recall_counts_relevant_documents_within_the_cut() -> None:
    assert recall(["a", "x", "b", "c"], GAINS, 3) == pytest.approx(2 / 3)


def test_reciprocal_ranks_add_up_and_ties_go_by_name() -> None:
    # b: 1/62 + 1/61 = 0.03252, a: 1/61 = 0.01639, c and d: 1/63 and 1/62
    assert reciprocal_ranks([["a", "b", "c"], ["b", "d"]]) == ["b", "a", "d", "c"]
    assert reciprocal_ranks([["b"], ["a"]]) == ["a", "b"]


def test_auroc_counts_ordered_pairs_and_half_the_ties() -> None:
    # of (0.9, 0.5) against (0.5, 0.1): three pairs in order, one tie
    assert auroc([0.9, 0.5], [0.5, 0.1]) == 3.5 / 4
    assert auroc([0.1], [0.9]) == 0
    assert math.isnan(auroc([], [0.5]))


def test_calibration_error_is_the_mean_distance_over_bins() -> None:
    # bins of two: (0.1, 0.3; none right: 0.2 off) and (0.7, 0.9; one right: 0.8 - 0.5 = 0.3 off)
    assert calibration_error([0.9, 0.1, 0.7, 0.3], [True, False, False, False], bins=2) == pytest.approx(0.25)
    assert calibration_error([1.0, 0.0], [True, False]) == 0
    assert math.isnan(calibration_error([], []))


@pytest.mark.parametrize(("percent", "expected"), [(50, 3), (95, 5), (20, 1), (21, 2), (100, 5)])
def test_percentiles_are_of_the_nearest_rank(percent: float, expected: float) -> None:
    assert percentile([5, 1, 4, 2, 3], percent) == expected


def test_a_share_of_nothing_is_no_number() -> None:
    assert share([True, False, False, True]) == 0.5
    assert math.isnan(share([]))


def test_words_are_compared_without_case_articles_punctuation_and_thousands_separators() -> None:
    assert comparable_words("The R&D spend: 14,705 (15.1%)") == ["r", "d", "spend", "14705", "15.1"]
    assert comparable_words("在2017年，B股") == ["在", "2017", "年", "b", "股"]
    assert comparable_words("３０ ﬁrms") == ["30", "firms"]


@pytest.mark.parametrize(
    ("text", "answer", "expected"),
    [
        ("It recognised 17 centers in 2016.", "17 centers", True),
        ("It opened in 2017.", "17", False),
        ("over 1,243 firms", "243", False),
        ("over 1,243 firms", "1243", True),
        ("in the United States", "United States of America", False),
        ("在深圳参观了腾讯和华为", "腾讯", True),
        ("anything", "…", False),
        ("", "17", False),
    ],
)
def test_an_answer_is_held_where_its_words_stand_side_by_side(text: str, answer: str, expected: bool) -> None:
    assert holds(text, answer) is expected
