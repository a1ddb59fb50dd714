"""Which data teach the reader what, and which are kept from it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from embeddings.domain import Span
from embeddings.text import STOP_WORDS, sentence_spans
from service.evaluation.datasets import is_validation
from service.evaluation.misspelling import misspelt
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
from service.training.packing import SEED
from service.training.statements import as_question

HELD_OUT_SET = "-held-out"
HELD_OUT = 0.03
"""Of titles (or of questions, where a set has no titles): for calibration, never trained on."""
WINDOW_CHARACTERS = (240, 560)
WHOLE_PARAGRAPH = 0.25
LONGEST_WHOLE = 1500
WITH_TITLE = 0.5
SEARCHED = 0.6
"""Of the questions that were searched for come with what the search found; the others with one passage."""
MOST_BESIDE = 5
SECOND_RIGHT = 0.3
"""Passages overlap, so that two may hold the answer."""
NOTHING_FOUND = 0.12
WITHOUT_CONTEXT = 0.25
SLIPS, KEYWORDS = 0.04, 0.05
"""Of the questions are asked with a misspelt word, or without the words that only make them a sentence."""
ASKING = frozenset(["how", "many", "much", "what", "when", "where", "which", "who", "whom", "whose", "why"])
LONGEST_STATEMENT = 400
SAMPLES = 40

VERDICTS = {"entailment": Verdict.YES, "contradiction": Verdict.NO, "neutral": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """A data set and how much of it is taken, of each kind, for each of its questions."""

    file: str
    searched: str = ""
    """The name under which a search among its own paragraphs is kept, where it is searched."""
    questions: float = 1.0
    changed: float = 0.0
    """The question changed so that the passage does not answer it any more."""
    without_sentence: float = 0.0
    """The passage without the sentence that answers."""


READING = (
    Ingredient(file="reading/more/squad_train.jsonl.gz", searched="squad", changed=0.14, without_sentence=0.05),
    Ingredient(file="reading/squadshifts_new_wiki.json.gz", searched="new-wiki", changed=0.14, without_sentence=0.05),
    Ingredient(file="reading/more/qed_nq.jsonl.gz", searched="qed", without_sentence=0.08),
    Ingredient(file="reading/more/nq_oracle.jsonl.gz", without_sentence=0.08),
    Ingredient(file="reading/more/quoref_superni.jsonl.gz"),
    Ingredient(file="reading/more/tatqa.jsonl.gz", without_sentence=0.1),
    Ingredient(file="reading/more/multispanqa.jsonl.gz"),
    Ingredient(file="reading/policyqa_dev.json.gz", questions=0.5, without_sentence=0.1),
    Ingredient(file="reading/more/qamr.jsonl.gz", questions=0.15),
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


def searched_sets(data: Path) -> dict[str, list[Asked]]:
    """Questions to search for, by the name of their set: those of training and those that are held out."""
    sets: dict[str, list[Asked]] = {}
    for ingredient in filter(_is_searched, READING):
        asked = [one for one in asked_in(data / ingredient.file) if not is_kept_apart(one)]
        sets[ingredient.searched + HELD_OUT_SET] = [one for one in asked if is_held_out(one)]
        sets[ingredient.searched] = [one for one in asked if not is_held_out(one)]
    return sets


def _is_searched(ingredient: Ingredient) -> bool:
    return bool(ingredient.searched)


def training_examples(data: Path, searched: Mapping[str, Sequence[Example]], *, draw: int) -> list[Example]:
    """All of them, shuffled, the same at each call. Each draw has windows and negatives of its own.

    `searched` holds what was found for the questions of `searched_sets`.
    """
    chance = random.Random(SEED + draw)
    examples = [
        _as_typed(example, chance)
        for ingredient in READING
        for example in _reading(data / ingredient.file, ingredient, searched.get(ingredient.searched), chance)
    ]
    for file, part in STATEMENTS.items():
        examples += _statements(data / file, part, chance)
    examples += _yes_no(data / YES_NO)
    chance.shuffle(examples)
    return examples


def held_out_examples(searched: Mapping[str, Sequence[Example]]) -> list[Example]:
    """All that was found for each held-out question, and for every third question without what answers it."""
    examples: list[Example] = []
    for ingredient in filter(_is_searched, READING):
        for number, found in enumerate(searched[ingredient.searched + HELD_OUT_SET]):
            right = [one for one in found.passages if one.spans]
            beside = tuple(one for one in found.passages if not one.spans)
            if right:
                examples.append(found)
            if beside and number % 3 == 0:
                examples.append(replace(found, passages=beside))
    return examples


def held_out_paragraphs(data: Path) -> list[Example]:
    """Held-out questions, each with its whole paragraph."""
    asked = [one for one in asked_in(data / READING[0].file) if is_held_out(one)]
    return [
        Example(
            question=one.question,
            passages=(
                TrainingPassage(text=one.paragraph, context=one.title, spans=answer_spans(one.paragraph, one.answers)),
            ),
            source=one.source,
        )
        for one in asked
    ]


def _reading(
    path: Path, ingredient: Ingredient, searched: Sequence[Example] | None, chance: random.Random
) -> Iterator[Example]:
    asked = [one for one in asked_in(path) if not is_kept_apart(one)]
    articles = Articles(asked)
    trained = [one for one in asked if not is_held_out(one)]
    every: Sequence[Example | None] = searched or [None] * len(trained)
    for one, found in zip(trained, every, strict=True):
        spans = answer_spans(one.paragraph, one.answers)
        if spans and chance.random() < ingredient.questions:
            yield from _of_question(one, spans, found, ingredient, articles, chance)


def _of_question(
    one: Asked,
    spans: tuple[Span, ...],
    found: Example | None,
    ingredient: Ingredient,
    articles: Articles,
    chance: random.Random,
) -> Iterator[Example]:
    passage = _passage(one, spans, chance)
    if found and chance.random() < SEARCHED:
        yield as_found(found, passage, chance)
    else:
        yield Example(question=one.question, passages=(passage,), source=one.source)
    if chance.random() < ingredient.changed:
        other = changed(one.question, one.paragraph, articles.others(one) if one.title else [], chance)
        if other:
            yield Example(question=other, passages=(replace(passage, spans=()),), source=one.source)
    if chance.random() < ingredient.without_sentence:
        rest = _without_answer(passage)
        if rest:
            yield Example(question=one.question, passages=(rest,), source=one.source)


def as_found(found: Example, otherwise: TrainingPassage, chance: random.Random) -> Example:
    """Some of the passages that a search found; `otherwise` is the right one where it found none."""
    right = [one for one in found.passages if one.spans] or [otherwise]
    beside = [one for one in found.passages if not one.spans]
    drawn = chance.sample(beside, min(len(beside), chance.randint(1, MOST_BESIDE)))
    if not drawn or chance.random() >= NOTHING_FOUND:
        drawn += right[: 1 + (chance.random() < SECOND_RIGHT)]
    if chance.random() < WITHOUT_CONTEXT:
        drawn = [replace(one, context="") for one in drawn]
    return replace(found, passages=tuple(drawn))


def _as_typed(example: Example, chance: random.Random) -> Example:
    way = chance.random()
    if way < SLIPS:
        return replace(example, question=misspelt(example.question, chance) or example.question)
    if way < SLIPS + KEYWORDS:
        said = example.question.rstrip("?").split()
        kept = [word for word in said if word.lower() in ASKING or word.lower() not in STOP_WORDS]
        return replace(example, question=" ".join(kept or said))
    return example


def _passage(one: Asked, spans: tuple[Span, ...], chance: random.Random) -> TrainingPassage:
    if len(one.paragraph) <= LONGEST_WHOLE and chance.random() < WHOLE_PARAGRAPH:
        text, inside = one.paragraph, spans
    else:
        kept = nearest_span(one.paragraph, spans, one.question)
        cut = window(one.paragraph, kept, characters=chance.randint(*WINDOW_CHARACTERS), chance=chance)
        text, inside = cut.text, cut.within(spans)
    return TrainingPassage(text=text, spans=inside, context=one.title if chance.random() < WITH_TITLE else "")


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
