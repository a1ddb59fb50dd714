"""What the service is measured by. Pure; every function is checked against values computed by hand."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"\d+(?:\.\d+)*|[{_CJK}]|(?:(?![{_CJK}])[^\W\d_])+")
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


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Mean distance of confidence and share right over bins of (nearly) equal size, weighted by size."""
    ordered = sorted(zip(confidences, right, strict=True))
    total = 0.0
    for number in range(bins):
        part = ordered[number * len(ordered) // bins : (number + 1) * len(ordered) // bins]
        total += abs(sum(confidence - hit for confidence, hit in part))
    return total / len(ordered) if ordered else math.nan


# Shares and times ------------------------------------------------------------------------------------------------


def share(flags: Iterable[bool]) -> float:
    """Of those that are true; not a number where there are none."""
    listed = list(flags)
    return sum(listed) / len(listed) if listed else math.nan


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


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
