"""What is answered, made from the engine's values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self
from urllib.parse import quote
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from embeddings.domain import CollectionInfo, Hit, SearchResult
from service.answering.domain import Answer, Citation

MetadataModel = dict[str, str | int | float | bool | list[str]]


class FromDomain(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class IndexModel(FromDomain):
    kind: str
    vectors: int


class CollectionModel(FromDomain):
    collection: str
    title: str | None
    documents: int
    passages: int
    seq: int
    encoder: str
    index: IndexModel
    created_at: datetime

    @classmethod
    def from_domain(cls, info: CollectionInfo) -> Self:
        return cls(
            collection=info.collection,
            title=info.title,
            documents=info.documents,
            passages=info.passages,
            seq=info.seq,
            encoder=info.encoder,
            index=IndexModel(kind=info.index_kind, vectors=info.index_vectors),
            created_at=info.created_at,
        )


class CollectionsModel(BaseModel):
    items: list[CollectionModel]
    next_cursor: str | None


class PutReceiptModel(FromDomain):
    collection: str
    document_id: str
    version: int
    unchanged: bool
    passages: int
    seq: int
    warnings: list[str]


class DeleteReceiptModel(FromDomain):
    document_id: str
    versions: int
    passages: int
    seq: int


class VersionModel(FromDomain):
    version: int
    created_at: datetime
    characters: int
    deleted: bool


class ListedDocumentModel(FromDomain):
    collection: str
    document_id: str
    version: int
    title: str | None
    uri: str | None
    media_type: str
    metadata: MetadataModel
    characters: int
    passages: int
    pages: int | None
    sha256: str
    created_at: datetime
    updated_at: datetime
    warnings: list[str]


class DocumentModel(ListedDocumentModel):
    versions: list[VersionModel]


class DocumentsModel(BaseModel):
    items: list[ListedDocumentModel]
    next_cursor: str | None


class PlaceModel(FromDomain):
    document_id: str
    version: int
    start: int
    end: int


class PassageModel(FromDomain):
    passage_id: str
    collection: str
    document_id: str
    version: int
    current: bool
    title: str | None
    uri: str | None
    headings: list[str]
    page: int | None
    start: int
    end: int
    text: str
    metadata: MetadataModel
    also_at: list[PlaceModel]


class ScoresModel(FromDomain):
    similarity: float | None
    bm25: float | None
    fused: float | None
    reader: float | None


class FoundPassageModel(PassageModel):
    rank: int
    scores: ScoresModel

    @classmethod
    def from_hit(cls, rank: int, hit: Hit) -> Self:
        passage = {name: getattr(hit.passage, name) for name in PassageModel.model_fields}
        return cls.model_validate({**passage, "rank": rank, "scores": hit.scores})


def _found(hits: tuple[Hit, ...]) -> list[FoundPassageModel]:
    return [FoundPassageModel.from_hit(rank, hit) for rank, hit in enumerate(hits, 1)]


class SearchModel(BaseModel):
    question: str
    passages: list[FoundPassageModel]
    seq: int
    timings_ms: dict[str, float]
    explain: dict[str, Any] | None

    @classmethod
    def from_domain(cls, question: str, result: SearchResult) -> Self:
        return cls(
            question=question,
            passages=_found(result.hits),
            seq=result.seq,
            timings_ms=rounded(result.timings_ms),
            explain=dict(result.explain) if result.explain is not None else None,
        )


class ClaimModel(FromDomain):
    text: str
    start: int
    end: int
    support: Literal["verbatim", "derived", "supported", "unsupported"]
    confidence: float
    citations: list[int]
    conflict: int | None = None


class CitationModel(FromDomain):
    number: int
    collection: str
    document_id: str
    version: int
    current: bool
    title: str | None
    uri: str | None
    passage_id: str
    headings: list[str]
    page: int | None
    start: int
    end: int
    quote: str
    answer_start: int | None
    answer_end: int | None
    prefix: str
    suffix: str
    url: str
    """Of the quote alone, as text."""
    page_url: str | None
    """Of the page in the document as it was, where it has pages (RFC 8118, section 3)."""

    @classmethod
    def from_domain(cls, citation: Citation) -> Self:
        linked = {"url", "page_url"}
        fields = {name: getattr(citation, name) for name in cls.model_fields if name not in linked}
        return cls(**fields, url=_text_url(citation), page_url=_page_url(citation))


def _text_url(citation: Citation) -> str:
    place = f"version={citation.version}&start={citation.start}&end={citation.end}"
    return f"{_document_path(citation)}/text?{place}"


def _page_url(citation: Citation) -> str | None:
    if citation.page is None:
        return None
    original = citation.uri or f"{_document_path(citation)}/original?version={citation.version}"
    return f"{original.partition('#')[0]}#page={citation.page}"


def _document_path(citation: Citation) -> str:
    return f"/v1/collections/{quote(citation.collection)}/documents/{quote(citation.document_id)}"


class ModelsModel(BaseModel):
    encoder: str
    reader: str
    llm: str | None


class AnswerModel(BaseModel):
    id: str
    question: str
    question_used: str
    answered: bool
    no_answer_reason: (
        Literal["empty_collection", "no_passages", "filtered_out", "low_confidence", "unsupported_language"] | None
    )
    answer: str | None
    confidence: float
    mode: Literal["extractive", "generative"]
    degraded: Literal["llm_failed", "deadline"] | None
    claims: list[ClaimModel]
    citations: list[CitationModel]
    passages: list[FoundPassageModel]
    models: ModelsModel
    seq: int
    timings_ms: dict[str, float]
    explain: dict[str, Any] | None

    @classmethod
    def from_domain(cls, answer: Answer) -> Self:
        return cls(
            id=uuid4().hex,
            question=answer.question,
            question_used=answer.question_used,
            answered=answer.answered,
            no_answer_reason=answer.no_answer_reason.value if answer.no_answer_reason else None,
            answer=answer.answer,
            confidence=answer.confidence,
            mode="extractive",
            degraded=answer.degraded,  # type: ignore[arg-type]  # checked against the Literal when made
            claims=[ClaimModel.model_validate(claim) for claim in answer.claims],
            citations=[CitationModel.from_domain(citation) for citation in answer.citations],
            passages=_found(answer.hits),
            models=ModelsModel(encoder=answer.encoder, reader=answer.reader, llm=None),
            seq=answer.seq,
            timings_ms=rounded(answer.timings_ms),
            explain=dict(answer.explain) if answer.explain is not None else None,
        )


def rounded(timings_ms: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(milliseconds, 3) for stage, milliseconds in timings_ms.items()}


class FieldErrorModel(BaseModel):
    pointer: str
    detail: str


class ProblemModel(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldErrorModel] | None = Field(default=None, exclude_if=lambda errors: errors is None)


class SearchBatchModel(BaseModel):
    responses: list[SearchModel | ProblemModel]


class AnswerBatchModel(BaseModel):
    responses: list[AnswerModel | ProblemModel]


class JobAcceptedModel(BaseModel):
    job_id: str


class JobItemModel(FromDomain):
    document_id: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    version: int | None = None
    problem: str | None = None
    warnings: list[str] = []
    """What of the document was not indexed, and why."""


class JobModel(FromDomain):
    job_id: str
    collection: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    done: int
    total: int
    unit: Literal["documents", "bytes", "passages"]
    rate_per_s: float | None
    eta_s: float | None
    items: list[JobItemModel]
    created_at: datetime
    finished_at: datetime | None


class CheckModel(FromDomain):
    ok: bool
    detail: str


class ReadyModel(BaseModel):
    ready: bool
    checks: dict[str, CheckModel]
    seq: int


class LiveModel(BaseModel):
    live: bool = True
