"""A collection and a reader that say what they are told to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat

from embeddings.domain import Hit, Passage, Scores, SearchResult, Span
from embeddings.errors import DeletedDocument
from embeddings.filters import Filter
from service.answering.answering import Answering, AskRequest
from service.answering.domain import Answer, Reading, ReadingPassage, ReadSpan
from service.answering.ports import More, Reader

TEXT = (
    "Pemberlow Bakery stands on the quay. It was founded by Ada Marsh in 1921.\n"
    "The oven burns beech wood. The bakery\nemploys 14 people."
)
FOUNDED = Span(TEXT.index("It was"), TEXT.index("\nThe oven"))
EMPLOYS = Span(TEXT.index("The bakery\n"), len(TEXT))


def passage(document_id: str, text: str, *, start: int = 0) -> Passage:
    return Passage(
        passage_id=f"{document_id}:{start}",
        collection="default",
        document_id=document_id,
        version=1,
        current=True,
        title="A title",
        uri=None,
        headings=("Part", "Chapter"),
        page=None,
        start=start,
        end=start + len(text),
        text=text,
        metadata={},
    )


@dataclass
class Shelf:
    """A collection in memory that finds everything, in order."""

    texts: dict[str, str]
    passages: list[Passage]
    live: int = 1
    allowed: int = 1
    deleted: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    fused: tuple[float, ...] = ()
    """Of the first passages; the others have 0.03."""

    def search(self, question: str, *, top_k: int, filter: Filter | None = None, explain: bool = False) -> SearchResult:
        self.asked.append(question)
        scores = chain(self.fused, repeat(0.03))
        return SearchResult(
            hits=tuple(
                Hit(passage=each, scores=Scores(fused=fused))
                for each, fused in zip(self.passages[:top_k], scores, strict=False)
            ),
            seq=7,
            live_passages=self.live,
            allowed_passages=self.allowed,
            timings_ms={"encode": 1.23456, "search": 2.0},
            explain={"dense": "trace"} if explain else None,
        )

    def slice(self, document_id: str, version: int, start: int, end: int) -> str:
        if document_id in self.deleted:
            raise DeletedDocument("It was deleted.")
        return self.texts[document_id][max(0, start) : end]


@dataclass
class Scripted:
    """A reader that says of each passage what it is told to say."""

    says: Callable[[ReadingPassage], Sequence[tuple[Span, float]]]
    threshold: float = 0.5
    name: str = "scripted"
    read_passages: int = 0
    stops_early: bool = False

    def read(self, question: str, passages: Sequence[ReadingPassage], *, more: More | None = None) -> list[Reading]:
        readings: list[Reading] = []
        for each in passages:
            if self.stops_early and more is not None and not more(readings):
                break
            spans = tuple(ReadSpan(span=span, probability=p) for span, p in self.says(each))
            readings.append(Reading(spans=spans, no_answer=0.1))
        self.read_passages = len(readings)
        return readings


def shelf(*texts: str) -> Shelf:
    named = {f"d{number}": text for number, text in enumerate(texts)}
    return Shelf(texts=named, passages=[passage(name, text) for name, text in named.items()])


def ask(
    reader: Scripted, collection: Shelf, request: AskRequest | None = None, *, foreign: Reader | None = None
) -> Answer:
    answering = Answering(reader=reader, encoder_name="words", foreign=foreign)
    return answering.answer(request or AskRequest(question="Who founded it?"), collection)


def saying(*spans: tuple[Span, float]) -> Scripted:
    return Scripted(lambda _: spans)


def place(words: str, text: str = TEXT) -> Span:
    return Span(text.index(words), text.index(words) + len(words))


def assert_claims_partition(answer: Answer) -> None:
    end = 0
    for claim in answer.claims:
        assert answer.answer is not None
        assert answer.answer[claim.start : claim.end] == claim.text
        assert answer.answer[end : claim.start] in ("; ", " ") or end == claim.start == 0
        assert all(answer.citations[number - 1].number == number for number in claim.citations)
        end = claim.end
    assert end == len(answer.answer or "")
