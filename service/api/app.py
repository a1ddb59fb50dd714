"""The application: settings and an engine in, an ASGI application out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from anyio import to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from embeddings.errors import LoccitError
from service import bootstrap
from service.access import access_of
from service.api.gates import gates_of
from service.api.middleware import Doorkeeper, Envelope
from service.api.problems import Problem, problem_of, problem_response
from service.api.routes import collections, documents, health, jobs, keys, later, pages, questions, texts
from service.api.turnstile import Turnstile
from service.bootstrap import Engine
from service.metrics import Metrics
from service.rates import RateLimiter
from service.settings import Settings

_LOOP_LOOK_SECONDS = 0.05
_ROUTERS = (
    questions.single,
    questions.several,
    collections.routes,
    documents.routes,
    texts.routes,
    jobs.routes,
    keys.routes,
    later.routes,
    health.public,
    health.routes,
    health.watching,
    pages.public,
    pages.routes,
)


def create_app(settings: Settings | None = None, *, engine: Engine | None = None) -> FastAPI:
    """An engine that is handed in stays its owner's to close; otherwise one is started and closed with the app."""
    settings = settings or Settings()
    metrics = Metrics()
    app = FastAPI(
        title="Loccit",
        version=_version(),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=partial(_lifespan, settings=settings, engine=engine),
        middleware=[
            Middleware(Envelope, metrics=metrics, fallback_url=f"http://localhost:{settings.port}"),
            Middleware(Doorkeeper),
        ],
    )
    app.state.settings = settings
    app.state.metrics = metrics
    for router in _ROUTERS:
        app.include_router(router)
    for error in (LoccitError, Problem, RequestValidationError):
        app.add_exception_handler(error, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_http_error)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, *, settings: Settings, engine: Engine | None) -> AsyncIterator[Mapping[str, object]]:
    app.state.gates = gates_of(settings)
    app.state.engine = engine or await to_thread.run_sync(bootstrap.start, settings)
    app.state.access = access_of(settings, app.state.engine.keys)
    app.state.limiter = RateLimiter()
    watch = asyncio.create_task(_watch_loop(app.state.metrics))
    try:
        yield {"turnstile": _turnstile(app)}
    finally:
        watch.cancel()
        if engine is None:
            await to_thread.run_sync(app.state.engine.close)


def _turnstile(app: FastAPI) -> Turnstile:
    asking = [route for route in (*questions.single.routes, *questions.several.routes) if isinstance(route, APIRoute)]
    return Turnstile(
        gates={route.path.encode(): app.state.gates.before(route.path) for route in asking},
        access=app.state.access,
        metrics=app.state.metrics,
    )


async def _watch_loop(metrics: Metrics) -> None:
    """Measures by how much later the event loop comes back than it was asked to."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(_LOOP_LOOK_SECONDS)
        metrics.loop_lag(max(0.0, time.perf_counter() - started - _LOOP_LOOK_SECONDS))


async def _answer_problem(request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error), request.scope)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.kind.status == 405:
        problem.headers["Allow"] = ", ".join(_methods_of(request))
    return problem_response(problem, request.scope)


def _methods_of(request: Request) -> list[str]:
    """Every method that some route takes at this path; the router itself names those of the first route only."""
    routes = (context for context in iter_route_contexts(request.app.routes) if context.path_regex)
    methods = {
        method for route in routes if route.path_regex.match(request.scope["path"]) for method in route.methods or ()
    }
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _version() -> str:
    try:
        return version("loccit")
    except PackageNotFoundError:
        return "0"
