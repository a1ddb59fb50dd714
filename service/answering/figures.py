"""Numbers in words or digits, and dates, to compare what two passages say."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety hundred"
_WORDS = {word: value for value, word in enumerate(_SMALL.split())} | {
    word: 10 * tens for tens, word in enumerate(_TENS.split(), 3)
}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_FIGURE = re.compile(
    rf"(?<![\w.])(?P<number>\d[\d,]*(?:\.\d+)?|\b(?:{'|'.join(_WORDS)})\b)"
    rf"\s*(?P<scale>{'|'.join(_SCALES)})?s?\s*(?P<unit>%|percent|per cent)?",
    re.IGNORECASE,
)


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_YEAR = re.compile(r"\b(1\d{3}|20\d{2})\b")
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})[a-z]*\b", re.IGNORECASE)
_DAY = re.compile(r"\b([12]?\d|3[01])(?:st|nd|rd|th)?\b")


@dataclass(frozen=True, slots=True)
class Figure:
    value: float
    unit: str
    """"%" or nothing."""


def first_figure(text: str) -> Figure | None:
    found = _FIGURE.search(text)
    return None if found is None else _figure(found)


def written_figures(text: str) -> frozenset[Figure]:
    """All figures in digits; a question that says "one" or "two" seldom counts."""
    return frozenset(_figure(found) for found in _FIGURE.finditer(text) if found["number"][0].isdigit())


def years(text: str) -> frozenset[str]:
    return frozenset(_YEAR.findall(text))


def has_month(text: str) -> bool:
    return _MONTH.search(text) is not None


def has_day(text: str) -> bool:
    """Whether it holds a number that a day of a month may have."""
    return _DAY.search(text) is not None


def _figure(found: re.Match[str]) -> Figure:
    number = found["number"].lower()
    value = float(_WORDS[number]) if number in _WORDS else float(number.replace(",", ""))
    scale = _SCALES[found["scale"].lower()] if found["scale"] else 1.0
    return Figure(value * scale, "%" if found["unit"] else "")


def first_moment(text: str) -> Figure | None:
    """The first year, with the month and the day where they are said."""
    year = _YEAR.search(text)
    if year is None:
        return None
    month = _MONTH.search(text)
    day = _DAY.search(text) if month else None
    months = _MONTHS.index(month[1].lower()) if month else 0
    return Figure(int(year[1]) + (months + (int(day[1]) if day else 0) / 32) / 12, "")
