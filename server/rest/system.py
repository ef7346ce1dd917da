"""Whether the process lives, whether it can work, and its metrics."""

from ipaddress import ip_address
from typing import Final

import asyncpg
from aiohttp import web

from server.errors import Problem
from server.keys import CLOCK, CONFIG, JOURNAL, LIFE, POOL, REGISTRY, TELEMETRY
from server.life import VERSION
from server.requests import client_address
from server.responses import answer
from server.telemetry import EXPOSITION_TYPE

READY_SECONDS_MAX: Final = 2.0


async def health(request: web.Request) -> web.Response:
    uptime = request.app[CLOCK].monotonic() - request.app[LIFE].started_at
    return answer({"status": "ok", "version": VERSION, "uptime_s": round(uptime, 3)})


async def ready(request: web.Request) -> web.Response:
    """503 not_ready while the database or the log is down, or the process is stopping."""
    app = request.app
    if app[LIFE].draining:
        raise _not_ready("The server is stopping.", database="unknown")
    try:
        await app[POOL].fetchval("SELECT 1", timeout=READY_SECONDS_MAX)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        raise _not_ready("The database cannot be reached.", database="down") from None
    figures = app[JOURNAL].figures()
    if not figures.connected:
        raise _not_ready("The log cannot be written.", database="up")
    return answer(
        {
            "status": "ready",
            "database": "up",
            "event_log_lag": round(figures.lag_seconds, 6),
            "actors": len(app[REGISTRY]),
        }
    )


async def metrics(request: web.Request) -> web.Response:
    """For the operator's own network; strangers find nothing here."""
    if not _is_private(client_address(request, request.app[CONFIG].trusted_proxies)):
        raise Problem(404, "not_found", "There is nothing at this address.")
    return web.Response(body=request.app[TELEMETRY].exposition(), headers={"Content-Type": EXPOSITION_TYPE})


ROUTES: Final = (
    web.get("/health", health),
    web.get("/ready", ready),
    web.get("/metrics", metrics),
    web.get("/api/v1/health", health),
    web.get("/api/v1/ready", ready),
)


def _is_private(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        return False


def _not_ready(detail: str, *, database: str) -> Problem:
    return Problem(503, "not_ready", detail, headers={"Retry-After": "1"}, database=database)
