"""What keeps the places of a list for different things: passages that say again what a better one says come later.

The figures behind the constants are in `docs/decisions/0016-near-duplicates.md`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Set
from typing import Protocol

NEAR = 0.6
"""Share of the runs of three words, of two passages together, that both hold where one says the other again."""
RECURRING_IN = 3
"""Documents: text that stands in so many of a collection may be a menu, a notice, a footer."""
RECURRING_WEIGHT = 0.8
"""What is left of the score of recurring text that adds nothing to what its own document says."""
DESCRIPTION = (
    f"text that recurs over documents and adds nothing is listed by {RECURRING_WEIGHT:g} x its fused score;"
    " what other documents have said in almost the same words comes last"
)


class Ranked(Protocol):
    """A passage that may be listed; `words` are analysed, joined by single spaces, and begin with its context."""

    @property
    def document_key(self) -> int: ...

    @property
    def text_sha(self) -> bytes: ...

    @property
    def words(self) -> str: ...

    @property
    def recurs(self) -> bool:
        """Its text stands in `RECURRING_IN` documents or more."""
        ...


class Listing:
    """What a list holds so far, to tell what would only say it again."""

    def __init__(self, question: Collection[str]) -> None:
        self._question = frozenset(question)
        self._listed: list[tuple[int, list[str], frozenset[str]]] = []

    def add(self, passage: Ranked) -> None:
        words = passage.words.split()
        self._listed.append((passage.document_key, words, frozenset(words)))

    def holds_nearly(self, passage: Ranked) -> bool:
        """Whether other documents have said it in almost the same words.

        Not where it holds a word of the question that they lack. Where it has another figure than the only one that is
        like it, both stand, so that their disagreement can be seen.
        """
        words = passage.words.split()
        vocabulary = frozenset(words)
        alike = [
            known
            for document_key, listed, known in self._listed
            if document_key != passage.document_key
            and _is_near(vocabulary, known)
            and _is_near(_runs(words), _runs(listed))
        ]
        if not alike:
            return False
        new = vocabulary.difference(*alike)
        return not new & self._question and (len(alike) > 1 or not any(word[0].isdigit() for word in new))


def _is_near(one: Set[object], other: Set[object]) -> bool:
    fewer, more = sorted((len(one), len(other)))
    return fewer >= NEAR * more and (both := len(one & other)) >= NEAR * (fewer + more - both)


def _runs(words: list[str]) -> Set[tuple[str, ...]]:
    return set(zip(words, words[1:], words[2:], strict=False)) or {tuple(words)}


def weighted(fused: Mapping[int, float], passages: Mapping[int, Ranked], question: Collection[str]) -> dict[int, float]:
    """The scores to list by: less for recurring text whose document holds as many words of the question elsewhere.

    What decides is the best place of the text, and all its places are treated alike.
    """
    recurring = sorted((key for key in fused if passages[key].recurs), key=lambda key: (-fused[key], key))
    if not recurring:
        return dict(fused)
    best = {passages[key].text_sha: key for key in reversed(recurring)}
    held = {key: frozenset(question).intersection(passages[key].words.split()) for key in best.values()}
    documents = {passages[key].document_key for key in held}
    elsewhere: defaultdict[int, list[Set[str]]] = defaultdict(list)
    for key in fused:
        passage = passages[key]
        if passage.document_key in documents and not passage.recurs:
            elsewhere[passage.document_key].append(set(passage.words.split()))
    idle = {
        sha for sha, key in best.items() if any(held[key] <= other for other in elsewhere[passages[key].document_key])
    }
    return {key: score * (RECURRING_WEIGHT if passages[key].text_sha in idle else 1) for key, score in fused.items()}
