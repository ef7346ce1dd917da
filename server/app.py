"""The composition root: the only place where the parts of the house are made and joined.

Resources open as nested contexts and close in reverse: what was opened last is closed first, so the log outlives the
actors that write to it, and they outlive the sockets that ask them.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from actors.limits import Limits
from actors.ports import WorldFailure
from actors.runtime.clock import ManualClock, SystemClock
from actors.runtime.placement import Alone
from actors.showtime import ShowtimeActor
from actors.showtimes import Showtimes
from persistence import idempotency as answers
from persistence import jobs, proofs, refusals
from persistence import notifications as inboxes
from persistence import payments as paid
from persistence import sessions as visits
from persistence import webhooks as deliveries
from persistence.database import (
    POOL_CONNECTIONS_MAX,
    connect_writer,
    open_lazy_pool,
    open_pool,
)
from persistence.journal import JournalLimits, PgJournal
from persistence.layouts import StoredLayouts
from persistence.writes import Writes
from server import collector, cors, express
from server.admission import Paces, admission
from server.auth.passwords import COST, Passwords
from server.auth.sessions import Sessions
from server.auth.tokens import Tokens
from server.clouds import S3, Cloudinary
from server.config import Config
from server.jobs.figures import Figures
from server.jobs.worker import Work, Worker, WorkerLimits
from server.kept import Kept, dropping
from server.keys import (
    CLOCK,
    CONFIG,
    COURIER,
    DARKROOM,
    DISPATCH,
    DOCUMENTS,
    EXPRESS,
    HUB,
    JOBS,
    JOURNAL,
    KEPT,
    LETTERS,
    LIFE,
    LIMITER,
    MEDIA,
    OPERATIONS,
    PACES,
    PASSWORDS,
    PLANNING,
    POOL,
    PRESS,
    REGISTRY,
    SANDBOX,
    SANDBOX_CALLS,
    SEATS,
    SESSIONS,
    SITE,
    TELEMETRY,
    TEXTS,
    TILL,
    TOKENS,
    WRITES,
)
from server.life import Life
from server.limiter import Limiter, Rates
from server.live import me, socket
from server.live.hub import Hub
from server.live.limits import Limits as LiveLimits
from server.media import LocalFolder, Media, folder_of, sweep
from server.middleware import nowhere, wrapper
from server.notify.envelopes import sender_at
from server.notify.post import LetterFolder, Post, SmtpPost
from server.notify.press import Press
from server.notify.texts import TextFolder, Texts, Twilio
from server.notify.works import notify_works
from server.operations import Operation, exact
from server.partners.courier import Courier
from server.partners.deliveries import partner_works
from server.partners.reach import Reach, SystemNames
from server.payments import by_hand, checkout, sandbox
from server.payments.by_hand import ByHand
from server.payments.calls import SandboxCalls
from server.payments.provider import Provider
from server.payments.sandbox import Sandbox
from server.payments.till import Till
from server.payments.works import money_works
from server.requests import BODY_BYTES_MAX
from server.rest import (
    admin_bookings,
    admin_jobs,
    admin_movies,
    admin_prices,
    admin_schedule,
    admin_screens,
    admin_seats,
    admin_showtimes,
    admin_theatres,
    applications,
    auth,
    bookings,
    calendars,
    credentials,
    documents,
    holds,
    layouts,
    movies,
    notifications,
    payments,
    people,
    preferences,
    price_lists,
    promo_codes,
    provider_news,
    seats,
    showtime_log,
    showtimes,
    system,
    theatres,
    uploads,
    users,
    webhooks,
)
from server.rest import sessions as own_sessions
from server.site import ROOT, Site
from server.telemetry import Telemetry

if TYPE_CHECKING:
    from server.traces.tracing import Tracing

KEEPALIVE_SECONDS: Final = 10
"""Also how long a connection may stay silent or dribble its request head."""

SHUTDOWN_SECONDS: Final = 1.5
"""aiohttp waits this long for a request to end, and as long again after it has cancelled it."""

POOL_SECONDS_MAX: Final = 1
"""Nobody who still asks gets an answer by now."""

BACKLOG: Final = 4_096
THREAD_SECONDS: Final = 0.0005
"""How long a thread that sets a letter keeps the interpreter from the loop, which ten times as long would be felt."""
PLANNERS_AT_ONCE: Final = 3
"""Each holds a connection while an actor works, which may need one too: most of them stay free."""

HOUSEKEEPING_SECONDS: Final = 3_600
DELIVERY_DAYS: Final = 30
DISPATCH_LIMITS: Final = WorkerLimits(at_once_max=16, at_once_of_topic_max=16, drain_seconds_max=1.0)
HouseClock = SystemClock | ManualClock
# The router tries them in this order: what is asked for most comes first.
MODULES: Final = (
    holds,
    seats,
    system,
    documents,
    auth,
    movies,
    theatres,
    layouts,
    showtimes,
    calendars,
    bookings,
    payments,
    provider_news,
    checkout,
    people,
    credentials,
    own_sessions,
    preferences,
    notifications,
    users,
    applications,
    admin_bookings,
    admin_jobs,
    admin_schedule,
    admin_screens,
    admin_seats,
    admin_showtimes,
    showtime_log,
    admin_theatres,
    admin_movies,
    admin_prices,
    price_lists,
    uploads,
    promo_codes,
    webhooks,
    me,
    socket,
)
_log: Final = structlog.get_logger("marquee")


def build_app(
    config: Config, dsn: str, *, clock: HouseClock | None = None, password_cost: int = COST, rates: Rates | None = None
) -> web.Application:
    """The application over the database at `dsn`, whose schema is already there."""
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    telemetry = Telemetry()
    app[CONFIG] = config
    clock = clock or SystemClock()
    app[CLOCK] = clock
    app[LIFE] = Life(started_at=clock.monotonic())
    app[TELEMETRY] = telemetry
    app[LIMITER] = Limiter(rates or Rates(), on=config.rate_limit)
    app[TOKENS] = Tokens((config.jwt_secret, *config.jwt_old_secrets), clock)
    app[PASSWORDS] = Passwords(cost=password_cost, waiting=telemetry.passwords_waiting)
    app[PRESS] = Press()
    app[LETTERS] = _letters(config, clock)
    app[TEXTS] = _texts(config)
    app[PLANNING] = asyncio.Semaphore(PLANNERS_AT_ONCE)
    app[DARKROOM] = asyncio.Semaphore(1)
    app[MEDIA] = _media(config, clock)
    sweep(config)
    app[HUB] = Hub(clock, LiveLimits())
    app[KEPT] = Kept()
    app[SEATS] = seats.Encoded()
    wrap, opened = wrapper(app), cors.opener(config.cors_origins)
    tracing = _tracing(config)
    app[EXPRESS] = express.Express if tracing is None else tracing.express
    if tracing is not None:
        wrap = tracing.around(wrap)
        app.cleanup_ctx.append(tracing.sent)
        app.on_response_prepare.append(tracing.upgraded)
    app.cleanup_ctx.extend(
        (
            partial(_database, dsn, tracing),
            _people,
            _correspondence,
            _partners,
            partial(_journal, dsn, clock, tracing),
            partial(_showtimes, tracing),
            socket.live_edge,
            me.people,
            _jobs,
            _dispatch,
        )
    )
    app.on_shutdown.extend((_begin_no_jobs, socket.send_everybody_away))
    paces = app[PACES] = Paces() if config.rate_limit else None
    operations: list[Operation] = list(chain.from_iterable(getattr(module, "OPERATIONS", ()) for module in MODULES))
    app[OPERATIONS] = operations
    app[DOCUMENTS] = documents.Documents(operations)
    paths = {operation.path for operation in operations}
    for operation in operations:
        changes = operation.method != "GET" and operation.path.startswith("/api/v1/admin/")
        answering = dropping(operation.answering()) if changes else operation.answering()
        handler = opened(wrap(answering, admission(app, operation.guard(), paces)))
        web.RouteDef(operation.method, exact(operation.path, paths), handler, {}).register(app.router)
    for route in chain.from_iterable(getattr(module, "ROUTES", ()) for module in MODULES):
        handler = opened(wrap(route.handler, admission(app, None, paces)))
        web.RouteDef(route.method, route.path, handler, route.kwargs).register(app.router)
    site = app[SITE] = Site(ROOT)
    for route in site.routes():
        web.RouteDef(route.method, route.path, wrap(route.handler, None), route.kwargs).register(app.router)
    app.router.add_route("*", "/{nowhere:.*}", opened(wrap(nowhere, admission(app, None, paces))))
    return app


async def serve(config: Config, dsn: str, opened: Callable[[str], None] = lambda address: None) -> None:
    """Serve until SIGTERM or SIGINT, then take nothing new, finish what was begun, and close. OSError.

    `opened` is told the address as soon as the doors are open.
    """
    sys.setswitchinterval(THREAD_SECONDS)
    app = build_app(config, dsn)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = express.Runner(
        app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.port, backlog=BACKLOG).start()
        collector.settle()
        address = "http://{}:{}".format(*runner.addresses[0])
        _log.info("serving", address=address)
        opened(address)
        await stop.wait()
        _log.info("draining")
        app[LIFE].draining = True
    finally:
        await runner.cleanup()


def _media(config: Config, clock: HouseClock) -> Media:
    """Where uploads are kept."""
    if config.media_url is None:
        return LocalFolder(folder_of(config))
    return (
        Cloudinary.at(config.media_url, clock)
        if config.media_url.startswith("cloudinary:")
        else S3.at(config.media_url)
    )


def _tracing(config: Config) -> "Tracing | None":
    """The traced parts, for who wants traces. Nobody else imports any of it."""
    if config.otlp_url is None:
        return None
    from server.traces.tracing import Tracing

    return Tracing(config)


def _letters(config: Config, clock: HouseClock) -> Post:
    """How letters leave."""
    if config.smtp_url is None:
        return LetterFolder(config.data_dir / "mail")
    return SmtpPost(config.smtp_url, config.mail_from or sender_at(config.public_url), clock)


def _texts(config: Config) -> Texts:
    """How text messages leave."""
    if not config.twilio_account_sid:
        return TextFolder(config.data_dir / "sms")
    return Twilio(config.twilio_account_sid, config.twilio_auth_token, config.twilio_from, config.twilio_base_url)


async def _correspondence(app: web.Application) -> AsyncIterator[None]:
    """The press is warm before the first letter."""
    app[PRESS].warm_up()
    yield
    app[PRESS].close()
    app[LETTERS].close()
    await app[TEXTS].close()


async def _database(dsn: str, tracing: "Tracing | None", app: web.Application) -> AsyncIterator[None]:
    pool = app[POOL] = await open_pool(dsn, asyncpg.Connection if tracing is None else tracing.connection)
    lazy = await open_lazy_pool(dsn, asyncpg.Connection if tracing is None else tracing.connection)
    app[WRITES] = Writes(pool, lazy)
    yield
    for each in (lazy, pool):
        try:
            async with asyncio.timeout(POOL_SECONDS_MAX):
                await each.close()
        except TimeoutError:
            each.terminate()


async def _people(app: web.Application) -> AsyncIterator[None]:
    """Sessions that ended lately are known before the first request; what is over is forgotten now and then."""
    sessions = app[SESSIONS] = Sessions(app[POOL], app[TOKENS], app[CLOCK])
    await sessions.restore()
    keeper = asyncio.create_task(_forget_what_is_over(app), name="housekeeping")
    yield
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    app[PASSWORDS].close()


async def _partners(app: web.Application) -> AsyncIterator[None]:
    names = SystemNames()
    app[COURIER] = Courier(Reach(names, app[CONFIG].webhook_allow))
    yield
    names.close()


async def _journal(dsn: str, clock: HouseClock, tracing: "Tracing | None", app: web.Application) -> AsyncIterator[None]:
    pool = app[POOL]
    # A recovery holds one connection and may need a second one for its layout: were all of them taken by recoveries,
    # each would wait for ever for another one's.
    limits = JournalLimits(replays_max=POOL_CONNECTIONS_MAX // 2)
    layouts = StoredLayouts(pool)
    make = PgJournal if tracing is None else tracing.journal
    journal = app[JOURNAL] = make(partial(connect_writer, dsn), pool, layouts, clock, limits, heard=clock.adjust)
    await journal.start()
    app[TELEMETRY].watch_journal(journal.figures)
    tidy = asyncio.create_task(collector.keep_tidy(lambda: journal.figures().rows), name="collector")
    yield
    tidy.cancel()
    await asyncio.gather(tidy, return_exceptions=True)
    await journal.close()


async def _showtimes(tracing: "Tracing | None", app: web.Application) -> AsyncIterator[None]:
    telemetry, journal = app[TELEMETRY], app[JOURNAL]

    def died(showtime_id: str, why: BaseException) -> None:
        telemetry.deaths.inc()
        if isinstance(why, WorldFailure):  # all of them at once when the journal is lost: a line each is enough
            _log.warning("showtime_dropped", showtime_id=showtime_id, reason=repr(why))
        else:
            _log.error("showtime_died", showtime_id=showtime_id, exc_info=why)

    make = ShowtimeActor if tracing is None else tracing.actor
    async with Showtimes(journal, app[HUB], app[CLOCK], Alone(), Limits(), died, make) as showtimes:
        app[REGISTRY] = showtimes
        providers = _providers(app)
        app[TILL] = Till(app[POOL], app[WRITES], showtimes, app[CLOCK], providers, app[CONFIG].payment_provider)
        losses: set[asyncio.Task[None]] = set()

        def lost() -> None:
            task = asyncio.get_running_loop().create_task(showtimes.lost(), name="rebuild all showtimes")
            losses.add(task)
            task.add_done_callback(losses.discard)

        journal.on_lost = lost
        telemetry.watch_showtimes(lambda: len(showtimes), lambda: showtimes.mailbox_depth)
        yield
    for provider in providers.values():
        await provider.close()


def _providers(app: web.Application) -> dict[str, Provider]:
    """Everywhere the house has an account: payments may be under way with another provider than today's."""
    config, found = app[CONFIG], dict[str, Provider]({by_hand.NAME: ByHand()})
    if config.payment_provider == sandbox.NAME:
        app[SANDBOX] = found[sandbox.NAME] = Sandbox(app[POOL], app[WRITES], config.jwt_secret, app[CLOCK])
        app[SANDBOX_CALLS] = SandboxCalls(app[SANDBOX], app[POOL], app[CLOCK])
    if config.stripe_secret_key:
        from server.payments.stripe import Stripe

        found["stripe"] = Stripe(
            config.stripe_secret_key, config.stripe_webhook_secret, config.stripe_publishable_key,
            config.stripe_base_url,
        )  # fmt: skip
    if config.razorpay_key_secret:
        from server.payments.razorpay import Razorpay

        found["razorpay"] = Razorpay(
            config.razorpay_key_id, config.razorpay_key_secret, config.razorpay_webhook_secret,
            config.razorpay_base_url,
        )  # fmt: skip
    return found


def _works(app: web.Application) -> dict[str, Work]:
    """Who does what the job rows ask for, by topic. Of two that wait for the last place the first goes first."""
    return {**money_works(app), **notify_works(app)}


async def _jobs(app: web.Application) -> AsyncIterator[None]:
    worker = app[JOBS] = Worker(app[POOL], app[CLOCK], _works(app), Figures(app[TELEMETRY].registry))
    app[JOURNAL].on_jobs = worker.wake
    worker.start()
    yield
    await worker.close()


async def _dispatch(app: web.Application) -> AsyncIterator[None]:
    """Messages to partners have a worker of their own: who waits for a slow one keeps nobody else's job waiting.

    How many wait is among the other worker's figures, how they went among those of `server/partners/deliveries.py`.
    """
    worker = app[DISPATCH] = Worker(
        app[POOL], app[CLOCK], partner_works(app), Figures(CollectorRegistry()), DISPATCH_LIMITS
    )
    worker.start()
    yield
    await worker.close()


async def _begin_no_jobs(app: web.Application) -> None:
    app[JOBS].rest()
    app[DISPATCH].rest()


async def _forget_what_is_over(app: web.Application) -> None:
    while True:
        try:
            await answers.forget_old(app[POOL], app[CLOCK].now())
            await refusals.forget_old(app[POOL], app[CLOCK].now())
            await visits.forget_ended(app[POOL], app[CLOCK].now())
            await jobs.forget_old(app[POOL], app[CLOCK].now())
            await proofs.forget_expired(app[POOL], app[CLOCK].now())
            await inboxes.forget_old(app[POOL], app[CLOCK].now())
            await deliveries.forget_old(app[POOL], DELIVERY_DAYS)
            await paid.forget_news(app[POOL], app[CLOCK].now())
        except Exception as error:  # noqa: BLE001 (it is tried again in an hour)
            _log.warning("housekeeping_failed", reason=repr(error))
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
