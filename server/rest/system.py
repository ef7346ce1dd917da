"""Whether the process lives, whether it can work, and its metrics."""

import asyncio
from ipaddress import ip_address
from typing import Final, Literal

from aiohttp import web
from typing_extensions import TypedDict

from server.errors import Problem
from server.keys import CLOCK, CONFIG, JOURNAL, LIFE, POOL, REGISTRY, TELEMETRY
from server.life import VERSION
from server.operations import PUBLIC, Operation
from server.requests import client_address
from server.responses import answer
from server.telemetry import EXPOSITION_TYPE

READY_SECONDS_MAX: Final = 2.0


class Health(TypedDict):
    status: Literal["ok"]
    version: str
    uptime_s: float


class Readiness(TypedDict):
    status: Literal["ready"]
    database: Literal["up"]
    event_log_lag: float
    actors: int


async def health(request: web.Request) -> web.Response:
    uptime = request.app[CLOCK].monotonic() - request.app[LIFE].started_at
    alive: Health = {"status": "ok", "version": VERSION, "uptime_s": round(uptime, 3)}
    return answer(alive)


async def ready(request: web.Request) -> web.Response:
    """503 not_ready while the database or the log is down, or the process is stopping."""
    app = request.app
    if app[LIFE].draining:
        raise _not_ready("The server is stopping.", database="unknown")
    if not await _database_answers(app):
        raise _not_ready("The database cannot be reached.", database="down")
    figures = app[JOURNAL].figures()
    if not figures.connected:
        raise _not_ready("The log cannot be written.", database="up")
    able: Readiness = {
        "status": "ready",
        "database": "up",
        "event_log_lag": round(figures.lag_seconds, 6),
        "actors": len(app[REGISTRY]),
    }
    return answer(able)


async def _database_answers(app: web.Application) -> bool:
    """Known within two seconds, also when the database hangs and a question to it cannot even be taken back.

    One question at a time: whoever asks meanwhile waits for the same one, so that probes do not use up the pool.
    """
    life = app[LIFE]
    question = life.question
    if question is None or question.done():
        question = life.question = asyncio.ensure_future(app[POOL].fetchval("SELECT 1", timeout=READY_SECONDS_MAX))
    await asyncio.wait((question,), timeout=READY_SECONDS_MAX)
    return question.done() and not question.cancelled() and question.exception() is None


async def metrics(request: web.Request) -> web.Response:
    """For the operator's own network; strangers find nothing here."""
    if not _is_private(client_address(request, request.app[CONFIG].trusted_proxies)):
        raise Problem(404, "not_found", "There is nothing at this address.")
    return web.Response(body=request.app[TELEMETRY].exposition(), headers={"Content-Type": EXPOSITION_TYPE})


_HEALTH: Final = Operation("GET", "/api/v1/health", health, "Whether the process lives.", PUBLIC, {200: Health})
_READY: Final = Operation(
    "GET", "/api/v1/ready", ready, "Whether the process can work.", PUBLIC, {200: Readiness}, problems=("not_ready",)
)
_METRICS: Final = Operation(
    "GET", "/api/v1/metrics", metrics, "Figures for Prometheus, for private addresses only.", PUBLIC, {200: str}
)

OPERATIONS: Final = (
    _HEALTH,
    _HEALTH.also("GET", "/health"),
    _READY,
    _READY.also("GET", "/ready"),
    _METRICS,
    _METRICS.also("GET", "/metrics"),
)


def _is_private(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        return False


def _not_ready(detail: str, *, database: str) -> Problem:
    return Problem(503, "not_ready", detail, headers={"Retry-After": "1"}, database=database)
