"""What a slip in one word of a question costs, and how much of it is mended."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Sequence

from embeddings.text import STOP_WORDS
from service.answering.answering import Answering
from service.answering.domain import Answer
from service.bootstrap import Engine
from service.evaluation.answers import best_answer, holds_answer, mean_f1
from service.evaluation.asking import filled
from service.evaluation.datasets import Article, ReadingQuestion, drawn
from service.evaluation.metrics import share
from service.evaluation.tables import Cell, percent, table

SEED = 20261126
_WORD = re.compile(r"\b[a-z]{5,}\b")


def misspelt(question: str, chance: random.Random) -> str | None:
    """With a letter swapped with the next, left out, doubled or replaced, but no first one and none of a name.

    None where no word is long enough.
    """
    words = [found for found in _WORD.finditer(question) if found[0] not in STOP_WORDS]
    if not words:
        return None
    found = chance.choice(words)
    word = found[0]
    while word == found[0]:
        at = chance.randrange(1, len(word))
        word = chance.choice(_SLIPS)(word, at, chance)
    return question[: found.start()] + word + question[found.end() :]


_SLIPS: Sequence[Callable[[str, int, random.Random], str]] = (
    lambda word, at, _: word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :],
    lambda word, at, _: word[:at] + word[at + 1 :],
    lambda word, at, _: word[:at] + word[at] + word[at:],
    lambda word, at, chance: word[:at] + chance.choice(string.ascii_lowercase) + word[at + 1 :],
)


def measure(engine: Engine, articles: Sequence[Article], *, questions: int) -> str:
    collection = filled(engine, "misspelt", ((one.document_id, one.title, one.text) for one in articles))
    chance = random.Random(SEED)
    drawn_ones = drawn([question for article in articles for question in article.questions], questions)
    asked = [(one, slip) for one in drawn_ones if (slip := misspelt(one.question, chance)) is not None]
    unmended = Answering(reader=engine.reader, encoder_name=engine.encoder.name)

    def row(name: str, answering: Answering, texts: Sequence[str]) -> list[Cell]:
        answers = [best_answer(answering, collection, text) for text in texts]
        return [name, *_figures([one for one, _ in asked], answers, engine.reader.threshold)]

    plain, slips = [one.question for one, _ in asked], [slip for _, slip in asked]
    rows = [
        row("as they were asked", engine.answering, plain),
        row("one word misspelt", engine.answering, slips),
        row("one word misspelt, nothing mended", unmended, slips),
    ]
    return table([f"%, {len(asked)} questions", "F1 of the answer", "a quote holds it", "answered", "changed"], rows)


def _figures(asked: Sequence[ReadingQuestion], answers: Sequence[Answer], threshold: float) -> list[Cell]:
    pairs = list(zip(answers, asked, strict=True))
    return [
        percent(mean_f1(pairs)),
        percent(share(holds_answer(answer, one) for answer, one in pairs)),
        percent(share(answer.confidence >= threshold for answer in answers)),
        percent(share(answer.question_used != answer.question for answer in answers)),
    ]
