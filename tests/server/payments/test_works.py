"""Money taken and given back at the provider: done once, whatever the provider does, and posted as it was done."""

from collections.abc import AsyncIterator

import pytest

from server.keys import POOL
from server.payments.provider import Stage
from tests.server.payments.desk import MINUTE, Desk, open_desk
from tests.server.rest.cinema import HOUR, Person, expect, fresh_key


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with open_desk(database_url) as desk:
        yield desk


async def paid(desk: Desk, who: Person, *seats: str) -> tuple[str, str, int]:
    """A confirmed booking whose money is promised and not taken: booking, payment, total."""
    bought = await who.buy(desk.counter.showtime_id, *seats)
    return bought["id"], bought["payment"]["id"], bought["total"]["amount"]


async def cancel(who: Person, booking_id: str, *seats: str) -> int:
    """What comes back."""
    asked = {"seats": list(seats)} if seats else {}
    gone = await expect(await who.post(f"/bookings/{booking_id}/cancel", asked, key=fresh_key()), 200)
    return int(gone["refund"]["amount"]["amount"]) if gone["refund"] else 0


async def test_money_is_promised_first_and_taken_after_the_booking_is_confirmed(desk: Desk) -> None:
    _, payment_id, total = await paid(desk, desk.counter.person(), "A1", "A2")
    assert await desk.books(payment_id) == ("authorised", total, 0)
    assert await desk.balances(payment_id) == {"authorised": total, "sales": -total}
    await desk.work()
    assert await desk.books(payment_id) == ("captured", total, 0)
    assert await desk.balances(payment_id) == {"captured": total, "sales": -total}
    await desk.adds_up()


@pytest.mark.parametrize("troubles", [["down"], ["lost"], ["down", "lost"], ["lost", "down"], ["down"] * 5])
async def test_a_provider_that_is_down_or_loses_its_answer_takes_the_money_once(
    desk: Desk, troubles: list[str]
) -> None:
    _, payment_id, total = await paid(desk, desk.counter.person(), "A1")
    desk.moody.troubles = {"capture": troubles, "look": ["down"]}
    await desk.work()
    await desk.later(30 * MINUTE)
    assert await desk.books(payment_id) == ("captured", total, 0)
    assert await desk.jobs("capture") == ["done"]
    assert await desk.balances(payment_id) == {"captured": total, "sales": -total}
    await desk.adds_up()


async def test_a_cancelled_booking_gets_all_of_its_money_back_once(desk: Desk) -> None:
    ana = desk.counter.person()
    booking_id, payment_id, total = await paid(desk, ana, "A1", "A2")
    await desk.work()
    assert await cancel(ana, booking_id) == total
    desk.moody.troubles = {"refund": ["lost", "down"]}
    await desk.work()
    await desk.later(30 * MINUTE)
    assert await desk.books(payment_id) == ("captured", total, total)
    assert await desk.balances(payment_id) == {}
    assert await desk.status(ana, booking_id) == ("cancelled", "refunded")
    await desk.adds_up()


async def test_what_was_promised_and_is_owed_back_is_let_go_and_never_taken(desk: Desk) -> None:
    ana = desk.counter.person()
    booking_id, payment_id, total = await paid(desk, ana, "A1")
    assert await cancel(ana, booking_id) == total
    desk.moody.troubles = {"void": ["lost", "down"]}
    await desk.work()
    await desk.later(30 * MINUTE)
    assert await desk.books(payment_id) == ("voided", total, 0)
    assert "capture" not in desk.moody.calls
    assert "refund" not in desk.moody.calls
    assert await desk.balances(payment_id) == {}
    await desk.adds_up()


async def test_of_a_promise_that_is_owed_in_part_all_is_taken_and_the_part_returned(desk: Desk) -> None:
    ana = desk.counter.person()
    booking_id, payment_id, total = await paid(desk, ana, "A1", "A2")
    half = await cancel(ana, booking_id, "A1")
    await desk.work()
    assert await desk.books(payment_id) == ("captured", total, half)
    assert await desk.balances(payment_id) == {"captured": total - half, "sales": half - total}
    assert await cancel(ana, booking_id) == total - half
    await desk.work()
    assert await desk.books(payment_id) == ("captured", total, total)
    assert await desk.balances(payment_id) == {}
    await desk.adds_up()


async def test_two_parts_of_a_promise_that_are_owed_together_are_the_whole(desk: Desk) -> None:
    ana = desk.counter.person()
    booking_id, payment_id, total = await paid(desk, ana, "A1", "A2")
    half = await cancel(ana, booking_id, "A1")
    rest = await cancel(ana, booking_id)
    await desk.work()
    assert half + rest == total
    assert await desk.books(payment_id) == ("captured", total, total)
    assert await desk.balances(payment_id) == {}
    await desk.adds_up()


async def test_what_the_house_keeps_of_a_late_cancellation_is_taken(desk: Desk) -> None:
    ana = desk.counter.person()
    booking_id, payment_id, total = await paid(desk, ana, "A1")
    desk.clock.advance(10 * HOUR)
    back = await cancel(ana, booking_id)
    assert 0 < back < total
    await desk.work()
    assert await desk.books(payment_id) == ("captured", total, back)
    assert await desk.balances(payment_id) == {"captured": total - back, "kept": back - total}
    await desk.adds_up()


async def test_a_booking_whose_promised_money_is_gone_ends_and_nothing_stays_owed(desk: Desk) -> None:
    ana, bob = desk.counter.person(), desk.counter.person()
    booking_id, payment_id, _ = await paid(desk, ana, "A1", "A2")
    await desk.sandbox.lapse(payment_id)
    await desk.work()
    assert await desk.status(ana, booking_id) == ("cancelled", "refunded")
    assert (await desk.books(payment_id))[0] == Stage.VOIDED
    assert await desk.balances(payment_id) == {}
    assert {"capture", "void", "refund"}.isdisjoint(desk.moody.calls)
    told = await desk.house.app[POOL].fetchval("SELECT payload FROM job WHERE dedupe_key LIKE 'cancelled:%'")
    assert b"payment_lost" in told
    await bob.buy(desk.counter.showtime_id, "A1")
    await desk.work()
    await desk.adds_up()


async def test_what_would_have_been_kept_of_money_that_is_gone_is_written_off(desk: Desk) -> None:
    ana = desk.counter.person()
    booking_id, payment_id, total = await paid(desk, ana, "A1", "A2")
    desk.clock.advance(10 * HOUR)
    await desk.sandbox.lapse(payment_id)
    back = await cancel(ana, booking_id, "A1")
    assert 0 < back < total // 2
    await desk.work()
    await desk.work()
    assert await desk.status(ana, booking_id) == ("cancelled", "partially_refunded")
    assert await desk.balances(payment_id) == {}
    await desk.adds_up()


async def test_a_capture_that_is_refused_while_the_promise_stands_waits_for_a_person(desk: Desk) -> None:
    ana = desk.counter.person()
    booking_id, payment_id, total = await paid(desk, ana, "A1")
    desk.moody.troubles = {"capture": ["no"]}
    await desk.work()
    assert await desk.jobs("capture") == ["parked"]
    assert (await desk.status(ana, booking_id))[0] == "confirmed"
    assert await desk.books(payment_id) == ("authorised", total, 0)
    await desk.adds_up()


async def test_a_refund_that_is_refused_waits_for_a_person_and_stays_owed(desk: Desk) -> None:
    ana = desk.counter.person()
    booking_id, payment_id, total = await paid(desk, ana, "A1")
    await desk.work()
    await cancel(ana, booking_id)
    desk.moody.troubles = {"refund": ["no"]}
    await desk.work()
    assert await desk.jobs("refund") == ["parked"]
    assert await desk.balances(payment_id) == {"captured": total, "refunds_due": -total}
    await desk.adds_up()


async def test_a_showtime_that_is_cancelled_while_its_money_is_under_way_leaves_nothing_anywhere(desk: Desk) -> None:
    buyers = [desk.counter.person() for _ in range(8)]
    bought = [await paid(desk, who, f"B{n}") for n, who in enumerate(buyers, 1)]
    begun = await desk.started(desk.counter.person(), "C1")
    desk.moody.troubles = {"capture": ["lost", "down"], "void": ["lost"], "refund": ["down", "lost"]}
    admin = desk.counter.manager()
    gone = await admin.post(f"/admin/showtimes/{desk.counter.showtime_id}/cancel", {"reason": "flood"}, key=fresh_key())
    assert gone.status in (200, 202), await gone.text()
    await desk.sandbox.pay(begun[1]["payment_id"])
    await expect(await desk.news(begun[1]["payment_id"]), 200)
    await desk.work()
    await desk.later(30 * MINUTE)
    for _, payment_id, _ in bought:
        stage, amount, back = await desk.books(payment_id)
        assert (stage, back) in (("voided", 0), ("captured", amount))
        assert await desk.balances(payment_id) == {}
    assert (await desk.books(begun[1]["payment_id"]))[0] == "voided"
    await desk.adds_up()
