"""An encoder without a model, for tests: texts that share words, or parts of words, are similar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np

from embeddings.arrays import Vectors

_WORD = re.compile(r"\w+")
TRIGRAM_WEIGHT = 0.3


class WordTokenizer:
    def __init__(self, *, max_tokens: int) -> None:
        self._max_tokens = max_tokens

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(self.token_ends(text)) for text in texts]

    def token_ends(self, text: str) -> list[int]:
        return [match.end() for match in _WORD.finditer(text)]

    def known_words(self) -> list[str]:
        return []


class HashingEncoder:
    """A bag of hashed words and their trigrams; the last dimension is that of texts without words."""

    def __init__(self, *, dimension: int = 256, max_tokens: int = 126) -> None:
        self._dimension = dimension
        self._tokenizer = WordTokenizer(max_tokens=max_tokens)

    @property
    def name(self) -> str:
        return "hashing"

    @property
    def fingerprint(self) -> str:
        return f"hashing-1-{self._dimension}-{self._tokenizer.max_tokens}"

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def tokenizer(self) -> WordTokenizer:
        return self._tokenizer

    def encode_questions(self, questions: Sequence[str]) -> Vectors:
        return self.encode_passages(questions)

    def encode_passages(self, passages: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(passages), self._dimension), np.float32)
        for vector, passage in zip(vectors, passages, strict=True):
            for feature, weight in _features(passage, self._tokenizer.max_tokens):
                vector[crc32(feature.encode("utf-8", "replace")) % (self._dimension - 1)] += weight
            vector[-1] = not vector.any()
            vector /= np.linalg.norm(vector)
        return vectors


def _features(text: str, max_tokens: int) -> Iterator[tuple[str, float]]:
    for match, _ in zip(_WORD.finditer(text), range(max_tokens), strict=False):
        word = match.group().lower()
        yield word, 1.0
        padded = f"^{word}$"
        for start in range(len(padded) - 2):
            yield padded[start : start + 3], TRIGRAM_WEIGHT
