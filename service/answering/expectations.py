"""What the words of an answer have to hold, where a question leaves no doubt about it: an amount, a year, a day.

Of SQuAD's training questions of these kinds 1.2, 0.2 and 8.6 % have no accepted answer that holds it. Of the figures
that are accepted where a number of things is asked for, 7.6 % count others by their words (pupils for students).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from embeddings.text import words
from service.answering.figures import first_figure, has_day, has_month

_AMOUNT = re.compile(
    r"\bhow (?:many|much)\b|\b(?:what|which) (?:percent(?:age)?|proportion|fraction)\b|"
    r"\bwhat (?:is|was|are|were) the (?:total |combined |average |exact )?"
    r"(?:number|percentage|proportion|price|cost|amount|population)\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"\b(?:what|which) years?\b", re.IGNORECASE)
_DAY = re.compile(r"\b(?:what|which) (?:\w+ )?day\b", re.IGNORECASE)
_DATE = re.compile(r"\b(?:what|which) (?:\w+ )?date\b", re.IGNORECASE)

_PEOPLE = "people|men|women|children"
_NO_THINGS = r"(?!(?:does|was|is|has|this|its|as)\b)"
_NUMBER_OF = re.compile(
    rf"\bhow many (?:[\w'’-]+ ){{0,3}}?(?P<things>{_NO_THINGS}[\w'’-]{{2,}}s|{_PEOPLE})(?= |\?|$)", re.IGNORECASE
)
_THINGS = r"(?:[a-z-]+ ){0,2}?(?P<things>(?!(?:ones|others)\b)[a-z-]{3,}s)\b"
"""Not people, who may be workers or voters."""

_DIGIT = re.compile(r"\d")
_COUNTING = re.compile(
    r"\b(?:no|none|never|an?|single|both|all|half|twice|once|double|triple|few|several|many|most|much|more|less|enough|"
    r"little|lots?|majority|pair|couple|dozens?|hundreds?|thousands?|millions?|billions?|trillions?|thirds?|quarters?)\b",
    re.IGNORECASE,
)
_NAMED_DAY = re.compile(r"day\b|\b(?:eve|first|second|third|last|[a-z]+th|christmas|easter)\b", re.IGNORECASE)


def _has_figure(answer: str) -> bool:
    return bool(_DIGIT.search(answer))


def _has_day(answer: str) -> bool:
    return has_day(answer) or bool(_NAMED_DAY.search(answer))


def _has_date(answer: str) -> bool:
    return bool(_DIGIT.search(answer) or _NAMED_DAY.search(answer)) or has_month(answer)


def _has_amount(answer: str) -> bool:
    return bool(_DIGIT.search(answer) or _COUNTING.search(answer)) or first_figure(answer) is not None


_DEMANDS = ((_YEAR, _has_figure), (_DAY, _has_day), (_DATE, _has_date), (_AMOUNT, _has_amount))


@lru_cache(maxsize=64)
def _demand(question: str) -> Callable[[str], bool] | None:
    return next((holds for asks, holds in _DEMANDS if asks.search(question)), None)


def meets(question: str, answer: str) -> bool:
    """Whether the answer holds what the question asks for; True where the question may ask for anything."""
    holds = _demand(question)
    return holds is None or holds(answer)


@lru_cache(maxsize=64)
def asks_for_a_number_of_things(question: str) -> bool:
    return _NUMBER_OF.search(question) is not None


def counts_others(question: str, answer: str, sentence: str) -> bool:
    """Whether a figure is one of other things than those whose number is asked for, in a sentence that lacks these."""
    asked = _NUMBER_OF.search(question)
    if asked is None or first_figure(answer) is None:
        return False
    counted = re.search(rf"{re.escape(answer)}(?:\s+{_THINGS})?", sentence)
    if counted is None or not set(words(asked["things"])).isdisjoint(words(sentence)):
        return False
    named = re.search(_THINGS + "$", answer) or counted
    things = named["things"]
    return things is not None and set(words(things)).isdisjoint(words(question))
