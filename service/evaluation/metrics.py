"""What the service is measured by. Pure; every function is checked against values computed by hand."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"\d+(?:\.\d+)*|[{_CJK}]|(?:(?![{_CJK}])[^\W\d_])+")
_IS_CJK = re.compile(f"[{_CJK}]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ARTICLES = frozenset({"a", "an", "the"})


# Rankings --------------------------------------------------------------------------------------------------------


def ndcg(ranking: Sequence[str], gains: Mapping[str, float], k: int) -> float:
    """Normalised discounted cumulative gain of the first `k`, 0 to 1, with linear gains as in trec_eval."""
    ideal = _discounted(sorted(gains.values(), reverse=True)[:k])
    return _discounted(gains.get(each, 0.0) for each in ranking[:k]) / ideal if ideal else 0.0


def _discounted(gains: Iterable[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def recall(ranking: Sequence[str], gains: Mapping[str, float], k: int) -> float:
    """The share of what is relevant (a gain above 0) that stands among the first `k`."""
    relevant = {each for each, gain in gains.items() if gain > 0}
    return len(relevant.intersection(ranking[:k])) / len(relevant) if relevant else 0.0


def reciprocal_ranks(rankings: Sequence[Sequence[str]], k: int = 60) -> list[str]:
    """Rankings merged by reciprocal rank, best first, ties by name. Source: Cormack et al., SIGIR 2009."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, each in enumerate(ranking, start=1):
            scores[each] = scores.get(each, 0.0) + 1 / (k + rank)
    return sorted(scores, key=lambda each: (-scores[each], each))


# Confidence ------------------------------------------------------------------------------------------------------


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """How often a positive has the higher score, of all pairs of one each; a tie counts half."""
    if not positive or not negative:
        return math.nan
    above = sum((one > other) + (one == other) / 2 for one in positive for other in negative)
    return above / (len(positive) * len(negative))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers of like confidence."""

    count: int
    confidence: float
    """Mean."""
    right: float
    """Share."""


def reliability(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> list[Bin]:
    """Bins of (nearly) equal size, by ascending confidence."""
    ordered = sorted(zip(confidences, right, strict=True))
    parts = (ordered[number * len(ordered) // bins : (number + 1) * len(ordered) // bins] for number in range(bins))
    return [
        Bin(
            count=len(part),
            confidence=sum(confidence for confidence, _ in part) / len(part),
            right=sum(hit for _, hit in part) / len(part),
        )
        for part in parts
        if part
    ]


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Mean distance of confidence and share right over bins of (nearly) equal size, weighted by size."""
    found = reliability(confidences, right, bins)
    return sum(one.count * abs(one.confidence - one.right) for one in found) / len(right) if found else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a threshold leads to."""

    threshold: float
    answered: int
    coverage: float
    """Share answered: those with at least that confidence."""
    risk: float
    """Share wrong of what is answered."""


def risk_coverage(confidences: Sequence[float], right: Sequence[bool]) -> list[Operation]:
    """One for each confidence that occurs, by descending confidence. Source: El-Yaniv and Wiener, JMLR 2010."""
    found: list[Operation] = []
    answered = wrong = 0
    for confidence, group in groupby(sorted(zip(confidences, right, strict=True), reverse=True), key=itemgetter(0)):
        hits = [hit for _, hit in group]
        answered, wrong = answered + len(hits), wrong + hits.count(False)
        found.append(
            Operation(threshold=confidence, answered=answered, coverage=answered / len(right), risk=wrong / answered)
        )
    return found


def risk_coverage_area(operations: Sequence[Operation]) -> float:
    """The mean risk over all coverages, 0 to 1; lower is better."""
    if not operations:
        return math.nan
    before = [0.0, *(one.coverage for one in operations)]
    return sum((one.coverage - last) * one.risk for last, one in zip(before, operations, strict=False))


# Shares and times ------------------------------------------------------------------------------------------------


def share(flags: Iterable[bool]) -> float:
    """Of those that are true; not a number where there are none."""
    listed = list(flags)
    return sum(listed) / len(listed) if listed else math.nan


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Between which shares the true one lies, with 95 %. Source: Wilson, JASA 1927."""
    z, observed = 1.96, hits / of
    middle, spread = observed + z * z / (2 * of), z * math.sqrt(observed * (1 - observed) / of + z * z / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + z * z / of)), min(1.0, (middle + spread) / (1 + z * z / of))


def difference_interval(first: Sequence[float], second: Sequence[float], resamples: int = 2000) -> tuple[float, float]:
    """Between which values the difference of the means of paired values lies, with 95 %: a percentile bootstrap."""
    differences = np.subtract(first, second)
    draw = np.random.default_rng(7).integers
    means = [differences[draw(len(differences), size=len(differences))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


# Answers ---------------------------------------------------------------------------------------------------------


def comparable_words(text: str) -> list[str]:
    """Case-folded words without punctuation, accents' encodings and articles; numbers whole, CJK by character."""
    folded = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).casefold())
    return [word for word in _WORD.findall(folded) if word not in _ARTICLES]


def holds(text: str, answer: str) -> bool:
    """Whether the answer's words stand in the text, side by side."""
    wanted, words = comparable_words(answer), comparable_words(text)
    return bool(wanted) and any(
        words[start : start + len(wanted)] == wanted for start in range(len(words) - len(wanted) + 1)
    )


def squad_words(text: str) -> list[str]:
    """As SQuAD's scorer normalises: no case, punctuation or articles; CJK by character, as MLQA's does."""
    spoken = "".join(" " + one + " " if _IS_CJK.match(one) else one for one in text.lower() if not _is_punctuation(one))
    return [word for word in spoken.split() if word not in _ARTICLES]


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def exact_match(answer: str, golden: Iterable[str]) -> bool:
    return any(squad_words(answer) == squad_words(form) for form in golden)


def f1(answer: str, golden: Iterable[str]) -> float:
    """Of the words that answer and gold share, with the best of the accepted forms."""
    return max((_f1(squad_words(answer), squad_words(form)) for form in golden), default=0.0)


def _f1(words: Sequence[str], golden: Sequence[str]) -> float:
    if not words or not golden:
        return float(words == golden)
    shared = (Counter(words) & Counter(golden)).total()
    return 2 * shared / (len(words) + len(golden))
