"""From what a reader found to the claims of an answer, each standing on its citations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from embeddings.domain import Hit, Passage
from embeddings.text import content_words, words
from service.answering.citations import Candidate, cite, sentences_in
from service.answering.comparisons import Order
from service.answering.domain import Reading, Support
from service.answering.figures import Figure, first_figure, first_moment, years
from service.answering.intents import Inquiry, Intent, Part, wanted_items
from service.answering.passages import context_of
from service.answering.ports import StoredText
from service.answering.statements import Draft, Statement, assembled
from service.answering.verdicts import Word, refers_back, shows, verdict_of
from service.answering.widening import enumeration_of, whole_sentence, with_the_sentence_before

SURE = 0.7
"""The probability from which a candidate is taken without reading further passages; see docs/decisions/0009."""
NEARLY_AS_GOOD = 0.6
"""Of the best candidate's probability: what another figure for the same thing needs to be shown beside it."""
ALSO_LISTED = 0.35
"""Of the best candidate's probability: what a further item of a list needs."""
MOST_ITEMS = 12
ALIKE = 0.5
"""Share of content words that two sentences on the same thing have in common, of those in either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A part of a question, and what the reader made of the passages that were found for it."""

    part: Part
    hits: tuple[Hit, ...]
    readings: tuple[Reading, ...]
    ranked: tuple[Candidate, ...]
    """As they would be shown, best first; see `as_shown`."""


Evidence = Callable[[Part, Hit, Word], Candidate | None]
"""The sentence of a passage that says it."""


def compose(
    inquiry: Inquiry, findings: Sequence[Finding], *, threshold: float, stored: StoredText, evidence: Evidence
) -> Statement:
    """The claims of all parts. What the stored text does not bear out is passed over."""
    drafts = [
        [_of_part(draft, number) for draft in _drafts(finding, threshold, stored, evidence)]
        for number, finding in enumerate(findings, start=1)
    ]
    if inquiry.order is not None:
        return assembled(_compared(inquiry.order, findings, drafts), stored)
    return assembled((draft for part in drafts for draft in part), stored)


def _of_part(draft: Draft, number: int) -> Draft:
    return draft if draft.conflict is None else replace(draft, conflict=number)


def is_settled(intent: Intent, ranked: Sequence[Candidate], unread: Iterable[Hit], *, is_promising: bool) -> bool:
    """Whether no more need be read: what was is sure, or what is left not promising, and not like contradicting it.

    A list may go on in any passage, and yes and no are what all passages say together.
    """
    if intent not in (Intent.FACT, Intent.EXPLANATION):
        return False
    if is_promising and (not ranked or ranked[0].probability < SURE):
        return False
    return (
        not ranked
        or first_figure(ranked[0].text) is None
        or not any(_may_disagree(ranked[0], hit.passage) for hit in unread)
    )


def _drafts(finding: Finding, threshold: float, stored: StoredText, evidence: Evidence) -> Iterator[Draft]:
    promising = (each for each in finding.ranked if each.probability >= threshold)
    sound = [each for each in promising if cite(each, number=1, stored=stored) is not None]
    verdict = _verdict(finding, evidence) if finding.part.intent is Intent.VERDICT else None
    if verdict is not None and verdict.confidence >= threshold:
        yield verdict
    elif sound and finding.part.intent is Intent.LIST:
        yield from _list(finding.part.question, sound)
    elif sound and finding.part.intent in (Intent.EXPLANATION, Intent.VERDICT):
        yield _draft(sound[0], sound)
    elif sound:
        yield from _fact(finding.part.question, sound)


def _draft(candidate: Candidate, sound: Sequence[Candidate], *, conflict: int | None = None) -> Draft:
    """Other documents that say the same words are cited beside the candidate's own place."""
    others: dict[str, Candidate] = {}
    for other in sound:
        if other.text == candidate.text and other.passage.document_id != candidate.passage.document_id:
            others.setdefault(other.passage.document_id, other)
    return Draft(
        text=candidate.text,
        evidence=(candidate, *others.values()),
        confidence=candidate.probability,
        conflict=conflict,
    )


# One fact, or two that disagree -----------------------------------------------------------------------------------


def _fact(question: str, sound: Sequence[Candidate]) -> Iterator[Draft]:
    best = _best_shown(question, sound)
    other = next((each for each in sound if _disagrees(best, each)), None)
    yield _draft(best, sound, conflict=None if other is None else 1)
    if other is not None:
        yield _draft(other, sound, conflict=1)


def _best_shown(question: str, sound: Sequence[Candidate]) -> Candidate:
    """Of those that say the same as the likeliest, the one whose sentence has most words of the question."""
    asked, said = frozenset(content_words(question)), words(sound[0].text)
    same = [each for each in sound if words(each.text) == said]
    shown = max(same, key=lambda each: len(asked.intersection(content_words(whole_sentence(each).text))))
    return replace(shown, probability=sound[0].probability)


def _disagrees(best: Candidate, other: Candidate) -> bool:
    """Whether another sentence gives another figure for what looks like the same thing at the same time."""
    one, two = first_figure(best.text), first_figure(other.text)
    if one is None or two is None or other.probability < NEARLY_AS_GOOD * best.probability:
        return False
    here, there = whole_sentence(best), whole_sentence(other)
    return (
        one.value != two.value
        and one.unit == two.unit
        and not here.overlaps(there)
        and _is_alike(here.text, there.text)
        and _may_be_of_one_time(here.text, there.text)
    )


def _may_be_of_one_time(one: str, other: str) -> bool:
    said, also_said = years(one), years(other)
    return not said or not also_said or bool(said & also_said)


def _may_disagree(best: Candidate, passage: Passage) -> bool:
    """Whether a passage has a figure in a sentence on what looks like the same thing."""
    known = whole_sentence(best).text
    sentences = (passage.text[span.start : span.end] for span in sentences_in(passage.text))
    return any(first_figure(sentence) is not None and _is_alike(known, sentence) for sentence in sentences)


def _is_alike(one: str, other: str) -> bool:
    own, others = (frozenset(word for word in content_words(text) if word.isalpha()) for text in (one, other))
    return bool(own) and len(own & others) >= ALIKE * len(own | others)


# Lists ------------------------------------------------------------------------------------------------------------


def _list(question: str, sound: Sequence[Candidate]) -> Iterator[Draft]:
    """All items of the enumeration that the best candidate stands in; else the best candidates of all passages."""
    best = sound[0]
    if enumeration_of(best) is not None:
        yield _draft(best, sound)
        return
    kept: list[Candidate] = []
    for candidate in sound:
        is_new = not any(_says_the_same(candidate, other) for other in kept)
        if is_new and candidate.probability >= ALSO_LISTED * best.probability:
            kept.append(candidate)
    yield from (_draft(candidate, sound) for candidate in kept[: wanted_items(question) or MOST_ITEMS])


def _says_the_same(one: Candidate, other: Candidate) -> bool:
    own, others = set(content_words(one.text)), set(content_words(other.text))
    return one.overlaps(other) or own <= others or others <= own


# Yes and no -------------------------------------------------------------------------------------------------------


def _verdict(finding: Finding, evidence: Evidence) -> Draft | None:
    """What the passages say together, shown by the sentence of the passage that says it most clearly."""
    verdict = verdict_of(finding.readings)
    if verdict is None:
        return None
    said = evidence(finding.part, finding.hits[verdict.clearest], verdict.word)
    shown = None if said is None else _showing(verdict.word, finding.part.question, said)
    if shown is None:
        return None
    return Draft(
        text=verdict.word.capitalize(),
        evidence=(shown,),
        confidence=min(1.0, verdict.probability),
        support=Support.DERIVED,
        is_marked=False,
    )


def _showing(word: Word, question: str, sentence: Candidate) -> Candidate | None:
    """The sentence if it shows the word, else together with the one before, if it refers to that."""
    wider = with_the_sentence_before(sentence) if refers_back(sentence.text) else None
    for candidate in (sentence, wider):
        if candidate and shows(word, question, candidate.text, context=context_of(candidate.passage)):
            return candidate
    return None


# Comparisons ------------------------------------------------------------------------------------------------------


def _compared(order: Order, findings: Sequence[Finding], drafts: Sequence[Sequence[Draft]]) -> Iterator[Draft]:
    """The subject whose figure wins, then what is said of each, the winner first; without a winner, what there is."""
    firsts = [found[0] if found else None for found in drafts]
    figures = [
        None if draft is None else _measured(finding.part.question, draft.text)
        for finding, draft in zip(findings, firsts, strict=True)
    ]
    winner = _winner(order, figures)
    if winner is None:
        yield from chain.from_iterable(drafts)
        return
    subject = findings[winner].part.subject
    both = [drafts[winner], drafts[1 - winner]]
    if subject is not None:
        yield Draft(
            text=subject,
            evidence=tuple(found[0].evidence[0] for found in both),
            confidence=min(found[0].confidence for found in both),
            support=Support.DERIVED,
        )
    yield from chain.from_iterable(both)


def _measured(question: str, answer: str) -> Figure | None:
    return first_moment(answer) if question.lower().startswith("when ") else first_figure(answer)


def _winner(order: Order, figures: Sequence[Figure | None]) -> int | None:
    one, other = figures
    if one is None or other is None or one.value == other.value:
        return None
    return int((one.value < other.value) == (order is Order.MORE))
