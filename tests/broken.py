"""Broken and hostile files: each with the name it comes under and what its refusal has to say."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.files import docx, epub, lines, pdf, pptx, xlsx


@dataclass(frozen=True)
class Broken:
    name: str
    made: Callable[[], bytes]
    reason: str
    """Words of the refusal."""


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
WORDS = b"The harbour was dredged in spring. "


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def packed(*members: tuple[str, bytes]) -> bytes:
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return saved.getvalue()


def repacked(office: bytes, name: str, content: bytes) -> bytes:
    """An archive with one of its members replaced."""
    with zipfile.ZipFile(io.BytesIO(office)) as archive:
        members = [(member, content if member == name else archive.read(member)) for member in archive.namelist()]
    return packed(*members)


def with_encrypted_members(office: bytes) -> bytes:
    """Flag bit 0 set in the table of contents."""
    content = bytearray(office)
    at = content.find(b"PK\1\2")
    while at >= 0:
        content[at + 8] |= 1
        at = content.find(b"PK\1\2", at + 4)
    return bytes(content)


def with_a_wrong_checksum(office: bytes) -> bytes:
    content = bytearray(office)
    at = content.find(b"PK\1\2")
    content[at + 16] ^= 0xFF
    return bytes(content)


# PDF -------------------------------------------------------------------------------------------------------------


def pdf_of(*objects: bytes, trailer: bytes = b"") -> bytes:
    """Objects numbered from 1; the first is the catalogue."""
    out = io.BytesIO()
    out.write(b"%PDF-1.5\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (len(objects) + 1, trailer))
    out.write(b"startxref\n%d\n%%%%EOF\n" % start)
    return out.getvalue()


CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R >>"
ONE_PAGE = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"


def stream(content: bytes, described: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), described, content)


def encrypted_pdf() -> bytes:
    """Standard security handler, revision 2, with a password that nobody knows."""
    handler = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (b"ab" * 32, b"cd" * 32)
    identity = b"/ID [<00> <00>] /Encrypt 5 0 R"
    return pdf_of(CATALOGUE, ONE_PAGE, PAGE, stream(b"BT (secret) Tj ET"), handler, trailer=identity)


def endless_page_tree() -> bytes:
    return pdf_of(CATALOGUE, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2000000000 >>")


def looping_cross_references() -> bytes:
    content = pdf(lines(72, 700, "Never reached."))
    start = content.rfind(b"xref\n0 ")
    cut = content[: content.rfind(b"startxref")]
    looping = cut.replace(b"trailer\n<<", b"trailer\n<< /Prev %d" % start)
    return looping.replace(b"/Root 1 0 R", b"/Root 99 0 R") + b"startxref\n%d\n%%%%EOF\n" % start


def bad_object_streams() -> bytes:
    return pdf_of(
        b"<< /Type /Catalog /Pages 9 0 R >>",
        stream(b"9 0 10 999999999 garbage", b"/Type /ObjStm /N 2000000 /First 7"),
        stream(zlib.compress(bytes(100))[:-7], b"/Type /XRef /W [9 9 9] /Size 1000000000 /Filter /FlateDecode"),
    )


def bomb_in_a_stream() -> bytes:
    content = zlib.compress(zlib.compress(bytes(100_000_000), 9), 9)
    return pdf_of(CATALOGUE, ONE_PAGE, PAGE, stream(content, b"/Filter [/FlateDecode /FlateDecode]"))


def huge_picture_in_a_pdf() -> bytes:
    picture = stream(
        b"\0",
        b"/Type /XObject /Subtype /Image /Width 2000000000 /Height 2000000000 /BitsPerComponent 8"
        b" /ColorSpace /DeviceRGB",
    )
    page = PAGE.replace(b"/Contents", b"/Resources << /XObject << /P 5 0 R >> >> /Contents")
    return pdf_of(CATALOGUE, ONE_PAGE, page, stream(b"/P Do"), picture)


# Archives --------------------------------------------------------------------------------------------------------

LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha">%s]><x>&l9;</x>' % b"".join(
    b'<!ENTITY l%d "%s">' % (n, (b"&l%d;" % (n - 1) if n else b"&a;") * 10) for n in range(10)
)
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
CONTAINER = (
    b'<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    b'<rootfile full-path="../../../../etc/passwd"/></rootfiles></container>'
)


def deep_document() -> bytes:
    name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = b"<w:tbl><w:tr><w:tc>" * 3000 + b"<w:p/>" + b"</w:tc></w:tr></w:tbl>" * 3000
    document = b'<w:document xmlns:w="%s"><w:body>%s</w:body></w:document>' % (name.encode(), body)
    return repacked(docx(), "word/document.xml", document)


def cell_at_the_end_of_the_sheet() -> bytes:
    sheet = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/>'
        b'<sheetData><row r="1048576"><c r="XFD1048576" t="e"/></row></sheetData></worksheet>'
    )
    return repacked(xlsx(), "xl/worksheets/sheet1.xml", sheet)


# Text ------------------------------------------------------------------------------------------------------------


def deep_message() -> bytes:
    parts = [
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (number, number) for number in range(500)
    ]
    return b"From: a@example.org\r\nTo: b@example.org\r\nSubject: deep\r\n" + b"".join(parts)


def attachment_only() -> bytes:
    return (
        b"From: a@example.org\nTo: b@example.org\nSubject: a picture\nMIME-Version: 1.0\n"
        b"Content-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n"
    )


def png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">L", 13) + header + struct.pack(">L", zlib.crc32(header))


DAMAGED = "damaged"
NOT_TEXT = "neither UTF-8 text"
NO_TEXT = "no readable text"
ENTITIES = "XML entities"
BOMB = "zip bombs"
UNREADABLE_PDF = "holds no text"

FILES: Sequence[Broken] = (
    # nothing that could be read
    Broken("empty.txt", bytes, "empty"),
    Broken("blank.md", lambda: b" \n\t\r\n" * 1000, NO_TEXT),
    Broken("blank.html", lambda: b"<html><body><script>1</script></body></html>", NO_TEXT),
    Broken("noise.txt", lambda: Random(7).randbytes(100_000), NOT_TEXT),
    Broken("nul.txt", lambda: WORDS + b"\0" + WORDS, "NUL"),
    Broken("mojibake.txt", lambda: b"\xc3" * 500 + WORDS, NOT_TEXT),
    Broken("half.txt", lambda: b"\xff\xfeT\0h\0e", "not valid utf-16"),
    # one kind in the name, another inside
    Broken("picture.pdf", lambda: png(2**31 - 1, 2**31 - 1), "PNG picture"),
    Broken("program.docx", lambda: b"\x7fELF" + bytes(5000), "a program"),
    Broken("packed.txt", lambda: b"\x1f\x8b\x08" + bytes(100), "gzip"),
    Broken("old.docx", lambda: OLE + bytes(5000), "old Office"),
    Broken("archive.xlsx", lambda: packed(("../../../../etc/cron.d/job", WORDS)), "zip archive"),
    # PDF
    Broken("header.pdf", lambda: b"%PDF-1.7", DAMAGED),
    Broken("truncated.pdf", lambda: half(pdf(lines(72, 700, "Cut off."))), DAMAGED),
    Broken("encrypted.pdf", encrypted_pdf, "encrypted"),
    Broken("endless.pdf", endless_page_tree, DAMAGED),
    Broken("looping.pdf", looping_cross_references, DAMAGED),
    Broken("objects.pdf", bad_object_streams, DAMAGED),
    Broken("bomb.pdf", bomb_in_a_stream, UNREADABLE_PDF),
    Broken("huge-picture.pdf", huge_picture_in_a_pdf, UNREADABLE_PDF),
    # archives
    Broken("truncated.docx", lambda: half(docx()), "cut off"),
    Broken("truncated.pptx", lambda: half(pptx()), "cut off"),
    Broken("truncated.xlsx", lambda: half(xlsx()), "cut off"),
    Broken("truncated.epub", lambda: half(epub("<p>Cut off.</p>")), "cut off"),
    Broken("checksum.docx", lambda: with_a_wrong_checksum(docx()), DAMAGED),
    Broken("password.docx", lambda: OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
    Broken("password.xlsx", lambda: with_encrypted_members(xlsx()), "encrypted"),
    Broken("bomb.docx", lambda: packed(("word/document.xml", bytes(30_000_000))), BOMB),
    Broken("laughs.docx", lambda: repacked(docx(), "word/document.xml", LAUGHS), ENTITIES),
    Broken("laughs.epub", lambda: repacked(epub("<p>a"), "OEBPS/chapter 0.xhtml", LAUGHS), ENTITIES),
    Broken("outside.xlsx", lambda: repacked(xlsx(), "xl/workbook.xml", OUTSIDE), ENTITIES),
    Broken("traversing.epub", lambda: packed(("META-INF/container.xml", CONTAINER)), "table of parts"),
    Broken("members.xlsx", lambda: packed(*((f"xl/workbook.xml{n}", b"") for n in range(2500))), "parts"),
    Broken("garbage.docx", lambda: repacked(docx(), "word/document.xml", b"<w:document <<<"), DAMAGED),
    Broken("missing.pptx", lambda: packed(("ppt/presentation.xml", b"<a/>")), DAMAGED),
    Broken("deep.docx", deep_document, DAMAGED),
    Broken("far.xlsx", cell_at_the_end_of_the_sheet, NO_TEXT),
    # text with a structure
    Broken("open-quote.csv", lambda: b'a,b\n1,"' + WORDS * 60_000, "quote left open"),
    Broken("deep.jsonl", lambda: b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "Line 1"),
    Broken("cut.jsonl", lambda: json.dumps({"text": "a"}).encode() + b'\n{"text": "b', "Line 2"),
    Broken("deep.eml", deep_message, NO_TEXT),
    Broken("attachment.eml", attachment_only, "no text"),
    Broken("deep.html", lambda: b"<div>" * 20_000, NO_TEXT),
)  # fmt: skip
