"""How sure a reader may be of what it found: probabilities that mean what they say."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embeddings.errors import ModelMissing, ModelUnsound
from service.answering.domain import ReadingPassage
from service.answering.verdicts import Verdict

FEATURES = ("constant", "mass", "answered", "similarity", "behind")
"""What is known of a span; see `span_features`."""
VERDICT_FEATURES = ("constant", "mass", "lead", "fused")
"""What is known of yes and no; see `verdict_features`."""
LEAST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """A logistic regression, fitted by `scripts/fit_reader_confidence` on questions that no model was trained on."""

    weights: tuple[float, ...]
    verdict_weights: tuple[float, ...]
    threshold: float

    @classmethod
    def load(cls, path: Path) -> Confidence:
        """Raises ModelMissing without the file, ModelUnsound where it is damaged or of other features."""
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            features = tuple(stored["features"]), tuple(stored["verdict_features"])
            fitted = cls(
                weights=tuple(map(float, stored["weights"])),
                verdict_weights=tuple(map(float, stored["verdict_weights"])),
                threshold=float(stored["threshold"]),
            )
        except FileNotFoundError as error:
            raise ModelMissing(f"the folder of the reader holds no {path.name}: compile the model again") from error
        except (LookupError, TypeError, ValueError) as error:
            raise ModelUnsound(f"the reader's {path.name} is damaged: install it again") from error
        if features != (FEATURES, VERDICT_FEATURES):
            raise ModelUnsound("the reader's confidence was fitted for other features: fit it again")
        return fitted

    @classmethod
    def plain(cls) -> Confidence:
        """What the model says, as it says it."""
        return cls(weights=(0.0, 1.0, 0.0, 0.0, 0.0), verdict_weights=(0.0, 1.0, 0.0, 0.0), threshold=0.5)

    def save(self, path: Path) -> None:
        stored = {
            "features": FEATURES,
            "weights": [round(weight, 5) for weight in self.weights],
            "verdict_features": VERDICT_FEATURES,
            "verdict_weights": [round(weight, 5) for weight in self.verdict_weights],
            "threshold": round(self.threshold, 4),
        }
        path.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")

    def of_span(self, features: Sequence[float]) -> float:
        return _logistic(features, self.weights)

    def of_verdict(self, features: Sequence[float]) -> float:
        return _logistic(features, self.verdict_weights)


def _logistic(features: Sequence[float], weights: Sequence[float]) -> float:
    return 1 / (1 + math.exp(-sum(map(operator.mul, features, weights))))


def span_features(*, mass: float, answered: float, similarity: float | None, best: float) -> tuple[float, ...]:
    """`mass` is the reader's probability of what a candidate says, `best` the highest, `answered` that of all spans."""
    return (1.0, logit(mass), logit(answered), similarity or 0.0, logit(best) - logit(mass))


def verdict_features(verdict: Verdict, passages: Sequence[ReadingPassage]) -> tuple[float, ...]:
    """How likely it is at all, how much likelier than the other, how near the passage is that says it best."""
    both = verdict.yes + verdict.no
    return (1.0, logit(both), logit(verdict.probability / max(both, LEAST)), passages[verdict.clearest].fused)


def logit(probability: float) -> float:
    kept = min(max(probability, LEAST), 1 - LEAST)
    return math.log(kept / (1 - kept))
