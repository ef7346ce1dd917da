"""Every confirmation that cannot be: a documented code, and nothing changes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.runtime.clock import ManualClock
from actors.seatmap.state import SeatMap
from persistence import audit
from server.keys import POOL, REGISTRY
from server.problems import PROBLEMS
from tests.server.house import House, open_house
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter

NOW = 1_800_000_000_000
TEN_MINUTES = 600_000


class Desk:
    """A counter with a clock of its own, and what its showtime knows."""

    def __init__(self, counter: Counter, clock: ManualClock) -> None:
        self.counter = counter
        self.clock = clock

    @property
    def house(self) -> House:
        return self.counter.house

    async def state(self) -> SeatMap:
        """As it is when everything that is due has become a fact."""
        await self.counter.settle()
        return (await self.house.app[REGISTRY].actor(self.counter.showtime_id)).snapshot

    async def refused(self, who: Person, booking_id: str, status: int, /, **said: Any) -> dict[str, Any]:
        """The problem, after which everything is as it was."""
        before, rows = await self.state(), await self.rows()
        path, asked = f"/bookings/{booking_id}/confirm", {"provider": "sandbox", **said}
        problem = await expect(await who.post(path, asked, key=fresh_key()), status)
        assert PROBLEMS[problem["code"]][0] == status, "the code is documented with this status"
        assert (await self.state()).version == before.version
        assert await self.rows() == rows
        return problem

    async def rows(self) -> list[int]:
        """What there is of each kind; of the ledger what follows from the log, since works go on beside this."""
        pool = self.house.app[POOL]
        kinds = ("event", "booking", "payment", "ledger WHERE version IS NOT NULL")
        return [await pool.fetchval(f"SELECT count(*) FROM {kind}") for kind in kinds]

    async def paid(self, who: Person, booking_id: str) -> dict[str, Any]:
        """The receipt of a booking that was paid."""
        order = await who.post("/payments/orders", {"booking_id": booking_id}, key=fresh_key())
        payment_id = (await expect(order, 201))["payment_id"]
        receipt = await expect(await self.house.post(f"/payments/sandbox/{payment_id}/succeed", {}), 200)
        proof = {"provider": "sandbox", "provider_order_id": receipt["provider_order_id"]}
        await expect(await who.post(f"/bookings/{booking_id}/confirm", proof, key=fresh_key()), 200)
        return receipt


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        yield Desk(await open_counter(house), clock)


@pytest.mark.parametrize(
    "said",
    [
        {"seats": ["A2"]}, {"seats": []}, {"price": 1}, {"amount": 1}, {"total": {"amount": 1, "currency": "INR"}},
        {"status": "confirmed"}, {"user_id": "somebody"}, {"booking_id": "another"}, {"currency": "EUR"},
        {"provider": "cash"}, {"signature": "x"},
    ],
    ids=str,
)  # fmt: skip
async def test_other_seats_or_another_price_are_no_part_of_a_confirmation(desk: Desk, said: dict[str, Any]) -> None:
    ana = desk.counter.person()
    booked = await ana.book(desk.counter.showtime_id, "A1")
    assert (await desk.refused(ana, booked["id"], 422, **said))["code"] == "validation_failed"


async def test_another_persons_booking_is_not_there(desk: Desk) -> None:
    ana, eve = desk.counter.person(), desk.counter.person()
    booked = await ana.book(desk.counter.showtime_id, "A1")
    assert (await desk.refused(eve, booked["id"], 404))["code"] == "booking_not_found"
    assert (await desk.refused(desk.counter.person("guest"), booked["id"], 404))["code"] == "booking_not_found"


async def test_ones_money_does_not_pay_for_another_booking(desk: Desk) -> None:
    ana, bob = desk.counter.person(), desk.counter.person()
    anas, bobs = await ana.book(desk.counter.showtime_id, "A1"), await bob.book(desk.counter.showtime_id, "A2")
    receipt = await desk.paid(bob, bobs["id"])
    order = receipt["provider_order_id"]
    assert (await desk.refused(ana, anas["id"], 409, provider_order_id=order))["code"] == "payment_mismatch"


async def test_an_expired_booking_is_not_confirmed(desk: Desk) -> None:
    ana = desk.counter.person()
    booked = await ana.book(desk.counter.showtime_id, "A1")
    desk.clock.advance(TEN_MINUTES)
    assert (await desk.refused(ana, booked["id"], 410))["code"] == "hold_expired"
    assert (await desk.counter.seats())["counts"]["free"] == 120


async def test_an_expired_hold_becomes_no_booking(desk: Desk) -> None:
    ana = desk.counter.person()
    held = await ana.hold(desk.counter.showtime_id, "A1")
    desk.clock.advance(TEN_MINUTES)
    before = (await desk.state()).version
    late = await ana.post("/bookings", {"hold_id": held["hold_id"]}, key=fresh_key())
    assert (await expect(late, 410))["code"] == "hold_expired"
    assert (await desk.state()).version == before


async def test_a_cancelled_booking_is_not_confirmed(desk: Desk) -> None:
    ana = desk.counter.person()
    booked = await ana.book(desk.counter.showtime_id, "A1")
    await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {}, key=fresh_key()), 200)
    assert (await desk.refused(ana, booked["id"], 409))["code"] == "booking_cancelled"


async def test_confirming_twice_is_confirming_once(desk: Desk) -> None:
    ana = desk.counter.person()
    bought = await ana.buy(desk.counter.showtime_id, "A1")
    before, rows = (await desk.state()).version, await desk.rows()
    for _ in range(2):
        again = await ana.post(f"/bookings/{bought['id']}/confirm", {"provider": "sandbox"}, key=fresh_key())
        assert await expect(again, 200) == bought
    assert (await desk.state()).version == before
    assert await desk.rows() == rows
    assert (await audit.verify(desk.house.app[POOL])).differences == []
