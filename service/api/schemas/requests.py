"""What may be sent: strict types, no unknown fields."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from service.answering.answering import AskRequest, Exchange
from service.api.schemas.atmost import AtMost
from service.api.schemas.fields import (
    CollectionId,
    DocumentId,
    FilterField,
    MetadataField,
    Question,
    Seq,
    Title,
    TopK,
    Uri,
)

_HISTORY_LENGTH = 20
OneBatch = AtMost(lambda limits: limits.batch)


class Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)


class CollectionBody(Body):
    title: Title | None = None
    encoder: str | None = None


class SearchBody(Body):
    verb: ClassVar[str] = "search"

    question: Question
    collection: CollectionId = "default"
    top_k: TopK = 10
    filter: FilterField = None
    max_per_document: TopK | None = None
    explain: bool = False
    min_seq: Seq | None = None


class ExchangeBody(Body):
    question: Question
    answer: str | None = Field(max_length=20_000)
    """None where it was not answered."""


class AskBody(Body):
    verb: ClassVar[str] = "ask"

    question: Question
    collection: CollectionId = "default"
    mode: Literal["auto", "extractive", "generative"] = "auto"
    top_k: TopK = 8
    filter: FilterField = None
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    max_latency_ms: int | None = Field(default=None, ge=1, le=3_600_000)
    history: list[ExchangeBody] = Field(default=[], max_length=_HISTORY_LENGTH)
    stream: bool = False
    explain: bool = False
    min_seq: Seq | None = None

    def to_domain(self, *, waited_ms: float) -> AskRequest:
        """What it has waited already is taken off the time that it has."""
        return AskRequest(
            question=self.question,
            top_k=self.top_k,
            filter=self.filter,
            min_confidence=self.min_confidence,
            max_latency_ms=None if self.max_latency_ms is None else max(0.0, self.max_latency_ms - waited_ms),
            history=tuple(Exchange(question=one.question, answer=one.answer or "") for one in self.history),
            explain=self.explain,
        )


class SearchBatchBody(Body):
    requests: Annotated[list[SearchBody], Field(min_length=1), OneBatch]


class AskBatchBody(Body):
    requests: Annotated[list[AskBody], Field(min_length=1), OneBatch]


class DocumentBody(Body):
    text: str
    title: Title | None = None
    uri: Uri | None = None
    media_type: Literal["text/plain", "text/markdown", "text/html"] = "text/plain"
    metadata: MetadataField = {}


class NewDocumentBody(DocumentBody):
    document_id: DocumentId | None = None


class DocumentsBody(Body):
    documents: list[NewDocumentBody] = Field(min_length=1, max_length=1000)


class FileBody(Body):
    """What is said of a file of a form."""

    document_id: DocumentId | None = None
    title: Title | None = None
    uri: Uri | None = None
    metadata: MetadataField = {}


class VerifyBody(Body):
    text: str = Field(min_length=1, max_length=20_000)
    collection: CollectionId = "default"
    filter: FilterField = None


class OpenAIBody(BaseModel):
    """OpenAI's own routes ignore what they do not know."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class ChatBody(OpenAIBody):
    model: str
    messages: list[dict[str, Any]] = Field(min_length=1)


class EmbeddingsBody(OpenAIBody):
    model: str
    input: InstanceOf[str] | list[str]


class VectorStoreSearchBody(OpenAIBody):
    query: str | list[str]
