"""Whether what is cited shows the yes or no that a reader says: a sentence on other names or figures does not."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from embeddings.text import content_words, words
from service.answering.figures import written_figures
from service.answering.questions import names

Word: TypeAlias = Literal["yes", "no"]

_REFERS_BACK = re.compile(r"\b(?:it|its|he|his|him|she|her|they|their|them|this|these|those)\b", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’]s?$")


def shows(word: Word, question: str, quote: str, *, context: str) -> bool:
    """Names and figures may stand in the title and the headings that the quote is under, the matter has to be its own.

    What is so, is so of all that the question names and counts: "Yes" needs every name and figure. What is not so may
    be told by another figure or name in their place: "No" needs one of the names, where there are any.
    """
    if set(content_words(question)).isdisjoint(content_words(quote)):
        return False
    said = f"{context}\n{quote}"
    known = set(words(said))
    present = [_is_among(name, known) for name in names(question)]
    if word == "no":
        return any(present) or not present
    return all(present) and written_figures(question) <= written_figures(said)


def refers_back(sentence: str) -> bool:
    """Whether it speaks of something that may be named in the sentence before."""
    return _REFERS_BACK.search(sentence) is not None


def _is_among(name: str, known: set[str]) -> bool:
    return known.issuperset(words(_POSSESSIVE.sub("", name)))
