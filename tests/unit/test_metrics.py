from __future__ import annotations

import math

import pytest

from service.evaluation.metrics import (
    Bin,
    Operation,
    auroc,
    calibration_error,
    comparable_words,
    difference_interval,
    exact_match,
    f1,
    holds,
    ndcg,
    percentile,
    recall,
    reciprocal_ranks,
    reliability,
    risk_coverage,
    risk_coverage_area,
    share,
    squad_words,
    wilson,
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


def test_reliability_gives_the_mean_confidence_and_the_share_right_of_each_bin() -> None:
    assert reliability([0.75, 0.125, 0.5, 0.375], [True, False, False, False], bins=2) == [
        Bin(count=2, confidence=0.25, right=0.0),
        Bin(count=2, confidence=0.625, right=0.5),
    ]
    assert len(reliability([0.5], [True])) == 1


def test_risk_grows_with_coverage_and_ties_are_answered_together() -> None:
    operations = risk_coverage([0.9, 0.5, 0.5, 0.1], [True, True, False, False])
    assert operations == [
        Operation(threshold=0.9, answered=1, coverage=0.25, risk=0.0),
        Operation(threshold=0.5, answered=3, coverage=0.75, risk=1 / 3),
        Operation(threshold=0.1, answered=4, coverage=1.0, risk=0.5),
    ]
    # a quarter at 0, half at 1/3, a quarter at 1/2
    assert risk_coverage_area(operations) == pytest.approx(0.5 / 3 + 0.25 / 2)
    assert math.isnan(risk_coverage_area([]))


def test_a_share_of_few_cases_is_uncertain() -> None:
    # the interval of 8 in 10 as published tables give it
    assert wilson(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson(10, 10)[1] == 1
    assert wilson(0, 10)[0] == 0


def test_an_interval_of_differences_lies_around_the_difference() -> None:
    low, high = difference_interval([1.0, 0.0, 1.0, 1.0] * 25, [0.0, 0.0, 1.0, 1.0] * 25)
    assert 0.15 < low < 0.25 < high < 0.35
    assert difference_interval([0.5, 0.7], [0.5, 0.7]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The answer, it's: U.S. 1,000!", ["answer", "its", "us", "1000"]),
        ("“An” émigré", ["émigré"]),
        ("深圳 is a city", ["深", "圳", "is", "city"]),
    ],
)
def test_words_are_normalised_as_in_squad(text: str, words: list[str]) -> None:
    assert squad_words(text) == words


@pytest.mark.parametrize(
    ("answer", "golden", "expected"),
    [
        ("the Broncos", ("Denver Broncos", "broncos"), 1.0),
        ("Carolina Panthers win", ("Denver Panthers",), 0.4),  # one shared word of three and of two
        ("to be or to be", ("to to to",), 0.5),  # two shared words of five and of three
        ("nothing", ("else",), 0.0),
        ("", ("x",), 0.0),
        ("x", (), 0.0),
    ],
)
def test_f1_counts_shared_words_with_the_best_form(answer: str, golden: tuple[str, ...], expected: float) -> None:
    assert f1(answer, golden) == pytest.approx(expected)
    assert exact_match(answer, golden) is (expected == 1)
