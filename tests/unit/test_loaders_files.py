"""Files of every format, made here and read by the real parsers."""

from __future__ import annotations

import json

import pytest

from embeddings.domain import LoadedDocument, Source
from embeddings.errors import InvalidText, TooLarge, UnsupportedMediaType
from embeddings.loaders.detection import DOCX, EPUB, PDF, PPTX, XLSX
from embeddings.loaders.formats import file_formats
from tests.files import archive, docx, email, epub, lines, pdf, pptx, xlsx

FORMATS = file_formats()


def load(content: bytes | str, media_type: str = "") -> LoadedDocument:
    sent = content.encode() if isinstance(content, str) else content
    return FORMATS.load(Source(content=sent, media_type=media_type))


def pages_of(document: LoadedDocument) -> list[str]:
    return [document.text[page.start : page.end].strip() for page in document.pages or ()]


def records_of(document: LoadedDocument) -> list[str]:
    return [document.text[record.start : record.end] for record in document.records]


# PDF -------------------------------------------------------------------------------------------------------------


def test_pdf_pages_are_spans_and_what_runs_along_their_margins_stays_out() -> None:
    pages = [
        [
            (72, 760, "Harbour report 2023"),
            *lines(72, 700, f"{word} was built by the harbour office."),
            (300, 30, str(n)),
        ]
        for n, word in enumerate(["The mole", "The crane", "The light"], 1)
    ]
    document = load(pdf(*pages, info="/Title (Harbours of the north) /Author (J. Wren) /CreationDate (D:20230405)"))
    assert pages_of(document) == [f"The {what} was built by the harbour office." for what in ("mole", "crane", "light")]
    assert document.title == "Harbours of the north"
    assert document.metadata == {"author": "J. Wren", "created_at": "2023-04-05"}


def test_pdf_lines_become_paragraphs_and_cut_words_whole() -> None:
    text = lines(
        72,
        700,
        "The lighthouse keeper wrote in his logbook that the main illumi-",
        "nation had failed during the storm, and that the well-known self-",
        "contained lamp had burned until the morning came.",
    )
    assert load(pdf(text)).text == (
        "The lighthouse keeper wrote in his logbook that the main illumination had failed during the storm, and that"
        " the well-known self-contained lamp had burned until the morning came."
    )


def test_pdf_columns_are_read_one_after_another() -> None:
    left = [f"left column line {n} tells of the sea and its ships," for n in range(8)]
    right = [f"right column line {n} tells of the land and its people," for n in range(8)]
    text = load(pdf(lines(60, 700, *left) + lines(330, 700, *right))).text
    assert text.index("left column line 7") < text.index("right column line 0")


def test_pdf_table_rows_carry_their_headers() -> None:
    table = [
        (250, 700, "Three Months Ended"),
        (240, 688, "Q4 2023"),
        (310, 688, "Q4 2022"),
        *[
            (x, 676 - 12 * row, text)
            for row, cells in enumerate([("Data Center", "2,282", "1,655"), ("Gross margin", "47%", "43%")])
            for x, text in zip((72, 245, 315), cells, strict=True)
        ],
    ]
    document = load(pdf(table))
    assert "Data Center | Three Months Ended Q4 2023: 2,282 | Q4 2022: 1,655" in document.text
    assert "Gross margin | Three Months Ended Q4 2023: 47% | Q4 2022: 43%" in document.text


def test_a_pdf_page_without_text_is_named() -> None:
    document = load(pdf(lines(72, 700, "Only here."), [], lines(72, 700, "And here.")))
    assert [text.strip() for text in pages_of(document)] == ["Only here.", "", "And here."]
    assert document.warnings == ("No text on page(s) 2 (a scan or a picture?): not indexed.",)


def test_a_pdf_of_pictures_only_is_refused_with_the_mend() -> None:
    with pytest.raises(InvalidText, match="OCR"):
        load(pdf([], []))


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"%PDF-1.7\n" + b"\0\xff" * 500, pdf(lines(72, 700, "x"))[:200]])
def test_a_damaged_pdf_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidText):
        load(content)


# Office ----------------------------------------------------------------------------------------------------------


def test_docx_reads_with_its_headings_lists_and_tables() -> None:
    document = load(docx())
    assert document.text == (
        "Condition\n\nThe deck was renewed in 2019.\n\nPiers\n\n- first pier\n\nPier | State\nEast | good"
    )
    assert [(one.level, one.text) for one in document.headings] == [(1, "Condition"), (2, "Piers")]
    assert (document.title, document.media_type) == ("Bridge survey", DOCX)
    assert document.metadata["author"] == "A. Quill"
    assert str(document.metadata["created_at"]).startswith("2024-03-01")


def test_a_slide_is_a_page() -> None:
    document = load(pptx())
    assert pages_of(document) == [
        "Results\n\n- Revenue grew\n- Costs fell\n\nSay why costs fell.",
        "",
        "Segment | Q4\nGaming | 1,368",
    ]
    assert document.media_type == PPTX
    assert document.warnings == ("No text on slide(s) 2: not indexed.",)


def test_a_row_of_a_sheet_is_a_record_with_the_names_of_its_columns() -> None:
    document = load(xlsx())
    assert records_of(document) == [
        "Segment: Data Center; Q4 2023: 2,282; Share: 37%; Closed: 2023-12-30",
        "Segment: Gaming; Q4 2023: 1,368",
    ]
    assert document.text.startswith("Segments\n\nAMD results, in millions\n\nSegment: Data Center")
    assert document.media_type == XLSX
    assert document.warnings == ("Not read: the hidden sheet Scratch.",)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        ('Segment,Q4 2023\nData Center,"2,282"\nGaming,\n', "text/csv"),
        ("Segment;Q4 2023\nData Center;2,282\nGaming;\n", "text/csv"),
        ("Segment\tQ4 2023\nData Center\t2,282\nGaming\t\n", "text/tab-separated-values"),
    ],
)
def test_a_line_of_csv_is_a_record(content: str, media_type: str) -> None:
    assert records_of(load(content, media_type)) == ["Segment: Data Center; Q4 2023: 2,282", "Segment: Gaming"]


def test_csv_without_header_is_read_as_it_is() -> None:
    assert records_of(load("1,2\n3,4\n", "text/csv")) == ["1; 2", "3; 4"]


# Text formats ----------------------------------------------------------------------------------------------------

PROPOSAL = """PEP: 9999
Title: A test
Author: Ann Otter <ann@example.org>
Status: Draft
Created: 05-Jul-2001

Abstract
========

See :pep:`8`, :class:`~os.PathLike` and :ref:`the rest <rest>`.

.. unknown-note:: Read
   :class: quiet

   It is kept.

.. include:: /etc/passwd

.. raw:: html

   <b>never</b>

Prices
------

=====  ======
Loaf   Crowns
=====  ======
rye    4.80
=====  ======
"""


@pytest.mark.parametrize("media_type", ["text/x-rst", "text/plain", ""])
def test_a_proposal_reads_as_it_is_rendered(media_type: str) -> None:
    document = load(PROPOSAL, media_type)
    assert document.text == (
        "PEP: 9999\nTitle: A test\nAuthor: Ann Otter <ann@example.org>\nStatus: Draft\nCreated: 05-Jul-2001\n\n"
        "Abstract\n\nSee PEP 8, os.PathLike and the rest.\n\nRead\n\nIt is kept.\n\nPrices\n\nLoaf | Crowns\nrye | 4.80"
    )
    assert [(one.level, one.text) for one in document.headings] == [(2, "Abstract"), (3, "Prices")]
    assert document.title == "PEP 9999 – A test"
    assert document.metadata == {
        "author": "Ann Otter <ann@example.org>",
        "status": "Draft",
        "created_at": "2001-07-05",
    }


def test_a_book_is_read_chapter_by_chapter() -> None:
    document = load(epub("<img src='cover.png'/>", "<h1>One</h1><p>It rained.</p>", "<h1>Two</h1><p>It dried.</p>"))
    assert document.text == "One\n\nIt rained.\n\nTwo\n\nIt dried."
    assert [(one.span.start, one.text) for one in document.headings] == [(0, "One"), (17, "Two")]
    assert (document.title, document.metadata, document.media_type) == ("The Long Quay", {"author": "M. Tern"}, EPUB)


def test_lines_of_json_are_records() -> None:
    rows = [{"title": "One", "text": "It rained."}, {"text": "It dried."}, {"id": 3}]
    document = load("\n".join(map(json.dumps, rows)), "application/x-ndjson")
    assert records_of(document) == ["It rained.", "It dried."]
    assert [one.text for one in document.headings] == ["One"]
    assert document.warnings == ("No text on line(s) 3: not indexed.",)


def test_a_line_that_is_no_json_is_named() -> None:
    with pytest.raises(InvalidText, match="Line 2"):
        load('{"text": "a"}\n{"text": ', "application/x-ndjson")


@pytest.mark.parametrize("html_only", [False, True])
@pytest.mark.parametrize("media_type", ["message/rfc822", ""])
def test_a_message_tells_who_wrote_it_and_what_came_with_it(media_type: str, html_only: bool) -> None:
    document = load(email(html_only=html_only), media_type)
    assert document.text == "High water at 6:30."
    assert document.title == "Tide tables für Mai"
    assert document.metadata == {
        "from": "Ann <ann@example.org>",
        "to": "crew@example.org",
        "created_at": "2024-05-06T08:00:00+02:00",
    }
    assert document.warnings == ("Not read: the attachment tides.pdf.",)


ARTICLE = "".join(
    f"<p>Paragraph {n} of the article tells at length how the harbour was dredged, who paid for it, and when.</p>"
    for n in range(8)
)
PAGE = f"""<html><head><title>Dredging</title></head><body>
<nav class="menu"><ul><li><a href="/">Home</a><li><a href="/about">About us</a></ul></nav>
<div id="cookie-notice">We use cookies to improve your visit.</div>
<main><h1>Dredging</h1>{ARTICLE}<table><tr><th>Year</th><th>Depth</th></tr><tr><td>2020</td><td>9 m</td></tr></table>
<p>The last paragraph closes the article and thanks the engineers of the port for their patience.</p></main>
<footer>Imprint and privacy</footer></body></html>"""


def test_a_page_is_read_without_menus_notices_and_footers() -> None:
    text = load(PAGE, "text/html").text
    assert text.startswith("Dredging\n\nParagraph 0")
    assert "Year | Depth\n2020 | 9 m" in text
    assert text.endswith("patience.")


# What is refused -------------------------------------------------------------------------------------------------


def test_a_zip_bomb_is_refused() -> None:
    with pytest.raises(TooLarge):
        load(archive(word__document=b" " * 30_000_000))


def test_entities_are_refused() -> None:
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
    with pytest.raises(InvalidText, match="entities"):
        load(archive(word__document=laughs))
    with pytest.raises(InvalidText, match="entities"):
        load(archive(xl__workbook=laughs.decode().encode("utf-16")))


@pytest.mark.parametrize("content", [docx(), pptx(), xlsx(), epub("<p>a")], ids=["docx", "pptx", "xlsx", "epub"])
def test_office_files_that_are_cut_off_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidText):
        load(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", InvalidText),
        (b"\x89PNG\r\n\x1a\n", UnsupportedMediaType),
        (archive(other=b"x"), UnsupportedMediaType),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), UnsupportedMediaType),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), InvalidText),
    ],
)
def test_what_is_no_document_is_refused(content: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        load(content)


def test_the_content_says_what_a_document_is_before_its_sender_does() -> None:
    assert load(pdf(lines(72, 700, "Really a PDF.")), "text/html").media_type == PDF
    assert load(docx(), "application/pdf").media_type == DOCX
