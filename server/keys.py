"""The typed keys under which `server/app.py` hands its resources to handlers."""

from typing import TYPE_CHECKING, Final

import asyncpg
from aiohttp import web

if TYPE_CHECKING:
    from server.config import Config
    from server.auth.passwords import Passwords
    from server.auth.tokens import Tokens
    from server.life import Life
    from server.limiter import Limiter
    from server.telemetry import Telemetry
    from actors.ports import Clock

CONFIG: Final[web.AppKey["Config"]] = web.AppKey("config")
POOL: Final[web.AppKey[asyncpg.Pool]] = web.AppKey("pool")
CLOCK: Final[web.AppKey["Clock"]] = web.AppKey("clock")
LIFE: Final[web.AppKey["Life"]] = web.AppKey("life")
LIMITER: Final[web.AppKey["Limiter"]] = web.AppKey("limiter")
PASSWORDS: Final[web.AppKey["Passwords"]] = web.AppKey("passwords")
TELEMETRY: Final[web.AppKey["Telemetry"]] = web.AppKey("telemetry")
TOKENS: Final[web.AppKey["Tokens"]] = web.AppKey("tokens")

REQUEST_ID: Final = "request_id"
"""Where the middleware leaves the request's id: `request[REQUEST_ID]`."""
