"""What people look at: the page, the documentation, the pages of problems; and the widget for other pages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import Header, Request
from starlette.responses import Response

from service.api.openapi import document_of
from service.api.problems import NOT_FOUND, Problem, all_kinds
from service.api.routing import AnyKeyRoute, PublicRoute, router

public = router(PublicRoute, tag="Pages")
routes = router(AnyKeyRoute, tag="Pages")

_WEB = Path(__file__).parents[2] / "web"
_PACKAGED_PROBLEMS = _WEB / "problems"
_PROBLEMS = _PACKAGED_PROBLEMS if _PACKAGED_PROBLEMS.is_dir() else Path(__file__).parents[3] / "docs" / "problems"
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_PROBLEM_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Loccit</title><link rel="stylesheet" href="/static/style.css">
<link rel="icon" href="/static/icon.svg"></head>
<body><header class="bar"><a class="brand" href="/">Loccit</a><a href="/docs">API</a></header>
<main class="prose">{body}</main></body></html>
"""


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


@cache
def _files() -> dict[str, _File]:
    return {
        path.name: _file(path.read_bytes(), _MEDIA_TYPES[path.suffix])
        for path in _WEB.iterdir()
        if path.suffix in _MEDIA_TYPES
    }


def _file(content: bytes, media_type: str) -> _File:
    return _File(content, f"{media_type}; charset=utf-8", f'"{hashlib.sha256(content).hexdigest()[:32]}"')


@cache
def _problem_page(slug: str) -> _File:
    from markdown_it import MarkdownIt

    source = (_PROBLEMS / f"{slug}.md").read_text("utf-8")
    title = source.partition("\n")[0].removeprefix("# ")
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(source)
    return _file(_PROBLEM_PAGE.format(title=title, body=body).encode(), "text/html")


IfNoneMatch = Annotated[str | None, Header(include_in_schema=False)]


@public.get("/", response_class=Response, include_in_schema=False)
async def page(if_none_match: IfNoneMatch = None) -> Response:
    return _reply(_files()["index.html"], if_none_match)


@public.get("/docs", response_class=Response, include_in_schema=False)
async def documentation(if_none_match: IfNoneMatch = None) -> Response:
    return _reply(_files()["docs.html"], if_none_match)


@public.get("/widget.js", response_class=Response, include_in_schema=False)
async def widget(if_none_match: IfNoneMatch = None) -> Response:
    # Pages of other sites load it; whether they may ask, their key says.
    reply = _reply(_files()["widget.js"], if_none_match)
    reply.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return reply


@public.get("/favicon.ico", response_class=Response, include_in_schema=False)
async def icon(if_none_match: IfNoneMatch = None) -> Response:
    return _reply(_files()["icon.svg"], if_none_match)


@public.get("/static/{name}", response_class=Response, include_in_schema=False)
async def static_file(name: str, if_none_match: IfNoneMatch = None) -> Response:
    if name not in _files():
        raise Problem(NOT_FOUND, "There is no such file.")
    return _reply(_files()[name], if_none_match)


@public.get("/docs/problems/{slug}", response_class=Response, include_in_schema=False)
async def problem_page(slug: str, if_none_match: IfNoneMatch = None) -> Response:
    if slug not in {kind.slug for kind in all_kinds()}:
        raise Problem(NOT_FOUND, "There is no such problem.")
    return _reply(_problem_page(slug), if_none_match)


@routes.get("/openapi.json", response_class=Response, include_in_schema=False)
async def openapi(request: Request) -> Response:
    return Response(document_of(request.app), media_type="application/json")


def _reply(file: _File, if_none_match: str | None) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
    if if_none_match == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers={**headers, "Content-Type": file.media_type})
