"""From what a reader found to the claims of an answer, each standing on its citations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from embeddings.domain import Hit, Passage, Span
from embeddings.text import content_words, words
from service.answering.citations import Candidate, cite, sentences_around, sentences_in
from service.answering.comparisons import Order
from service.answering.domain import Citation, Claim, Reading, ReadingPassage, Support
from service.answering.enumerations import enumeration_around
from service.answering.expectations import meets
from service.answering.figures import Figure, first_figure, first_moment, years
from service.answering.intents import Inquiry, Intent, Part, wanted_items
from service.answering.ports import StoredText
from service.answering.verdicts import Word, refers_back, shows

SURE = 0.7
"""The probability from which a candidate is taken without reading further passages; see docs/decisions/0009."""
NEARLY_AS_GOOD = 0.6
"""Of the best candidate's probability: what another figure for the same thing needs to be shown beside it."""
ALSO_LISTED = 0.35
"""Of the best candidate's probability: what a further item of a list needs."""
MOST_ITEMS = 12
UNEXPECTED = 0.5
"""What is left of the probability of an answer that is no figure, year or day where one is asked for."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A claim before its citations are compared with the stored text."""

    text: str
    evidence: tuple[Candidate, ...]
    """The first has to be borne out, the others may be."""
    confidence: float
    support: Support = Support.VERBATIM
    conflict: int | None = None
    is_marked: bool = True
    """Whether the evidence is the words that answer, to be marked in their quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An answer in words, with what it stands on; `text` is None where nothing could be cited."""

    text: str | None
    claims: tuple[Claim, ...] = ()
    citations: tuple[Citation, ...] = ()


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
        return _assembled(_compared(inquiry.order, findings, drafts), stored)
    return _assembled((draft for part in drafts for draft in part), stored)


def _of_part(draft: Draft, number: int) -> Draft:
    return draft if draft.conflict is None else replace(draft, conflict=number)


def as_shown(part: Part, ranked: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Candidates as wide as an answer to such a question is, best first.

    What holds several of them is as likely as all of them together, since at most one of the reader's spans is right: a
    reader that cannot choose between the items of an enumeration may be sure of the enumeration.
    """
    widen = _WIDTHS.get(part.intent)
    if widen is None:
        return _by_probability(_expected(part.question, candidate) for candidate in ranked)
    shown: dict[tuple[str, int, int, int], Candidate] = {}
    for candidate in ranked:
        wide = widen(candidate)
        place = (wide.passage.document_id, wide.passage.version, wide.start, wide.end)
        known = shown.get(place)
        together = wide.probability + (known.probability if known else 0.0)
        shown[place] = replace(known or wide, probability=min(1.0, together))
    return _by_probability(shown.values())


def _expected(question: str, candidate: Candidate) -> Candidate:
    """The candidate, less likely where the question asks for something that its words don't hold."""
    if meets(question, candidate.text):
        return candidate
    return replace(candidate, probability=UNEXPECTED * candidate.probability)


def _by_probability(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda candidate: -candidate.probability))


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
    shown = max(same, key=lambda each: len(asked.intersection(content_words(_whole_sentence(each).text))))
    return replace(shown, probability=sound[0].probability)


def _disagrees(best: Candidate, other: Candidate) -> bool:
    """Whether another sentence gives another figure for what looks like the same thing at the same time."""
    one, two = first_figure(best.text), first_figure(other.text)
    if one is None or two is None or other.probability < NEARLY_AS_GOOD * best.probability:
        return False
    here, there = _whole_sentence(best), _whole_sentence(other)
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
    known = _whole_sentence(best).text
    sentences = (passage.text[span.start : span.end] for span in sentences_in(passage.text))
    return any(first_figure(sentence) is not None and _is_alike(known, sentence) for sentence in sentences)


def _is_alike(one: str, other: str) -> bool:
    own, others = (frozenset(word for word in content_words(text) if word.isalpha()) for text in (one, other))
    return bool(own) and len(own & others) >= ALIKE * len(own | others)


def _whole_sentence(candidate: Candidate) -> Candidate:
    passage = candidate.passage
    inside = Span(candidate.start - passage.start, candidate.end - passage.start)
    span = sentences_around(passage.text, inside)
    return _moved(candidate, span)


def _moved(candidate: Candidate, span: Span) -> Candidate:
    passage = candidate.passage
    return replace(
        candidate,
        start=passage.start + span.start,
        end=passage.start + span.end,
        text=" ".join(passage.text[span.start : span.end].split()),
    )


# Lists ------------------------------------------------------------------------------------------------------------


def _list(question: str, sound: Sequence[Candidate]) -> Iterator[Draft]:
    """All items of the enumeration that the best candidate stands in; else the best candidates of all passages."""
    best = sound[0]
    if _enumeration(best) is not None:
        yield _draft(best, sound)
        return
    kept: list[Candidate] = []
    for candidate in sound:
        is_new = not any(_says_the_same(candidate, other) for other in kept)
        if is_new and candidate.probability >= ALSO_LISTED * best.probability:
            kept.append(candidate)
    yield from (_draft(candidate, sound) for candidate in kept[: wanted_items(question) or MOST_ITEMS])


def _enumeration(candidate: Candidate) -> Span | None:
    """Where it stands in the passage."""
    passage = candidate.passage
    return enumeration_around(passage.text, Span(candidate.start - passage.start, candidate.end - passage.start))


def _whole_enumeration(candidate: Candidate) -> Candidate:
    """The candidate itself where it is no part of an enumeration."""
    whole = _enumeration(candidate)
    return candidate if whole is None else _moved(candidate, whole)


def _says_the_same(one: Candidate, other: Candidate) -> bool:
    own, others = set(content_words(one.text)), set(content_words(other.text))
    return one.overlaps(other) or own <= others or others <= own


_WIDTHS: dict[Intent, Callable[[Candidate], Candidate]] = {
    Intent.LIST: _whole_enumeration,
    Intent.EXPLANATION: _whole_sentence,
    Intent.VERDICT: _whole_sentence,
}


# Yes and no -------------------------------------------------------------------------------------------------------


def _verdict(finding: Finding, evidence: Evidence) -> Draft | None:
    """What the passages say together, shown by the sentence of the passage that says it most clearly."""
    yes, no = (sum(getattr(reading, word) for reading in finding.readings) for word in ("yes", "no"))
    word: Word = "yes" if yes >= no else "no"
    if max(yes, no) <= 0:
        return None
    clearest = max(zip(finding.readings, finding.hits, strict=False), key=lambda pair: float(getattr(pair[0], word)))[1]
    said = evidence(finding.part, clearest, word)
    shown = None if said is None else _showing(word, finding.part.question, said)
    if shown is None:
        return None
    return Draft(
        text=word.capitalize(),
        evidence=(shown,),
        confidence=min(1.0, max(yes, no)),
        support=Support.DERIVED,
        is_marked=False,
    )


def _showing(word: Word, question: str, sentence: Candidate) -> Candidate | None:
    """The sentence if it shows the word, else together with the one before, if it refers to that."""
    wider = _with_the_sentence_before(sentence) if refers_back(sentence.text) else None
    for candidate in (sentence, wider):
        if candidate and shows(word, question, candidate.text, context=context_of(candidate.passage)):
            return candidate
    return None


def _with_the_sentence_before(candidate: Candidate) -> Candidate | None:
    start, end = candidate.start - candidate.passage.start, candidate.end - candidate.passage.start
    before = [span for span in sentences_in(candidate.passage.text) if span.end <= start]
    return _moved(candidate, Span(before[-1].start, end)) if before else None


def sentences_of(hit: Hit) -> list[tuple[Span, ReadingPassage]]:
    """Each sentence of a passage as a passage of its own, to see which one says it."""
    text, context = hit.passage.text, context_of(hit.passage)
    return [
        (
            span,
            ReadingPassage(text=text[span.start : span.end], context=context, similarity=None, bm25=None, fused=0.0),
        )
        for span in sentences_in(text)
    ]


def context_of(passage: Passage) -> str:
    return "\n".join(part for part in dict.fromkeys((passage.title, *passage.headings)) if part)


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


# The whole --------------------------------------------------------------------------------------------------------


def _assembled(drafts: Iterable[Draft], stored: StoredText) -> Statement:
    claims: list[Claim] = []
    citations: list[Citation] = []
    answer = ""
    for draft in drafts:
        numbers = _cited(draft, citations, stored)
        if not numbers or any(draft.text == claim.text for claim in claims):
            continue
        start = len(answer) + len(_separator(answer))
        answer += _separator(answer) + draft.text
        claims.append(
            Claim(
                text=draft.text,
                start=start,
                end=len(answer),
                support=draft.support,
                confidence=draft.confidence,
                citations=numbers,
                conflict=draft.conflict,
            )
        )
    return Statement(text=answer or None, claims=tuple(claims), citations=tuple(citations))


def _cited(draft: Draft, citations: list[Citation], stored: StoredText) -> tuple[int, ...]:
    """Numbers of the draft's citations, new ones added to `citations`; none if its first one does not hold."""
    found: list[int] = []
    for candidate in draft.evidence:
        citation = cite(candidate, number=len(citations) + 1, stored=stored, is_marked=draft.is_marked)
        if citation is None and not found:
            return ()
        if citation is None:
            continue
        known = next((each for each in citations if replace(each, number=citation.number) == citation), None)
        if known is None:
            citations.append(citation)
        found.append((known or citation).number)
    return tuple(dict.fromkeys(found))


def _separator(answer: str) -> str:
    if not answer:
        return ""
    return " " if re.search(r"[.!?。！？…][\"”’)]?$", answer) else "; "
