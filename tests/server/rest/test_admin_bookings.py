"""Bookings as the house sees them: found, refunded, ended, audited; and a showtime cancelled with all of them."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from actors.ids import mint, mint_in
from actors.seatmap import commands as c
from actors.seatmap.commands import ActorKind, Cause
from persistence import audit
from server.keys import JOBS, POOL, REGISTRY
from tests.server.house import House
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter

SEAT = 54_280
"""450.00, a fee of 10.00 and 18 % tax."""


@pytest.fixture
async def counter(house: House) -> Counter:
    """Nobody works the jobs, so that refunds stay where these tests put them."""
    await house.app[JOBS].close()
    return await open_counter(house)


async def refund(who: Person, booking_id: str, status: int = 201, *, key: str | None = None, **asked: Any) -> Any:
    body = {"reason": "The air conditioning failed.", **asked}
    response = await who.post(f"/admin/bookings/{booking_id}/refund", body, key=key or fresh_key())
    return await expect(response, status)


async def shown(who: Person, booking_id: str) -> dict[str, Any]:
    return await expect(await who.get(f"/bookings/{booking_id}"), 200)


async def differences(counter: Counter) -> Sequence[object]:
    return (await audit.verify(counter.house.app[POOL])).differences


async def mark(counter: Counter, refund_id: str, state: str) -> None:
    await counter.house.app[POOL].execute(
        "UPDATE job SET state = $2 WHERE dedupe_key = 'refund:' || $1", refund_id, state
    )


async def test_a_favour_gives_money_back_and_the_seats_stay_sold(counter: Counter) -> None:
    ana, manager = counter.person(), counter.manager()
    bought = await ana.buy(counter.showtime_id, "A1", "A2")
    given = await refund(manager, bought["id"], amount=10_000)
    assert given["amount"] == {"amount": 10_000, "currency": "INR"}
    assert (given["status"], given["seats"], given["booking_id"]) == ("pending", [], bought["id"])
    assert (given["paid"]["amount"], given["refunded"]["amount"]) == (2 * SEAT, 10_000)
    page = await shown(ana, bought["id"])
    assert (page["status"], page["payment"]["status"]) == ("confirmed", "partially_refunded")
    assert page["refund"] == {"id": given["id"], "amount": given["amount"], "status": "pending"}
    assert "air conditioning" not in str(page), "what the staff writes down is not for the customer"
    quote = await expect(await ana.get(f"/bookings/{bought['id']}/cancellation-quote"), 200)
    assert quote["refund"]["amount"] == 2 * SEAT - 10_000
    assert (await counter.seats())["counts"]["sold"] == 2
    assert await differences(counter) == []


async def test_seats_taken_back_by_the_house_are_refunded_in_full(counter: Counter) -> None:
    ana, manager = counter.person(), counter.manager()
    bought = await ana.buy(counter.showtime_id, "A1", "A2", "A3")
    given = await refund(manager, bought["id"], seats=["A2"])
    assert (given["amount"]["amount"], given["seats"]) == (SEAT, ["A2"])
    rest = await refund(manager, bought["id"])
    assert (rest["amount"]["amount"], rest["seats"]) == (2 * SEAT, ["A1", "A3"])
    page = await shown(ana, bought["id"])
    assert (page["status"], page["payment"]["status"]) == ("cancelled", "refunded")
    assert (await counter.seats())["counts"]["sold"] == 0
    assert await differences(counter) == []


async def test_nothing_goes_back_that_was_not_paid(counter: Counter) -> None:
    ana, manager = counter.person(), counter.manager()
    bought = await ana.buy(counter.showtime_id, "A1")
    too_much = await refund(manager, bought["id"], 409, amount=SEAT + 1)
    assert (too_much["code"], too_much["refundable"]["amount"]) == ("exceeds_paid", SEAT)
    await refund(manager, bought["id"], amount=SEAT)
    assert (await refund(manager, bought["id"], 409, amount=1))["refundable"]["amount"] == 0
    unpaid = await ana.book(counter.showtime_id, "B1")
    assert (await refund(manager, unpaid["id"], 409))["code"] == "exceeds_paid"
    for wrong in ({"amount": 0}, {"amount": 1, "seats": ["A1"]}, {"seats": []}, {"amount": 1, "reason": ""}):
        assert (await refund(manager, bought["id"], 422, **wrong))["code"] == "validation_failed"
    assert (await refund(manager, bought["id"], 422, seats=["Z9"]))["code"] == "seat_not_in_booking"
    assert (await refund(manager, mint(0), 404, amount=1))["code"] == "booking_not_found"
    assert await differences(counter) == []


async def test_one_key_refunds_once_however_often_it_is_sent(counter: Counter) -> None:
    ana, manager, key = counter.person(), counter.manager(), fresh_key()
    bought = await ana.buy(counter.showtime_id, "A1")
    path, body = f"/admin/bookings/{bought['id']}/refund", {"amount": 100, "reason": "late start"}
    answers = await asyncio.gather(*(manager.post(path, body, key=key) for _ in range(10)))
    assert len({await answer.read() for answer in answers}) == 1
    assert (await shown(ana, bought["id"]))["refunded"]["amount"] == 100
    other = await manager.post(path, {**body, "amount": 200}, key=key)
    assert (await expect(other, 422))["code"] == "idempotency_mismatch"
    assert (await expect(await manager.post(path, body), 400))["code"] == "idempotency_key_required"


@pytest.mark.parametrize(
    ("state", "told"), [("ready", "pending"), ("running", "pending"), ("done", "succeeded"), ("parked", "failed")]
)
async def test_a_booking_says_how_far_its_refund_really_is(counter: Counter, state: str, told: str) -> None:
    ana = counter.person()
    bought = await ana.buy(counter.showtime_id, "A1")
    gone = await expect(await ana.post(f"/bookings/{bought['id']}/cancel", {}, key=fresh_key()), 200)
    assert gone["refund"]["status"] == "pending"
    await mark(counter, gone["refund"]["id"], state)
    page = await shown(ana, bought["id"])
    assert page["refund"] == {**gone["refund"], "status": told}
    assert page["history"][-1]["refund"] == page["refund"]


async def test_the_house_finds_bookings_by_whatever_it_knows(counter: Counter) -> None:
    ana, bob, manager = counter.person(), counter.person("guest"), counter.manager()
    bought, placed = await ana.buy(counter.showtime_id, "A1"), await ana.book(counter.showtime_id, "A2")
    wish = {"showtime_id": counter.showtime_id, "seats": ["B1"], "contact": {"email": "Bob@example.org"}}
    bobs = await expect(await bob.post("/bookings", wish, key=fresh_key()), 201)
    cinema = counter.cinema
    for query, found in (
        ({}, [bobs, placed, bought]),
        ({"status": "confirmed"}, [bought]),
        ({"payment": "succeeded"}, [bought]),
        ({"payment": "none"}, [bobs, placed]),
        ({"reference": bought["reference"].lower()}, [bought]),
        ({"user": ana.account_id}, [placed, bought]),
        ({"user": "bob@example.org"}, [bobs]),
        ({"user": "eve@example.org"}, []),
        ({"showtime_id": counter.showtime_id, "movie_id": cinema.movie_id}, [bobs, placed, bought]),
        ({"theatre_id": cinema.theatre_id, "status": "pending_payment"}, [bobs, placed]),
        ({"showtime_id": mint(0)}, []),
        ({"to": "2001-01-01T00:00:00Z"}, []),
        ({"from": "2001-01-01T00:00:00Z"}, [bobs, placed, bought]),
    ):
        page = await expect(await manager.get("/admin/bookings", params=query), 200)
        assert [item["id"] for item in page["items"]] == [each["id"] for each in found], query
    first = await expect(await manager.get("/admin/bookings", params={"limit": "2"}), 200)
    rest = {"limit": "2", "cursor": first["next_cursor"]}
    second = await expect(await manager.get("/admin/bookings", params=rest), 200)
    assert [item["id"] for item in second["items"]] == [bought["id"]]
    assert (second["items"][0]["owner"], second["items"][0]["paid"]["amount"]) == (ana.account_id, SEAT)


async def test_each_house_sees_its_own_bookings_only(counter: Counter) -> None:
    bought = await counter.person().buy(counter.showtime_id, "A1")
    stranger = counter.person("manager", theatres=(mint(0),))
    assert (await expect(await stranger.get("/admin/bookings"), 200))["items"] == []
    theirs = await stranger.get("/admin/bookings", params={"theatre_id": counter.cinema.theatre_id})
    assert (await expect(theirs, 403))["code"] == "out_of_scope"
    assert (await refund(stranger, bought["id"], 403, amount=1))["code"] == "out_of_scope"
    admin = await expect(await counter.person("admin").get("/admin/bookings"), 200)
    assert [item["id"] for item in admin["items"]] == [bought["id"]]


async def test_a_booking_is_ended_by_hand_and_nothing_else(counter: Counter) -> None:
    ana, manager = counter.person(), counter.manager()
    bought = await ana.buy(counter.showtime_id, "A1")

    async def put(status: str, expected: int) -> dict[str, Any]:
        path = f"/admin/bookings/{bought['id']}/status"
        return await expect(await manager.put(path, {"status": status, "reason": "double booked"}), expected)

    for status in ("pending_payment", "expired", "confirmed"):
        refused = await put(status, 409)
        assert (refused["code"], refused["allowed"]) == ("illegal_transition", ["cancelled"])
    ended = await put("cancelled", 200)
    assert (ended["status"], ended["reason"], ended["refunded"]["amount"]) == ("cancelled", "double booked", SEAT)
    for status in ("confirmed", "cancelled"):
        assert (await put(status, 409))["allowed"] == []


async def test_who_pays_at_the_theatre_is_confirmed_by_hand_once(house: House) -> None:
    counter = await open_counter(house)
    ana, manager, app = counter.person(), counter.manager(), house.app
    booked = await ana.book(counter.showtime_id, "A1", "A2")
    path, key = f"/admin/bookings/{booked['id']}/status", fresh_key()
    body = {"status": "confirmed", "reason": "paid in cash"}
    put = partial(counter.house.ask, "PUT", path, token=manager.token, json=body)
    for _ in range(2):
        done = await expect(await put(headers={"Idempotency-Key": key}), 200)
        assert (done["status"], done["paid"]) == ("confirmed", booked["total"])
    again = await expect(await put(headers={"Idempotency-Key": fresh_key()}), 409)
    assert (again["code"], again["allowed"]) == ("illegal_transition", ["cancelled"])
    assert len((await shown(ana, booked["id"]))["tickets"]) == 2
    given = await refund(manager, booked["id"], seats=["A2"])
    await app[JOBS].settle()
    page = await shown(ana, booked["id"])
    assert page["refund"] == {"id": given["id"], "amount": given["amount"], "status": "succeeded"}
    report = await audit.verify(app[POOL])
    assert report.differences == []
    money = report.money["INR"]
    assert (money.taken, money.returned, money.sales) == (2 * SEAT, SEAT, SEAT)


async def test_what_has_ended_is_not_confirmed_by_hand(counter: Counter) -> None:
    ana, manager = counter.person(), counter.manager()
    booked = await ana.book(counter.showtime_id, "A1")
    await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {}, key=fresh_key()), 200)
    asked = {"status": "confirmed", "reason": "paid in cash"}
    refused = await expect(await manager.put(f"/admin/bookings/{booked['id']}/status", asked), 409)
    assert (refused["code"], refused["allowed"]) == ("illegal_transition", [])
    assert await differences(counter) == []


async def test_the_audit_names_who_did_what_by_which_request(counter: Counter) -> None:
    ana, manager = counter.person(), counter.manager()
    bought = await ana.buy(counter.showtime_id, "A1")
    await refund(manager, bought["id"], amount=100)
    trail = (await expect(await manager.get(f"/admin/bookings/{bought['id']}/audit"), 200))["items"]
    assert [told["actor"] for told in trail] == [{"kind": told["by"], "id": told["actor_id"]} for told in trail]
    assert [step["event"] for step in trail] == ["booking_placed", "booking_confirmed", "refund_granted"]
    assert (trail[0]["actor_id"], trail[-1]["actor_id"]) == (ana.account_id, manager.account_id)
    assert (trail[0]["by"], trail[-1]["by"]) == ("customer", "staff")
    assert all(step["request_id"] and len(step["hash"]) == 64 for step in trail)
    assert len({step["hash"] for step in trail}) == 3


async def test_a_sold_out_house_is_cancelled_in_one_turn_and_everybody_is_refunded_once(house: House) -> None:
    await house.app[JOBS].close()
    counter = await open_counter(house, rows=18, seats_per_row=25)
    actor = await house.app[REGISTRY].actor(counter.showtime_id)
    number = actor.snapshot.number
    sold = [await _sell(counter, number, seat) for seat in actor.snapshot.layout.seats]
    assert len(sold) == 450
    waiting = counter.person()
    manager, path = counter.manager(), f"/admin/showtimes/{counter.showtime_id}"
    assert (await expect(await manager.get(f"{path}/cancellation"), 404))["code"] == "cancellation_not_found"
    told = await expect(await manager.post(f"{path}/cancel", {"reason": "a storm"}, key=fresh_key()), 202)
    assert (told["bookings"], told["refunded"], told["failed"], told["pending"]) == (450, 0, 0, 450)
    assert told["amount"]["amount"] == 450 * SEAT
    pool = house.app[POOL]
    keys = [row[0] for row in await pool.fetch("SELECT dedupe_key FROM job WHERE topic = 'refund'")]
    assert len(keys) == 450
    for state, some in (("done", keys[:440]), ("parked", keys[440:447])):
        await pool.execute("UPDATE job SET state = $1 WHERE dedupe_key = ANY($2::text[])", state, some)
    progress = await expect(await manager.get(f"{path}/cancellation"), 200)
    assert progress == {
        "showtime_id": counter.showtime_id,
        "bookings": 450,
        "refunded": 440,
        "failed": 7,
        "pending": 3,
        "amount": told["amount"],
    }
    refused = await waiting.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1"]})
    assert (await expect(refused, 409))["code"] == "showtime_cancelled"
    announced = await pool.fetchval("SELECT count(*) FROM job WHERE payload->>'event' = 'booking_cancelled'")
    assert announced == 450


async def test_what_is_not_paid_ends_without_a_refund_and_what_is_paid_later_goes_back(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    order = await expect(await ana.post("/payments/orders", {"booking_id": booked["id"]}, key=fresh_key()), 201)
    path = f"/admin/showtimes/{counter.showtime_id}/cancel"
    told = await expect(await counter.manager().post(path, {"reason": "a storm"}, key=fresh_key()), 202)
    assert (told["bookings"], told["pending"], told["amount"]["amount"]) == (1, 0, 0)
    actor = await counter.house.app[REGISTRY].actor(counter.showtime_id)
    late = _money(booked["id"], order["payment_id"])
    for _ in range(2):
        await counter.house.app[REGISTRY].ask(counter.showtime_id, late)
    assert actor.snapshot.bookings[booked["id"]].refunded_payments == (order["payment_id"],)
    page = await shown(ana, booked["id"])
    assert (page["status"], page["refund"]["amount"]["amount"]) == ("cancelled", SEAT)
    assert await differences(counter) == []


async def _sell(counter: Counter, number: int, seat: str) -> str:
    """A booking of one seat that is paid, without the way over HTTP."""
    ask, now = counter.house.app[REGISTRY].ask, 1
    owner, booking_id, payment_id = mint(now), mint_in(number, now), mint(now)
    cause = Cause(mint(now), ActorKind.CUSTOMER, owner)
    await ask(counter.showtime_id, c.BookSeats(cause, mint_in(number, now), booking_id, booking_id[-12:], (seat,)))
    await ask(counter.showtime_id, c.StartPayment(cause, booking_id, payment_id, "sandbox"))
    await ask(counter.showtime_id, _money(booking_id, payment_id))
    return booking_id


def _money(booking_id: str, payment_id: str) -> c.ConfirmBooking:
    cause = Cause(mint(1), ActorKind.PROVIDER, "sandbox")
    return c.ConfirmBooking(cause, booking_id, payment_id, SEAT, "INR", "sandbox", f"paid-{payment_id}")
