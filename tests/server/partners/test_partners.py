"""Partners, from the API to a real receiver: what is sold is heard, whatever the receiver does meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from actors.runtime.clock import ManualClock
from server.keys import CLOCK, COURIER, DISPATCH, JOBS
from server.partners.reach import Reach
from tests.server.house import open_house
from tests.server.partners.receiver import Receiver, open_receiver
from tests.server.partners.test_courier import LOOPBACK
from tests.server.partners.test_outbox import announce
from tests.server.partners.test_reach import Book
from tests.server.rest.cinema import Counter, expect, fresh_key, open_counter

NOW = 1_800_000_000_000


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


@pytest.fixture
async def counter(database_url: str) -> AsyncIterator[Counter]:
    async with open_house(database_url, clock=ManualClock(NOW), webhook_allow=LOOPBACK) as house:
        yield await open_counter(house)


async def subscribe(counter: Counter, url: str, *events: str) -> dict[str, Any]:
    asked = {"url": url, "events": events or ["booking.confirmed"], "theatre_id": counter.cinema.theatre_id}
    return await expect(await counter.manager().post("/admin/webhooks", asked), 201)


async def settle(counter: Counter) -> None:
    await counter.house.app[DISPATCH].settle()


def advance(counter: Counter, seconds: float) -> None:
    clock = counter.house.app[CLOCK]
    assert isinstance(clock, ManualClock)
    clock.advance(int(seconds * 1_000))


async def listed(counter: Counter, webhook_id: str, query: str = "") -> list[dict[str, Any]]:
    path = f"/admin/webhooks/{webhook_id}/deliveries{query}"
    items: list[dict[str, Any]] = (await expect(await counter.manager().get(path), 200))["items"]
    return items


async def test_a_sale_is_heard_and_the_log_shows_how(counter: Counter, receiver: Receiver) -> None:
    hook = await subscribe(counter, receiver.url)
    bought = await counter.person().buy(counter.showtime_id, "A1")
    await announce(counter)
    await settle(counter)
    (heard,) = receiver.heard
    assert heard.said["type"] == "booking.confirmed"
    assert heard.said["data"]["booking_id"] == bought["id"]
    (delivery,) = await listed(counter, hook["id"])
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("delivered", 1, 200)
    assert delivery["id"] == heard.said["id"] == heard.headers["webhook-id"]
    path = f"/admin/webhooks/{hook['id']}/deliveries/{delivery['id']}"
    shown = await expect(await counter.manager().get(path), 200)
    assert shown["request_body"].encode() == heard.body
    assert [(each["status"], each["answer"], each["error"]) for each in shown["history"]] == [(200, "thanks", None)]
    assert "secret" not in str(shown)


async def test_from_the_purchase_to_the_end_of_a_showtime_nobody_has_to_do_anything(
    counter: Counter, receiver: Receiver
) -> None:
    await subscribe(counter, receiver.url, "booking.confirmed", "booking.cancelled", "showtime.cancelled")
    ana, manager, app = counter.person(), counter.manager(), counter.house.app
    bought = await ana.buy(counter.showtime_id, "A1")
    given_back = await ana.buy(counter.showtime_id, "B1")
    await expect(await ana.post(f"/bookings/{given_back['id']}/cancel", key=fresh_key()), 200)
    ended = await manager.post(
        f"/admin/showtimes/{counter.showtime_id}/cancel", {"reason": "a power cut"}, key=fresh_key()
    )
    assert ended.status < 300, await ended.text()
    for _ in range(3):  # what a job asks for may be due for the other worker, and the other way round
        await app[JOBS].settle()
        await app[DISPATCH].settle()
        advance(counter, 1)  # what found the receiver's lane full has its turn by then
    said = sorted((heard.said for heard in receiver.heard), key=lambda each: each["data"]["version"])
    assert [each["type"] for each in said] == [
        "booking.confirmed",
        "booking.confirmed",
        "booking.cancelled",
        "booking.cancelled",
        "showtime.cancelled",
    ]
    assert [each["data"].get("booking_id") for each in said] == [
        bought["id"], given_back["id"], given_back["id"], bought["id"], None,
    ]  # fmt: skip


async def test_what_fails_is_tried_again_until_it_arrives(counter: Counter, receiver: Receiver) -> None:
    hook = await subscribe(counter, receiver.url)
    answers = iter([500, 503, 302, 200])

    async def answering(_request: web.Request) -> web.Response:
        return web.Response(status=next(answers), text="\0 well \xff")

    receiver.answering = answering
    await counter.person().buy(counter.showtime_id, "A1")
    await announce(counter)
    for tries in range(1, 5):
        await settle(counter)
        assert len(receiver.heard) == tries
        advance(counter, 200)  # longer than any of the first pauses
    assert len({heard.body for heard in receiver.heard}) == 1
    (delivery,) = await listed(counter, hook["id"], "?state=delivered")
    shown = await expect(await counter.manager().get(f"/admin/webhooks/{hook['id']}/deliveries/{delivery['id']}"), 200)
    assert [each["status"] for each in shown["history"]] == [500, 503, 302, 200]
    assert [each["error"] for each in shown["history"]] == ["refused", "refused", "redirected", None]
    assert await listed(counter, hook["id"], "?state=waiting") == []


async def test_a_ping_says_at_once_whether_anybody_hears(counter: Counter, receiver: Receiver) -> None:
    hook = await subscribe(counter, receiver.url)
    path = f"/admin/webhooks/{hook['id']}"
    sent = await expect(await counter.manager().post(f"{path}/test"), 202)
    await settle(counter)
    assert [heard.said["type"] for heard in receiver.heard] == ["ping"]
    assert [each["id"] for each in await listed(counter, hook["id"], "?type=ping&state=delivered")] == [sent["id"]]
    receiver.says(404)
    await expect(await counter.manager().post(f"{path}/test"), 202)
    await settle(counter)
    assert len(await listed(counter, hook["id"], "?type=ping&state=failed")) == 1


async def test_a_replay_sends_it_again_also_while_it_waits(counter: Counter, receiver: Receiver) -> None:
    hook = await subscribe(counter, receiver.url)
    receiver.says(500)
    await counter.person().buy(counter.showtime_id, "A1")
    await announce(counter)
    await settle(counter)
    (delivery,) = await listed(counter, hook["id"], f"?state=waiting&showtime_id={counter.showtime_id}")
    receiver.answering = None
    path = f"/admin/webhooks/{hook['id']}/deliveries/{delivery['id']}"
    assert (await expect(await counter.manager().post(f"{path}/replay"), 202))["state"] == "waiting"
    await settle(counter)
    assert (await expect(await counter.manager().get(path), 200))["state"] == "delivered"
    await expect(await counter.manager().post(f"{path}/replay"), 202)
    await settle(counter)
    assert len({heard.body for heard in receiver.heard}) == 1
    assert len(receiver.heard) == 3
    advance(counter, 100_000)
    await settle(counter)
    assert len(receiver.heard) == 3


async def test_nothing_is_replayed_to_who_is_switched_off_or_to_others(counter: Counter, receiver: Receiver) -> None:
    hook, other = await subscribe(counter, receiver.url), await subscribe(counter, receiver.url)
    await counter.person().buy(counter.showtime_id, "A1")
    await announce(counter)
    await settle(counter)
    (delivery,) = await listed(counter, hook["id"])
    manager = counter.manager()
    await expect(await manager.patch(f"/admin/webhooks/{hook['id']}", {"active": False}), 200)
    refused = await manager.post(f"/admin/webhooks/{hook['id']}/deliveries/{delivery['id']}/replay")
    assert (await expect(refused, 409))["code"] == "webhook_inactive"
    for delivery_id in (delivery["id"], "1"):
        missing = await manager.get(f"/admin/webhooks/{other['id']}/deliveries/{delivery_id}")
        assert (await expect(missing, 404))["code"] == "delivery_not_found"


async def test_deliveries_are_read_in_pieces_the_newest_first(counter: Counter, receiver: Receiver) -> None:
    hook = await subscribe(counter, receiver.url)
    sent = []
    for _ in range(7):
        sent.append((await expect(await counter.manager().post(f"/admin/webhooks/{hook['id']}/test"), 202))["id"])
        advance(counter, 1)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        path = f"/admin/webhooks/{hook['id']}/deliveries?limit=3&cursor={cursor}"
        page = await expect(await counter.manager().get(path), 200)
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == sent[::-1]


async def test_one_who_hangs_keeps_nobody_elses_message_waiting(database_url: str, receiver: Receiver) -> None:
    go = asyncio.Event()

    async def answering(_request: web.Request) -> web.Response:
        await go.wait()
        return web.Response()

    async with open_house(database_url, webhook_allow=LOOPBACK) as house, open_receiver() as deaf:
        counter, deaf.answering = await open_counter(house), answering
        for url in (deaf.url, receiver.url):
            await subscribe(counter, url)
        ana = counter.person()
        for seat in ("A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8"):
            await ana.buy(counter.showtime_id, seat)
        await announce(counter)
        house.app[DISPATCH].wake()
        await receiver.hears(8)
        assert len(deaf.heard) <= 2
        go.set()


async def test_a_partner_whose_name_leads_inside_later_is_not_reached(counter: Counter, receiver: Receiver) -> None:
    hook = await subscribe(counter, receiver.url)
    courier = counter.house.app[COURIER]
    courier.reach = Reach(Book())  # the operator takes the setting back
    await expect(await counter.manager().post(f"/admin/webhooks/{hook['id']}/test"), 202)
    await settle(counter)
    (failed,) = await listed(counter, hook["id"], "?state=failed")
    assert (failed["last_status"], failed["last_error"]) == (None, "address_refused")
    assert receiver.heard == []


async def test_what_is_on_its_way_when_the_house_closes_goes_out_when_it_opens(database_url: str) -> None:
    async with open_receiver() as receiver:
        go = asyncio.Event()

        async def answering(_request: web.Request) -> web.Response:
            await go.wait()
            return web.Response()

        receiver.answering = answering
        async with open_house(database_url, webhook_allow=LOOPBACK) as house:
            counter = await open_counter(house)
            await subscribe(counter, receiver.url)
            await counter.person().buy(counter.showtime_id, "A1")
            await announce(counter)
            house.app[DISPATCH].wake()
            await receiver.hears(1)
        go.set()
        async with open_house(database_url, webhook_allow=LOOPBACK) as house:
            await receiver.hears(2)
            await house.app[DISPATCH].settle()
        first, second = receiver.heard
        assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
