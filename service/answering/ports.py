"""What answering needs: a reader, and the stored text that its quotes are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from service.answering.domain import Reading, ReadingPassage

More: TypeAlias = Callable[[Sequence[Reading]], int]
"""How many passages to read next, in view of the readings of the first ones, none at the start; 0 to stop."""


class Reader(Protocol):
    """Finds the words that answer a question. The same call gives the same result, whatever else is running."""

    @property
    def name(self) -> str: ...

    @property
    def threshold(self) -> float:
        """The confidence under which it is better to say nothing; fitted together with the probabilities."""
        ...

    def read(self, question: str, passages: Sequence[ReadingPassage], *, more: More | None = None) -> list[Reading]:
        """One reading for each passage, in their order; a reader that may ask for more may stop early."""
        ...


class StoredText(Protocol):
    """The canonical text of a stored version: the judge of every quote."""

    def slice(self, document_id: str, version: int, start: int, end: int) -> str:
        """The text between two offsets, both clamped to the text. Raises UnknownVersion, DeletedDocument."""
        ...
