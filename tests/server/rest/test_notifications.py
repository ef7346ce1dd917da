"""The inbox over HTTP, and confirmations sent once more."""

from typing import Any

import pytest

from server.keys import JOBS, POOL
from server.limiter import Rates
from tests.server.house import House, plain
from tests.server.rest.cinema import Person, expect, fresh_key, open_counter

SEATS = ("A1", "A3", "A5", "A7", "A9")


async def somebody(house: House) -> Person:
    member = await house.member(email="ana@example.com", display_name="Ana")
    return Person(house, member["user"]["id"], ("customer",), ())


async def problem(response: Any) -> tuple[int, str]:
    return response.status, (await response.json())["code"]


async def filled(house: House, count: int = 5) -> tuple[Person, list[dict[str, Any]]]:
    """Somebody with notices about so many bookings, the newest first."""
    counter, ana = await open_counter(house), await somebody(house)
    for seat in SEATS[:count]:
        await ana.buy(counter.showtime_id, seat)
        await house.settle()
    return ana, (await expect(await ana.get("/notifications"), 200))["items"]


async def test_an_inbox_is_read_page_by_page_and_never_twice(house: House) -> None:
    ana, items = await filled(house)
    assert len(items) == 5
    assert [item["created_at"] for item in items] == sorted((item["created_at"] for item in items), reverse=True)
    seen, cursor = [], ""
    while cursor is not None:
        page = await expect(await ana.get(f"/notifications?limit=2&cursor={cursor}"), 200)
        seen += page["items"]
        cursor = page["next_cursor"]
    assert seen == items


async def test_what_is_unread_is_counted_and_listed_by_itself(house: House) -> None:
    ana, items = await filled(house, 3)
    assert await expect(await ana.get("/notifications/unread-count"), 200) == {"unread": 3}
    marked = await expect(await ana.patch(f"/notifications/{items[1]['id']}", {"read": True}), 200)
    assert marked == {**items[1], "read": True}
    assert await expect(await ana.get("/notifications/unread-count"), 200) == {"unread": 2}
    for query in ("?unread", "?unread=true"):
        unread = await expect(await ana.get(f"/notifications{query}"), 200)
        assert unread["items"] == [items[0], items[2]]
    assert len((await expect(await ana.get("/notifications?unread=false"), 200))["items"]) == 3
    assert await expect(await ana.put(f"/notifications/{items[1]['id']}", {"read": False}), 200) == items[1]
    assert await expect(await ana.post("/notifications/read-all"), 200) == {"read": 3}
    assert await expect(await ana.post("/notifications/read-all"), 200) == {"read": 0}
    assert await expect(await ana.get("/notifications/unread-count"), 200) == {"unread": 0}


async def test_an_inbox_is_its_owners_only(house: House) -> None:
    ana, items = await filled(house, 1)
    member = await house.member()
    bob = Person(house, member["user"]["id"], ("customer",), ())
    assert (await expect(await bob.get("/notifications"), 200))["items"] == []
    response = await bob.patch(f"/notifications/{items[0]['id']}", {"read": True})
    assert await problem(response) == (404, "notification_not_found")
    assert await problem(await bob.patch("/notifications/nonsense", {"read": True})) == (404, "notification_not_found")
    await bob.post("/notifications/read-all")
    assert await expect(await ana.get("/notifications/unread-count"), 200) == {"unread": 1}


@pytest.mark.parametrize("body", [{}, {"read": "yes"}, {"read": True, "title": "mine"}])
async def test_a_notification_can_only_be_marked(house: House, body: dict[str, Any]) -> None:
    ana, items = await filled(house, 1)
    response = await ana.patch(f"/notifications/{items[0]['id']}", body)
    assert await problem(response) == (422, "validation_failed")


async def test_a_confirmation_is_sent_again_as_the_booking_stands_now(house: House) -> None:
    counter, ana = await open_counter(house), await somebody(house)
    booked = await ana.buy(counter.showtime_id, "A1", "A2")
    await house.settle()
    await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {"seats": ["A2"]}, key=fresh_key()), 200)
    assert (await ana.post(f"/bookings/{booked['id']}/resend")).status == 202
    letters = await house.letters("ana@example.com")
    again = next(letter for letter in letters if letter["Message-ID"].startswith("<resent."))
    assert "This is your confirmation once more" in plain(again)
    assert "Seat: A1" in plain(again)
    assert len(list(again.iter_attachments())) == 1


async def test_the_box_office_sends_it_again_too_and_others_do_not(house: House) -> None:
    counter, ana = await open_counter(house), await somebody(house)
    booked = await ana.buy(counter.showtime_id, "A1")
    path = f"/bookings/{booked['id']}/resend"
    theatre = (counter.cinema.theatre_id,)
    assert (await counter.person("box_office", theatres=theatre).post(path)).status == 202
    assert await problem(await counter.person("usher", theatres=theatre).post(path)) == (404, "booking_not_found")
    assert await problem(await counter.person("box_office").post(path)) == (404, "booking_not_found")
    assert await problem(await counter.person().post(path)) == (404, "booking_not_found")


async def test_it_is_not_sent_as_often_as_somebody_likes(house: House) -> None:
    counter, ana = await open_counter(house), await somebody(house)
    booked = await ana.buy(counter.showtime_id, "A1")
    statuses = [(await ana.post(f"/bookings/{booked['id']}/resend")).status for _ in range(Rates().resends.amount + 1)]
    assert statuses == [202] * Rates().resends.amount + [429]


async def test_what_is_not_confirmed_is_not_sent(house: House) -> None:
    counter, ana = await open_counter(house), await somebody(house)
    waiting = await ana.book(counter.showtime_id, "A1")
    assert await problem(await ana.post(f"/bookings/{waiting['id']}/resend")) == (409, "not_confirmed")
    gone = await ana.buy(counter.showtime_id, "B1")
    await expect(await ana.post(f"/bookings/{gone['id']}/cancel", {}, key=fresh_key()), 200)
    assert await problem(await ana.post(f"/bookings/{gone['id']}/resend")) == (409, "not_confirmed")


async def test_the_same_key_sends_it_once(house: House) -> None:
    counter, ana = await open_counter(house), await somebody(house)
    booked = await ana.buy(counter.showtime_id, "A1")
    key = fresh_key()
    for _ in range(2):
        assert (await ana.post(f"/bookings/{booked['id']}/resend", key=key)).status == 202
    await house.app[JOBS].settle()
    count = await house.app[POOL].fetchval("SELECT count(*) FROM job WHERE dedupe_key LIKE 'mail:resent:%'")
    assert count == 1
