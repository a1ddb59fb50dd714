"""The trained reader: weighs every span, yes, no and no answer of all passages against each other."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from embeddings.domain import Span
from embeddings.encoders.compiled import require_intact
from embeddings.encoders.session import open_session
from embeddings.errors import ModelMissing, ModelUnsound
from embeddings.text import words
from service.answering.domain import Reading, ReadingPassage, ReadSpan
from service.answering.ports import More
from service.answering.readers.confidence import Confidence, span_features, verdict_features
from service.answering.readers.decoding import Alone, Decoded, PassageScores, alone, together
from service.answering.readers.inputs import Asked, ReaderInput, ReaderTokenizer
from service.answering.verdicts import verdict_of

SHIPPED = Path(__file__).parent / "minilm"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
CONFIDENCE = "confidence.json"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderManifest:
    name: str
    source: str
    license: str
    max_tokens: int
    """Of question, context and passage together, special ones counted."""
    files: Mapping[str, str]
    """SHA-256 of each file, in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """One passage: its best spans in code points, best first, and what is known of each."""

    decoded: Decoded
    spans: tuple[Span, ...]
    features: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One passage, whatever the others hold."""

    alone: Alone
    spans: tuple[Span, ...]
    """In code points of the passage, best first."""
    said: tuple[tuple[str, ...], ...]
    """The words of each."""


class SpanReader:
    """Every passage is a run of its own, so that its scores cannot depend on the passages beside it."""

    def __init__(
        self, *, name: str, session: Any, tokenizer: ReaderTokenizer, confidence: Confidence, threads: int
    ) -> None:
        self._name = name
        self._session = session
        self._known_inputs = frozenset(each.name for each in session.get_inputs())
        self.tokenizer = tokenizer
        self._confidence = confidence
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")

    @classmethod
    def load(cls, folder: Path, *, threads: int) -> SpanReader:
        """Raises ModelMissing without the files, ModelUnsound where they are damaged."""
        manifest = read_manifest(folder)
        require_intact(folder, manifest.files, of="reader")
        return cls(
            name=manifest.name,
            session=open_session(folder / MODEL),
            tokenizer=ReaderTokenizer((folder / TOKENIZER).read_text("utf-8"), max_tokens=manifest.max_tokens),
            confidence=Confidence.load(folder / CONFIDENCE),
            threads=threads,
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def threshold(self) -> float:
        return self._confidence.threshold

    def read(self, question: str, passages: Sequence[ReadingPassage], *, more: More | None = None) -> list[Reading]:
        asked = self.tokenizer.asked(question)
        seen: list[_Seen] = []
        readings: list[Reading] = []
        while len(seen) < len(passages) and (step := more(readings) if more else len(passages)):
            seen += self._seen(asked, passages[len(seen) : len(seen) + step])
            readings = self._readings(passages[: len(seen)], seen)
        return readings

    def weigh(self, question: str, passages: Sequence[ReadingPassage]) -> list[Weighed]:
        """What confidence is computed from, for each passage."""
        return _weighed(passages, self._seen(self.tokenizer.asked(question), passages))

    def _seen(self, asked: Asked, passages: Sequence[ReadingPassage]) -> list[_Seen]:
        """The longest first, so that no thread waits long for another."""
        longest_first = sorted(range(len(passages)), key=lambda number: -len(passages[number].text))
        run = map if len(passages) < 2 else self._pool.map
        see = partial(self._see, asked)
        found = dict(zip(longest_first, run(see, (passages[number] for number in longest_first)), strict=True))
        return [found[number] for number in range(len(passages))]

    def _see(self, asked: Asked, passage: ReadingPassage) -> _Seen:
        one = self.tokenizer.input(asked, passage.context, passage.text)
        found = alone(self.score(one))
        spans = tuple(Span(one.offsets[each.first][0], one.offsets[each.last][1]) for each in found.decoded.spans)
        return _Seen(
            alone=found,
            spans=spans,
            said=tuple(tuple(words(passage.text[span.start : span.end])) for span in spans),
        )

    def score(self, one: ReaderInput) -> PassageScores:
        feed = {
            "input_ids": np.array([one.token_ids], np.int64),
            "token_type_ids": np.array([one.segments], np.int64),
        }
        known = {name: values for name, values in feed.items() if name in self._known_inputs}
        starts, ends, verdicts = self._session.run(None, known)
        own = slice(one.first, one.first + len(one.offsets))
        yes, no = (2 * float(value) for value in verdicts[0])
        return PassageScores(
            starts=starts[0, own].astype(np.float64),
            ends=ends[0, own].astype(np.float64),
            yes=yes,
            no=no,
            paragraphs=np.array(one.paragraphs, np.int64),
        )

    def _readings(self, passages: Sequence[ReadingPassage], seen: Sequence[_Seen]) -> list[Reading]:
        weighed = _weighed(passages, seen)
        scale = self._verdict_scale(passages, [each.decoded for each in weighed])
        return [
            Reading(
                spans=tuple(
                    ReadSpan(span=span, probability=self._confidence.of_span(features))
                    for span, features in zip(each.spans, each.features, strict=True)
                ),
                no_answer=max(0.0, 1.0 - each.decoded.mass),
                yes=scale * each.decoded.yes,
                no=scale * each.decoded.no,
            )
            for each in weighed
        ]

    def _verdict_scale(self, passages: Sequence[ReadingPassage], decoded: Sequence[Decoded]) -> float:
        """What yes and no of each passage are multiplied by, so that those of all add up to what they are worth."""
        verdict = verdict_of(decoded)
        if verdict is None:
            return 0.0
        return self._confidence.of_verdict(verdict_features(verdict, passages)) / verdict.probability


def _weighed(passages: Sequence[ReadingPassage], seen: Sequence[_Seen]) -> list[Weighed]:
    decoded = together([one.alone for one in seen])
    said = _said(seen, decoded)
    answered, best = sum(one.mass for one in decoded), max(said.values(), default=0.0)
    return [
        Weighed(
            decoded=each,
            spans=one.spans,
            features=tuple(
                span_features(mass=said[answer], answered=answered, similarity=passage.similarity, best=best)
                for answer in one.said
            ),
        )
        for passage, one, each in zip(passages, seen, decoded, strict=True)
    ]


def _said(seen: Sequence[_Seen], decoded: Sequence[Decoded]) -> Mapping[tuple[str, ...], float]:
    """How likely each answer is, wherever it stands: passages that say the same share what the reader gives to it."""
    said: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for one, each in zip(seen, decoded, strict=True):
        for answer, span in zip(one.said, each.spans, strict=True):
            said[answer] += span.probability
    return said


def read_manifest(folder: Path) -> ReaderManifest:
    try:
        return ReaderManifest(**json.loads((folder / MANIFEST).read_text("utf-8")))
    except FileNotFoundError as error:
        raise ModelMissing("the folder of the reader holds no manifest.json: compile the model first") from error
    except (ValueError, TypeError) as error:
        raise ModelUnsound("the reader's manifest.json cannot be read: compile the model again") from error
