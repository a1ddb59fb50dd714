"""The words of the engine as frozen values. Offsets count code points of a version's canonical text, end exclusive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

MetadataValue: TypeAlias = str | int | float | bool | tuple[str, ...]
Metadata: TypeAlias = Mapping[str, MetadataValue]


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading where it stands; `level` 1 is the outermost."""

    span: Span
    level: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document as somebody hands it in."""

    content: bytes
    media_type: str
    """Type and subtype in lower case, without parameters."""
    charset: str | None = None
    """The encoding that the sender declared, if any."""
    title: str | None = None
    uri: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDocument:
    """What a loader makes of a source: canonical text, and what it knows of its structure."""

    text: str
    title: str | None = None
    headings: tuple[Heading, ...] = ()
    pages: tuple[Span, ...] | None = None
    records: tuple[Span, ...] = ()
    """Rows of a sheet, lines of JSON: in order, disjoint, and no passage holds text of two."""
    metadata: Metadata = field(default_factory=dict)
    """What the document says of itself."""
    media_type: str | None = None
    """What the content was found to be; None where it is what the source says."""
    warnings: tuple[str, ...] = ()
    """What was not read, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage to be: whole sentences of one version, not yet named or stored."""

    span: Span
    text: str
    headings: tuple[str, ...]
    """Outermost first, as they apply at the chunk's start."""
    context: str
    """What is read along with `text` by encoder and word index; it is never quoted."""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    document_id: str
    version: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    passage_id: str
    collection: str
    document_id: str
    version: int
    current: bool
    title: str | None
    uri: str | None
    headings: tuple[str, ...]
    page: int | None
    start: int
    end: int
    text: str
    metadata: Metadata
    also_at: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Higher is better; None where the stage did not see the passage."""

    similarity: float | None = None
    """Cosine of question and passage, -1 to 1."""
    bm25: float | None = None
    fused: float | None = None
    reader: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    passage: Passage
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Hits, best first, of one immutable view of the collection."""

    hits: tuple[Hit, ...]
    seq: int
    live_passages: int
    """Passages in the view."""
    allowed_passages: int
    """Passages in the view that the filter lets through."""
    timings_ms: Mapping[str, float]
    explain: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSummary:
    version: int
    created_at: datetime
    characters: int
    deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRecord:
    collection: str
    document_id: str
    version: int
    title: str | None
    uri: str | None
    media_type: str
    metadata: Metadata
    characters: int
    passages: int
    pages: int | None
    sha256: str
    """Of the original bytes, in hexadecimal."""
    created_at: datetime
    updated_at: datetime
    warnings: tuple[str, ...]
    versions: tuple[VersionSummary, ...] = ()
    """Oldest first; empty in lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutReceipt:
    collection: str
    document_id: str
    version: int
    created: bool
    """No live document had this id before."""
    unchanged: bool
    passages: int
    seq: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteReceipt:
    document_id: str
    versions: int
    passages: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    collection: str
    title: str | None
    documents: int
    passages: int
    seq: int
    encoder: str
    index_kind: str
    index_vectors: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionText:
    document_id: str
    version: int
    current: bool
    text: str
    sha256: str
    """Of the canonical text in UTF-8, in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    content: bytes
    media_type: str
    sha256: str
