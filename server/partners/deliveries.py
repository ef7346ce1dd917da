"""One attempt at one delivery, and what follows from it: the work of a `partners.deliver` job.

What a partner does is no fault of ours, so it is never a failed job: the delivery has its own pauses, its own end after
three days, and its own log for the partner to read.
"""

import random
from collections.abc import Mapping
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import Counter

from actors.runtime.clock import Clock
from actors.seatmap.terms import Instant
from persistence import webhooks
from persistence.database import Pool
from persistence.jobs import StoredJob
from persistence.webhooks import Attempt, Outgoing
from server.jobs.worker import Later, Work
from server.keys import CLOCK, COURIER, POOL, TELEMETRY
from server.partners.courier import GONE, Courier, Outcome
from server.partners.lanes import Lanes
from server.partners.news import PING
from server.partners.outbox import TOPIC
from server.partners.signing import signed
from server.telemetry import Telemetry

PAUSES_S: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 72_000, 86_400)
"""Between one attempt and the next; together three days."""

JITTER: Final = 0.1
PATIENCE_MS: Final = 5 * 86_400_000
FAILURES_MIN: Final = 10
"""A subscription with nothing but failures for so long, and so many of them, is switched off."""

_log: Final = structlog.get_logger("marquee.partners")


def partner_works(app: web.Application) -> Mapping[str, Work]:
    """What the worker does for partners, by topic."""
    clock = app[CLOCK]
    return {TOPIC: Deliveries(app[POOL], clock, app[COURIER], Lanes(clock), app[TELEMETRY]).work}


class Deliveries:
    def __init__(self, pool: Pool, clock: Clock, courier: Courier, lanes: Lanes, telemetry: Telemetry) -> None:
        self._pool = pool
        self._clock = clock
        self._courier = courier
        self._lanes = lanes
        self._outcomes = Counter(
            "marquee_partner_attempts_total", "Messages handed to partners.", ["outcome"], registry=telemetry.registry
        )
        self._stopped = Counter(
            "marquee_partners_stopped_total", "Subscriptions switched off by us.", ["why"], registry=telemetry.registry
        )

    async def work(self, job: StoredJob) -> None:
        """Later, while there is hope."""
        delivery_id, number = str(job.payload["delivery_id"]), job.payload["round"]
        sent = await webhooks.outgoing(self._pool, delivery_id, self._clock.now())
        if sent is None or sent.state != "waiting" or sent.round != number:
            return
        if not sent.active and sent.type != PING:
            await webhooks.give_up(self._pool, sent, "switched_off")
            return
        wait_s = self._lanes.enter(sent.webhook_id)
        if wait_s:
            raise Later(wait_s, counted=False)
        at, outcome = await self._attempt(sent)
        self._outcomes.labels(outcome.error or "delivered").inc()
        pause_s = _pause(sent, outcome)
        await self._write(sent, at, outcome, is_last=pause_s is None)
        if pause_s is not None:
            raise Later(pause_s, counted=False)

    async def _attempt(self, sent: Outgoing) -> tuple[Instant, Outcome]:
        at, began = self._clock.now(), self._clock.monotonic()
        outcome = None
        try:
            outcome = await self._courier.carry(sent.url, signed(sent.id, at, sent.body, sent.secrets), sent.body)
        finally:
            arrived = None if outcome is None else outcome.arrived
            self._lanes.leave(sent.webhook_id, self._clock.monotonic() - began, arrived=arrived)
        return at, outcome

    async def _write(self, sent: Outgoing, at: Instant, outcome: Outcome, *, is_last: bool) -> None:
        state: webhooks.State = "delivered" if outcome.arrived else "failed" if is_last else "waiting"
        attempt = Attempt(at, self._clock.now() - at, outcome.status, outcome.answer, outcome.error)
        async with self._pool.acquire() as connection, connection.transaction():
            await webhooks.settle(connection, sent, attempt, state)
            if outcome.status == GONE:
                why = "gone" if await webhooks.stop(connection, sent.webhook_id, "gone") else None
            else:
                hopeless = await webhooks.stop_hopeless(connection, sent.webhook_id, at - PATIENCE_MS, FAILURES_MIN)
                why = "failing" if hopeless else None
        if why is not None:
            self._stopped.labels(why).inc()
            _log.error("webhook_stopped", webhook_id=sent.webhook_id, why=why)


def _pause(sent: Outgoing, outcome: Outcome) -> float | None:
    """Seconds until the next attempt; None when there is none."""
    if outcome.arrived or outcome.status == GONE or sent.type == PING or sent.tries >= len(PAUSES_S):
        return None
    pause_s = PAUSES_S[sent.tries] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return max(pause_s, outcome.retry_after_s)
