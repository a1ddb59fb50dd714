"""From what two things are compared by to the question that each of them answers: "larger" asks how large it is."""

from __future__ import annotations

import re
from enum import StrEnum


class Order(StrEnum):
    """Which of two figures wins a comparison."""

    MORE = "more"
    LESS = "less"


_ORDINAL = r"(?:first|last|earlier|earliest|later|latest|sooner)"
_HAS_MORE = re.compile(
    r"\b(?P<has>has|have|had) (?:the )?(?:more|most|fewer|fewest|less|least) (?P<things>[\w'’ -]+?)\s*$", re.IGNORECASE
)
_WAS_DONE = re.compile(rf"\b(?P<was>was|were|is|are) (?P<done>\w+) {_ORDINAL}\s*$", re.IGNORECASE)
_DID = re.compile(rf"\b(?P<did>\w+) {_ORDINAL}\s*$", re.IGNORECASE)
_IS_MORE_SO = re.compile(r"\b(?P<is>is|are|was|were) (?:the )?(?:more|most|less|least) (?P<so>\w+)\s*$", re.IGNORECASE)
_IS_MORE = re.compile(r"\b(?P<is>is|are|was|were) (?:the )?(?P<more>\w+)\s*$", re.IGNORECASE)

_INFINITIVES = {
    "opened": "open", "began": "begin", "started": "start", "closed": "close", "ended": "end", "came": "come",
    "happened": "happen", "died": "die", "appeared": "appear", "arrived": "arrive", "sank": "sink", "won": "win",
}  # fmt: skip
_PROPERTIES = {
    "large": ("larger largest bigger biggest greater greatest", "smaller smallest"),
    "high": ("higher highest", "lower lowest"),
    "tall": ("taller tallest", ""),
    "long": ("longer longest", "shorter shortest"),
    "heavy": ("heavier heaviest", "lighter lightest"),
    "wide": ("wider widest", "narrower narrowest"),
    "deep": ("deeper deepest", "shallower shallowest"),
    "far": ("farther farthest", "nearer nearest"),
    "fast": ("faster fastest", "slower slowest"),
    "expensive": ("", "cheaper cheapest"),
}
"""By the word that is asked with: what means more of it, and what means less."""
_PROPERTY = {form: name for name, forms in _PROPERTIES.items() for form in " ".join(forms).split()}
_ELSE = (
    "more most later latest ahead newer newest younger youngest",
    "fewer fewest less least earlier earliest first older oldest behind",
)
_MORE, _LESS = (
    re.compile(rf"\b(?:{'|'.join(' '.join(forms).split())})\b", re.IGNORECASE)
    for forms in zip(_ELSE, *_PROPERTIES.values(), strict=True)
)
_AGE = frozenset({"older", "oldest", "younger", "youngest", "newer", "newest"})


def order_of(comparison: str) -> Order | None:
    return Order.MORE if _MORE.search(comparison) else Order.LESS if _LESS.search(comparison) else None


def asked_of(comparison: str, name: str) -> str:
    """What to ask of one of the things; `comparison` is the question up to where they are named."""
    return (
        _by_number(comparison, name)
        or _by_time(comparison, name)
        or _by_property(comparison, name)
        or f"{comparison}: {name}?"
    )


def _by_number(comparison: str, name: str) -> str | None:
    found = _HAS_MORE.search(comparison)
    if found is None:
        return None
    return f"How many {found['things']} {'did' if found['has'].lower() == 'had' else 'does'} {name} have?"


def _by_time(comparison: str, name: str) -> str | None:
    if found := _WAS_DONE.search(comparison):
        return f"When {found['was'].lower()} {name} {found['done']}?"
    found = _DID.search(comparison)
    infinitive = found and _INFINITIVES.get(found["did"].lower())
    return f"When did {name} {infinitive}?" if infinitive else None


def _by_property(comparison: str, name: str) -> str | None:
    if so := _IS_MORE_SO.search(comparison):
        return f"How {so['so']} {so['is'].lower()} {name}?"
    found = _IS_MORE.search(comparison)
    more = found["more"].lower() if found else ""
    if more in _AGE:
        return f"When was {name} born, founded or built?"
    return f"How {_PROPERTY[more]} {found['is'].lower()} {name}?" if found and more in _PROPERTY else None
