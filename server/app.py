"""The composition root: the only place where the parts of the house are made and joined.

Resources open as nested contexts and close in reverse: what was opened last is closed first, so the log outlives the
actors that write to it, and they outlive the sockets that ask them.
"""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import web

from actors.ports import Clock
from actors.runtime.clock import SystemClock
from persistence import idempotency as answers
from persistence.database import open_pool
from server.auth.passwords import COST, Passwords
from server.auth.sessions import Sessions
from server.auth.tokens import Tokens
from server.config import Config
from server.keys import CLOCK, CONFIG, LIFE, LIMITER, PASSWORDS, POOL, SESSIONS, TELEMETRY, TOKENS
from server.life import Life
from server.limiter import Limiter, Rates
from server.middleware import wrapper
from server.requests import BODY_BYTES_MAX
from server.rest import auth, layouts, movies, showtimes, system, theatres
from server.site import ROOT, Site
from server.telemetry import Telemetry

KEEPALIVE_SECONDS: Final = 10
"""Also how long a connection may stay silent or dribble its request head."""

SHUTDOWN_SECONDS: Final = 6
BACKLOG: Final = 4_096
HOUSEKEEPING_SECONDS: Final = 3_600
_GC_THRESHOLDS: Final = (50_000, 20, 100)
_log: Final = structlog.get_logger("marquee")


def build_app(
    config: Config, dsn: str, *, clock: Clock | None = None, password_cost: int = COST, rates: Rates | None = None
) -> web.Application:
    """The application over the database at `dsn`, whose schema is already there."""
    app = web.Application(middlewares=[wrapper()], client_max_size=BODY_BYTES_MAX)
    telemetry = Telemetry()
    app[CONFIG] = config
    app[CLOCK] = clock = clock or SystemClock()
    app[LIFE] = Life(started_at=clock.monotonic())
    app[TELEMETRY] = telemetry
    app[LIMITER] = Limiter(rates or Rates(), on=config.rate_limit)
    app[TOKENS] = Tokens({"1": config.jwt_secret}, clock)
    app[PASSWORDS] = Passwords(cost=password_cost, waiting=telemetry.passwords_waiting)

    async def database(app: web.Application) -> AsyncIterator[None]:
        async with open_pool(dsn) as pool:
            app[POOL] = pool
            yield

    app.cleanup_ctx.extend((database, _people))
    for routes in (system.ROUTES, auth.ROUTES, movies.ROUTES, theatres.ROUTES, layouts.ROUTES, showtimes.ROUTES):
        app.router.add_routes(routes)
    app.router.add_routes(Site(ROOT).routes())
    return app


async def serve(config: Config, dsn: str) -> None:
    """Serve until SIGTERM or SIGINT, then take nothing new, finish what was begun, and close."""
    app = build_app(config, dsn)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.port, backlog=BACKLOG).start()
        settle_memory()
        _log.info("serving", address=f"http://{config.host}:{config.port}")
        await stop.wait()
        _log.info("draining")
        app[LIFE].draining = True
    finally:
        await runner.cleanup()


def settle_memory() -> None:
    """What is here now stays: the collector need not look at it again, and looks less often at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


async def _people(app: web.Application) -> AsyncIterator[None]:
    """Sessions that ended lately are known before the first request; old answers are forgotten now and then."""
    sessions = app[SESSIONS] = Sessions(app[POOL], app[TOKENS], app[CLOCK])
    await sessions.restore()
    keeper = asyncio.create_task(_forget_old_answers(app), name="housekeeping")
    yield
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    app[PASSWORDS].close()


async def _forget_old_answers(app: web.Application) -> None:
    while True:
        try:
            await answers.forget_old(app[POOL], app[CLOCK].now())
        except Exception as error:  # noqa: BLE001 (it is tried again in an hour)
            _log.warning("housekeeping_failed", reason=repr(error))
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
