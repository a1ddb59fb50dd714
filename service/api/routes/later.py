"""Calls of the contract that are not built yet: they check what is sent and say so."""

from __future__ import annotations

from typing import NoReturn

from fastapi import Request

from service.api.problems import NOT_BUILT_YET, Problem
from service.api.replies import problems
from service.api.routing import QuestionRoute, router
from service.api.schemas.fields import CollectionId
from service.api.schemas.requests import ChatBody, EmbeddingsBody, VectorStoreSearchBody, VerifyBody

routes = router(QuestionRoute, tag="Not built yet")

_REFUSED = problems(400, 413, 415, 501)


@routes.post("/v1/verify", responses=_REFUSED)
async def verify(body: VerifyBody) -> None:
    """Which claims of a text the documents support."""
    _not_built("Verification")


@routes.post("/v1/chat/completions", responses=_REFUSED)
async def chat_completions(body: ChatBody) -> None:
    """Answers in OpenAI's shape."""
    _not_built("The chat shape")


@routes.post("/v1/embeddings", responses=_REFUSED)
async def embeddings(body: EmbeddingsBody) -> None:
    """Vectors in OpenAI's shape."""
    _not_built("The embeddings shape")


@routes.get("/v1/models", responses=_REFUSED)
async def models() -> None:
    """The collections as models, in OpenAI's shape."""
    _not_built("The list of models")


@routes.post("/v1/vector_stores/{collection}/search", responses=_REFUSED)
async def vector_store_search(collection: CollectionId, body: VectorStoreSearchBody) -> None:
    """Passages in OpenAI's shape."""
    _not_built("The vector store shape")


@routes.post("/mcp", responses=_REFUSED)
async def mcp(request: Request) -> None:
    """The Model Context Protocol."""
    _not_built("The Model Context Protocol")


def _not_built(what: str) -> NoReturn:
    raise Problem(NOT_BUILT_YET, f"{what} is not built yet; /v1/search and /v1/ask are.")
