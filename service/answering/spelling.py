"""Slips in a question, mended by the words of the passages that it found, or else by common ones."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from itertools import chain, takewhile

from embeddings.text import words

_WORD = re.compile(r"\b[^\W\d_]+\b")
SHORTEST = 5
"""Letters: shorter words differ by one from too many others."""


class Speller:
    """Mends words that are one slip from another. Names stay what they are: it looks at words in small letters only."""

    def __init__(self, known: Sequence[str]) -> None:
        """`known` are words that are no misspelt ones, the commonest first."""
        self._known = frozenset(known)
        self._by_ends: defaultdict[str, list[str]] = defaultdict(list)
        for word in known:
            self._by_ends[word[0] + word[-1]].append(word)

    def doubtful(self, question: str) -> list[str]:
        """Words that may be misspelt; none where most are unknown, since the question is in another language then."""
        small = [word for word in _WORD.findall(question) if word.islower()]
        unknown = [word for word in small if word not in self._known]
        return [word for word in unknown if len(word) >= SHORTEST] if 2 * len(unknown) <= len(small) else []

    def mended(self, question: str, doubtful: Sequence[str], texts: Sequence[str]) -> str:
        """Replaces the doubtful words that the texts lack: by the word of theirs that is alike, or by a known one."""
        written = [word for text in texts for word in _WORD.findall(text)]
        held = Counter(map(str.lower, written))
        no_names = {word for word in written if word.islower()}
        stems = {stem for text in texts for stem in words(text)}
        meant = {word: self._meant(word, held, no_names) for word in doubtful if stems.isdisjoint(words(word))}
        return _WORD.sub(lambda found: meant.get(found[0], found[0]), question)

    def _meant(self, word: str, held: Counter[str], no_names: Set[str]) -> str:
        """The word itself where none is alike. `held` counts the words of the passages, whatever their capitals."""
        ours = (other for other, _ in held.most_common() if other in no_names)
        # With another letter it may well be another word ("lenders", "leaders"), with another end another form of it.
        alike = sorted(self._by_ends.get(word[0] + word[-1], ()), key=lambda other: -held[other])
        known = (other for other in alike if len(other) != len(word) or sorted(other) == sorted(word))
        return next((other for other in chain(ours, known) if len(other) >= SHORTEST and _is_a_slip(word, other)), word)


def _is_a_slip(one: str, other: str) -> bool:
    """After the first, one letter is missing, one too many or another one, or two neighbours have changed places."""
    if one[0] != other[0] or abs(len(one) - len(other)) > 1:
        return False
    start = _shared(one, other)
    here, there = one[start:], other[start:]
    end = _shared(here[::-1], there[::-1])
    here, there = here[: len(here) - end], there[: len(there) - end]
    return max(len(here), len(there)) == 1 or (len(here) == 2 and here == there[::-1])


def _shared(one: str, other: str) -> int:
    """How many letters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
