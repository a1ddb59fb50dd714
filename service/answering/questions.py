"""What can be read off a question without a model: its words, names and figures, and the kind of answer it wants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from embeddings.text import STOP_WORDS, content_words, words


class AnswerKind(StrEnum):
    NUMBER = "number"
    MONEY = "money"
    SHARE = "share"
    DATE = "date"
    PERSON = "person"
    PLACE = "place"
    REASON = "reason"
    LIST = "list"
    YES_NO = "yes_no"
    MANNER = "manner"
    THING = "thing"
    KEYWORDS = "keywords"


_NUMBER_WORDS = "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_KINDS: tuple[tuple[AnswerKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (AnswerKind.SHARE, r"\b(?:percent(?:age)?|proportion|share|fraction|slice)\b|%"),
        (
            AnswerKind.MONEY,
            r"\bhow much (?:money|did|does|do|was|were|is|will)\b|\b(?:price|cost|worth|salary|revenue)\b",
        ),
        (AnswerKind.NUMBER, r"\bhow (?:many|much|large|big|long|old|far|tall|high|fast|often|deep)\b|\bnumber\b"),
        (
            AnswerKind.DATE,
            r"^when\b|[,;] when\b|\b(?:what|which) (?:year|date|day|month|century|decade|time)\b|\bdate\b",
        ),
        (AnswerKind.PERSON, r"\bwho(?:m|se)?\b"),
        (AnswerKind.PLACE, r"\bwhere\b|\b(?:what|which) (?:city|country|state|town|place|province|region|location)\b"),
        (AnswerKind.REASON, r"\bwhy\b|\breasons?\b|\bcaused?\b|\bwhat makes\b|\bpurpose\b"),
        (
            AnswerKind.LIST,
            rf"\b(?:what|which) (?:are|were|{_NUMBER_WORDS})\b|\bname all\b|\blist\b|\bwhat (?:kinds|types)\b",
        ),
        (AnswerKind.YES_NO, r"^(?:is|are|was|were|does|do|did|has|have|had|can|could|will|would|should)\b"),
        (AnswerKind.MANNER, r"\bhow\b"),
        (AnswerKind.THING, r"\b(?:what|which)\b"),
    )
)
_WORD = re.compile(r"[\w’'-]+")
_FIGURE = re.compile(r"\d+(?:[.,:/-]\d+)*")
_CAPITALISED = re.compile(r"\b[A-Z][\w&’'-]*")
_NEVER_NAMES = frozenset(
    _WORD.findall(
        "who whom whose what which when where why how is are was were does do did has have had can could will would "
        "should in on at of from for to by with the a an i my"
    )
)


_FOCUS = re.compile(r"\b(?:which|what|how many) ((?:[\w-]+ ?){1,4})", re.IGNORECASE)
_VERBS = frozenset(words("is are was were does do did has have had can could will would should may might"))


def is_question(sentence: str) -> bool:
    return sentence.rstrip().endswith(("?", "？"))


def figures(text: str) -> list[str]:
    return _FIGURE.findall(text)


def names(text: str) -> list[str]:
    """Capitalised words in lower case, but for those that are capital only because a sentence opens with them."""
    return [word for word in (match.lower() for match in _CAPITALISED.findall(text)) if word not in _NEVER_NAMES]


def pairs(text: str) -> frozenset[tuple[str, str]]:
    """Neighbouring words, stemmed."""
    return frozenset(pairwise(words(text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str
    kind: AnswerKind
    stems: tuple[str, ...]
    """Of its content words, each once, in order."""
    names: frozenset[str]
    figures: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    words: frozenset[str]
    """All of them, in lower case."""
    focus: str | None
    """Stem of what is asked for: the noun after `which`, `what` or `how many`."""


def analyse(text: str) -> Question:
    return Question(
        text=text,
        kind=next((kind for kind, pattern in _KINDS if pattern.search(text)), AnswerKind.KEYWORDS),
        stems=tuple(dict.fromkeys(content_words(text))),
        names=frozenset(names(text)),
        figures=frozenset(figures(text)),
        pairs=pairs(text),
        words=frozenset(_WORD.findall(text.lower())),
        focus=_focus(text),
    )


def _focus(text: str) -> str | None:
    """The last of up to three words between the question word and the first verb; None if a verb follows at once."""
    found = _FOCUS.search(text)
    if found is None:
        return None
    noun_words: list[str] = []
    for word in words(found[1])[:3]:
        if word in STOP_WORDS or word in _VERBS:
            break
        noun_words.append(word)
    return noun_words[-1] if noun_words else None
