"""What a document is: by its content first, then by what it is said to be."""

from __future__ import annotations

import re
import struct

from embeddings.errors import InvalidText, UnsupportedMediaType

UNKNOWN = ("", "application/octet-stream", "binary/octet-stream", "application/zip", "application/x-zip-compressed")
"""Types that tell nothing."""
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
EPUB = "application/epub+zip"
EMAIL, RST, JSON_LINES, HTML, PLAIN = "message/rfc822", "text/x-rst", "application/x-ndjson", "text/html", "text/plain"

_MEMBERS = (
    (b"word/document.xml", DOCX),
    (b"ppt/presentation.xml", PPTX),
    (b"xl/workbook.xml", XLSX),
    (b"META-INF/container.xml", EPUB),
)
_OTHERS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1f\x8b", "a gzip file"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\0", "a program"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_HTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!--[^>]*>\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_PROPOSAL = re.compile(rb"(?:\xef\xbb\xbf)?PEP: *\d+\r?\nTitle:")
_JSON_LINE = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"')
_EMAIL_FIELD = re.compile(rb"(?:From|To|Subject|Date|Message-ID|Received|Return-Path|MIME-Version|Delivered-To):", re.I)
_FIELD = re.compile(rb"[!-9;-~]{1,76}:[ \t]|[ \t]")
_LOOKED_AT = 1024


def media_type_of(content: bytes, said: str) -> str:
    """The type by which a document is read; `said` is what its sender says.

    Raises UnsupportedMediaType for what is no document that is read here, InvalidText for an encrypted one.
    """
    beginning = content[:_LOOKED_AT]
    if b"%PDF-" in beginning and (said in (*UNKNOWN, PDF) or beginning.lstrip().startswith(b"%PDF-")):
        return PDF
    if content.startswith(b"PK\3\4"):
        return _zipped(content)
    if content.startswith(_OLE):
        raise _old_office(content)
    for mark, name in _OTHERS:
        if content.startswith(mark):
            raise UnsupportedMediaType(f"This is {name}, which is not read here; send its text.", field="/media_type")
    if said not in UNKNOWN:
        return RST if said == PLAIN and _PROPOSAL.match(beginning) else said
    return _text_type(beginning)


def _text_type(beginning: bytes) -> str:
    if _HTML_START.match(beginning):
        return HTML
    if _PROPOSAL.match(beginning):
        return RST
    lines = beginning.split(b"\n")
    if _JSON_LINE.match(beginning) and b'"text"' in lines[0] and len(lines) > 1:
        return JSON_LINES
    head, _, _ = beginning.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = head.split(b"\n")[: None if len(head) < len(beginning) // 2 else -1]
    is_email = (
        len(fields) > 2 and all(map(_FIELD.match, fields)) and sum(bool(_EMAIL_FIELD.match(one)) for one in fields) > 2
    )
    return EMAIL if is_email else PLAIN


def _zipped(content: bytes) -> str:
    """By the names in the archive's own table of contents."""
    end = content.rfind(b"PK\5\6", -65_557)
    if end < 0 or len(content) < end + 20:
        raise InvalidText("The file is damaged or cut off; send the whole file.", field="/text")
    size, start = struct.unpack_from("<LL", content, end + 12)
    names = content[start : start + size]
    for member, media_type in _MEMBERS:
        if member in names:
            return media_type
    raise UnsupportedMediaType(
        "This is a zip archive, but no DOCX, PPTX, XLSX or EPUB; send the files in it one by one.", field="/media_type"
    )


def _old_office(content: bytes) -> Exception:
    if _ENCRYPTED_PACKAGE in content:
        return InvalidText("The file is encrypted; save it without a password.", field="/text")
    return UnsupportedMediaType(
        "This is a file of an old Office (DOC, XLS, PPT, MSG); save it as DOCX, XLSX, PPTX or EML.", field="/media_type"
    )
