from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.domain import Hit, Passage, Scores, Span
from embeddings.errors import UnknownVersion
from service.answering.citations import CONTEXT_CHARACTERS, Candidate, candidates, cite
from service.answering.domain import Reading, ReadSpan

STORED = "A heading\n\nFirst sentence here. Second one, of Dr. Marsh, follows! 第三句在这里。 Last"


class Stored:
    def __init__(self, text: str) -> None:
        self._text = text

    def slice(self, document_id: str, version: int, start: int, end: int) -> str:
        return self._text[max(0, start) : end]


class Forgotten:
    def slice(self, document_id: str, version: int, start: int, end: int) -> str:
        raise UnknownVersion("No such version.")


def passage(start: int = 0, end: int = len(STORED)) -> Passage:
    return Passage(
        passage_id="p",
        collection="default",
        document_id="d",
        version=3,
        current=True,
        title=None,
        uri=None,
        headings=(),
        page=4,
        start=start,
        end=end,
        text=STORED[start:end],
        metadata={},
    )


def candidate(words: str, within: Passage) -> Candidate:
    start = STORED.index(words)
    return Candidate(passage=within, start=start, end=start + len(words), text=words, probability=0.5)


def proposed(*spans: tuple[int, int, float]) -> list[Candidate]:
    hit = Hit(passage=passage(), scores=Scores())
    said = tuple(ReadSpan(span=Span(start, end), probability=p) for start, end, p in spans)
    return candidates([hit], [Reading(spans=said, no_answer=0.0)])


@pytest.mark.parametrize(
    ("words", "quote"),
    [
        ("Marsh", "Second one, of Dr. Marsh, follows!"),
        ("here. Second", "First sentence here. Second one, of Dr. Marsh, follows!"),
        ("三句", "第三句在这里。"),
        ("A heading", "A heading"),
    ],
)
def test_a_quote_is_the_sentences_in_which_the_words_stand(words: str, quote: str) -> None:
    citation = cite(candidate(words, passage()), number=1, stored=Stored(STORED))

    assert citation is not None
    assert citation.quote == quote == STORED[citation.start : citation.end]
    assert (citation.page, citation.version) == (4, 3)


@given(st.integers(0, 40), st.data())
def test_quote_prefix_and_suffix_are_one_stretch_of_the_stored_text(start: int, data: st.DataObject) -> None:
    within = passage(start)
    inside = data.draw(st.integers(start, len(STORED) - 1))
    chosen = Candidate(passage=within, start=inside, end=inside + 1, text=STORED[inside], probability=1.0)

    citation = cite(chosen, number=1, stored=Stored(STORED))

    assert citation is not None
    around = STORED[max(0, citation.start - CONTEXT_CHARACTERS) : citation.end + CONTEXT_CHARACTERS]
    assert citation.prefix + citation.quote + citation.suffix == around


def test_text_that_differs_by_one_character_is_not_cited() -> None:
    assert cite(candidate("Marsh", passage()), number=1, stored=Stored(STORED.replace("Marsh", "Narsh"))) is None


def test_a_version_that_is_gone_is_not_cited() -> None:
    assert cite(candidate("Marsh", passage()), number=1, stored=Forgotten()) is None


def test_white_space_around_a_span_is_left_out() -> None:
    [found] = proposed((9, 16, 0.5))

    assert (found.start, found.end, found.text) == (11, 16, "First")


@pytest.mark.parametrize(
    "span",
    [
        (-1, 5, 0.5),
        (5, 5, 0.5),
        (6, 5, 0.5),
        (0, len(STORED) + 1, 0.5),
        (9, 11, 0.5),
        (0, 5, float("nan")),
        (0, 5, float("inf")),
        (0, 5, 1.5),
        (0, 5, -0.5),
    ],
)
def test_a_span_that_cannot_be_true_is_dropped(span: tuple[int, int, float]) -> None:
    assert proposed(span) == []


def test_candidates_come_best_first_and_ties_in_reading_order() -> None:
    assert [found.start for found in proposed((0, 1, 0.2), (2, 3, 0.7), (4, 5, 0.2))] == [2, 0, 4]
