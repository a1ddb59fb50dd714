"""As many passages as one likes, of real sentences in new company, and vectors for them that cost next to nothing."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from embeddings.arrays import Vectors
from embeddings.domain import Source
from embeddings.ports import Encoder, Tokenizer
from embeddings.text import sentence_spans
from service.evaluation.peps import Pep

SHORTEST, LONGEST = 40, 300
"""Sentences that are used, in code points."""
SENTENCES_PER_DOCUMENT = 250
LEFT_OUT, EXCHANGED = 0.2, 0.15
"""Shares of a document's sentences that are dropped, and that come from another document instead."""
NOISE = 0.3
"""Length of what is added to a vector of length 1: a cosine of some 0.96 to what it was."""


def sentences(pep: Pep) -> list[str]:
    found = (" ".join(pep.text[span.start : span.end].split()) for span in sentence_spans(pep.text))
    return [sentence for sentence in found if SHORTEST <= len(sentence) <= LONGEST]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remix:
    """Documents without end, always the same: runs of sentences of real ones, with gaps and foreign sentences."""

    originals: Sequence[tuple[str, Sequence[str]]]
    """Titles and sentences."""

    def __iter__(self) -> Iterator[tuple[str, Source]]:
        for number in count():
            title, text = self._document(np.random.default_rng(number))
            yield f"remix-{number}", Source(content=text.encode(), media_type="text/plain", title=f"{title} {number}")

    def _document(self, random: np.random.Generator) -> tuple[str, str]:
        title, own = self.originals[int(random.integers(len(self.originals)))]
        start = int(random.integers(len(own)))
        kept = np.flatnonzero(random.random(SENTENCES_PER_DOCUMENT) >= LEFT_OUT)
        chosen = [own[(start + place) % len(own)] for place in kept.tolist()]
        for place in np.flatnonzero(random.random(len(chosen)) < EXCHANGED).tolist():
            _, others = self.originals[int(random.integers(len(self.originals)))]
            chosen[place] = others[int(random.integers(len(others)))]
        return title, "\n\n".join(chosen)


class RemixEncoder:
    """Gives a passage the mean of its sentences' vectors, which the real encoder made once, and some noise of its own.

    Says that it is the real encoder: a service with that one opens what was made with this.
    """

    def __init__(self, encoder: Encoder, known: Sequence[str]) -> None:
        self._encoder = encoder
        distinct = list(dict.fromkeys(known))
        self._vectors = encoder.encode_passages(distinct)
        self._rows: Mapping[str, int] = {sentence: row for row, sentence in enumerate(distinct)}

    @property
    def name(self) -> str:
        return self._encoder.name

    @property
    def fingerprint(self) -> str:
        return self._encoder.fingerprint

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    @property
    def tokenizer(self) -> Tokenizer:
        return self._encoder.tokenizer

    def encode_questions(self, questions: Sequence[str]) -> Vectors:
        return self._encoder.encode_questions(questions)

    def encode_passages(self, passages: Sequence[str]) -> Vectors:
        vectors = np.stack([self._vector(passage) for passage in passages])
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def _vector(self, passage: str) -> Vectors:
        rows = [row for line in passage.split("\n") if (row := self._rows.get(line)) is not None]
        noise = np.random.default_rng(zlib.crc32(passage.encode())).standard_normal(self.dimension, np.float32)
        noise /= np.linalg.norm(noise)
        if not rows:
            return noise
        mean = self._vectors[rows].mean(axis=0)
        vector: Vectors = mean / np.linalg.norm(mean) + NOISE * noise
        return vector
