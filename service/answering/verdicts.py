"""Yes or no: what passages say together, and whether what is cited shows it.

A sentence on other names or figures shows nothing. A reader says "no" to much that is only near, so what shows a "no"
has to deny something, or to tell another story. The figures behind that are in `docs/decisions/0009-trained-reader.md`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from embeddings.text import content_words, words
from service.answering.figures import written_figures
from service.answering.questions import names

Word: TypeAlias = Literal["yes", "no"]

_REFERS_BACK = re.compile(r"\b(?:it|its|he|his|him|she|her|they|their|them|this|these|those)\b", re.IGNORECASE)
_DENIES = re.compile(
    r"""\b(?:no|not|never|none|nor|neither|nobody|nothing|cannot|without|hardly|rarely|seldom|few
    |only|instead|rather|unlike|except|excluding|but|however|although|though|despite|whereas
    |fail(?:s|ed|ure)?|lack(?:s|ed|ing)?|unable|unavailable|impossible|false|fictional|fictitious|illegal|unlawful
    |prohibit\w*|forb(?:id|ids|idden|ade)|bans?|banned|refus\w+|reject\w+|den(?:y|ies|ied)|exclud\w+
    |differ\w*|distinct|separate|opposite|former(?:ly)?|longer|ended|ceased|stopped|closed|shut|cancel\w*|abolish\w*
    |abandon\w*|destroy\w*|demolish\w*|burn(?:ed|t)\s+down)\b|n['’]t\b""",
    re.IGNORECASE | re.VERBOSE,
)
_ROW = re.compile(r"[^:;\n]{1,80}: [^;\n]*(?:; [^:;\n]{1,80}: [^;\n]*)+")
"""Of a table, with its headers."""
_SAYS = re.compile(r"\b(?:yes|no|true|false)\b", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’]s?$")


class Judged(Protocol):
    """What a passage says to a question, as probabilities."""

    @property
    def yes(self) -> float: ...

    @property
    def no(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all passages say together."""

    yes: float
    no: float
    """Each summed over the passages."""
    clearest: int
    """Place of the passage that says the likelier of the two most clearly."""

    @property
    def word(self) -> Word:
        return _likelier(self.yes, self.no)

    @property
    def probability(self) -> float:
        return max(self.yes, self.no)


def verdict_of(passages: Sequence[Judged]) -> Verdict | None:
    """None where no passage says either."""
    yes, no = sum(one.yes for one in passages), sum(one.no for one in passages)
    if max(yes, no) <= 0:
        return None
    word = _likelier(yes, no)
    return Verdict(yes, no, max(range(len(passages)), key=lambda place: float(getattr(passages[place], word))))


def _likelier(yes: float, no: float) -> Word:
    return "yes" if yes >= no else "no"


def shows(word: Word, question: str, quote: str, *, context: str) -> bool:
    """Names and figures may stand in the title and the headings that the quote is under, the matter has to be its own.

    What is so, is so of all that the question names and counts: "Yes" needs every name and figure. "No" needs one of
    the names, where there are any, and words that deny, or another figure or name in the place of one that is missing;
    another name tells nothing unless it stands beside one that is asked about. Where there are none, it has to be said
    of what the question begins with: "Dogs are not allowed." says nothing of cats. A row of a table says neither,
    unless one of its cells does.
    """
    about = content_words(question)
    if set(about).isdisjoint(content_words(quote)) or _is_mute_row(quote):
        return False
    said = f"{context}\n{quote}"
    asked = names(question)
    in_all, in_quote = (_count_among(asked, text) for text in (said, quote))
    has_all_names, has_all_figures = in_all == len(asked), written_figures(question) <= written_figures(said)
    if word == "yes":
        return has_all_names and has_all_figures
    if not asked and about[0] not in content_words(said) and not refers_back(quote):
        return False
    has_another_figure = not has_all_figures and bool(written_figures(quote))
    has_another_name = bool(in_quote) and not has_all_names and not set(names(quote)) <= set(asked)
    return bool(in_all or not asked) and (_denies(quote) or has_another_figure or has_another_name)


def _is_mute_row(quote: str) -> bool:
    return _ROW.fullmatch(quote.strip()) is not None and _SAYS.search(quote) is None


def _denies(quote: str) -> bool:
    return _DENIES.search(quote) is not None


def refers_back(sentence: str) -> bool:
    """Whether it speaks of something that may be named in the sentence before."""
    return _REFERS_BACK.search(sentence) is not None


def _count_among(asked: Sequence[str], text: str) -> int:
    """How many of the names stand in the text."""
    known = set(words(text))
    return sum(known.issuperset(words(_POSSESSIVE.sub("", name))) for name in asked)
