"""What the reader is trained on: questions, each with one or more passages and what is to be found in them."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any

from embeddings.domain import Span
from embeddings.text import content_words, sentence_spans
from service.evaluation.datasets import PARAGRAPH_BREAK


class Verdict(StrEnum):
    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPassage:
    text: str
    context: str = ""
    spans: tuple[Span, ...] = ()
    """Any of them answers the question."""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question and passages whose candidates are normalised together. Where none holds an answer, it has none."""

    question: str
    passages: tuple[TrainingPassage, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as a data set has it: with one whole paragraph."""

    question: str
    paragraph: str
    answers: tuple[str, ...]
    title: str
    source: str
    verdict: Verdict | None = None


def records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def asked_in_lines(path: Path) -> list[Asked]:
    """JSON lines with `question`, `context`, `answers`, `source`."""
    return [
        Asked(
            question=record["question"].strip(),
            paragraph=record["context"],
            answers=tuple(answer["text"] for answer in record["answers"]),
            title=record.get("title", "").replace("_", " "),
            source=record["source"],
        )
        for record in records(path)
    ]


def asked_in_squad(path: Path) -> list[Asked]:
    """The format of SQuAD: articles of paragraphs of questions."""
    stored = json.loads(gzip.decompress(path.read_bytes()))
    return [
        Asked(
            question=question["question"].strip(),
            paragraph=paragraph["context"],
            answers=tuple(answer["text"] for answer in question["answers"]),
            title=article["title"].replace("_", " "),
            source=path.name.split(".")[0],
        )
        for article in stored["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]


def share(key: str) -> float:
    """A fixed number from 0 to 1 for a title or question, to set apart what is never trained on."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) / 2**32


def answer_spans(paragraph: str, answers: Iterable[str]) -> tuple[Span, ...]:
    """Wherever an answer stands as whole words: several data sets mark only the first place, right or wrong."""
    found: set[tuple[int, int]] = set()
    for answer in filter(None, (answer.strip() for answer in answers)):
        pattern = rf"(?<![^\W_]){re.escape(answer)}(?![^\W_])"
        places = [match.span() for match in re.finditer(pattern, paragraph)]
        found.update(places or [match.span() for match in re.finditer(re.escape(answer), paragraph)][:1])
    return tuple(Span(start, end) for start, end in sorted(found))


@dataclass(frozen=True, slots=True)
class Window:
    """Whole sentences of a paragraph."""

    start: int
    text: str

    def within(self, spans: Iterable[Span]) -> tuple[Span, ...]:
        end = self.start + len(self.text)
        return tuple(
            Span(span.start - self.start, span.end - self.start)
            for span in spans
            if span.start >= self.start and span.end <= end
        )


def window(paragraph: str, kept: Span, *, characters: int, chance: random.Random) -> Window:
    """Sentences around `kept`, as many as about `characters` allow, with `kept` anywhere among them."""
    sentences = sentence_spans(paragraph)
    inside = [at for at, span in enumerate(sentences) if span.start < kept.end and span.end > kept.start]
    first, last = (inside[0], inside[-1]) if inside else (0, 0)
    while True:
        options = [(first - 1, last)] * (first > 0) + [(first, last + 1)] * (last + 1 < len(sentences))
        fitting = [pair for pair in options if sentences[pair[1]].end - sentences[pair[0]].start <= characters]
        if not fitting:
            break
        first, last = chance.choice(fitting)
    start, end = min(sentences[first].start, kept.start), max(sentences[last].end, kept.end)
    return Window(start, paragraph[start:end])


def joined(asked: Iterable[Asked], key: Callable[[Asked], str]) -> dict[str, str]:
    """A text of the paragraphs of all that have the same key, each once, in the order of the keys."""
    return {
        name: PARAGRAPH_BREAK.join(dict.fromkeys(one.paragraph for one in ones))
        for name, ones in groupby(sorted(asked, key=key), key)
    }


class Articles:
    """The paragraphs of each title, to take passages from that look as if they answered."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        paragraphs: dict[str, dict[str, None]] = defaultdict(dict)
        for one in asked:
            paragraphs[one.title].setdefault(one.paragraph)
        self._paragraphs = {title: list(found) for title, found in paragraphs.items()}
        self._words: dict[str, frozenset[str]] = {}

    def others(self, one: Asked) -> list[str]:
        """Paragraphs of the same article without the answer, those that share most words with the question first."""
        wanted = frozenset(content_words(one.question))
        others = [
            paragraph
            for paragraph in self._paragraphs[one.title]
            if paragraph != one.paragraph and not any(answer in paragraph for answer in one.answers)
        ]
        return sorted(others, key=lambda paragraph: -len(wanted & self._words_of(paragraph)))

    def _words_of(self, paragraph: str) -> frozenset[str]:
        if paragraph not in self._words:
            self._words[paragraph] = frozenset(content_words(paragraph))
        return self._words[paragraph]


def nearest_span(paragraph: str, spans: Sequence[Span], question: str) -> Span:
    """Of several places of an answer the one whose sentence shares most words with the question."""
    if len(spans) == 1:
        return spans[0]
    wanted = frozenset(content_words(question))
    sentences = sentence_spans(paragraph)

    def shared(span: Span) -> int:
        around = [one for one in sentences if one.start < span.end and one.end > span.start]
        return sum(len(wanted & frozenset(content_words(paragraph[one.start : one.end]))) for one in around)

    return max(spans, key=shared)
