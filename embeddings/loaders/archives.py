"""Zip archives that come from strangers: Office files and electronic books."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING

from embeddings.errors import InvalidText, TooLarge

if TYPE_CHECKING:
    from lxml import etree

MOST_MEMBERS = 2_000
MOST_BYTES = 200_000_000
MOST_EXPANSION = 100
_UNSUSPICIOUS_BYTES = 10_000_000
_READ_AT_ONCE = 1 << 20
_MARKUP = (".xml", ".rels", ".opf", ".ncx", ".xhtml", ".html", ".htm", ".vml")


def opened_archive(content: bytes) -> zipfile.ZipFile:
    """The archive, once every member has been unpacked and counted and no markup in it defines entities.

    Raises InvalidText for what is damaged, encrypted or defines entities, and TooLarge for what unpacks to over 200 MB,
    to over a hundred times its size, or into over 2,000 members.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        if len(archive.infolist()) > MOST_MEMBERS:
            raise TooLarge(f"The file packs more than {MOST_MEMBERS:,} parts; save it anew, in smaller files.")
        left = min(MOST_BYTES, max(_UNSUSPICIOUS_BYTES, MOST_EXPANSION * len(content)))
        for member in archive.infolist():
            left = _checked(archive, member, left)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError, UnicodeError) as error:
        raise InvalidText("The file is damaged or cut off; send the whole file.", field="/text") from error
    return archive


def _checked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> int:
    if member.flag_bits & 1:
        raise InvalidText("The file is encrypted; save it without a password.", field="/text")
    is_markup = member.filename.lower().endswith(_MARKUP)
    last = b""
    with archive.open(member) as stream:
        while piece := stream.read(_READ_AT_ONCE):
            left -= len(piece)
            if left < 0:
                raise TooLarge("The file unpacks to far more than its size, as zip bombs do; save it anew.")
            if is_markup and b"<!ENTITY" in (last + piece).replace(b"\0", b""):
                raise InvalidText(
                    "The file defines XML entities, which are not read here; save it anew.", field="/text"
                )
            last = piece[-32:]
    return left


def parsed_xml(content: bytes) -> etree._Element:
    """Without entities and network. Raises InvalidText."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False)
    try:
        return etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidText("A part of the file is not well-formed XML; save it anew.", field="/text") from error
