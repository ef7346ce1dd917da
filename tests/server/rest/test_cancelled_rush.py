"""A hundred people pay while the house cancels the showtime: all get their money back once, and no seat is sold."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from actors.seatmap.state import BookingStatus
from persistence import audit
from server.keys import JOBS, POOL, REGISTRY
from tests.server.house import House, open_house
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter

BUYERS = 100
SEAT = 54_280
PAID_BEFORE = 25
"""How many have heard that they are confirmed when the showtime is cancelled."""


@dataclass
class Buyer:
    """Somebody with one seat. Every other one has paid before coming back, and the house learns of it only then."""

    who: Person
    booking_id: str
    payment_id: str = ""
    order: str = ""

    async def pay_ahead(self, house: House) -> None:
        asked = {"booking_id": self.booking_id}
        order = await expect(await self.who.post("/payments/orders", asked, key=fresh_key()), 201)
        self.payment_id, self.order = order["payment_id"], order["provider_order_id"]

    async def come_back(self, house: House) -> tuple[int, dict[str, Any]]:
        proof = {}
        if self.order:
            await expect(await house.post(f"/payments/sandbox/{self.payment_id}/succeed", {}), 200)
            proof = {"provider_order_id": self.order}
        path = f"/bookings/{self.booking_id}/confirm"
        response = await self.who.post(path, {"provider": "sandbox", **proof}, key=fresh_key())
        return response.status, await response.json(content_type=None)


async def buyers_of(counter: Counter) -> list[Buyer]:
    seats = list(counter.cinema.layout.seats)[:BUYERS]
    people = [counter.person() for _ in seats]
    booked = [await who.book(counter.showtime_id, seat) for who, seat in zip(people, seats, strict=True)]
    buyers = [Buyer(who, each["id"]) for who, each in zip(people, booked, strict=True)]
    for buyer in buyers[::2]:
        await buyer.pay_ahead(counter.house)
    return buyers


async def test_everybody_is_refunded_once_and_no_seat_is_sold_after(database_url: str) -> None:
    async with open_house(database_url, rate_limit=False) as house:
        counter = await open_counter(house)
        buyers, latecomer = await buyers_of(counter), counter.person()
        paying = [asyncio.ensure_future(buyer.come_back(house)) for buyer in buyers]
        for done, answer in enumerate(asyncio.as_completed(paying), 1):
            assert (await answer)[0] == 200
            if done == PAID_BEFORE:
                break
        path = f"/admin/showtimes/{counter.showtime_id}/cancel"
        told = await expect(await counter.manager().post(path, {"reason": "a storm"}, key=fresh_key()), 202)
        answers = await asyncio.gather(*paying)
        refused = await latecomer.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["J12"]})
        assert (await expect(refused, 409))["code"] == "showtime_cancelled"
        assert told["bookings"] == BUYERS
        await _nothing_is_sold(counter)
        await _each_payment_goes_back_once(counter, buyers, answers)
        await house.app[JOBS].settle()
        progress = await expect(await counter.manager().get(path.replace("/cancel", "/cancellation")), 200)
        assert (progress["bookings"], progress["failed"], progress["pending"]) == (BUYERS, 0, 0)
        report = await audit.verify(house.app[POOL])
        assert report.differences == []
        money = report.money["INR"]
        assert money.taken == money.returned
        assert (money.sales, money.kept, money.refunds_due, money.authorised) == (0, 0, 0, 0)


async def _nothing_is_sold(counter: Counter) -> None:
    state = (await counter.house.app[REGISTRY].actor(counter.showtime_id)).snapshot
    assert (state.sold, state.held) == (0, 0)
    assert {booking.status for booking in state.bookings.values()} == {BookingStatus.CANCELLED}
    live = await counter.house.app[POOL].fetchval("SELECT count(*) FROM booking_seat WHERE live")
    assert live == 0


async def _each_payment_goes_back_once(
    counter: Counter, buyers: list[Buyer], answers: list[tuple[int, dict[str, Any]]]
) -> None:
    pool = counter.house.app[POOL]
    rows = await pool.fetch("SELECT payload FROM job WHERE topic = 'refund'")
    refunds = [orjson.loads(row["payload"]) for row in rows]
    by_booking = {each["booking_id"]: each for each in refunds}
    assert len(by_booking) == len(refunds), "somebody is refunded twice"
    assert {each["amount"] for each in refunds} == {SEAT}
    confirmed = 0
    for buyer, (status, body) in zip(buyers, answers, strict=True):
        stored = await pool.fetchrow("SELECT paid, refunded FROM booking WHERE booking_id = $1", buyer.booking_id)
        assert stored["paid"] == stored["refunded"]
        if status == 200:
            confirmed += 1
            assert stored["paid"] == SEAT
        else:
            assert (status, body["code"]) == (409, "booking_cancelled"), body
        # Who has not paid ahead may still have paid in the moment in which the showtime was cancelled, and hears of it.
        paid = status == 200 or bool(buyer.order) or "refund_id" in body
        assert (buyer.booking_id in by_booking) == paid, "who paid gets it back, and nobody else"
    assert confirmed >= PAID_BEFORE
