"""From the bytes of a document to passages that are ready to be encoded and stored."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from embeddings.chunking import chunk, encoded_text, indexed_text, title_of
from embeddings.domain import Chunk, Heading, LoadedDocument, Source, Span
from embeddings.ports import Loader, Tokenizer
from embeddings.text import words

CUTS = ("1", "2")
"""The last changes when documents would be cut or analysed differently: stored passages are then made anew.

2: the word index reads titles and headings whole.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPassage:
    chunk: Chunk
    encoded: str
    """What the encoder reads."""
    words: str
    text_sha: bytes
    content_sha: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedDocument:
    source: Source
    source_sha: bytes
    loaded: LoadedDocument
    title: str | None
    structure: str
    structure_sha: bytes
    text_sha: bytes
    passages: tuple[PreparedPassage, ...]


def sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def sha_of_structure(structure: str, text: str) -> bytes:
    """Equal means that a new version would say nothing new."""
    return sha(structure + "\0" + text)


def passage_id(collection: str, document_id: str, version: int, span: Span) -> str:
    """The same place always has the same id."""
    place = "\0".join([collection, document_id, str(version), str(span.start), str(span.end)])
    return base64.b32encode(sha(place)[:15]).decode("ascii").lower()


def structure_of(loaded: LoadedDocument) -> str:
    headings = [(one.span.start, one.span.end, one.level, one.text) for one in loaded.headings]
    pages = None if loaded.pages is None else [(page.start, page.end) for page in loaded.pages]
    structure: dict[str, object] = {"headings": headings, "pages": pages}
    if loaded.records:
        structure["records"] = [(record.start, record.end) for record in loaded.records]
    return json.dumps(structure, ensure_ascii=False)


def restore(text: str, structure: str) -> LoadedDocument:
    """What `structure_of` was made from."""
    stored = json.loads(structure)
    pages = stored["pages"]
    return LoadedDocument(
        text=text,
        headings=tuple(Heading(Span(start, end), level, heading) for start, end, level, heading in stored["headings"]),
        pages=None if pages is None else tuple(Span(*page) for page in pages),
        records=tuple(Span(*record) for record in stored.get("records", ())),
    )


class Ingestion:
    """Loads and cuts documents. Holds no state: safe to call from many threads."""

    def __init__(self, loader: Loader, tokenizer: Tokenizer) -> None:
        self._loader = loader
        self._tokenizer = tokenizer

    def prepare(self, source: Source) -> PreparedDocument:
        """Raises InvalidText, UnsupportedMediaType."""
        loaded = self._loader.load(source)
        title = title_of(loaded, source.title)
        structure = structure_of(loaded)
        return PreparedDocument(
            source=_described(source, loaded),
            source_sha=hashlib.sha256(source.content).digest(),
            loaded=loaded,
            title=title,
            structure=structure,
            structure_sha=sha_of_structure(structure, loaded.text),
            text_sha=sha(loaded.text),
            passages=self.cut(loaded, title),
        )

    def cut(self, loaded: LoadedDocument, title: str | None) -> tuple[PreparedPassage, ...]:
        return tuple(_prepared(one, title) for one in chunk(loaded, self._tokenizer, title=title))


def _described(source: Source, loaded: LoadedDocument) -> Source:
    """With the type that was found, and what the document says of itself where its sender says nothing."""
    metadata = {**loaded.metadata, **source.metadata}
    return replace(source, media_type=loaded.media_type or source.media_type, metadata=metadata)


def _prepared(chunk: Chunk, title: str | None) -> PreparedPassage:
    encoded = encoded_text(chunk)
    return PreparedPassage(
        chunk=chunk,
        encoded=encoded,
        words=" ".join(words(indexed_text(chunk, title))),
        text_sha=sha(chunk.text)[:16],
        content_sha=sha(encoded)[:16],
    )


def encoded_texts(passages: Iterable[PreparedPassage]) -> dict[bytes, str]:
    """What the encoder reads, each text once, by the SHA of the content."""
    return {one.content_sha: one.encoded for one in passages}
