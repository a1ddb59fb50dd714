"""Completes a question that leans on the one before it, so that it can be searched on its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from embeddings.text import STOP_WORDS, words

_LEAD_IN = re.compile(r"^(?:and|or|but|so|then|also)\b|^(?:what|how) about\b", re.IGNORECASE)
_WORD = re.compile(r"\w+(?:[-'’.]\w+)*")
_PRONOUNS = frozenset(_WORD.findall("it its itself they them their theirs he him his she her hers there"))
_DEMONSTRATIVES = frozenset(_WORD.findall("this that these those"))
_AFTER_DEMONSTRATIVE = frozenset(
    _WORD.findall("is was are were do does did has have had will would can could mean happen work")
)
_SHORT_ANSWER_WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A question that was asked before, and what was answered."""

    question: str
    answer: str


def complete(question: str, history: Sequence[Exchange]) -> str:
    """The question with what it takes from the history in parentheses; as it is where it stands on its own."""
    previous: Exchange | None = None
    for exchange in history:
        previous = Exchange(question=_with_subject(exchange.question, previous), answer=exchange.answer)
    return _with_subject(question, previous)


def _with_subject(question: str, previous: Exchange | None) -> str:
    if previous is None:
        return question
    if _has_open_pronoun(question):
        return _append(question, _subject(previous))
    if _is_fragment(question):
        return _append(question, _predicate(previous.question, dropping_names=bool(_names(question))))
    return question


def _append(question: str, subject: str) -> str:
    return f"{question} ({subject})" if subject else question


def _has_open_pronoun(question: str) -> bool:
    """A pronoun that no name stands before."""
    spoken = _WORD.findall(question)
    for index, word in enumerate(spoken):
        if _is_name(word, index):
            return False
        following = spoken[index + 1].lower() if index + 1 < len(spoken) else ""
        if word.lower() in _PRONOUNS or (
            word.lower() in _DEMONSTRATIVES and (not following or following in _AFTER_DEMONSTRATIVE)
        ):
            return True
    return False


def _is_fragment(question: str) -> bool:
    own = [word for word in words(question) if word not in STOP_WORDS]
    return len(own) <= 1 or (bool(_LEAD_IN.match(question.strip())) and len(own) <= 3)


def _subject(previous: Exchange) -> str:
    """The names of the question before, else the whole of it; and its answer where that may be a name."""
    subject = " ".join(_names(previous.question)) or previous.question.rstrip(" ?？.")
    may_be_name = len(previous.answer.split()) <= _SHORT_ANSWER_WORDS and previous.answer[:1].isalpha()
    return f"{subject}; {previous.answer}" if may_be_name else subject


def _predicate(question: str, *, dropping_names: bool) -> str:
    """The question before, without its names where the follow-up brings its own."""
    names = set(_names(question)) if dropping_names else set()
    return " ".join(word for word in question.rstrip(" ?？.").split() if word.strip("?,.;:()'’s") not in names)


def _names(question: str) -> list[str]:
    return [word for index, word in enumerate(_WORD.findall(question)) if _is_name(word, index)]


def _is_name(word: str, index: int) -> bool:
    return index > 0 and word[0].isupper() and word != "I"
