"""From bytes to characters: what every loader of a text format starts with, and how it ends."""

from __future__ import annotations

import codecs
import re
import unicodedata

from embeddings.domain import Source
from embeddings.errors import InvalidText
from embeddings.text import canonical

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FALLBACK = "cp1252"
_NO_CHARSETS = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "utf-7"})
_MOST_HIGH_BYTES = 0.3
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_HIGH_BYTE = re.compile(rb"[\x80-\xff]+")


def decoded(source: Source, *, inner_charset: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The canonical characters of a source, and warnings.

    A byte order mark decides, then the charset that the sender declares, then the one that the content itself names,
    then UTF-8; Western European bytes are read as Windows-1252 with a warning. Raises InvalidText for anything else.
    """
    content = source.content
    mark, charset = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", None))
    charset = charset or source.charset or inner_charset
    warnings: tuple[str, ...] = ()
    if charset is None and not _is_utf8(content):
        charset = _fallback(content)
        warnings = ("The encoding was not declared and is not UTF-8; it was read as Windows-1252.",)
    return canonical(_decode(content.removeprefix(mark), charset or "utf-8")), warnings


def require_readable(text: str) -> None:
    """Raises InvalidText where no character of a text can be seen."""
    if not any(unicodedata.category(character)[0] in "LNPS" for character in text):
        raise InvalidText("The document holds no readable text.", field="/text")


def _decode(content: bytes, charset: str) -> str:
    name = _codec(charset)
    try:
        text = content.decode(name)
    except LookupError as error:  # a codec, but not of text
        raise _unknown_charset() from error
    except UnicodeError as error:
        raise InvalidText(
            f"The text is not valid {name}; declare its charset, or send UTF-8.", field="/text"
        ) from error
    if "\0" in text:
        raise InvalidText("The text holds NUL characters, as binary files do.", field="/text")
    return text


def _codec(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError) as error:
        raise _unknown_charset() from error
    if name in _NO_CHARSETS:
        raise _unknown_charset()
    # As the WHATWG Encoding Standard has it: what is labelled Latin-1 is Windows-1252 in truth.
    return _FALLBACK if name == "iso8859-1" else name


def _unknown_charset() -> InvalidText:
    return InvalidText("The declared charset is not one that is read here; send UTF-8.", field="/text")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _fallback(content: bytes) -> str:
    high = sum(map(len, _HIGH_BYTE.findall(content)))
    if _NOT_IN_TEXT.search(content) or high > _MOST_HIGH_BYTES * len(content):
        raise InvalidText("The content is neither UTF-8 text nor does it declare another charset.", field="/text")
    return _FALLBACK
