"""Canonical text, its sentences, and its words for lexical search. Pure; linear in the length of the text."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, groupby, pairwise

import Stemmer

from embeddings.domain import Span
from embeddings.errors import InvalidText

_SURROGATE = re.compile("[\ud800-\udfff]")
_NEWLINE = re.compile("\r\n|[\r\x85\x0b\x0c]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]+")
_MARK_RUN = re.compile(r"[^\w\x00-\x7f]{64,}")


def canonical(text: str) -> str:
    """The text in NFC, with `\\n` for every newline (CRLF, CR, NEL, VT, FF) and no other control character but tabs.

    Nothing is trimmed or collapsed; a leading byte order mark goes. Raises InvalidText for lone surrogates.
    """
    if found := _SURROGATE.search(text):
        raise InvalidText(f"Half a surrogate pair stands at character {found.start()}; send whole characters.")
    text = _CONTROL.sub("", _NEWLINE.sub("\n", text)).lstrip("\ufeff")
    if unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", _MARK_RUN.sub(_ordered_marks, text))


def _ordered_marks(run: re.Match[str]) -> str:
    # Normalisation sorts combining marks by insertion, which is quadratic in a long run; a sorted one costs it nothing.
    groups = groupby(run.group(), key=lambda character: unicodedata.combining(character) > 0)
    return "".join("".join(sorted(group, key=unicodedata.combining) if marks else group) for marks, group in groups)


_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)


# Sentences -------------------------------------------------------------------------------------------------------

BULLET = r"(?:[-*+•‣◦·▪]|\(?\d{1,3}[.)])"
"""A pattern of what an item of a list begins with, blanks behind it."""

_LINE = re.compile(r"[^\n]+")
_ITEM = re.compile(r"(?:[-*+•‣◦–—·▪]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxlcIVXLC]{1,6})[.)、])\s|\.\. |#{1,6}\s|:\w[\w -]*:\s")
_ROW = re.compile(r"^\s*\||\s\|\s|\S[ \t]*\t|\S {3,}\S|^\s*\+[-=]")
_NARROWEST_WRAP, _WIDEST_WRAP = 45, 100
_LONGEST_ROW = 600


def sentence_spans(text: str) -> list[Span]:
    """The sentences in order, without surrounding white space; they cover every character that is not blank.

    Blank lines, headings, list items and table rows end a sentence; so does every line break, but for those of
    hard-wrapped text.
    """
    return [
        span for block in _blocks(text) for paragraph in _paragraphs(text, block) for span in _split(text, paragraph)
    ]


def _blocks(text: str) -> Iterator[list[Span]]:
    """The lines between blank lines, each from its first to its last character that is not blank."""
    block: list[Span] = []
    end = 0
    for found in _LINE.finditer(text):
        line = found.group()
        stripped = line.strip()
        if block and (not stripped or found.start() > end + 1):
            yield block
            block = []
        if stripped:
            start = found.start() + len(line) - len(line.lstrip())
            block.append(Span(start, start + len(stripped)))
        end = found.end()
    if block:
        yield block


def _paragraphs(text: str, block: list[Span]) -> Iterator[Span]:
    """Joins the lines of a block over which a sentence may run on."""
    width = _wrap_width(text, block)
    start = block[0].start
    for line, following in pairwise(block):
        if not _runs_on(text, line, following, width):
            yield Span(start, line.end)
            start = following.start
    yield Span(start, block[-1].end)


def _wrap_width(text: str, block: list[Span]) -> int:
    """The width to which the block was wrapped, in characters without indentation; 0 if it was not."""
    lengths = [line.end - line.start for line in block]
    narrow = [length for length in lengths if length <= _WIDEST_WRAP]
    width = max(narrow, default=0)
    if width < _NARROWEST_WRAP or len(lengths) - len(narrow) > len(lengths) // 10:
        return 0
    is_verse = len(block) > 3 and all(text[line.start].isupper() for line in block)
    return 0 if is_verse else width


def _runs_on(text: str, line: Span, following: Span, width: int) -> bool:
    after = text[following.start : min(following.end, following.start + _WIDEST_WRAP)]
    if not any(map(str.isalnum, after)):
        return len(after) < _WIDEST_WRAP  # the rule under a heading
    if not width or line.end - line.start > _WIDEST_WRAP or _ITEM.match(after):
        return False
    before = text[line.start : line.end]
    if _ROW.search(before) or _ROW.search(after) or _is_indented(text, following, line):
        return False
    if len(before) + 1 + min(len(after.split(None, 1)[0]), 20) >= width:
        return True
    return after[0].islower() and 2 * len(before) >= width and before[-1] not in ".!?:;"


def _is_indented(text: str, following: Span, line: Span) -> bool:
    """Whether a line opens a paragraph by its indentation, which in a list item is no sign."""
    columns = [span.start - text.rfind("\n", 0, span.start) for span in (line, following)]
    return columns[1] > columns[0] + 1 and not _ITEM.match(text, line.start)


_CLOSING = "\"'”’»)\\]*_」』）】》〉＂＇"
_END = re.compile(
    rf"[.!?…؟۔।॥።։][.!?…؟{_CLOSING}]*+(?:\[\d{{1,4}}\])*+"  # ends a sentence where white space follows
    rf"|[。！？；｡．][。！？；｡…{_CLOSING}]*+"  # always does
)


def _listed(line: str) -> frozenset[str]:
    return frozenset(line.split())


_OPENING = "\"'“‘«([{*_「『（【《〈¿¡"
_UNSPACED_LETTER = re.compile(f"[{_UNSPACED}]")
_NEXT_WORD = re.compile(r"\S{1,24}")
_ORDINAL = re.compile(r"(?:\d{1,3}|[a-zA-Z]|[ivxlc]{1,6}|[IVXLC]{1,6})")

_NEVER_LAST = _listed(
    "mr mrs ms messrs dr prof rev hon gen col maj capt cmdr lt sgt gov sen rep pres st mt ft vs cf viz e.g i.e eg ie "
    "approx ca resp incl esp sr. jr. fr adm supt dept mme mlle"
)
_LAST_UNLESS_NUMBER = _listed(
    "no nos fig figs eq eqs sec sect ch chap vol vols art para pp p pg pt ex tab ref refs ver v n jan feb mar apr jun "
    "jul aug sep sept oct nov dec"
)
_LAST_BEFORE_STARTER = _listed(
    "etc inc ltd co corp bros jr sr al ed eds a.m p.m am pm u.s u.k u.n e.u u.s.a u.s.s.r d.c ph.d m.d b.a m.a b.c a.d "
    "univ assn est"
)
_STARTERS = _listed(
    "the a an it its he she they we you i this that these those there his her their our my in on at by for from with "
    "as when while after before since if although though but and so however also thus then now what who where why how "
    "which to one two some many most all both each no not yes according during under over between among"
)


def _split(text: str, paragraph: Span) -> Iterator[Span]:
    """The sentences of a paragraph."""
    start, end = paragraph.start, paragraph.end
    if end - start <= _LONGEST_ROW and _ROW.search(text, start, end):
        yield paragraph
        return
    lower_case = text[start:end].islower()
    for found in _END.finditer(text, start, end):
        if _ends_sentence(text, start, found, end, lower_case=lower_case):
            yield Span(start, found.end())
            start = found.end()
            while start < end and text[start].isspace():
                start += 1
    if start < end:
        yield Span(start, end)


def _ends_sentence(text: str, start: int, found: re.Match[str], end: int, *, lower_case: bool) -> bool:
    at = found.end()
    if at == end or found.group()[0] in "。！？；｡．":
        return True
    if found.start() == start:
        return False
    if not text[at].isspace():
        return found.group()[0] != "." and bool(_UNSPACED_LETTER.match(text, at))
    following = _NEXT_WORD.search(text, at, end)
    if following is None:
        return True
    word = following.group().lstrip(_OPENING) or following.group()
    if word[0] in ".!?…" or (word[0].islower() and not lower_case):
        return False
    return found.group()[0] != "." or _full_stop_ends(text[max(start, found.start() - 24) : found.start()], word)


def _full_stop_ends(before: str, following: str) -> bool:
    """Whether a full stop after `before` (the last characters of the sentence) is more than an abbreviation's."""
    last = before.rpartition(" ")[2].rpartition("\n")[2].lstrip(_OPENING)
    if last == before and _ORDINAL.fullmatch(last):
        return False  # "1. Introduction"
    word = last.casefold()
    if word in _NEVER_LAST:
        return False
    if word in _LAST_UNLESS_NUMBER:
        return not following[0].isdigit()
    if word in _LAST_BEFORE_STARTER or (len(last) == 1 and last.isupper()):
        return following.rstrip(",.;:").casefold() in _STARTERS
    return True


# Words -----------------------------------------------------------------------------------------------------------

_MARKS = "".join(mark for mark in map(chr, range(0x300, 0x3100)) if unicodedata.category(mark)[0] == "M")
_SIGN = rf"(?:[^\W_]|[{_MARKS}])"
"""A letter, a digit, or a mark on one."""
_TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3}){1,6}+(?!\d)(?:\.\d{1,20}+)?+"  # 2,310 and 2,310.5
    r"|\d{1,20}+(?:\.\d{1,20}+){1,8}+"  # 3.6 and 1.2.3
    rf"|(?<![^\W_])[A-Za-z](?:\.[A-Za-z]){{1,8}}+(?!{_SIGN})"  # U.S.
    rf"|{_SIGN}{{1,64}}+(?:['’]{_SIGN}{{1,32}}+){{0,3}}+"
)
_SCRIPT_RUN = re.compile(f"[{_UNSPACED}]+|(?:(?![{_UNSPACED}]){_SIGN})+")
_ACCENT = re.compile("[\u0300-\u036f]+")
_LETTERS_WITHOUT_DECOMPOSITION = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "’": "'", "ʼ": "'"}
)
_CACHED_WORDS = 1 << 16


class _Stemming(threading.local):
    def __init__(self) -> None:
        self.stem = Stemmer.Stemmer("english", 0).stemWord


_stemming = _Stemming()


def words(text: str) -> list[str]:
    """The words for lexical search, in order and with repeats: folded to lower case without accents, English-stemmed.

    Numbers stay whole ("2,310" is "2310", "3.6" is "3.6"), hyphens separate, a run of a script that is written without
    spaces gives its pairs of neighbouring characters, and a run of more than 64 letters is cut there.
    """
    return list(chain.from_iterable(map(_words_of, _TOKEN.findall(unicodedata.normalize("NFC", text)))))


def content_words(text: str) -> list[str]:
    """The words without stop words; all of them where nothing else remains."""
    every = words(text)
    return [word for word in every if word not in STOP_WORDS] or every


@lru_cache(maxsize=_CACHED_WORDS)
def _words_of(token: str) -> tuple[str, ...]:
    if token[0].isdigit() and ("." in token or "," in token):
        return (token.replace(",", ""),)
    if "." in token:
        return (_folded(token).replace(".", ""),)
    plain = _folded(token).removesuffix("'s").replace("'", "")
    return tuple(word for run in _SCRIPT_RUN.findall(plain) for word in _words_of_run(run))


def _words_of_run(run: str) -> list[str]:
    if re.match(f"[{_UNSPACED}]", run):
        return [run[i : i + 2] for i in range(max(1, len(run) - 1))]
    return [_stemming.stem(run) if run.isascii() and run.isalpha() else run]


def _folded(token: str) -> str:
    if token.isascii():
        return token.lower()
    bare = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", token)))
    return bare.casefold().translate(_LETTERS_WITHOUT_DECOMPOSITION)


STOP_WORDS = frozenset(
    words(
        "a about after again all also am an and any are as at be because been before being between both but by can "
        "could did do does doing down during each few for from further had has have having he her here hers him his "
        "how i if in into is it its itself just many me might more most much must my no nor not of off on once only "
        "or other our out over own please same shall she should so some such tell than that the their them then "
        "there these they this those through to too under until up upon very was we were what when where whether "
        "which while who whom whose why will with would you your"
    )
)
"""Words, as `words` gives them, that say little about what a question is about."""
