from __future__ import annotations

import time

import pytest

from embeddings.domain import LoadedDocument, Source
from embeddings.errors import InvalidText, UnsupportedMediaType
from embeddings.loaders.formats import Formats
from embeddings.loaders.html import HtmlLoader
from embeddings.loaders.markdown import MarkdownLoader
from embeddings.loaders.plain import PlainLoader
from embeddings.ports import Loader

LOADERS: list[Loader] = [PlainLoader(), MarkdownLoader(), HtmlLoader()]


def load(loader: Loader, content: str | bytes, *, media_type: str = "", charset: str | None = None) -> LoadedDocument:
    sent = content.encode() if isinstance(content, str) else content
    return loader.load(Source(content=sent, media_type=media_type or loader.media_types[0], charset=charset))


def html(content: str) -> LoadedDocument:
    return load(HtmlLoader(), content)


def markdown(content: str) -> LoadedDocument:
    return load(MarkdownLoader(), content)


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: type(loader).__name__)
@pytest.mark.parametrize("content", [b"", b" \r\n\t", "\ufeff\u200b".encode(), b"a\0b", b"\x89PNG\r\n\x1a\n\xff\xd8"])
def test_what_holds_no_readable_text_is_refused(loader: Loader, content: bytes) -> None:
    with pytest.raises(InvalidText) as refusal:
        load(loader, content)
    assert refusal.value.field == "/text"


def test_plain_text_stays_as_it_is_but_for_newlines_and_composition() -> None:
    document = load(PlainLoader(), "\ufeff  Zoe\u0308 \r\n\r\n\r\n# no heading  \r")
    assert document == LoadedDocument(text="  Zo\u00eb \n\n\n# no heading  \n")


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        ("Zoë 鳥", "utf-8"),
        ("Zoë 鳥", "UTF8"),
        ("鸟在飞", "gb18030"),
        ("Zoë “…”", "windows-1252"),
        ("Zoë 鳥", "utf-16"),
        ("Zoë 鳥", "utf-16-be"),
    ],
)
def test_the_declared_charset_is_believed(content: str, charset: str) -> None:
    assert load(PlainLoader(), content.encode(charset), charset=charset).text == content


def test_latin_1_is_read_as_browsers_read_it() -> None:
    assert load(PlainLoader(), b"wait\x85 \x93ok\x94", charset="ISO-8859-1").text == "wait… “ok”"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_believed_before_the_charset(encoding: str) -> None:
    assert load(PlainLoader(), "Zoë 鳥".encode(encoding), charset="ascii").text == "Zoë 鳥"


def test_undeclared_western_text_is_read_with_a_warning() -> None:
    document = load(PlainLoader(), "Zoë paid £5 in the café".encode("cp1252"))
    assert document.text == "Zoë paid £5 in the café"
    assert "Windows-1252" in document.warnings[0]


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        ("鸟在飞".encode("gbk"), None),
        (b"a\x80", "utf-8"),
        (b"a", "nope"),
        (b"a", "hex"),
        (b"+AGE-", "utf-7"),
        (b"a", "\0"),
    ],
)
def test_other_bytes_are_refused(content: bytes, charset: str | None) -> None:
    with pytest.raises(InvalidText):
        load(PlainLoader(), content, charset=charset)


PAGE = """<!doctype html><html><head><title>Tilden &amp;
 Observatory</title><style>p { color: teal }</style><script>var hidden = '<p>never shown</p>';</script></head>
<body><h1>Tilden <br> Observatory</h1>
<p>The main mirror of Tilden Observatory has a diameter of <b>3.6 metres</b> &amp; weighs
   nine&nbsp;tonnes.</p><ul><li>one<ul><li>under one</ul><li><p>two</p><p>more of two</p></ul>
<ol start=3><li>x<li value=7>y<li>z</ol>
<table><caption>Prices</caption><tr><th>Loaf<th>Crowns<tr><td>rye<td><p>4.80</p><p>each</p><tr><td colspan=2>all</table>
<pre>
def one():
    return  1
</pre>A line<br>and <a href="/next">another</a><img src=x alt=picture>
<div hidden>never</div><p style="color: red; display: none">never</p><template>never</template><p>in&shy;visible</p>
<dl><dt>Term<dd>What it means</dl></body></html>"""

SHOWN = """Tilden Observatory

The main mirror of Tilden Observatory has a diameter of 3.6 metres & weighs nine tonnes.

- one
  - under one
- two

more of two

3. x
7. y
8. z

Prices

Loaf | Crowns
rye | 4.80 each

all

def one():
    return  1

A line
and another

invisible

Term
What it means"""


def test_html_reads_as_a_browser_shows_it() -> None:
    document = html(PAGE)
    assert document.text == SHOWN
    assert document.title == "Tilden & Observatory"
    assert document.warnings == ("Not read: 1 embedded image(s) or other media.",)


@pytest.mark.parametrize(
    "text", ["a</b></i>c <p", "<<<>>>", "<p>&bogus; &#0; &#xD800; &#1;&amp", "<table><td>x<p>y", "</p>x", "<li>x"]
)
def test_broken_html_is_still_read(text: str) -> None:
    assert html(text + " end").text


def test_headings_stand_where_their_spans_say() -> None:
    document = html("<p>Before</p><h2> One  <i>two</i></h2>text<div><h4>Three<br>four</h4></div><h3></h3>")
    assert [(one.level, one.text) for one in document.headings] == [(2, "One two"), (4, "Three four")]
    assert [document.text[one.span.start : one.span.end] for one in document.headings] == ["One two", "Three four"]


def test_a_table_that_lays_out_a_page_is_read_cell_by_cell() -> None:
    document = html("<table><tr><td><h2>Menu</h2><p>Soup</p></td><td><table><tr><td>a<td>b</table></td></table>")
    assert document.text == "Menu\n\nSoup\n\na | b"
    assert [one.text for one in document.headings] == ["Menu"]


def test_text_composed_across_elements_is_canonical() -> None:
    assert html("<p>Zoe<b>&#x308;</b>&#13;&#11;x</p>").text == "Zo\u00eb x"


def test_html_names_its_own_charset() -> None:
    assert load(HtmlLoader(), b"<meta charset=gbk><p>" + "鸟".encode("gbk")).text == "鸟"
    assert load(HtmlLoader(), "<meta charset='utf-16'><p>鸟".encode()).text == "鸟"
    declared = load(HtmlLoader(), b"<meta charset=gbk><p>" + "鸟".encode(), charset="utf-8")
    assert declared.text == "鸟"


def test_xhtml_elements_may_close_themselves() -> None:
    page = '<html><head><script src="a"/><title>T</title></head><body><div/><p>x<br/>y</p></body></html>'
    document = load(HtmlLoader(), f'<?xml version="1.0"?>{page}', media_type="application/xhtml+xml")
    assert (document.text, document.title) == ("x\ny", "T")


NOTES = """---
title: "Notes on \\"bread\\""
tags: [a, b]
---
# Pemberlow Bakery

## Opening hours

It opens at *6:30* in the
morning. <b>Always.</b>

| Loaf | Crowns |
|------|-------:|
| rye  | 4.80   |

1. one
2. two

```python
code  here
```
"""


def test_markdown_reads_as_it_is_rendered() -> None:
    document = markdown(NOTES)
    assert document.text == (
        "Pemberlow Bakery\n\nOpening hours\n\nIt opens at 6:30 in the morning. Always.\n\n"
        "Loaf | Crowns\nrye | 4.80\n\n1. one\n2. two\n\ncode  here"
    )
    assert [(one.level, one.text) for one in document.headings] == [(1, "Pemberlow Bakery"), (2, "Opening hours")]
    assert document.title == 'Notes on "bread"'
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("front_matter", "title"),
    [
        ("title: Plain words # not these", "Plain words"),
        ("author: A\ntitle: 'It''s quoted'", "It's quoted"),
        ("author: A", "Heading"),
        ("title:\n  - odd", "Heading"),
    ],
)
def test_the_title_of_front_matter_comes_before_the_first_heading(front_matter: str, title: str) -> None:
    document = markdown(f"---\n{front_matter}\n---\n\n# Heading\n")
    assert (document.title, document.text) == (title, "Heading")


def test_a_rule_at_the_start_is_not_front_matter() -> None:
    assert markdown("---\n\nText\n\n---\n\nMore").text == "Text\n\nMore"


def test_markdown_that_is_nested_too_deeply_is_read_as_plain_text() -> None:
    document = markdown(">" * 10_000 + " deep")
    assert "deep" in document.text
    assert "nested" in document.warnings[0]
    assert markdown(">" * 50 + " less deep").text == "less deep"


@pytest.mark.parametrize(
    ("media_type", "content", "text"),
    [
        ("text/plain", "<p># a", "<p># a"),
        ("text/markdown", "# a", "a"),
        ("text/html", "<p>a", "a"),
        ("application/octet-stream", "\ufeff <!DOCTYPE html><p>a", "a"),
        ("", "<b>a", "<b>a"),
    ],
)
def test_the_media_type_says_who_reads(media_type: str, content: str, text: str) -> None:
    source = Source(content=content.encode(), media_type=media_type)
    assert Formats(LOADERS).load(source).text == text


def test_a_type_that_nobody_reads_is_refused_with_those_that_are_read() -> None:
    with pytest.raises(UnsupportedMediaType, match="text/plain, text/markdown"):
        Formats(LOADERS).load(Source(content=b"%PDF-1.7", media_type="application/pdf"))


HOSTILE = {
    "deep": "<div>" * 100_000 + "x",
    "formatting": "<b>" * 50_000 + "x",
    "unclosed": "<p>x" * 30_000,
    "lists": "<ul><li>" * 30_000 + "x",
    "tables": "<table><tr><td>x" * 20_000,
    "headings": "<h1>x" * 20_000,
    "attribute": "<a title='" + "x" * 1_000_000 + "'>x",
    "attributes": "<a " + " ".join(f"a{number}=1" for number in range(50_000)) + ">x",
    "comments": "<!-- -->" * 50_000 + "x",
    "entities": "x&amp;" * 50_000,
    "open": "<" * 100_000 + "x",
    "title": "x<title>" + "&amp;" * 50_000 + "</title>",
    "brackets": "[" * 10_000 + "x",
    "emphasis": "*a **a " * 5_000,
    "quotes": "> " * 5_000 + "x",
    "style": "<p style='" + ";  " * 50_000 + "'>x",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("loader", LOADERS[1:], ids=lambda loader: type(loader).__name__)
def test_hostile_markup_is_read_soon(loader: Loader, content: str) -> None:
    started = time.process_time()
    assert load(loader, content).text
    assert time.process_time() - started < 5


FRONT_MATTER = """---
title: 'Bread: a history'
date: 2024-05-01
ms.date: 05/31/2018
author:
  - Ann Otter
  - "Bo Tern"
tags: [rye, "sour, dough"]
description: >
  folded
nested:
  title: not this
bomb: &a [x, *a]
---
Text
"""


def test_front_matter_describes_the_document() -> None:
    document = markdown(FRONT_MATTER)
    assert (document.text, document.title) == ("Text", "Bread: a history")
    assert document.metadata == {
        "created_at": "2024-05-01",
        "updated_at": "2018-05-31",
        "author": "Ann Otter, Bo Tern",
        "tags": ("rye", "sour, dough"),
    }
