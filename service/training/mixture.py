"""Which data teach the reader what, and which are kept from it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from embeddings.domain import Span
from embeddings.text import sentence_spans
from service.evaluation.datasets import is_validation
from service.evaluation.unanswerable import changed
from service.training.examples import (
    Articles,
    Asked,
    Example,
    TrainingPassage,
    Verdict,
    answer_spans,
    asked_in_lines,
    asked_in_squad,
    nearest_span,
    records,
    share,
    window,
)
from service.training.statements import as_question

SEED = 20261123
HELD_OUT = 0.03
"""Of titles (or of questions, where a set has no titles): for calibration, never trained on."""
WINDOW_CHARACTERS = (240, 560)
WHOLE_PARAGRAPH = 0.25
LONGEST_WHOLE = 1500
WITH_TITLE = 0.5
HARD_NEGATIVES = 8
"""They are drawn from so many that look most like the answering paragraph."""
ACROSS_PASSAGES = 2
"""The epoch from which on nearly every question comes with several passages, as in a search; until then the reader
learns more quickly what an answer is from one at a time."""
ACROSS_SHARE, ACROSS_NEGATIVES = 0.75, 3
LONGEST_STATEMENT = 400
SAMPLES = 40

VERDICTS = {"entailment": Verdict.YES, "contradiction": Verdict.NO, "neutral": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """A data set and how much of it is taken, of each kind, for each of its questions."""

    file: str
    questions: float = 1.0
    with_negatives: float = 0.0
    """The answering passage and others beside it that look as if they answered."""
    most_negatives: int = 1
    changed: float = 0.0
    """The question changed so that the passage does not answer it any more."""
    without_sentence: float = 0.0
    """The passage without the sentence that answers."""
    negative_alone: float = 0.0


READING = (
    Ingredient(
        file="reading/more/squad_train.jsonl.gz",
        with_negatives=0.18,
        changed=0.12,
        without_sentence=0.05,
        negative_alone=0.04,
    ),
    Ingredient(file="reading/squadshifts_new_wiki.json.gz", with_negatives=0.3, changed=0.12, without_sentence=0.05),
    Ingredient(file="reading/more/qed_nq.jsonl.gz", questions=0.9, without_sentence=0.08),
    Ingredient(file="reading/more/quoref_superni.jsonl.gz"),
    Ingredient(file="reading/more/tatqa.jsonl.gz", without_sentence=0.1),
    Ingredient(file="reading/more/multispanqa.jsonl.gz"),
    Ingredient(file="reading/policyqa_dev.json.gz", questions=0.5, without_sentence=0.1),
    Ingredient(file="reading/more/qamr.jsonl.gz", questions=0.1),
)
STATEMENTS = {
    "verify/claims/lingnli.jsonl.gz": 0.2,
    "verify/claims/mnli_dev.jsonl.gz": 0.15,
    "verify/claims/fever_rte.jsonl.gz": 0.25,
    "verify/claims/cad_nli.jsonl.gz": 0.1,
}
YES_NO = "reading/more/boolq_yes_no.jsonl.gz"


def asked_in(path: Path) -> list[Asked]:
    return asked_in_squad(path) if path.name.endswith(".json.gz") else asked_in_lines(path)


def is_held_out(one: Asked) -> bool:
    return share(one.title or one.question) < HELD_OUT


def is_kept_apart(one: Asked) -> bool:
    """What `scripts/evaluate` reports on, which is neither trained on nor calibrated with."""
    return one.source == "squadshifts_new_wiki" and is_validation(one.title)


def training_examples(data: Path, *, epoch: int) -> list[Example]:
    """All of one epoch, shuffled, the same at each call. Each epoch draws windows and negatives of its own."""
    chance = random.Random(SEED + epoch)
    reading = map(_across_passages, READING) if epoch >= ACROSS_PASSAGES else READING
    examples = [example for ingredient in reading for example in _reading(data / ingredient.file, ingredient, chance)]
    for file, part in STATEMENTS.items():
        examples += _statements(data / file, part, chance)
    examples += _yes_no(data / YES_NO)
    chance.shuffle(examples)
    return examples


def _across_passages(ingredient: Ingredient) -> Ingredient:
    if not ingredient.with_negatives:
        return ingredient
    return replace(ingredient, with_negatives=ACROSS_SHARE, most_negatives=ACROSS_NEGATIVES)


def _reading(path: Path, ingredient: Ingredient, chance: random.Random) -> Iterator[Example]:
    asked = [one for one in asked_in(path) if not is_kept_apart(one)]
    articles = Articles(asked)
    for one in asked:
        if is_held_out(one) or chance.random() >= ingredient.questions:
            continue
        spans = answer_spans(one.paragraph, one.answers)
        if spans:
            yield from _of_question(one, spans, ingredient, articles, chance)


def _of_question(
    one: Asked, spans: tuple[Span, ...], ingredient: Ingredient, articles: Articles, chance: random.Random
) -> Iterator[Example]:
    passage = _passage(one, spans, chance)
    others = articles.others(one) if one.title else []
    negatives = others[:HARD_NEGATIVES]
    beside: tuple[TrainingPassage, ...] = ()
    if negatives and chance.random() < ingredient.with_negatives:
        drawn = chance.sample(negatives, min(len(negatives), chance.randint(1, ingredient.most_negatives)))
        beside = tuple(_negative(other, passage.context, chance) for other in drawn)
    yield Example(question=one.question, passages=(passage, *beside), source=one.source)
    if negatives and chance.random() < ingredient.negative_alone:
        negative = _negative(chance.choice(negatives), passage.context, chance)
        yield Example(question=one.question, passages=(negative,), source=one.source)
    if chance.random() < ingredient.changed:
        other = changed(one.question, one.paragraph, others, chance)
        if other:
            yield Example(question=other, passages=(replace(passage, spans=()),), source=one.source)
    if chance.random() < ingredient.without_sentence:
        rest = _without_answer(passage)
        if rest:
            yield Example(question=one.question, passages=(rest,), source=one.source)


def _passage(one: Asked, spans: tuple[Span, ...], chance: random.Random) -> TrainingPassage:
    if len(one.paragraph) <= LONGEST_WHOLE and chance.random() < WHOLE_PARAGRAPH:
        text, inside = one.paragraph, spans
    else:
        kept = nearest_span(one.paragraph, spans, one.question)
        cut = window(one.paragraph, kept, characters=chance.randint(*WINDOW_CHARACTERS), chance=chance)
        text, inside = cut.text, cut.within(spans)
    return TrainingPassage(text=text, spans=inside, context=one.title if chance.random() < WITH_TITLE else "")


def _negative(paragraph: str, context: str, chance: random.Random) -> TrainingPassage:
    sentence = chance.choice(sentence_spans(paragraph) or [Span(0, len(paragraph))])
    cut = window(paragraph, sentence, characters=chance.randint(*WINDOW_CHARACTERS), chance=chance)
    return TrainingPassage(text=cut.text, context=context)


def _without_answer(passage: TrainingPassage) -> TrainingPassage | None:
    kept = [
        sentence
        for sentence in sentence_spans(passage.text)
        if not any(sentence.start < span.end and sentence.end > span.start for span in passage.spans)
    ]
    text = " ".join(passage.text[sentence.start : sentence.end] for sentence in kept)
    return TrainingPassage(text=text, context=passage.context) if len(text) >= WINDOW_CHARACTERS[0] // 2 else None


def _statements(path: Path, part: float, chance: random.Random) -> Iterator[Example]:
    for record in records(path):
        premise, label = record["premise"], record["label"]
        if record.get("binary") or label not in VERDICTS or len(premise) > LONGEST_STATEMENT:
            continue
        if share(premise) < HELD_OUT or chance.random() >= part:
            continue
        passage = TrainingPassage(text=premise, verdict=VERDICTS[label])
        yield Example(question=as_question(record["hypothesis"], chance), passages=(passage,), source=path.name)


def _yes_no(path: Path) -> Iterator[Example]:
    for record in records(path):
        if share(record["question"]) >= HELD_OUT:
            yield yes_no_example(record)


def yes_no_example(record: dict[str, object]) -> Example:
    answer = record["answer"]
    verdict = Verdict.YES if answer in (True, "yes", "Yes", "true") else Verdict.NO
    question = str(record["question"]).strip().rstrip("?") + "?"
    title, _, text = str(record["context"]).rpartition(" -- ")
    passage = TrainingPassage(text=text, context=title, verdict=verdict)
    return Example(question=question, passages=(passage,), source="boolq")


def samples(data: Path) -> list[tuple[str, str]]:
    """Questions and paragraphs, to measure on how large the model's activations get."""
    asked = asked_in(data / READING[0].file)
    return [(one.question, one.paragraph) for one in asked[:: len(asked) // SAMPLES][:SAMPLES]]
