from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from embeddings.chunking import chunk, encoded_text, indexed_text, title_of
from embeddings.domain import Chunk, Heading, LoadedDocument, Span

TOKEN = re.compile(r"\w{1,6}|[^\w\s]")


class SyllableTokenizer:
    """Six letters a token, so that sizes can be counted by hand."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(TOKEN.findall(text)) for text in texts]

    def known_words(self) -> list[str]:
        return []

    def token_ends(self, text: str) -> list[int]:
        return [found.end() for found in TOKEN.finditer(text)]


def document(text: str, pages: tuple[Span, ...] | None = None) -> LoadedDocument:
    """A heading is a line that begins with #."""
    headings = (
        Heading(Span(found.start(), found.end()), len(found[1]), found[2])
        for found in re.finditer(r"^(#+) (.*)$", text, re.MULTILINE)
    )
    return LoadedDocument(text=text, headings=tuple(headings), pages=pages)


def cut(
    text: str, max_tokens: int = 40, title: str | None = None, pages: tuple[Span, ...] | None = None
) -> list[Chunk]:
    return chunk(document(text, pages), SyllableTokenizer(max_tokens), title=title)


def sentence(number: int, tokens: int = 10) -> str:
    return f"S{number} " + "word " * (tokens - 3) + "end."


def test_sentences_are_packed_whole_up_to_the_limit_and_short_ones_overlap() -> None:
    text = " ".join(sentence(number) for number in range(7))
    starts = [[int(name) for name in re.findall(r"S(\d)", one.text)] for one in cut(text)]
    assert starts == [[0, 1, 2, 3], [3, 4, 5, 6]]


def test_a_long_sentence_does_not_overlap() -> None:
    text = " ".join(sentence(number, tokens=18) for number in range(4))
    starts = [[int(name) for name in re.findall(r"S(\d)", one.text)] for one in cut(text)]
    assert starts == [[0, 1], [2, 3]]


def test_a_sentence_past_the_limit_is_cut_after_a_clause_or_a_word() -> None:
    text = "word " * 25 + "clause, " + "word " * 30 + "end."
    pieces = [one.text for one in cut(text)]
    assert [piece.split()[-1] for piece in pieces] == ["clause,", "end."]
    assert " ".join(pieces) == text


def test_text_without_white_space_is_cut_between_tokens_but_not_before_a_combining_mark() -> None:
    text = "e\u0301" * 700
    pieces = [one.text for one in cut(text)]
    assert "".join(pieces) == text
    assert all(piece[0] == "e" for piece in pieces)


def test_a_section_starts_a_passage_unless_what_came_before_is_tiny() -> None:
    bread = f"# Bread\n\n## History\n\n{sentence(1, 20)}\n\n## Prices\n\nFive crowns.\n\n## Hours\n\n{sentence(2, 20)}"
    text = f"{bread}\n\n# Milk\n\nCold."
    chunks = cut(text, max_tokens=60)
    assert [one.headings for one in chunks] == [("Bread", "History"), ("Bread", "Prices"), ("Milk",)]
    assert [one.text.split()[0] + one.text.split()[-1] for one in chunks] == ["#end.", "##end.", "#Cold."]


def test_a_tiny_section_is_not_merged_into_a_higher_one() -> None:
    chunks = cut("# A\n\n## B\n\nSmall.\n\n# C\n\nSmall too.", max_tokens=80)
    assert [one.headings for one in chunks] == [("A", "B"), ("C",)]


def test_a_heading_goes_with_the_text_below_it() -> None:
    text = f"# A\n\n{sentence(1, 8)}\n\n## B\n\n{sentence(2, 34)}"
    assert [one.text[:3] for one in cut(text, max_tokens=44)] == ["# A", "## "]


def test_the_context_is_title_and_headings_that_the_text_does_not_show_itself() -> None:
    text = f"# Bread\n\n## Oven\n\n{' '.join(sentence(number) for number in range(5))}"
    first, second = cut(text, max_tokens=40, title="Bakery")
    assert (first.context, second.context) == ("Bakery", "Bakery\nBread\nOven")
    assert second.headings == ("Bread", "Oven")
    assert encoded_text(second) == f"Bakery\nBread\nOven\n{second.text}"
    assert encoded_text(cut("Only this.")[0]) == "Only this."


def test_the_word_index_reads_title_and_headings_whole_once_each() -> None:
    title = "Harbours of the northern coast, their keepers, their lamps and their dues"
    headings = "# aaaa bbbb cccc dddd\n\n## eeee ffff gggg hhhh\n\n"
    first, second = cut(headings + " ".join(sentence(number) for number in range(5)), max_tokens=40, title=title)
    assert title not in encoded_text(second)
    assert indexed_text(first, title) == f"{title}\n{first.text}"
    assert indexed_text(second, title) == f"{title}\naaaa bbbb cccc dddd\neeee ffff gggg hhhh\n{second.text}"
    assert indexed_text(cut("Only this.")[0], None) == "Only this."


def test_the_context_keeps_title_and_innermost_heading_where_there_is_no_room_for_all() -> None:
    text = "# aaaa bbbb cccc dddd\n\n## eeee ffff gggg hhhh\n\n### iiii jjjj kkkk\n\n" + " ".join(
        sentence(number, 9) for number in range(9)
    )
    last = cut(text, max_tokens=40, title="tttt uuuu vvvv wwww xxxx yyyy zzzz")[-1]
    assert last.context == "tttt uuuu vvvv wwww xxxx\niiii jjjj kkkk"


def test_a_passage_knows_its_page_and_ends_with_it_unless_a_sentence_runs_on() -> None:
    text = "One here. Two here and\n\nThree. Four."
    page = text.index("and")
    chunks = cut(text, pages=(Span(0, page), Span(page, len(text))))
    assert [(one.page, one.text) for one in chunks] == [(1, "One here. Two here and"), (2, "Three. Four.")]


def test_a_wide_gap_is_no_part_of_a_passage() -> None:
    assert [one.text for one in cut("a" + "\n" * 100_000 + "b")] == ["a", "b"]


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_a_blank_document_has_no_passages(text: str) -> None:
    assert cut(text) == []


@pytest.mark.parametrize(
    ("text", "own", "given", "expected"),
    [
        ("# Heading\n\nText.", None, "Given", "Given"),
        ("# Heading\n\nText.", "Own", None, "Own"),
        ("Text.\n\n# Heading", None, " ", "Heading"),
        ("\n  First\tline \nSecond", None, None, "First line"),
        ("0532-8467\n12\nWords at last\n", None, None, "Words at last"),
        ("12 34", None, None, "12 34"),
        ("", None, None, None),
    ],
)
def test_the_title_is_the_best_that_is_there(
    text: str, own: str | None, given: str | None, expected: str | None
) -> None:
    plain = document(text)
    loaded = LoadedDocument(text=text, title=own, headings=plain.headings)
    assert title_of(loaded, given) == expected


def test_a_long_title_ends_at_a_word() -> None:
    title = title_of(document("word " * 100), None)
    assert title is not None
    assert len(title) <= 300
    assert title.endswith("word…")
