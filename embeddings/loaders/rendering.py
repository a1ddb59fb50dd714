"""HTML as a reader sees it: blocks of plain text, with their headings. One pass over parser events, no tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from embeddings.domain import Heading, LoadedDocument, Span
from embeddings.loaders.boilerplate import content_flags
from embeddings.loaders.decoding import require_readable
from embeddings.text import canonical

_FED_AT_ONCE = 1 << 16
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    [
        *_HEADINGS,
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "caption",
            "center",
            "dd",
            "details",
            "dialog",
            "dir",
            "div",
        ),
        *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html"),
        *("legend", "li", "main", "menu", "nav", "ol", "p", "pre", "search", "section", "summary", "table", "tbody"),
        *("td", "tfoot", "th", "thead", "tr", "ul"),
    ]
)
_GROUPS = frozenset(["dir", "dl", "menu", "ol", "table", "ul"])
_UNSEEN = frozenset(
    [
        *("annotation", "annotation-xml", "audio", "canvas", "datalist", "iframe", "noscript", "object", "rp", "rt"),
        *("script", "select", "style", "svg", "template", "textarea", "video"),
    ]
)
_MEDIA = frozenset(["audio", "canvas", "embed", "iframe", "img", "object", "svg", "video"])
_FRAMES = frozenset(["aside", "dialog", "footer", "header", "menu", "nav", "search"])
_FRAME_ROLES = frozenset(["banner", "complementary", "contentinfo", "dialog", "navigation", "search"])
_FRAME_NAME = re.compile(
    r"(?:^|[\s_-])(?:breadcrumbs?|consent|cookies?|footer|gdpr|menu|menubar|nav|navbar|navigation|share|sharing|sidebar|"
    r"social|toc|toolbar)(?:$|[\s_-])",
    re.IGNORECASE,
)
_DEEPEST_PAGE, _LARGEST_PAGE = 200, 100_000
"""Levels and elements of a page whose content is looked for."""
_UNSEEN_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_SPACE = re.compile(r"[ \t\n\r\f\u00a0]+")
_LONGEST_ROW = 2000
_DEEPEST_ROW = 4
_DEEPEST_INDENTATION = 8


def render(
    html: str, *, title: str | None = None, warnings: tuple[str, ...] = (), content_only: bool = False
) -> LoadedDocument:
    """The document that HTML shows: paragraphs between blank lines, list items with marks, a table row a line.

    Its title is the given one, else its `title` element, else its first heading of level 1. Images and other embedded
    media are not read; a warning counts them. With `content_only` a page's menus, notices and footers stay out.
    Raises InvalidText where nothing is to be seen.
    """
    from lxml import etree

    page = _Page()
    parser = etree.HTMLParser(target=cast(Any, page), huge_tree=True)
    parser.feed("<html>")  # the parser takes a page without any element for an error
    for start in range(0, len(html), _FED_AT_ONCE):
        parser.feed(html[start : start + _FED_AT_ONCE])
    parser.close()
    text, headings = _laid_out(_content(page, html) if content_only else page.blocks)
    require_readable(text)
    main_heading = next((heading.text for heading in headings if heading.level == 1), None)
    if page.media:
        warnings = (*warnings, f"Not read: {page.media} embedded image(s) or other media.")
    return LoadedDocument(
        text=text, title=title or page.title or main_heading, headings=tuple(headings), warnings=warnings
    )


@dataclass(frozen=True, slots=True)
class _Block:
    text: str
    level: int = 0
    """Of a heading; 0 for other text."""
    group: int = 0
    """The list or table of an item or row: no blank line parts those of the same one; 0 for other text."""
    is_framed: bool = False
    """Whether the page marks it as a menu, a notice, a header or a footer."""


def _content(page: _Page, html: str) -> list[_Block]:
    blocks = page.blocks
    framed = [block.is_framed for block in blocks]
    if not any(framed) or page.deepest > _DEEPEST_PAGE or page.elements > _LARGEST_PAGE:
        return blocks
    flags = content_flags(html, [block.text for block in blocks], framed=framed)
    return [block for block, is_content in zip(blocks, flags, strict=True) if is_content or block.level == 1]


def _laid_out(blocks: list[_Block]) -> tuple[str, list[Heading]]:
    pieces: list[str] = []
    headings: list[Heading] = []
    at = 0
    group = 0
    for block in blocks:
        gap = "" if not pieces else "\n" if block.group and block.group == group else "\n\n"
        pieces += gap, block.text
        at += len(gap)
        if block.level:
            headings.append(Heading(Span(at, at + len(block.text)), block.level, " ".join(block.text.split())))
        at += len(block.text)
        group = block.group
    return "".join(pieces), headings


class _Page:
    """The target of the parser's events: it keeps the blocks and no elements but the open lists and table rows."""

    def __init__(self) -> None:
        self.blocks: list[_Block] = []
        self.media = self.elements = self.deepest = 0
        self._depth = self._framed = 0
        self._title: list[str] = []
        self._in_title = False
        self._words: list[str] = []
        self._level = 0
        self._item: str | None = None
        """The mark of a list item whose text is still to come; None outside of lists."""
        self._numbers: list[int | None] = []
        """The next number of each open list, None for bullets."""
        self._rows: list[list[list[_Block]]] = []
        """The cells of each open table row."""
        self._rows_too_deep = 0
        self._groups_open = self._group = 0
        self._preformatted = 0
        self._unseen = 0

    @property
    def title(self) -> str | None:
        return _shown("".join(self._title)) or None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _MEDIA and not self._unseen:
            self.media += 1
        self.elements += 1
        self._depth += 1
        self.deepest = max(self.deepest, self._depth)
        if self._unseen or tag in _UNSEEN or _is_hidden(attributes):
            self._unseen += 1
            return
        if tag in _BLOCKS:
            self._end_block()
        if self._framed or _is_frame(tag, attributes):
            self._framed += 1
        if tag in _GROUPS:
            self._group += not self._groups_open
            self._groups_open += 1
        match tag:
            case "title":
                self._in_title = not self._title
            case "br":
                self._words.append("\n")
            case "pre":
                self._preformatted += 1
            case "ul" | "menu" | "dir":
                self._numbers.append(None)
            case "ol":
                self._numbers.append(_number(attributes.get("start"), 1))
            case "li":
                self._item = self._mark(attributes.get("value"))
            case "dt" | "dd":
                self._item = ""
            case "tr":
                self._open_row()
            case "td" | "th" if self._rows and not self._rows_too_deep:
                self._rows[-1].append([])
            case _:
                self._level = _HEADINGS.get(tag, self._level)

    def end(self, tag: str) -> None:
        self._depth -= 1
        if self._unseen:
            self._unseen -= 1
            return
        if tag in _BLOCKS:
            self._end_block()
        self._framed -= self._framed > 0
        self._groups_open -= tag in _GROUPS
        match tag:
            case "title":
                self._in_title = False
            case "pre":
                self._preformatted -= 1
            case "ul" | "menu" | "dir" | "ol":
                self._numbers.pop()
            case "li" | "dt" | "dd":
                self._item = None
            case "tr":
                self._close_row()
            case _ if tag in _HEADINGS:
                self._level = 0

    def data(self, text: str) -> None:
        if self._in_title:
            self._title.append(text)
        elif not self._unseen:
            self._words.append(text if self._preformatted else _SPACE.sub(" ", text))

    def close(self) -> None:
        self._end_block()
        while self._rows:
            self._close_row()

    def _mark(self, value: str | None) -> str:
        indentation = "  " * min(len(self._numbers) - 1, _DEEPEST_INDENTATION)
        if not self._numbers or self._numbers[-1] is None:
            return f"{indentation}- "
        number = _number(value, self._numbers[-1])
        self._numbers[-1] = number + 1
        return f"{indentation}{number}. "

    def _end_block(self) -> None:
        text = "".join(self._words)
        self._words = []
        if self._preformatted:
            text = canonical(_INVISIBLE.sub("", text)).strip("\n").rstrip()
        else:
            text = "\n".join(filter(None, map(_shown, text.split("\n"))))
        if self._level or self._rows:
            text = " ".join(text.split("\n"))
        if text and not text.isspace():
            group = 0 if self._item is None else self._group
            self._emit(_Block(f"{self._item or ''}{text}", self._level, group, self._framed > 0))
            self._item = None

    def _emit(self, *blocks: _Block) -> None:
        if self._rows and not self._rows[-1]:
            self._rows[-1].append([])
        (self._rows[-1][-1] if self._rows else self.blocks).extend(blocks)

    def _open_row(self) -> None:
        if len(self._rows) < _DEEPEST_ROW:
            self._rows.append([])
        else:
            self._rows_too_deep += 1

    def _close_row(self) -> None:
        if self._rows_too_deep:
            self._rows_too_deep -= 1
        elif self._rows:
            self._emit(*_row(self._rows.pop(), self._group))


def _row(cells: list[list[_Block]], group: int) -> list[_Block]:
    """One line, unless the table only serves to lay the page out."""
    blocks = [block for cell in cells for block in cell]
    texts = [" ".join(" ".join(block.text.split()) for block in cell) for cell in cells]
    is_layout = len(cells) == 1 or sum(map(len, texts)) > _LONGEST_ROW or any(block.level for block in blocks)
    return (
        blocks
        if is_layout or not blocks
        else [_Block(" | ".join(texts).strip(), group=group, is_framed=blocks[0].is_framed)]
    )


def _shown(text: str) -> str:
    """One line as a browser shows it, but for no-break spaces, which become plain ones as when copied from a page."""
    return _SPACE.sub(" ", canonical(_INVISIBLE.sub("", text))).strip()


def _is_frame(tag: str, attributes: Mapping[str, str]) -> bool:
    named = f"{attributes.get('class', '')[:200]} {attributes.get('id', '')[:200]}"
    is_part = tag in _FRAMES or attributes.get("role", "") in _FRAME_ROLES
    return is_part or (tag not in ("html", "body") and bool(_FRAME_NAME.search(named)))


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    return "hidden" in attributes or bool(_UNSEEN_STYLE.search(attributes.get("style", "")[:1000]))


def _number(digits: str | None, otherwise: int) -> int:
    return int(digits) if digits and re.fullmatch("[0-9]{1,9}", digits) else otherwise
