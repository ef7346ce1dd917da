"""The typed keys under which `server/app.py` hands its resources to handlers."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import asyncpg
from aiohttp import web

if TYPE_CHECKING:
    from actors.ports import Clock
    from actors.showtimes import Showtimes
    from persistence.journal import PgJournal
    from persistence.writes import Writes
    from server.admission import Paces
    from server.auth.passwords import Passwords
    from server.auth.sessions import Sessions
    from server.auth.tokens import Tokens
    from server.config import Config
    from server.express import Express
    from server.jobs.worker import Worker
    from server.kept import Kept
    from server.life import Life
    from server.limiter import Limiter
    from server.live.hub import Hub
    from server.live.me import People
    from server.live.socket import Edge
    from server.media import Media
    from server.notify.post import Post
    from server.notify.press import Press
    from server.notify.texts import Texts
    from server.operations import Operation
    from server.partners.courier import Courier
    from server.payments.calls import SandboxCalls
    from server.payments.sandbox import Sandbox
    from server.payments.till import Till
    from server.rest.documents import Documents
    from server.rest.seats import Encoded
    from server.site import Site
    from server.telemetry import Telemetry

CONFIG: Final[web.AppKey["Config"]] = web.AppKey("config")
COURIER: Final[web.AppKey["Courier"]] = web.AppKey("courier")
DARKROOM: Final[web.AppKey[asyncio.Semaphore]] = web.AppKey("darkroom", asyncio.Semaphore)
PLANNING: Final[web.AppKey[asyncio.Semaphore]] = web.AppKey("planning", asyncio.Semaphore)
POOL: Final[web.AppKey["asyncpg.Pool[asyncpg.Record]"]] = web.AppKey("pool")
CLOCK: Final[web.AppKey["Clock"]] = web.AppKey("clock")
EXPRESS: Final[web.AppKey["Callable[[web.Application], Express]"]] = web.AppKey("express")
DISPATCH: Final[web.AppKey["Worker"]] = web.AppKey("dispatch")
DOCUMENTS: Final[web.AppKey["Documents"]] = web.AppKey("documents")
REGISTRY: Final[web.AppKey["Showtimes"]] = web.AppKey("registry")
KEPT: Final[web.AppKey["Kept"]] = web.AppKey("kept")
HUB: Final[web.AppKey["Hub"]] = web.AppKey("hub")
JOBS: Final[web.AppKey["Worker"]] = web.AppKey("jobs")
JOURNAL: Final[web.AppKey["PgJournal"]] = web.AppKey("journal")
LIVE: Final[web.AppKey["Edge"]] = web.AppKey("live")
LETTERS: Final[web.AppKey["Post"]] = web.AppKey("letters")
LIFE: Final[web.AppKey["Life"]] = web.AppKey("life")
LIMITER: Final[web.AppKey["Limiter"]] = web.AppKey("limiter")
MEDIA: Final[web.AppKey["Media"]] = web.AppKey("media")
OPERATIONS: Final[web.AppKey[Sequence["Operation"]]] = web.AppKey("operations")
PACES: Final[web.AppKey["Paces | None"]] = web.AppKey("paces")
PASSWORDS: Final[web.AppKey["Passwords"]] = web.AppKey("passwords")
PEOPLE: Final[web.AppKey["People"]] = web.AppKey("people")
PRESS: Final[web.AppKey["Press"]] = web.AppKey("press")
SANDBOX: Final[web.AppKey["Sandbox"]] = web.AppKey("sandbox")
SANDBOX_CALLS: Final[web.AppKey["SandboxCalls"]] = web.AppKey("sandbox_calls")
"""Only where it is the house's provider."""

SEATS: Final[web.AppKey["Encoded"]] = web.AppKey("seats")
SESSIONS: Final[web.AppKey["Sessions"]] = web.AppKey("sessions")
SITE: Final[web.AppKey["Site"]] = web.AppKey("site")
TELEMETRY: Final[web.AppKey["Telemetry"]] = web.AppKey("telemetry")
TEXTS: Final[web.AppKey["Texts"]] = web.AppKey("texts")
TILL: Final[web.AppKey["Till"]] = web.AppKey("till")
WRITES: Final[web.AppKey["Writes"]] = web.AppKey("writes")
TOKENS: Final[web.AppKey["Tokens"]] = web.AppKey("tokens")

REQUEST_ID: Final[web.RequestKey[str]] = web.RequestKey("request_id", str)
"""Where the wrapper of every handler (middleware.py) leaves the request's id: `request[REQUEST_ID]`."""
