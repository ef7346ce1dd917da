"""Cancellation policies as managers set them and customers see them, and what comes back over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.runtime.clock import ManualClock
from persistence import audit
from persistence.database import Pool
from server.keys import CLOCK
from tests.server.house import open_house
from tests.server.rest.cinema import HOUR, Person, expect, fresh_key
from tests.server.rest.planning import Office, at, open_office

STRICT = [{"hours_before": 48, "refund_pct": 50, "fee": 100}]
GENTLE = [{"hours_before": 2, "refund_pct": 90, "fee": 0}, {"hours_before": 24, "refund_pct": 100, "fee": 0}]
SHOWN_GENTLE = [
    {"hours_before": 24, "refund_pct": 100, "fee": {"amount": 0, "currency": "EUR"}},
    {"hours_before": 2, "refund_pct": 90, "fee": {"amount": 0, "currency": "EUR"}},
]


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    clock = ManualClock(at("2026-10-20T12:00"))
    async with open_house(database_url, clock=clock) as house:
        yield await open_office(house, clock)


async def set_usual(office: Office, policy: Any, status: int = 200) -> dict[str, Any]:
    response = await office.manager.patch(f"/admin/theatres/{office.theatre_id}", {"cancellation_policy": policy})
    return await expect(response, status)


async def quote(who: Person, booking_id: str, seats: str = "") -> dict[str, Any]:
    query = {"seats": seats} if seats else {}
    return await expect(await who.get(f"/bookings/{booking_id}/cancellation-quote", params=query), 200)


async def cancel(who: Person, booking_id: str, *seats: str) -> dict[str, Any]:
    body = {"seats": list(seats)} if seats else {}
    return await expect(await who.post(f"/bookings/{booking_id}/cancel", body, key=fresh_key()), 200)


async def test_a_theatre_has_a_usual_policy_and_each_showtime_may_have_its_own(office: Office) -> None:
    assert (await set_usual(office, GENTLE))["cancellation_policy"] == SHOWN_GENTLE
    usual = await office.add("2026-10-23T20:00")
    assert usual["cancellation_policy"] == SHOWN_GENTLE
    own = await office.add("2026-10-24T20:00", cancellation_policy=STRICT)
    public = await expect(await office.house.get(f"/showtimes/{own['id']}"), 200)
    assert public["cancellation_policy"] == [
        {"hours_before": 48, "refund_pct": 50, "fee": {"amount": 100, "currency": "EUR"}}
    ]
    await set_usual(office, [])
    assert (await office.read(usual["id"]))["cancellation_policy"] == SHOWN_GENTLE
    assert (await office.add("2026-10-25T20:00"))["cancellation_policy"] == []


@pytest.mark.parametrize(
    "policy",
    [
        [{"hours_before": 24, "refund_pct": 50}, {"hours_before": 24, "refund_pct": 60}],
        [{"hours_before": 24, "refund_pct": 50}, {"hours_before": 2, "refund_pct": 60}],
        [{"hours_before": 24, "refund_pct": 101}],
        [{"hours_before": -1, "refund_pct": 1}],
        [{"hours_before": 24, "refund_pct": 50, "fee": -1}],
        [{"hours_before": hours, "refund_pct": 50} for hours in range(21)],
        [{"refund_pct": 50}],
        "none",
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(office: Office, policy: Any) -> None:
    assert (await set_usual(office, policy, 422))["code"] == "validation_failed"
    await office.refuse("2026-10-23T20:00", 422, "validation_failed", cancellation_policy=policy)


async def test_a_new_policy_is_for_new_bookings_and_the_old_ones_keep_theirs(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-23T20:00", cancellation_policy=GENTLE)
    ana, bob = office.customer(), office.customer()
    anas = await ana.buy(made["id"], "A1")
    changed = await office.change(made["id"], cancellation_policy=STRICT)
    assert [line["hours_before"] for line in changed["cancellation_policy"]] == [48]
    bobs = await bob.buy(made["id"], "A2")
    assert (await quote(ana, anas["id"]))["refund"]["amount"] == 1_200
    assert (await quote(bob, bobs["id"]))["refund"]["amount"] == 500
    office.clock.advance(45 * HOUR)
    assert (await quote(ana, anas["id"]))["policy_line"]["hours_before"] == 24
    refused = await quote(bob, bobs["id"])
    assert (refused["refund"]["amount"], refused["policy_line"]) == (0, None)
    assert (await cancel(ana, anas["id"]))["refund"]["amount"]["amount"] == 1_200
    assert (await cancel(bob, bobs["id"]))["refund"] is None
    assert (await audit.verify(pool)).differences == []


async def test_what_the_quote_promises_is_what_comes_back(office: Office) -> None:
    made = await office.add("2026-10-23T20:00", cancellation_policy=GENTLE, fee=100, tax_bps=1_900)
    ana = office.customer()
    bought = await ana.buy(made["id"], "A1", "A2", "A3")
    for hours in (30, 30, 17):  # of the 78 hours before the start
        office.clock.advance(hours * HOUR)
        shown = await quote(ana, bought["id"], bought["seats"][0]["seat"])
        assert shown["moved"] is False
        gone = await cancel(ana, bought["id"], bought["seats"][0]["seat"])
        refund = gone["refund"]["amount"]["amount"] if gone["refund"] else 0
        assert shown["refund"]["amount"] == refund
        assert refund + shown["fee"]["amount"] == 1_547
        bought = await expect(await ana.get(f"/bookings/{bought['id']}"), 200)


async def test_who_bought_before_it_moved_keeps_the_booking_or_gets_everything_back(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-23T20:00", cancellation_policy=[], fee=100, tax_bps=1_900)
    ana, bob = office.customer(), office.customer()
    anas = await ana.buy(made["id"], "A1", "A2")
    assert (await quote(ana, anas["id"]))["refund"]["amount"] == 0
    await office.change(made["id"], starts_at_local="2026-10-24T20:00", notify=True)
    bobs = await bob.buy(made["id"], "B1")
    shown = await quote(ana, anas["id"])
    assert shown["moved"] is True
    assert (shown["refund"]["amount"], shown["fee"]["amount"]) == (3_094, 0), "price, fee and tax"
    assert shown["deadline"] == "2026-10-24T18:00:00Z"
    late = await quote(bob, bobs["id"])
    assert (late["moved"], late["refund"]["amount"]) == (False, 0)
    assert (await cancel(ana, anas["id"], "A1"))["refund"]["amount"]["amount"] == 1_547
    assert await pool.fetchval("SELECT count(*) FROM job WHERE dedupe_key ~ '^changed:[^:]+:[0-9]+$'") == 1
    kept = await expect(await ana.get(f"/bookings/{anas['id']}"), 200)
    assert (kept["status"], [line["seat"] for line in kept["seats"]]) == ("confirmed", ["A2"])
    office.clock.advance(at("2026-10-24T18:00") - office.house.app[CLOCK].now())
    too_late = await ana.post(f"/bookings/{anas['id']}/cancel", {}, key=fresh_key())
    assert (await expect(too_late, 409))["code"] == "past_deadline"
    assert (await audit.verify(pool)).differences == []


async def test_a_policy_is_set_by_who_runs_the_theatre(office: Office) -> None:
    stranger = Person(office.house, office.manager.account_id, ("manager",), (office.movie_id,))
    response = await stranger.patch(f"/admin/theatres/{office.theatre_id}", {"cancellation_policy": []})
    assert (await expect(response, 403))["code"] == "out_of_scope"
