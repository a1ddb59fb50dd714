"""What a library is made of: an encoder, a way of cutting, kinds of indexes; and what that makes of a text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from embeddings.ingestion import CUTS, Ingestion
from embeddings.ports import Encoder, VectorIndexes, WordIndexes


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every collection of a library is made with."""

    encoder: Encoder
    ingestion: Ingestion
    vectors: VectorIndexes
    words: WordIndexes

    @property
    def fingerprint(self) -> str:
        """Of everything that decides what the index holds for a given text."""
        return self._fingerprints[-1]

    @property
    def fingerprints_of_the_encoder(self) -> frozenset[str]:
        """However it was cut: the same text has the same vector."""
        return frozenset(self._fingerprints)

    @property
    def _fingerprints(self) -> list[str]:
        return [hashlib.sha256(f"{self.encoder.fingerprint}/{cut}".encode()).hexdigest() for cut in CUTS]
