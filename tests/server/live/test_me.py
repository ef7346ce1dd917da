"""A person's own socket: what the inbox brings, what will end soon, and who may listen."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from actors.runtime.clock import ManualClock
from server.asyncapi import TOLD
from server.keys import LIVE, PEOPLE
from server.live.limits import Limits
from tests.server.house import House, open_house
from tests.server.live.test_sockets import Watching
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter

NOW = 1_795_255_200_000
LIMITS = Limits()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def counter(database_url: str, clock: ManualClock) -> AsyncIterator[Counter]:
    async with open_house(database_url, clock=clock, rate_limit=False) as house:
        yield await open_counter(house)


async def somebody(house: House) -> tuple[Person, str]:
    """A member, and the token that came with registering."""
    member = await house.member()
    return Person(house, member["user"]["id"], ("customer",), ()), member["access_token"]


async def listen(person: Person, path: str = "/api/v1/me/live") -> Watching:
    """A socket of somebody's own, told how everything stands."""
    watching = Watching(await person.house.client.ws_connect(path))
    await watching.sign_in(person)
    await watching.next("inbox")
    return watching


async def test_a_new_notice_comes_to_all_sockets_of_the_person_and_to_nobody_else(counter: Counter) -> None:
    (ana, _), (bob, _) = await somebody(counter.house), await somebody(counter.house)
    phone, desk, other = await listen(ana), await listen(ana, "/api/v1/me/stream"), await listen(bob)
    booked = await ana.buy(counter.showtime_id, "A1")
    await counter.house.settle()
    for socket in (phone, desk):
        news = await socket.next("notification")
        assert news["unread"] == 1
        assert news["notification"]["title"] == "Your seats for The Long Night are booked"
        assert news["notification"]["booking_id"] == booked["id"]
        shown = await expect(await ana.get("/notifications"), 200)
        assert shown["items"] == [news["notification"]]
    await other.ask("ping")
    assert [frame["type"] for frame in other.heard] == ["result", "mine", "inbox", "pong"]


async def test_what_is_read_in_one_place_is_read_everywhere(counter: Counter) -> None:
    ana, _ = await somebody(counter.house)
    await ana.buy(counter.showtime_id, "A1")
    await counter.house.settle()
    socket = Watching(await counter.house.client.ws_connect("/api/v1/me/live"))
    await socket.sign_in(ana)
    assert (await socket.next("inbox"))["unread"] == 1
    (notice,) = (await expect(await ana.get("/notifications"), 200))["items"]
    await expect(await ana.patch(f"/notifications/{notice['id']}", {"read": True}), 200)
    assert (await socket.next("inbox"))["unread"] == 0
    await expect(await ana.patch(f"/notifications/{notice['id']}", {"read": False}), 200)
    assert (await socket.next("inbox"))["unread"] == 1
    assert await expect(await ana.post("/notifications/read-all"), 200) == {"read": 1}
    assert (await socket.next("inbox"))["unread"] == 0


async def test_a_minute_before_a_hold_ends_its_owner_is_warned(counter: Counter, clock: ManualClock) -> None:
    ana, _ = await somebody(counter.house)
    socket = await listen(ana)
    held = await ana.hold(counter.showtime_id, "A1", "A2")
    await socket.next("mine")
    clock.advance(10 * 60_000 - LIMITS.expiry_warning_ms)
    warned = await socket.next("expiring")
    assert warned == {
        "type": "expiring",
        "showtime_id": counter.showtime_id,
        "hold_id": held["hold_id"],
        "seats": ["A1", "A2"],
        "expires_at": held["expires_at"],
    }


async def test_a_hold_from_before_the_socket_and_an_unpaid_booking_are_warned_of_too(
    counter: Counter, clock: ManualClock
) -> None:
    ana, _ = await somebody(counter.house)
    held, booked = await ana.hold(counter.showtime_id, "A1"), await ana.book(counter.showtime_id, "B1")
    socket = await listen(ana)
    clock.advance(10 * 60_000 - LIMITS.expiry_warning_ms)
    warned = [await socket.next("expiring"), await socket.next("expiring")]
    assert {frame.get("hold_id") or frame["booking_id"] for frame in warned} == {held["hold_id"], booked["id"]}


async def test_who_renews_or_lets_go_is_not_warned(counter: Counter, clock: ManualClock) -> None:
    ana, _ = await somebody(counter.house)
    socket = await listen(ana)
    renewed, released = await ana.hold(counter.showtime_id, "A1"), await ana.hold(counter.showtime_id, "B1")
    clock.advance(60_000)
    later = await expect(await ana.post(f"/holds/{renewed['hold_id']}/renew"), 200)
    assert (await ana.delete(f"/holds/{released['hold_id']}")).status == 204
    while (await socket.next("mine"))["holds"][0]["expires_at"] != later["expires_at"]:
        pass
    await socket.ask("ping")
    clock.advance(9 * 60_000 - LIMITS.expiry_warning_ms)
    await socket.ask("ping")
    assert not [frame for frame in socket.heard if frame["type"] == "expiring"]
    clock.advance(60_000)
    assert (await socket.next("expiring"))["expires_at"] == later["expires_at"]


async def test_alarms_end_with_the_last_socket(counter: Counter) -> None:
    ana, _ = await somebody(counter.house)
    first, second = await listen(ana), await listen(ana)
    await ana.hold(counter.showtime_id, "A1")
    for socket in (first, second):
        await socket.next("mine")
    people = counter.house.app[PEOPLE]
    assert people.alarms == 1
    await first.socket.close()
    await until(lambda: len(counter.house.app[LIVE].connections) == 1)
    assert people.alarms == 1
    await second.socket.close()
    await until(lambda: not counter.house.app[LIVE].connections)
    assert people.alarms == 0


async def test_a_stranger_is_shown_out_after_a_while(counter: Counter, clock: ManualClock) -> None:
    ana, _ = await somebody(counter.house)
    known = await listen(ana)
    stranger = Watching(await counter.house.client.ws_connect("/api/v1/me/live"))
    clock.advance(LIMITS.stranger_ms_max)
    assert await stranger.close_code() == 4401
    assert stranger.heard == []
    await known.ask("ping")


async def test_signing_out_closes_the_socket(counter: Counter) -> None:
    member = await counter.house.member()
    socket = Watching(await counter.house.client.ws_connect("/api/v1/me/live"))
    assert (await socket.ask("auth", token=member["access_token"]))["ok"]
    assert (await counter.house.post("/auth/logout", {}, token=member["access_token"])).status == 204
    assert await socket.close_code() == 4401


async def test_its_frames_are_the_described_ones(counter: Counter, clock: ManualClock) -> None:
    ana, _ = await somebody(counter.house)
    socket = await listen(ana)
    await ana.hold(counter.showtime_id, "C1")
    await ana.buy(counter.showtime_id, "A1")
    await counter.house.settle()
    await socket.next("notification")
    clock.advance(10 * 60_000 - LIMITS.expiry_warning_ms)
    await socket.next("expiring")
    heard: set[str] = set()
    for frame in socket.heard:
        shape: Any = TOLD[frame["type"]]
        TypeAdapter(shape).validate_python(frame)
        assert frame["type"] == "result" or frame.keys() <= shape.__annotations__.keys(), frame
        heard.add(frame["type"])
    assert {"mine", "inbox", "notification", "expiring"} <= heard


async def test_bookings_that_change_elsewhere_are_told(counter: Counter) -> None:
    ana, _ = await somebody(counter.house)
    booked = await ana.buy(counter.showtime_id, "A1")
    socket = await listen(ana)
    await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {}, key=fresh_key()), 200)
    assert (await socket.next("mine"))["bookings"][0]["status"] == "cancelled"


async def until(so: Any) -> None:
    while not so():
        await asyncio.sleep(0)
