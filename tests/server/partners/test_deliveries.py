"""Deliveries to real receivers: each arrives at last, or ends in its own log, with one id and the same bytes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from aiohttp import web

from actors.ids import mint
from actors.runtime.clock import ManualClock, SystemClock
from persistence import webhooks
from persistence.database import Pool
from persistence.jobs import JobState, StoredJob
from persistence.webhooks import Delivery, DeliveryFilter, Webhook
from server.jobs.worker import Later
from server.partners import outbox
from server.partners.courier import Courier
from server.partners.deliveries import PAUSES_S, Deliveries
from server.partners.lanes import AT_ONCE, Lanes
from server.partners.reach import Reach
from server.partners.signing import fresh_secret, shown
from server.telemetry import Telemetry
from tests.server.partners.receiver import Receiver, open_receiver
from tests.server.partners.test_courier import LOOPBACK
from tests.server.partners.test_reach import Book

DAY = 86_400_000


@dataclass
class Desk:
    """Deliveries without a worker: a test does each job when it likes."""

    pool: Pool
    clock: ManualClock = field(default_factory=lambda: ManualClock(SystemClock().now()))
    seconds: float = 10.0
    telemetry: Telemetry = field(default_factory=Telemetry)

    def __post_init__(self) -> None:
        self.lanes = Lanes(self.clock)
        courier = Courier(Reach(Book(), LOOPBACK), self.seconds)
        self.deliveries = Deliveries(self.pool, self.clock, courier, self.lanes, self.telemetry)

    async def partner(self, url: str, **more: Any) -> Webhook:
        now = self.clock.now()
        wanted = {"events": ("booking.confirmed",), "description": "", "active": True, "secret": fresh_secret(), **more}
        new = Webhook(id=mint(now), theatre_id=None, url=url, created_at=now, **wanted)
        await webhooks.add(self.pool, new)
        return new

    async def message(self, partner: Webhook, kind: str = "booking.confirmed") -> Delivery:
        """Something to be sent, as an offer writes it."""
        delivery_id = mint(self.clock.now())
        new = webhooks.NewDelivery(delivery_id, partner.id, delivery_id, kind, None, b'{"type":"x"}')
        await webhooks.add_deliveries(self.pool, [new])
        return await self.look(partner, delivery_id)

    async def look(self, partner: Webhook, delivery_id: str) -> Delivery:
        found = await webhooks.delivery(self.pool, partner.id, delivery_id)
        assert found is not None
        return found

    async def work(self, delivery_id: str, number: int = 0) -> float | None:
        """How many seconds later it is to be tried again, if at all."""
        try:
            await self.deliveries.work(job(delivery_id, number))
        except Later as later:
            return None if later.counted else later.seconds  # what a partner does is no failure of ours
        return None

    async def webhook(self, partner: Webhook) -> Webhook:
        found = await webhooks.webhook(self.pool, partner.id)
        assert found is not None
        return found


def job(delivery_id: str, number: int) -> StoredJob:
    payload = {"delivery_id": delivery_id, "round": number}
    return StoredJob(
        id=1, topic=outbox.TOPIC, dedupe_key="1", showtime_id=None, payload=payload, state=JobState.RUNNING, attempts=1,
        failures=0, failing_since=None, created_at=0, due_at=0, finished_at=None, last_error="", note="",
    )  # fmt: skip


@pytest.fixture
async def desk(pool: Pool) -> Desk:
    return Desk(pool)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


async def test_a_message_arrives_signed_and_is_not_sent_again(desk: Desk, receiver: Receiver) -> None:
    partner = await desk.partner(receiver.url)
    sent = await desk.message(partner)
    assert await desk.work(sent.id) is None
    assert await desk.work(sent.id) is None  # the job is done again, as after a crash behind the mark
    (heard,) = receiver.heard
    assert heard.proved_by(shown(partner.secret)) == {"type": "x"}
    assert heard.headers["webhook-id"] == sent.id
    found = await desk.look(partner, sent.id)
    assert (found.state, found.attempts, found.last_status, found.last_error) == ("delivered", 1, 200, "")
    assert found.delivered_at == desk.clock.now()
    (attempt,) = await webhooks.attempts(desk.pool, sent.id)
    assert (attempt.status, attempt.answer, attempt.error) == (200, b"thanks", "")


async def test_a_partner_who_fails_is_tried_for_three_days_with_the_same_bytes(desk: Desk, receiver: Receiver) -> None:
    partner = await desk.partner(receiver.url)
    sent, pauses = await desk.message(partner), []
    receiver.says(500, "out of order")
    while (pause := await desk.work(sent.id)) is not None:
        pauses.append(pause)
        assert (await desk.look(partner, sent.id)).state == "waiting"
        desk.clock.advance(int(pause * 1_000))
        desk.lanes = desk.deliveries._lanes = Lanes(desk.clock)  # lanes have tests of their own
    assert pauses == pytest.approx(PAUSES_S, rel=0.11)
    assert 2.5 * 86_400 < sum(pauses) < 3.5 * 86_400
    assert len({(heard.headers["webhook-id"], heard.body) for heard in receiver.heard}) == 1
    assert (
        len({heard.headers["webhook-signature"] for heard in receiver.heard}) == len(receiver.heard) == len(pauses) + 1
    )
    found = await desk.look(partner, sent.id)
    assert (found.state, found.attempts, found.last_status, found.last_error) == ("failed", 13, 500, "refused")
    history = await webhooks.attempts(desk.pool, sent.id)
    assert [attempt.answer for attempt in history] == [b"out of order"] * 13


async def test_a_failure_is_forgotten_when_something_arrives(desk: Desk, receiver: Receiver) -> None:
    partner = await desk.partner(receiver.url)
    sent = await desk.message(partner)
    receiver.says(503)
    assert await desk.work(sent.id)
    assert (await desk.webhook(partner)).failing_since == desk.clock.now()
    receiver.answering = None
    assert await desk.work(sent.id) is None
    assert (await desk.webhook(partner)).failing_since is None
    assert (await desk.look(partner, sent.id)).state == "delivered"


async def test_a_partner_who_asks_for_patience_gets_it(desk: Desk, receiver: Receiver) -> None:
    sent = await desk.message(await desk.partner(receiver.url))
    receiver.says(429, Retry_After="900")
    assert await desk.work(sent.id) == 900


@pytest.mark.parametrize("drops", [True, False])
async def test_a_partner_who_hangs_up_or_says_nothing_is_tried_again(
    pool: Pool, receiver: Receiver, drops: bool
) -> None:
    async def answering(request: web.Request) -> web.Response:
        if drops:
            assert request.transport is not None
            request.transport.abort()
        else:
            await asyncio.Event().wait()
        return web.Response()

    desk = Desk(pool, seconds=0.3)
    partner = await desk.partner(receiver.url)
    sent = await desk.message(partner)
    receiver.answering = answering
    assert await desk.work(sent.id) == pytest.approx(PAUSES_S[0], rel=0.11)
    found = await desk.look(partner, sent.id)
    assert found.last_status is None
    assert found.last_error in (("answer_malformed", "connection_failed") if drops else ("timeout",))


async def test_gone_means_gone(desk: Desk, receiver: Receiver) -> None:
    partner = await desk.partner(receiver.url)
    first, second = await desk.message(partner), await desk.message(partner)
    receiver.says(410)
    assert await desk.work(first.id) is None
    found = await desk.webhook(partner)
    assert (found.active, found.stopped, found.revision) == (False, "gone", 2)
    assert await desk.work(second.id) is None
    given_up = await desk.look(partner, second.id)
    assert (given_up.state, given_up.attempts, given_up.last_error) == ("failed", 0, "switched_off")
    assert len(receiver.heard) == 1


async def test_a_partner_with_only_failures_for_five_days_is_switched_off(desk: Desk, receiver: Receiver) -> None:
    partner = await desk.partner(receiver.url)
    receiver.says(500)

    async def fails(times: int) -> None:
        for _ in range(times):
            desk.lanes = desk.deliveries._lanes = Lanes(desk.clock)
            await desk.work((await desk.message(partner)).id)

    await fails(20)
    desk.clock.advance(5 * DAY - 1)
    await fails(1)
    assert (await desk.webhook(partner)).active
    desk.clock.advance(1)
    await fails(1)
    found = await desk.webhook(partner)
    assert (found.active, found.stopped) == (False, "failing")
    assert 'marquee_partners_stopped_total{why="failing"} 1.0' in desk.telemetry.exposition().decode()


async def test_few_failures_in_five_days_are_no_reason_to_switch_off(desk: Desk, receiver: Receiver) -> None:
    partner = await desk.partner(receiver.url)
    receiver.says(500)
    for _ in range(9):
        desk.clock.advance(DAY)
        await desk.work((await desk.message(partner)).id)
    assert (await desk.webhook(partner)).active


async def test_a_partner_who_was_deleted_or_switched_off_hears_nothing_more(desk: Desk, receiver: Receiver) -> None:
    off, deleted = await desk.partner(receiver.url, active=False), await desk.partner(receiver.url)
    waiting, orphan = await desk.message(off), await desk.message(deleted)
    ping = await desk.message(off, "ping")
    await webhooks.remove(desk.pool, deleted.id)
    assert [await desk.work(each.id) for each in (waiting, orphan)] == [None, None]
    assert receiver.heard == []
    assert await desk.work(ping.id) is None
    assert len(receiver.heard) == 1


async def test_a_ping_is_tried_once(desk: Desk, receiver: Receiver) -> None:
    partner = await desk.partner(receiver.url)
    ping = await desk.message(partner, "ping")
    receiver.says(500)
    assert await desk.work(ping.id) is None
    assert (await desk.look(partner, ping.id)).state == "failed"


async def test_a_replay_sends_the_same_again_and_ends_the_round_before(desk: Desk, receiver: Receiver) -> None:
    partner = await desk.partner(receiver.url)
    sent = await desk.message(partner)
    receiver.says(500)
    assert await desk.work(sent.id)
    receiver.answering = None
    async with desk.pool.acquire() as connection, connection.transaction():
        await outbox.replay(connection, sent)
    assert await desk.work(sent.id, 0) is None
    assert len(receiver.heard) == 1
    assert await desk.work(sent.id, 1) is None
    first, second = receiver.heard
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    found = await desk.look(partner, sent.id)
    assert (found.state, found.attempts) == ("delivered", 2)
    keys = await desk.pool.fetch("SELECT dedupe_key FROM job WHERE topic = 'partners.deliver'")
    assert [row["dedupe_key"] for row in keys] == [f"deliver:{sent.id}:1"]


async def test_a_replay_asked_for_while_the_message_is_on_its_way_is_not_lost(desk: Desk, receiver: Receiver) -> None:
    partner = await desk.partner(receiver.url)
    sent = await desk.message(partner)
    arrived, go = asyncio.Event(), asyncio.Event()

    async def answering(_request: web.Request) -> web.Response:
        arrived.set()
        await go.wait()
        return web.Response()

    receiver.answering = answering
    first = asyncio.create_task(desk.work(sent.id))
    await arrived.wait()
    await webhooks.replay(desk.pool, sent.id)
    go.set()
    assert await first is None
    assert (await desk.look(partner, sent.id)).state == "waiting"
    assert await desk.work(sent.id, 1) is None
    assert (await desk.look(partner, sent.id)).attempts == len(receiver.heard) == 2


async def test_while_a_secret_is_replaced_both_sign_and_then_only_the_new_one(desk: Desk, receiver: Receiver) -> None:
    partner, new = await desk.partner(receiver.url), fresh_secret()
    await webhooks.rotate(desk.pool, partner.id, new, desk.clock.now() + DAY)
    await desk.work((await desk.message(partner)).id)
    assert receiver.heard[0].proved_by(shown(new)) == receiver.heard[0].proved_by(shown(partner.secret))
    desk.clock.advance(DAY)
    await desk.work((await desk.message(partner)).id)
    assert len(receiver.heard[1].headers["webhook-signature"].split()) == 1


async def test_a_partner_who_hangs_delays_nobody_else(desk: Desk) -> None:
    async with open_receiver() as slow, open_receiver() as quick:
        release, most, running = asyncio.Event(), 0, 0

        async def answering(_request: web.Request) -> web.Response:
            nonlocal most, running
            running += 1
            most = max(most, running)
            await release.wait()
            running -= 1
            return web.Response()

        slow.answering = answering
        hanging, lively = await desk.partner(slow.url), await desk.partner(quick.url)
        stuck = [(await desk.message(hanging)).id for _ in range(40)]
        good = [(await desk.message(lively)).id for _ in range(40)]
        tasks = [asyncio.create_task(desk.work(each)) for each in stuck]
        await slow.hears(AT_ONCE)
        for each in good:  # one after the other: nothing of the slow one is waited for
            assert await desk.work(each) is None
        assert len(quick.heard) == 40
        release.set()
        put_off = [wait for wait in await asyncio.gather(*tasks) if wait is not None]
        assert most == AT_ONCE
        assert len(put_off) == 40 - AT_ONCE
        assert len(slow.heard) == AT_ONCE


async def test_work_that_is_broken_off_leaves_the_lane_free(desk: Desk, receiver: Receiver) -> None:
    async def answering(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    receiver.answering = answering
    partner = await desk.partner(receiver.url)
    for count in (1, 2, 3, 4):
        task = asyncio.create_task(desk.work((await desk.message(partner)).id))
        await receiver.hears(count)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    receiver.answering = None
    assert await desk.work((await desk.message(partner)).id) is None
    waiting = await webhooks.deliveries(desk.pool, DeliveryFilter(partner.id, state="waiting"), 10)
    assert [each.attempts for each in waiting] == [0] * 4


async def test_a_message_says_what_it_is_when_it_is_a_ping(desk: Desk) -> None:
    partner = await desk.partner("http://127.0.0.1:1/")
    async with desk.pool.acquire() as connection, connection.transaction():
        ping_id = await outbox.ping(connection, partner.id, desk.clock.now())
    said = orjson.loads((await desk.look(partner, ping_id)).body)
    assert (said["id"], said["type"], said["data"]) == (ping_id, "ping", {"webhook_id": partner.id})
