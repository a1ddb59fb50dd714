"""What a span reader sees of a question and a passage: the same when it is trained and when it serves."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import tokenizers

from embeddings.encoders.tokenization import read_tokenizer
from embeddings.text import BULLET, STOP_WORDS

MAX_QUESTION_TOKENS = 64
MAX_CONTEXT_TOKENS = 24
_PARAGRAPH_ENDS = re.compile(rf"\n[^\S\n]*\n\s*|(?<=[.!?])[\"'”’)\]]*\n\s*(?={BULLET}\s)")
"""Blank lines, and before an item of a list what ends a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderInput:
    token_ids: tuple[int, ...]
    segments: tuple[int, ...]
    """0 for the question, 1 for what may hold the answer and for its context."""
    first: int
    """Of the passage's tokens."""
    offsets: tuple[tuple[int, int], ...]
    """Of each of the passage's tokens, in the passage: code points, end exclusive."""
    paragraphs: tuple[int, ...]
    """In which each of these tokens stands, counted from 0; blank lines and items of a list part them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, as it is set before every passage."""

    head: tuple[int, ...]
    wanted: frozenset[str]
    """Its tokens that mean something."""


class ReaderTokenizer:
    """Frames question, context and passage as the model wants a pair of texts, each cut to its share of its length."""

    def __init__(self, definition: str, *, max_tokens: int) -> None:
        """`definition` is the content of a `tokenizer.json`."""
        self._tokenizer = read_tokenizer(definition)
        self._opening, self._between, self._closing = _frame(self._tokenizer)
        self._max_tokens = max_tokens

    def inputs(self, question: str, passages: Sequence[tuple[str, str]]) -> list[ReaderInput]:
        """One for each passage, a pair of context (may be empty) and text."""
        asked = self.asked(question)
        return [self.input(asked, context, text) for context, text in passages]

    def asked(self, question: str) -> Asked:
        encoded = self._encoded(question)
        # A long question comes to its point at its end.
        head = (*self._opening, *encoded.ids[-MAX_QUESTION_TOKENS:], *self._between)
        return Asked(head=head, wanted=frozenset(encoded.tokens) - STOP_WORDS)

    def input(self, asked: Asked, context: str, text: str) -> ReaderInput:
        return self._framed(asked.head, _most_telling(self._encoded(context), asked.wanted), self._encoded(text), text)

    def _encoded(self, text: str) -> tokenizers.Encoding:
        # One by one: a batch is shared with threads of the tokenizer's own, which wait long for a busy processor.
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _framed(self, head: Sequence[int], context: list[int], encoded: tokenizers.Encoding, text: str) -> ReaderInput:
        told = [*context, *self._closing] if context else []
        first = len(head) + len(told)
        room = self._max_tokens - first - len(self._closing)
        ids = (*head, *told, *encoded.ids[:room], *self._closing)
        offsets = tuple(encoded.offsets[:room])
        return ReaderInput(
            token_ids=ids,
            segments=(0,) * len(head) + (1,) * (len(ids) - len(head)),
            first=first,
            offsets=offsets,
            paragraphs=_paragraphs(text, offsets),
        )


def _paragraphs(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    breaks = [found.end() for found in _PARAGRAPH_ENDS.finditer(text)]
    return tuple(bisect_right(breaks, start) for start, _ in offsets)


def _most_telling(context: tokenizers.Encoding, wanted: frozenset[str]) -> list[int]:
    """The first part of a context, within its share of the length, that names most of what is asked for."""
    tokens = context.tokens
    starts = range(max(1, len(tokens) - MAX_CONTEXT_TOKENS + 1))
    best = max(starts, key=lambda at: len(wanted.intersection(tokens[at : at + MAX_CONTEXT_TOKENS])))
    return list(context.ids[best : best + MAX_CONTEXT_TOKENS])


def _frame(tokenizer: tokenizers.Tokenizer) -> tuple[list[int], list[int], list[int]]:
    """Special tokens before a pair of texts, between them, and after."""
    content = tokenizer.encode("a", add_special_tokens=False).ids
    framed = tokenizer.encode("a", "a").ids
    places = [at for at in range(len(framed)) if framed[at : at + len(content)] == content]
    first, second = places[0], places[-1]
    return framed[:first], framed[first + len(content) : second], framed[second + len(content) :]
