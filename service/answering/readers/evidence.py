"""What speaks for a sentence as the answer to a question, as numbers: cheap signs first, then similarity."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embeddings.domain import Span
from embeddings.text import content_words, sentence_spans, words
from service.answering.domain import ReadingPassage
from service.answering.questions import AnswerKind, Question, figures, is_question, names, pairs

Features = NDArray[np.float64]

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_NUMBER_WORD = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|millions?|billions?"
)
_DATE = re.compile(
    rf"\b(?:1\d{{3}}|20\d\d)s?\b|\b{_MONTH}\b\.? ?\d|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}\b|\bcentury\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(rf"\d+(?:[.,]\d+)*|\b(?:{_NUMBER_WORD}|half|once|twice)\b", re.IGNORECASE)
_MONEY = re.compile(r"[$€£¥]|\b(?:yuan|rmb|dollars?|euros?|pounds?|million|billion|trillion|cents?)\b", re.IGNORECASE)
_SHARE = re.compile(r"%|\bper ?cent\b|\b(?:half|third|quarter|fifth)s?\b", re.IGNORECASE)
_PLACE = re.compile(r"\b(?:in|at|from|near|to|of|through|across|around|on) (?:the )?[A-Z]")
_REASON = re.compile(
    r"\b(?:because|since|due to|so that|in order to|as a result|reasons?|caused?|thus|therefore|led to|in response)\b"
    r"|\bto \w+|\bfor (?:its|his|their|the) ",
    re.IGNORECASE,
)
_LIST = re.compile(r"[,;:]")
_PRONOUN = re.compile(r"\W*(?:it|its|they|their|he|his|she|her|this|these|those|such)\b")
_FULL_NAME = re.compile(r"[A-Z][\w’'-]+(?: (?:[A-Z]\.?|de|van|von|bin|al))* [A-Z][\w’'-]+")

_MARKS: dict[AnswerKind, re.Pattern[str]] = {
    AnswerKind.DATE: _DATE,
    AnswerKind.MONEY: _MONEY,
    AnswerKind.SHARE: _SHARE,
    AnswerKind.PLACE: _PLACE,
    AnswerKind.REASON: _REASON,
}

CHEAP_FEATURES: tuple[str, ...] = (
    "weighted_coverage",
    "plain_coverage",
    "coverage_with_neighbours",
    "coverage_by_passage",
    "coverage_below_best",
    "pairs_shared",
    "names_missing",
    "names_missing_in_passage",
    "figures_missing",
    "figures_missing_in_passage",
    "density",
    "new_words",
    "length",
    "is_short",
    "is_question",
    "is_first",
    "focus_present",
    "focus_absent",
    "focus_beside_figure",
    "last_term_present",
    "rarest_term_present",
    "opens_with_pronoun",
    "coverage_gained_before",
    "coverage_gained_by_pronoun",
    "coverage_gained_by_title",
    *(f"{kind}_{state}" for kind in AnswerKind for state in ("present", "absent")),
    "passage_similarity",
    "passage_similarity_below_best",
    "passage_bm25_to_best",
    "passage_reciprocal_rank",
)
SIMILARITY_FEATURES: tuple[str, ...] = (
    "similarity",
    "similarity_below_best",
    "similarity_above_mean",
    "neighbour_similarity",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence of one passage of the call."""

    passage: int
    position: int
    span: Span
    text: str
    stems: tuple[str, ...]


def sentences_of(passages: Sequence[ReadingPassage]) -> list[Sentence]:
    """All sentences, by passage; one that stands in several passages (they overlap) is taken from the best."""
    seen: set[str] = set()
    found: list[Sentence] = []
    for number, passage in enumerate(passages):
        for position, span in enumerate(sentence_spans(passage.text)):
            text = passage.text[span.start : span.end]
            if text not in seen:
                seen.add(text)
                found.append(
                    Sentence(passage=number, position=position, span=span, text=text, stems=tuple(content_words(text)))
                )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _PassageRow:
    coverage: float
    names_missing: float
    figures_missing: float
    title: frozenset[str]


class CheapEvidence:
    """Signs that need no model, of all sentences of a call together."""

    def __init__(self, question: Question, passages: Sequence[ReadingPassage], sentences: Sequence[Sentence]) -> None:
        self._question = question
        self._passages = passages
        self._sentences = sentences
        self._sets = [frozenset(sentence.stems) for sentence in sentences]
        self._terms = _spelt_as_found(question.stems, frozenset().union(*self._sets))
        self._weights = self._rarity()
        self._rarest = max(self._terms, key=lambda term: self._weights[term], default="")
        self._passage_text = [_with_context(passage) for passage in passages]

    def features(self) -> Features:
        """Shape (sentences, len(CHEAP_FEATURES))."""
        passage_sets = [frozenset(content_words(text)) for text in self._passage_text]
        passage_rows = [self._of_passage(number, known) for number, known in enumerate(passage_sets)]
        standing = self._standing()
        rows = [
            self._of_sentence(index, passage_rows[sentence.passage]) + standing[sentence.passage]
            for index, sentence in enumerate(self._sentences)
        ]
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(CHEAP_FEATURES))
        weighted = matrix[:, 0]
        matrix[:, CHEAP_FEATURES.index("coverage_below_best")] = weighted.max(initial=0.0) - weighted
        return matrix

    def _rarity(self) -> dict[str, float]:
        counts = Counter(stem for known in self._sets for stem in known)
        return {term: math.log((len(self._sets) + 1) / (counts[term] + 0.5)) + 0.2 for term in self._terms}

    def _coverage(self, known: frozenset[str]) -> float:
        total = sum(self._weights.values())
        return sum(weight for term, weight in self._weights.items() if term in known) / total if total else 0.0

    def _of_passage(self, number: int, known: frozenset[str]) -> _PassageRow:
        text = self._passage_text[number].lower()
        return _PassageRow(
            coverage=self._coverage(known),
            names_missing=_missing(self._question.names, text),
            figures_missing=_missing(self._question.figures, text),
            title=frozenset(content_words(self._passages[number].context)),
        )

    def _of_sentence(self, index: int, passage_row: _PassageRow) -> list[float]:
        sentence, known, question = self._sentences[index], self._sets[index], self._question
        lowered = sentence.text.lower()
        shared = sum(term in known for term in self._terms)
        new_words = len(known.difference(self._terms))
        tokens = lowered.count(" ") + 1
        coverage = self._coverage(known)
        before = self._coverage(known | self._neighbours(index, (-1,))) - coverage
        pronoun = float(bool(_PRONOUN.match(lowered)))
        return [
            coverage,
            shared / len(self._terms) if self._terms else 0.0,
            self._coverage(known | self._neighbours(index, (-1, 1))),
            passage_row.coverage,
            0.0,
            len(question.pairs & pairs(sentence.text)) / len(question.pairs) if question.pairs else 0.0,
            _missing(question.names, lowered),
            passage_row.names_missing,
            _missing(question.figures, lowered),
            passage_row.figures_missing,
            shared / len(known) if known else 0.0,
            math.log1p(new_words),
            math.log1p(tokens),
            float(tokens < 5),
            float(is_question(sentence.text)),
            float(sentence.position == 0),
            float(question.focus in known),
            float(question.focus is not None and question.focus not in known),
            self._focus_beside_figure(lowered),
            float(bool(self._terms) and self._terms[-1] in known),
            float(self._rarest in known),
            pronoun,
            before,
            pronoun * before,
            self._coverage(known | passage_row.title) - coverage,
            *self._kind_row(sentence.text),
        ]

    def _neighbours(self, index: int, steps: Sequence[int]) -> frozenset[str]:
        """Stems of the sentences so many steps away, in the same passage."""
        near: frozenset[str] = frozenset()
        for other in (index + step for step in steps):
            if 0 <= other < len(self._sentences) and self._sentences[other].passage == self._sentences[index].passage:
                near |= self._sets[other]
        return near

    def _focus_beside_figure(self, lowered: str) -> float:
        focus = self._question.focus
        if focus is None or self._question.kind is not AnswerKind.NUMBER:
            return 0.0
        tokens = words(lowered)
        return float(any(_NUMBER.search(token) and focus in tokens[at + 1 : at + 6] for at, token in enumerate(tokens)))

    def _kind_row(self, text: str) -> list[float]:
        row = [0.0] * (2 * len(AnswerKind))
        present = _holds(text, self._question)
        row[2 * list(AnswerKind).index(self._question.kind) + (0 if present else 1)] = 1.0
        return row

    def _standing(self) -> list[list[float]]:
        """How the passage did in the search."""
        similarities = [passage.similarity or 0.0 for passage in self._passages]
        weights = [passage.bm25 or 0.0 for passage in self._passages]
        best_similarity, best_weight = max(similarities, default=0.0), max(weights, default=0.0)
        return [
            [similarity, best_similarity - similarity, weight / best_weight if best_weight else 0.0, 1 / (1 + rank)]
            for rank, (similarity, weight) in enumerate(zip(similarities, weights, strict=True))
        ]


def similarity_features(similarities: Features, sentences: Sequence[Sentence]) -> Features:
    """Shape (sentences, len(SIMILARITY_FEATURES)); `similarities` are cosines with the question."""
    by_place = {(each.passage, each.position): value for each, value in zip(sentences, similarities, strict=True)}
    mean = float(similarities.mean())
    near = [max(by_place.get((each.passage, each.position + step), mean) for step in (-1, 1)) for each in sentences]
    return np.column_stack([similarities, similarities.max() - similarities, similarities - mean, near])


def _holds(text: str, question: Question) -> bool:
    """Whether the text has something of the kind that the question asks for, and that it does not name itself."""
    kind = question.kind
    if kind is AnswerKind.NUMBER:
        return any(figure not in question.words for figure in _NUMBER.findall(_DATE.sub("", text).lower()))
    if kind is AnswerKind.PERSON:
        return any(not set(found.lower().split()) & question.words for found in _FULL_NAME.findall(text))
    if kind is AnswerKind.LIST:
        return len(_LIST.findall(text)) >= 2
    if kind is AnswerKind.THING:
        return any(name not in question.words for name in names(text)[1:])
    if kind is AnswerKind.KEYWORDS:
        return any(figure not in question.figures for figure in figures(text))
    mark = _MARKS.get(kind)
    return bool(mark.search(text)) if mark else True


def _missing(wanted: frozenset[str], lowered: str) -> float:
    return sum(each not in lowered for each in wanted) / len(wanted) if wanted else 0.0


def _with_context(passage: ReadingPassage) -> str:
    return f"{passage.context}\n{passage.text}"


def _spelt_as_found(terms: Sequence[str], known: frozenset[str]) -> tuple[str, ...]:
    """The question's terms; one that occurs nowhere is read as the known word that it resembles most, if any."""
    return tuple(dict.fromkeys(term if term in known else _resembling(term, known) for term in terms))


def _resembling(term: str, known: frozenset[str]) -> str:
    if len(term) < 4 or not term.isalpha() or not term.isascii():
        return term
    letters = _letter_pairs(term)
    near = [word for word in known if abs(len(word) - len(term)) <= 2 and word[0] == term[0]]
    scored = [
        (2 * len(letters & _letter_pairs(word)) / (len(letters) + len(_letter_pairs(word))), word) for word in near
    ]
    best = max(scored, default=(0.0, term))
    return best[1] if best[0] >= 0.5 else term


def _letter_pairs(word: str) -> frozenset[str]:
    padded = f"^{word}$"
    return frozenset(padded[at : at + 2] for at in range(len(padded) - 1))
