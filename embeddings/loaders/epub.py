"""Electronic books (EPUB): the chapters in reading order."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from embeddings.domain import LoadedDocument, MetadataValue, Source
from embeddings.errors import InvalidText
from embeddings.loaders.archives import opened_archive, parsed_xml
from embeddings.loaders.composing import Composition
from embeddings.loaders.html import HtmlLoader
from embeddings.text import canonical

if TYPE_CHECKING:
    from lxml import etree

_CONTAINER = "META-INF/container.xml"
_PROTECTED = "META-INF/encryption.xml"
_NAMES = {"creator": "author", "date": "created_at", "language": "language", "publisher": "publisher"}
_XHTML = "application/xhtml+xml"


class EpubLoader:
    """Reads what the spine names (EPUB 2 and 3); navigation and chapters without text are left out."""

    media_types: tuple[str, ...] = ("application/epub+zip",)

    def load(self, source: Source) -> LoadedDocument:
        archive = opened_archive(source.content)
        place = _package(archive)
        package = parsed_xml(_read(archive, place))
        title, metadata = _described(package)
        composition = Composition()
        missing = 0
        for path in _spine(package, posixpath.dirname(place)):
            try:
                chapter = Source(content=archive.read(path), media_type=_XHTML)
                composition.add_document(HtmlLoader(whole=True).load(chapter))
            except KeyError:
                missing += 1
            except InvalidText:  # a cover, or another page of pictures
                continue
        warnings = [f"Missing from the book: {missing} chapter(s)."] if missing else []
        if _PROTECTED in archive.namelist():
            warnings.append("Parts of the book are protected; only the others were read.")
        return composition.document(title=title, metadata=metadata, warnings=tuple(warnings))


def _package(archive: zipfile.ZipFile) -> str:
    root = parsed_xml(_read(archive, _CONTAINER)).find(".//{*}rootfile")
    return "" if root is None else root.get("full-path", "")


def _read(archive: zipfile.ZipFile, path: str) -> bytes:
    try:
        return archive.read(path)
    except KeyError as error:
        raise InvalidText("The book lacks its table of parts; export it anew.", field="/text") from error


def _described(package: etree._Element) -> tuple[str | None, dict[str, MetadataValue]]:
    found: dict[str, str] = {}
    for element in package.iterfind("{*}metadata/*"):
        name = str(element.tag).rpartition("}")[2]
        found.setdefault(name, " ".join(canonical(element.text or "").split()))
    return found.get("title") or None, {name: found[key] for key, name in _NAMES.items() if found.get(key)}


def _spine(package: etree._Element, folder: str) -> Iterator[str]:
    items = {one.get("id"): one for one in package.iterfind("{*}manifest/{*}item")}
    for reference in package.iterfind("{*}spine/{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is not None and "nav" not in item.get("properties", "").split():
            yield posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
