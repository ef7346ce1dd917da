"""What partners are told, taken from real logs: the right ones hear it, once, and nothing about anybody."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from persistence import webhooks
from persistence.webhooks import DeliveryFilter
from server.keys import COURIER, JOBS, POOL
from server.partners.outbox import offer
from server.partners.reach import Reach
from tests.server.house import open_house
from tests.server.partners.test_reach import Book
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter

EVERYTHING = ["booking.confirmed", "booking.cancelled", "payment.returned", "showtime.changed", "showtime.cancelled"]
NAMES = {
    "booking_confirmed": "booking_confirmed",
    "booking_cancelled": "booking_cancelled",
    "refund_decided": "payment_returned",
    "showtime_rescheduled": "showtime_changed",
    "showtime_cancelled": "showtime_cancelled",
}


@pytest.fixture
async def counter(database_url: str) -> AsyncIterator[Counter]:
    async with open_house(database_url) as house:
        await house.app[JOBS].close()  # these tests announce
        house.app[COURIER].reach = Reach(Book({"partner.example": [["93.184.216.34"]]}))
        yield await open_counter(house)


async def subscribe(who: Person, theatre_id: str | None, *events: str, **more: Any) -> str:
    asked = {"url": "https://partner.example/", "events": events or EVERYTHING, "theatre_id": theatre_id, **more}
    return str((await expect(await who.post("/admin/webhooks", asked), 201))["id"])


async def announce(counter: Counter) -> None:
    """Tell of everything that the log of the showtime has, as the announcing job does."""
    pool = counter.house.app[POOL]
    rows = await pool.fetch(
        "SELECT kind, version FROM event WHERE showtime_id = $1 ORDER BY version", counter.showtime_id
    )
    async with pool.acquire() as connection, connection.transaction():
        for row in rows:
            body = {"version": row["version"], "owner": "somebody", "reason": "private", "starts_at_before": 1_000}
            await offer(connection, NAMES.get(row["kind"], row["kind"]), counter.showtime_id, body)


async def told(counter: Counter, webhook_id: str) -> list[dict[str, Any]]:
    """What waits to be sent, the oldest first."""
    rows = await webhooks.deliveries(counter.house.app[POOL], DeliveryFilter(webhook_id), 1_000)
    said = [orjson.loads(row.body) for row in rows]
    return sorted(said, key=lambda each: each["data"]["version"])


async def test_a_purchase_and_its_end_are_told_without_the_customer(counter: Counter) -> None:
    ana = counter.person()
    webhook_id = await subscribe(counter.manager(), counter.cinema.theatre_id)
    bought = await ana.buy(counter.showtime_id, "A1", "A2")
    reason = "my address is ana@example.com"
    part = {"seats": ["A2"], "reason": reason}
    await expect(await ana.post(f"/bookings/{bought['id']}/cancel", part, key=fresh_key()), 200)
    path = f"/admin/showtimes/{counter.showtime_id}"
    ended = await counter.manager().post(f"{path}/cancel", {"reason": reason}, key=fresh_key())
    assert ended.status in (200, 202), await ended.text()
    await announce(counter)
    confirmed, partly, wholly, cancelled = await told(counter, webhook_id)
    place = {"showtime_id": counter.showtime_id, "theatre_id": counter.cinema.theatre_id}
    seat = {"category": "standard", "ticket_type": "adult", "total": {"amount": 54_280, "currency": "INR"}}
    assert confirmed["type"] == "booking.confirmed"
    assert confirmed["data"] == {
        **place,
        "version": confirmed["data"]["version"],
        "booking_id": bought["id"],
        "reference": bought["reference"],
        "seats": [{"seat": "A1", **seat}, {"seat": "A2", **seat}],
        "total": {"amount": 108_560, "currency": "INR"},
    }
    assert partly["type"] == wholly["type"] == "booking.cancelled"
    assert (partly["data"]["seats"], partly["data"]["whole"]) == (["A2"], False)
    assert partly["data"]["refund"] == {"amount": 54_280, "currency": "INR"}
    assert (wholly["data"]["seats"], wholly["data"]["whole"]) == (["A1"], True)
    assert cancelled["type"] == "showtime.cancelled"
    assert cancelled["data"] == {**place, "version": cancelled["data"]["version"]}
    everything = orjson.dumps([confirmed, partly, wholly, cancelled]).decode()
    for private in (ana.account_id, "owner", "somebody", "private", "ana@", reason, "contact"):
        assert private not in everything


async def test_a_moved_showtime_is_told_with_its_old_and_new_time(counter: Counter) -> None:
    webhook_id = await subscribe(counter.manager(), counter.cinema.theatre_id, "showtime.changed")
    manager, path = counter.manager(), f"/admin/showtimes/{counter.showtime_id}"
    later = (datetime.now(UTC) + timedelta(days=40)).strftime("%Y-%m-%dT%H:00:00Z")
    await expect(await manager.patch(path, {"starts_at": later, "notify": True}), 200)
    await announce(counter)
    (moved,) = await told(counter, webhook_id)
    assert moved["type"] == "showtime.changed"
    assert moved["data"]["starts_at"] == later
    assert moved["data"]["starts_at_before"] == "1970-01-01T00:00:01Z"
    assert moved["data"]["screen_id"] == counter.cinema.screen_id


async def test_only_those_who_listen_hear_it_and_each_once(counter: Counter) -> None:
    manager, admin = counter.manager(), counter.person("admin")
    own = await subscribe(manager, counter.cinema.theatre_id, "booking.confirmed")
    of_all = await subscribe(admin, None, "booking.confirmed", "showtime.cancelled")
    deaf = await subscribe(manager, counter.cinema.theatre_id, "booking.cancelled")
    off = await subscribe(manager, counter.cinema.theatre_id, active=False)
    theatre = {"name": "Elsewhere", "city": "Pune", "address": "2 Road", "time_zone": "Asia/Kolkata", "currency": "INR"}
    other = await expect(await admin.post("/admin/theatres", theatre), 201)
    elsewhere = await subscribe(admin, other["id"])
    await counter.person().buy(counter.showtime_id, "A1")
    await announce(counter)
    await announce(counter)
    heard = {each: len(await told(counter, each)) for each in (own, of_all, deaf, off, elsewhere)}
    assert heard == {own: 1, of_all: 1, deaf: 0, off: 0, elsewhere: 0}
    jobs = await counter.house.app[POOL].fetchval("SELECT count(*) FROM job WHERE topic = 'partners.deliver'")
    assert jobs == 2


async def test_news_that_are_nobody_elses_business_are_not_told(counter: Counter) -> None:
    webhook_id = await subscribe(counter.manager(), counter.cinema.theatre_id)
    async with counter.house.app[POOL].acquire() as connection, connection.transaction():
        await offer(connection, "payment_failed", counter.showtime_id, {"version": 1, "payment_id": "1"})
        await offer(connection, "booking_confirmed", counter.showtime_id, {})
        await offer(connection, "booking_confirmed", counter.showtime_id, {"version": 999})
        await offer(connection, "booking_confirmed", "01970000-0000-7000-8000-000000000001", {"version": 1})
    assert await told(counter, webhook_id) == []


async def test_what_is_told_in_a_transaction_that_fails_is_not_sent(counter: Counter) -> None:
    webhook_id = await subscribe(counter.manager(), counter.cinema.theatre_id)
    await counter.person().buy(counter.showtime_id, "A1")
    pool = counter.house.app[POOL]
    version = await pool.fetchval("SELECT version FROM event WHERE kind = 'booking_confirmed'")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await offer(connection, "booking_confirmed", counter.showtime_id, {"version": version})
        assert await connection.fetchval("SELECT count(*) FROM webhook_delivery") == 1
        await transaction.rollback()
    assert await told(counter, webhook_id) == []
    assert await pool.fetchval("SELECT count(*) FROM job WHERE topic = 'partners.deliver'") == 0
