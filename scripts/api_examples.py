"""The API page of the documentation: each example is executed, and what the service answered is what the page shows."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from service.api.app import create_app
from service.settings import Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"
LONGEST_LIST = 2
LONGEST_TEXT = 160
INTRODUCTION = """# The API by example

Written by `scripts/write_api_examples`, which ran every request below against a fresh service; long lists and texts are
cut short with `…`. The machine-readable contract is `GET /openapi.json`, a readable form of it `GET /docs`.

Offsets count Unicode code points of a version's canonical text, the end excluded; `…/text?unit=utf16` counts as
JavaScript does. Errors are `application/problem+json` (RFC 9457) with a page each in [problems](problems). `seq` counts
the writes of a collection: every write answers with it, every read says which it saw, `min_seq` waits for it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    title: str
    about: str
    method: str
    path: str
    body: object | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


ASK = "How many incubators have been built in Science City?"
REPORT = """# Carbon report

The carbon price rose to 92 euros in 2024.

| year | price |
|---|---|
| 2023 | 85 |
| 2024 | 92 |
"""

EXAMPLES = [
    Example(
        title="Ask",
        about="The answer, its claims, and the quotes that they stand on. `text[start:end] == quote` in that version,"
        " always; `answer_start` and `answer_end` mark the answer inside it.",
        method="POST",
        path="/v1/ask",
        body={"question": ASK, "top_k": 3},
    ),
    Example(
        title="Not to know",
        about="A question that the documents don't answer is declined, with the reason and the closest passages."
        " `min_confidence` (0 to 1) replaces the threshold.",
        method="POST",
        path="/v1/ask",
        body={"question": "What is the melting point of tungsten?", "top_k": 1},
    ),
    Example(
        title="Follow up",
        about="`history` completes a question that leans on the one before; its `answer` is `null` where there was"
        " none. `question_used` shows what was searched, also where a misspelt word was mended.",
        method="POST",
        path="/v1/ask",
        body={
            "question": "How large are they?",
            "history": [{"question": "How many incubators have been built in Science City?", "answer": "98"}],
            "top_k": 1,
        },
    ),
    Example(
        title="Read the place cited",
        about="The `url` of a citation gives exactly its quote; widen the span for what stands around it.",
        method="GET",
        path="/v1/collections/default/documents/001_ada726a98d9a6ca7.txt/text?version=1&start=0&end=88",
    ),
    Example(
        title="Search",
        about="Passages, best first, with the scores of every stage. A repeated passage comes once and names its other"
        " places in `also_at`. What another document says in almost the same words comes after everything else, and"
        " menus, notices and footers after what their document says itself, so `scores.fused` need not fall from rank"
        " to rank; `explain: true` adds the whole trace.",
        method="POST",
        path="/v1/search",
        body={"question": "innovation coupons", "top_k": 1, "max_per_document": 1},
    ),
    Example(
        title="Make a collection",
        about="201 when it is new, 200 when it was there.",
        method="PUT",
        path="/v1/collections/reports",
        body={"title": "Annual reports"},
        status=201,
    ),
    Example(
        title="Put a document",
        about="On disk and searchable when the answer comes. Any supported type can be sent raw, described by"
        " `?title=`, `?uri=` and the header `X-Loccit-Metadata`; or as JSON"
        ' `{"text", "title", "uri", "media_type", "metadata"}`.',
        method="PUT",
        path="/v1/collections/reports/documents/carbon-2024?uri=reports/carbon.md",
        body=REPORT,
        headers={"Content-Type": "text/markdown", "X-Loccit-Metadata": '{"year": 2024, "tags": ["energy"]}'},
        status=201,
    ),
    Example(
        title="Put it again",
        about="The same text makes no version; another text makes the next one, and the old stays readable.",
        method="PUT",
        path="/v1/collections/reports/documents/carbon-2024?uri=reports/carbon.md",
        body=REPORT,
        headers={"Content-Type": "text/markdown", "X-Loccit-Metadata": '{"year": 2024, "tags": ["energy", "price"]}'},
    ),
    Example(
        title="Filter",
        about='`{"field": {"op": value}}` with `eq ne in gt gte lt lte exists`; `and`, `or`, `not`; fields of the'
        " document itself with `@`. The filter is applied before the search.",
        method="POST",
        path="/v1/search",
        body={
            "question": "price",
            "collection": "reports",
            "filter": {"and": [{"year": {"gte": 2024}}, {"@media_type": {"in": ["text/markdown", "text/html"]}}]},
        },
    ),
    Example(
        title="Look at a document",
        about="Its current version, and all of them.",
        method="GET",
        path="/v1/collections/reports/documents/carbon-2024",
    ),
    Example(
        title="Put many",
        about="As a job: on disk when the 202 comes. A multipart form with several `file` parts does the same; its part"
        " `documents` may hold a list in JSON with `document_id`, `title`, `uri` and `metadata` of each file. An"
        " `Idempotency-Key` makes a repeated request harmless for 24 hours.",
        method="POST",
        path="/v1/collections/reports/documents",
        body={"documents": [{"document_id": "note-1", "text": "The grid grew by 4 %."}, {"text": "Gas fell."}]},
        headers={"Idempotency-Key": "2024-11-batch-7"},
        status=202,
    ),
    Example(
        title="Delete",
        about="From the 200 on it is in no answer and its GETs answer 410. `?purge=true` also erases text and bytes.",
        method="DELETE",
        path="/v1/collections/reports/documents/carbon-2024",
    ),
    Example(
        title="An error",
        about="Names the field and how to mend it.",
        method="POST",
        path="/v1/search",
        body={"question": "price", "top_k": 500},
        status=422,
    ),
    Example(
        title="What is not built yet",
        about="Answers 501 until it is.",
        method="POST",
        path="/v1/verify",
        body={"text": "The carbon price rose to 92 euros."},
        status=501,
    ),
    Example(title="Is it well?", about="200, or 503 with the part that is not.", method="GET", path="/health/ready"),
]


async def page() -> str:
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data=Path(folder)))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return "\n".join([INTRODUCTION, *[await _section(client, example) for example in EXAMPLES]])


async def _section(client: httpx.AsyncClient, example: Example) -> str:
    content, headers = _content(example)
    response = await client.request(example.method, example.path, content=content, headers=headers)
    if response.status_code != example.status:
        sys.exit(f"{example.title}: {response.status_code} instead of {example.status}: {response.text}")
    return "\n".join(
        [
            f"## {example.title}\n",
            f"{example.about}\n",
            f"```http\n{example.method} {example.path}{_shown_headers(headers)}{_shown_body(example)}\n```\n",
            f"{response.status_code}\n",
            f"```json\n{_shown(response)}\n```\n",
        ]
    )


def _content(example: Example) -> tuple[bytes, dict[str, str]]:
    if example.body is None:
        return b"", dict(example.headers)
    if isinstance(example.body, str):
        return example.body.encode(), dict(example.headers)
    return json.dumps(example.body).encode(), {"Content-Type": "application/json", **example.headers}


def _shown_headers(headers: Mapping[str, str]) -> str:
    return "".join(f"\n{name}: {value}" for name, value in headers.items())


def _shown_body(example: Example) -> str:
    if example.body is None:
        return ""
    shown = example.body if isinstance(example.body, str) else json.dumps(example.body, indent=1, ensure_ascii=False)
    return "\n\n" + shown.rstrip()


def _shown(response: httpx.Response) -> str:
    if "json" not in response.headers["content-type"]:
        return response.text
    return json.dumps(_shortened(response.json()), indent=1, ensure_ascii=False)


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(below) for name, below in value.items()}
    if isinstance(value, list):
        return [_shortened(below) for below in value[:LONGEST_LIST]] + (["…"] if len(value) > LONGEST_LIST else [])
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[:LONGEST_TEXT] + "…"
    return value


def _settled(text: str) -> str:
    """Without what differs from run to run: times, durations, made-up ids, the disk's size."""
    text = re.sub(r'"[0-9T:.\-]{19,}Z"|"(?:[0-9a-f]{24,40}|[A-Za-z0-9._-]{20,})"', '"…"', text)
    return re.sub(r": [0-9.]+(?=,?\n)|[0-9]+ MB free", "0", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the page instead of writing it")
    made = asyncio.run(page())
    if not parser.parse_args().check:
        PAGE.write_text(made, "utf-8")
    elif _settled(made) != _settled(PAGE.read_text("utf-8")):
        sys.exit("docs/api.md is not what the service answers: run scripts/write_api_examples")


if __name__ == "__main__":
    main()
