"""Promo codes through REST: made by a house, used by its customers, and never more often than they may be."""

import asyncio
from typing import Any

import pytest

from actors.runtime.clock import ManualClock
from persistence import audit
from server.keys import CLOCK, POOL
from tests.server.house import House, open_house
from tests.server.rest.cinema import HOUR, Counter, Person, build, expect, fresh_key, open_counter, premiere

NOW = 1_800_000_000_000
DAY = 24 * HOUR


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house)


async def code(counter: Counter, name: str, /, **more: Any) -> dict[str, Any]:
    body = {"code": name, "theatre_id": counter.cinema.theatre_id, "percent": 10, **more}
    if "amount" in more:
        del body["percent"]
    return await expect(await counter.manager().post("/admin/promo-codes", body), 201)


async def use(who: Person, showtime_id: str, seat: str, name: str, key: str | None = None, **more: Any) -> Any:
    body = {"showtime_id": showtime_id, "seats": [seat], "promo_code": name, **more}
    return await who.post("/bookings", body, key=key or fresh_key())


async def refusal(response: Any) -> str:
    problem = await expect(response, 422)
    assert problem["code"] == "promo_invalid", problem
    return str(problem["reason"])


async def test_a_code_takes_its_part_off_the_booking_and_stays_in_the_books(counter: Counter) -> None:
    await code(counter, "summer")
    ana = counter.person()
    held = await ana.hold(counter.showtime_id, "A1", "A2")
    body = {"hold_id": held["hold_id"], "promo_code": " Summer ", "expected_total": 97_940}
    booked = await expect(await ana.post("/bookings", body, key=fresh_key()), 201)
    amounts = {name: booked[name]["amount"] for name in ("subtotal", "fees", "tax", "discount", "total")}
    assert amounts == {"subtotal": 90_000, "fees": 2_000, "tax": 14_940, "discount": 9_000, "total": 97_940}
    assert [seat["discount"]["amount"] for seat in booked["seats"]] == [4_500, 4_500]
    again = await expect(await ana.get(f"/bookings/{booked['id']}"), 200)
    assert (again["discount"], again["seats"]) == (booked["discount"], booked["seats"])
    paid = await ana.post(f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}, key=fresh_key())
    assert (await expect(paid, 200))["total"]["amount"] == 97_940
    assert (await audit.verify(counter.house.app[POOL])).differences == []


async def test_of_200_bookings_at_once_in_two_showtimes_50_get_the_discount(counter: Counter) -> None:
    house = counter.house
    made = await code(counter, "FIFTY", max_uses=50)
    now = house.app[CLOCK].now()
    later = {"starts_at": now + 2 * DAY, "ends_at": now + 2 * DAY + HOUR}
    other = await premiere(house.app[POOL], counter.cinema, now, **later)
    seats = [f"{row}{n}" for row in "ABCDEFGHIJ" for n in range(1, 11)]
    wishes = [(showtime_id, seat) for seat in seats for showtime_id in (counter.showtime_id, other)]
    answers = await asyncio.gather(*(use(counter.person(), *wish, "FIFTY") for wish in wishes))
    bodies = [await answer.json() for answer in answers if answer.status == 201]
    assert len(bodies) == 50
    assert {body["discount"]["amount"] for body in bodies} == {4_500}
    assert {await refusal(answer) for answer in answers if answer.status != 201} == {"used_up"}
    manager = counter.manager()
    shown = await expect(await manager.get(f"/admin/promo-codes/{made['id']}"), 200)
    assert shown["used"] == 50
    assert (await manager.delete(f"/admin/promo-codes/{made['id']}")).status == 409


async def test_a_use_comes_back_when_its_booking_is_cancelled_or_expires(database_url: str) -> None:
    async with open_house(database_url, clock=ManualClock(NOW)) as house:
        counter = await open_counter(house)
        await code(counter, "ONCE", max_uses=1)
        ana, bob = counter.person(), counter.person()
        first = await expect(await use(ana, counter.showtime_id, "A1", "ONCE"), 201)
        assert await refusal(await use(bob, counter.showtime_id, "B1", "ONCE")) == "used_up"
        await expect(await ana.post(f"/bookings/{first['id']}/cancel", key=fresh_key()), 200)
        await expect(await use(bob, counter.showtime_id, "B1", "ONCE"), 201)
        clock = house.app[CLOCK]
        assert isinstance(clock, ManualClock)
        clock.advance(700_000)
        await counter.settle()
        await expect(await use(ana, counter.showtime_id, "C1", "ONCE"), 201)


async def test_a_booking_that_is_refused_uses_nothing(counter: Counter) -> None:
    await code(counter, "ONCE", max_uses=1, min_seats=1)
    ana, bob = counter.person(), counter.person()
    await bob.hold(counter.showtime_id, "A1")
    assert (await use(ana, counter.showtime_id, "A1", "ONCE")).status == 409
    changed = await expect(await use(ana, counter.showtime_id, "A2", "ONCE", expected_total=1), 409)
    assert (changed["code"], changed["new"]["amount"]) == ("price_changed", 48_970)
    await expect(await use(ana, counter.showtime_id, "A2", "ONCE"), 201)


async def test_a_booking_that_is_sent_again_uses_a_code_once(counter: Counter) -> None:
    await code(counter, "ONCE", max_uses=1)
    ana, key = counter.person(), fresh_key()
    tries = await asyncio.gather(*(use(ana, counter.showtime_id, "A1", "ONCE", key) for _ in range(5)))
    bodies = [await expect(answer, 201) for answer in tries]
    assert len({body["id"] for body in bodies}) == 1


async def test_one_customer_uses_a_code_as_often_as_it_says_and_guests_do_not(counter: Counter) -> None:
    await code(counter, "EACH", max_uses_per_customer=1)
    ana, bob = counter.person(), counter.person()
    answers = await asyncio.gather(*(use(ana, counter.showtime_id, seat, "EACH") for seat in ("A1", "B1", "C1")))
    assert sorted(answer.status for answer in answers) == [201, 422, 422]
    await expect(await use(bob, counter.showtime_id, "D1", "EACH"), 201)
    guest = counter.person("guest")
    contact = {"email": "guest@example.com"}
    assert await refusal(await use(guest, counter.showtime_id, "E1", "EACH", contact=contact)) == "members_only"


async def test_a_code_is_good_in_its_time_place_and_currency_only(counter: Counter) -> None:
    ana, admin = counter.person(), counter.person("admin")
    await code(counter, "EARLY", valid_from="2099-01-01T00:00:00Z")
    await code(counter, "LATE", valid_to="2020-01-01T00:00:00Z")
    elsewhere = await build(counter.house.app[POOL], counter.house.app[CLOCK].now(), 2, 4, "Another Film")
    there = {"code": "THERE", "theatre_id": elsewhere.theatre_id, "percent": 10}
    await expect(await admin.post("/admin/promo-codes", there), 201)
    euros = {"code": "EURO", "amount": 500, "currency": "EUR"}
    await expect(await admin.post("/admin/promo-codes", euros), 201)
    for name, why in (("EARLY", "not_yet"), ("LATE", "over"), ("THERE", "unknown"), ("EURO", "other_currency")):
        assert await refusal(await use(ana, counter.showtime_id, "A1", name)) == why
    off = await code(counter, "OFF", amount=10_000)
    assert off["currency"] == "INR"
    switched = await expect(
        await counter.manager().patch(f"/admin/promo-codes/{off['id']}", {"active": False, "max_uses": 5}), 200
    )
    assert (switched["active"], switched["max_uses"], switched["version"]) == (False, 5, 2)
    assert await refusal(await use(ana, counter.showtime_id, "A1", "OFF")) == "unknown"


async def test_a_code_is_made_once_takes_off_one_thing_and_is_its_houses_own(counter: Counter) -> None:
    made = await code(counter, "ONE")
    manager = counter.manager()
    body = {"code": "one", "theatre_id": counter.cinema.theatre_id, "percent": 5}
    assert (await expect(await manager.post("/admin/promo-codes", body), 409))["code"] == "code_taken"
    other = {"code": "TWO", "theatre_id": counter.cinema.theatre_id}
    for worth in ({}, {"percent": 5, "amount": 5}, {"percent": 101}, {"amount": 0}, {"amount": 5, "currency": "EUR"}):
        await expect(await manager.post("/admin/promo-codes", {**other, **worth}), 422)
    assert (await manager.post("/admin/promo-codes", {"code": "ALL", "percent": 5})).status == 403
    path = f"/admin/promo-codes/{made['id']}"
    late = await counter.house.ask(
        "PATCH", path, token=manager.token, json={"percent": 20}, headers={"If-Match": '"7"'}
    )
    assert late.status == 412
    amount = await expect(await manager.patch(path, {"amount": 700}), 200)
    assert (amount["percent"], amount["amount"], amount["currency"]) == (None, 700, "INR")
    assert (await manager.delete(path)).status == 204
    assert (await manager.get(path)).status == 404
