"""A reader without weights of its own: it quotes whole sentences, chosen by their words and their similarity."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embeddings.errors import ModelMissing, ModelUnsound
from embeddings.ports import Encoder
from service.answering.domain import Reading, ReadingPassage, ReadSpan
from service.answering.ports import More
from service.answering.questions import analyse
from service.answering.readers.evidence import (
    CHEAP_FEATURES,
    SIMILARITY_FEATURES,
    CheapEvidence,
    Features,
    Sentence,
    sentences_of,
    similarity_features,
)

MOST_ENCODED = 8
MOST_CHARACTERS = 1_000
"""What the encoder sees of a question's sentences, at least one: most of the reading time goes there."""

FEATURES = CHEAP_FEATURES + SIMILARITY_FEATURES
SHIPPED = Path(__file__).with_suffix(".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotingParameters:
    """Fitted by `scripts/fit_quoting_reader`; see docs/decisions/0005-quoting-reader.md."""

    shortlist: Features
    """Weights of the cheap features, which choose the sentences to encode."""
    weights: Features
    bias: float
    threshold: float

    @classmethod
    def load(cls, path: Path = SHIPPED) -> QuotingParameters:
        """Raises ModelMissing without the file, ModelUnsound where it is damaged or of other features."""
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            features = tuple(stored["features"])
            fitted = cls(
                shortlist=np.array(stored["shortlist"], dtype=np.float64),
                weights=np.array(stored["weights"], dtype=np.float64),
                bias=float(stored["bias"]),
                threshold=float(stored["threshold"]),
            )
        except FileNotFoundError as error:
            raise ModelMissing(f"The quoting reader's {path.name} is not there; install it again.") from error
        except (LookupError, TypeError, ValueError) as error:
            raise ModelUnsound(f"The quoting reader's {path.name} is damaged; install it again.") from error
        if features != FEATURES:
            raise ModelUnsound("The quoting reader's parameters were fitted for other features; fit them again.")
        return fitted


class QuotingReader:
    """Each candidate is a whole sentence; probabilities of all sentences of a call and of no answer sum to one."""

    def __init__(self, encoder: Encoder, parameters: QuotingParameters | None = None) -> None:
        self._encoder = encoder
        self._parameters = parameters or QuotingParameters.load()

    @property
    def name(self) -> str:
        return "quoting"

    @property
    def threshold(self) -> float:
        return self._parameters.threshold

    def read(self, question: str, passages: Sequence[ReadingPassage], *, more: More | None = None) -> list[Reading]:
        """All of them: what is costly here, the encoder, sees the best sentences of all passages anyway."""
        chosen, features = self.gather(question, passages)
        probabilities = self._probabilities(features)
        return [
            _reading(
                [(each, float(p)) for each, p in zip(chosen, probabilities, strict=True) if each.passage == number]
            )
            for number in range(len(passages))
        ]

    def _probabilities(self, features: Features) -> Features:
        """Softmax over the sentences and an answer of nothing, whose score is 0."""
        scores = features @ self._parameters.weights + self._parameters.bias
        highest = scores.max(initial=0.0)
        weights = np.exp(scores - highest)
        return np.asarray(weights / (weights.sum() + np.exp(-highest)))

    def gather(self, question: str, passages: Sequence[ReadingPassage]) -> tuple[list[Sentence], Features]:
        """The most promising sentences, in reading order, and their features, one row each."""
        sentences = sentences_of(passages)
        if not sentences:
            return [], np.zeros((0, len(FEATURES)))
        cheap = CheapEvidence(analyse(question), passages, sentences).features()
        kept = _shortlist(cheap @ self._parameters.shortlist, [len(each.text) for each in sentences])
        chosen = [sentences[index] for index in kept]
        vectors = self._encoder.encode_passages([each.text for each in chosen])
        similarities = (vectors @ self._encoder.encode_questions([question])[0]).astype(np.float64)
        return chosen, np.hstack([cheap[kept], similarity_features(similarities, chosen)])


def _shortlist(promise: Features, lengths: Sequence[int]) -> list[int]:
    """Indices of the most promising sentences that fit what may be encoded, ascending."""
    ranked = np.argsort(-promise, kind="stable")[:MOST_ENCODED]
    fitting = np.cumsum(np.array(lengths)[ranked]) <= MOST_CHARACTERS
    return sorted(int(index) for index in ranked[: max(1, int(fitting.sum()))])


def _reading(found: Sequence[tuple[Sentence, float]]) -> Reading:
    ranked = sorted(found, key=lambda pair: -pair[1])
    return Reading(
        spans=tuple(ReadSpan(span=sentence.span, probability=probability) for sentence, probability in ranked),
        no_answer=max(0.0, 1.0 - sum(probability for _, probability in ranked)),
    )
