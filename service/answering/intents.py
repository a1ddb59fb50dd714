"""What a question wants: a fact, a list, a reason, yes or no; and the questions that it is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from embeddings.text import STOP_WORDS, content_words, words
from service.answering.comparisons import Order, asked_of, order_of


class Intent(StrEnum):
    FACT = "fact"
    """A number, date, name, place: the words themselves."""
    LIST = "list"
    EXPLANATION = "explanation"
    """A reason or definition: the sentence."""
    VERDICT = "verdict"
    """Yes or no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A question that is searched and read by itself."""

    question: str
    intent: Intent
    subject: str | None = None
    """What it asks of, where the whole compares two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    parts: tuple[Part, ...]
    order: Order | None = None
    """Set where there are two parts, and the answer is the subject whose figure wins."""


_NUMBER_WORDS = "two three four five six seven eight nine ten"
NUMBERS = {word: number for number, word in enumerate(_NUMBER_WORDS.split(), 2)}
_NUMBER = "|".join((*NUMBERS, r"[2-9]|1\d"))
_ASKING = r"how|what|who|whom|when|where|which|why|whose"

_VERDICT = re.compile(
    r"(?:^|[,;:] |\b(?:that|tell me|know) (?:if|whether) )"
    r"(?:is|are|was|were|does|do|did|has|have|had|can|could|will|would|should|must|may)(?:n't)? ",
    re.IGNORECASE,
)
_OPEN = re.compile(rf"\b(?:{_ASKING})\b", re.IGNORECASE)
_EXPLANATION = re.compile(
    r"\bwhy\b|\bfor what reason|\bwhat (?:makes|made|causes|caused|is meant|leads|led)\b|\bhow come\b|"
    r"^(?:define|explain|describe)\b|\bwhat does .{1,60} mean\b|"
    r"\bwhat (?:do|does|did) .{1,200} say (?:about|on)\b|\bwhat (?:is|was) (?:said|written|known) (?:about|on)\b|"
    r"^what(?:'s| is| are) (?:an? |the )?[\w-]+(?: [\w-]+)?\??$",
    re.IGNORECASE,
)
_NO_PLURAL = r"(?:of|in|on|at|to|by|for|with|the|an?|this|that|is|was|does|did|has) "
"""What cannot stand between the question word and the plural of what is asked for."""
_LIST = re.compile(
    rf"\b(?:which|what) (?:\w+ ){{0,2}}?(?:{_NUMBER}) \w|\b(?:name|list|enumerate) (?:all|the|every|each|some)\b|"
    r"\bwhat (?:are|were) (?:all |some of )?(?:the |its |their )?(?:[\w'-]+ ){0,3}[\w-]{3,}(?<![su])s\b|"
    r"\b(?:which|what) (?:(?:different|other|various|kinds of|types of|sorts of) )?"
    rf"(?:(?!{_NO_PLURAL})[\w'’-]+ ){{0,5}}?"
    r"(?:[a-z-]{3,}(?<![siu])s|people|companies|cities|countries|categories) "
    r"(?:did|do|does|has|have|had|are|were|will|can|that|of|in|and)\b|"
    r"\bin what (?:different )?ways\b",
    re.IGNORECASE,
)
_SECOND = re.compile(rf",? and (?=(?:{_ASKING})\b)", re.IGNORECASE)
_OF_EACH = re.compile(
    r"^(?P<asked>.+ (?P<link>of|in|at|for|by|from)) "
    r"(?P<one>[^,;?]{2,60}?),? and (?P=link) (?P<other>[^,;?]{2,60}?)\s*\??$"
)
_ALTERNATIVES = re.compile(
    r"(?:,|(?<=first|older|later)(?=\s+(?-i:[A-Z])))\s*"
    r"(?P<one>[^,;?]{2,80}?),? or (?P<other>[^,;?]{2,80}?)\s*(?=[,;?]|$)",
    re.IGNORECASE,
)
"""Behind a comma, or names behind what they are compared by."""
_TWO_THINGS = re.compile(
    r"^(?P<auxiliary>does|do|did|has|have|had|are|is|were|was)(?: there)? (?P<whose>.*?)\s*"
    r"\b(?P<verb>have|has|had|own|run|hold|employ|contain|include|make|produce|sell|win|get|receive|in)?\s*"
    r"(?P<order>more|fewer|less) (?P<one>.+?),? or "
    r"(?:more |fewer |less )?(?P<other>.+?)\??$",
    re.IGNORECASE,
)
_LONG_WINDED = 25
"""In words."""
_PREAMBLE_ENDS = re.compile(r",? so,? |[.!?;] +", re.IGNORECASE)
_COURTESY = re.compile(
    r"^(?:please,? )?(?:(?:could|can|would|will) you (?:please )?)?(?:tell me |let me know )", re.IGNORECASE
)
_FEWEST_WORDS = 2
"""Content words that what is left of a long-winded question needs."""
_NAME = re.compile(r"\b[A-Z]{2,}\b|(?<=\w )[A-Z]\w")


def inquire(question: str) -> Inquiry:
    """The question itself, or the two that it is made of; without what a long-winded one begins with."""
    question = _to_the_point(question)
    return _between_two_things(question) or _between_two_subjects(question) or Inquiry(parts=_joined(question))


def intent_of(question: str) -> Intent:
    plain = question.strip()
    if _EXPLANATION.search(plain):
        return Intent.EXPLANATION
    if _is_verdict(plain):
        return Intent.VERDICT
    return Intent.LIST if _LIST.search(plain) else Intent.FACT


def names_something(question: str) -> bool:
    """Whether it holds more than the words of any question; a name can look like one of these (US, The Who)."""
    return any(word not in STOP_WORDS for word in words(question)) or _NAME.search(question) is not None


def wanted_items(question: str) -> int | None:
    """How many things a list should have, where the question says so."""
    found = re.search(rf"\b(?:which|what|all|the) (?:\w+ )?({_NUMBER}) \w|\ball ({_NUMBER})\b", question, re.IGNORECASE)
    if found is None:
        return None
    word = (found[1] or found[2]).lower()
    return NUMBERS.get(word) or int(word)


def _is_verdict(question: str) -> bool:
    found = _VERDICT.search(question)
    return found is not None and not _OPEN.search(question, found.start()) and " or " not in question[found.end() :]


def _to_the_point(question: str) -> str:
    if len(question.split()) < _LONG_WINDED:
        return question
    rest = question
    for found in _PREAMBLE_ENDS.finditer(question):
        if len(content_words(question[found.end() :])) >= _FEWEST_WORDS:
            rest = question[found.end() :]
    return _COURTESY.sub("", rest).strip()


def _part(question: str, subject: str | None = None) -> Part:
    return Part(question=question, intent=intent_of(question), subject=subject)


def _joined(question: str) -> tuple[Part, ...]:
    """Two questions with "and" between, if each can stand alone; or one that is asked of two things."""
    of_each = _OF_EACH.search(question)
    if of_each and _OPEN.search(of_each["asked"]) and not _OPEN.search(of_each["other"]):
        return tuple(_part(f"{of_each['asked']} {of_each[thing]}?") for thing in ("one", "other"))
    for found in _SECOND.finditer(question):
        first, second = question[: found.start()].strip() + "?", question[found.end() :].strip()
        if _OPEN.search(first) and all(map(names_something, (first, second))):
            return (_part(first), _part(second))
    return (_part(question),)


def _between_two_things(question: str) -> Inquiry | None:
    """Does S have more A or more B?"""
    found = _TWO_THINGS.match(question.strip())
    if found is None:
        return None
    rest = " ".join(word for word in (found["auxiliary"].lower(), found["whose"], found["verb"]) if word)
    things = [found["one"].strip(), found["other"].strip()]
    # "more national-level maker spaces or national incubators": what stands behind `or` is complete in itself.
    return Inquiry(
        parts=tuple(Part(question=f"How many {thing} {rest}?", intent=Intent.FACT, subject=thing) for thing in things),
        order=Order.MORE if found["order"].lower() == "more" else Order.LESS,
    )


def _between_two_subjects(question: str) -> Inquiry | None:
    """Which is larger, A or B?"""
    found = _ALTERNATIVES.search(question)
    if found is None or not _OPEN.search(question[: found.start()]):
        return None
    before = question[: found.start()]
    order = order_of(before)
    if order is None:
        return None
    return Inquiry(
        parts=tuple(
            Part(question=asked_of(before, subject), intent=Intent.FACT, subject=subject)
            for subject in (found["one"].strip(), found["other"].strip())
        ),
        order=order,
    )
