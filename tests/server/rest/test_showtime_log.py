"""The log of a showtime as its theatre reads it."""

from typing import Any

import pytest

from persistence.moments import moment
from server.keys import CLOCK
from tests.server.house import House
from tests.server.rest.cinema import HOUR, Counter, expect, open_counter


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house)


async def read(counter: Counter, **query: str) -> list[dict[str, Any]]:
    path = f"/admin/showtimes/{counter.showtime_id}/events"
    page = await expect(await counter.manager().get(path, params=query), 200)
    items: list[dict[str, Any]] = page["items"]
    if page["next_cursor"] is not None:
        items += await read(counter, **{**query, "cursor": page["next_cursor"]})
    return items


async def test_it_tells_who_did_what_to_which_seats_in_order_and_in_pages(counter: Counter) -> None:
    ana, bob = counter.person(), counter.person()
    held = await bob.hold(counter.showtime_id, "C1", "C2")
    bought = await ana.buy(counter.showtime_id, "A1")
    told = await read(counter)
    assert [entry["seq"] for entry in told] == list(range(1, len(told) + 1))
    assert await read(counter, limit="2") == told
    (hold,) = (entry for entry in told if entry.get("hold_id") == held["hold_id"])
    assert (hold["event"], hold["actor"]) == ("seats_held", {"kind": "customer", "id": bob.account_id})
    assert hold["seats"] == {"held": ["C1", "C2"]}
    sold = told[-1]
    assert (sold["event"], sold["booking_id"], sold["seats"]) == ("booking_confirmed", bought["id"], {"sold": ["A1"]})
    assert all(entry["command_id"] and len(entry["hash"]) == 64 for entry in (hold, sold))


async def test_it_is_sought_by_seat_person_and_time(counter: Counter) -> None:
    ana, bob = counter.person(), counter.person()
    await bob.hold(counter.showtime_id, "C1", "C2")
    await ana.buy(counter.showtime_id, "A1")
    everything, now = await read(counter), counter.house.app[CLOCK].now()
    assert [entry["actor"]["id"] for entry in await read(counter, seat="C2")] == [bob.account_id]
    assert {entry["actor"]["id"] for entry in await read(counter, user=ana.account_id)} == {ana.account_id}
    assert await read(counter, user="nobody@example.com") == []
    hour_ago, in_an_hour = (moment(now + shift).isoformat() for shift in (-HOUR, HOUR))
    assert await read(counter, **{"from": in_an_hour}) == []
    assert await read(counter, **{"from": hour_ago, "to": in_an_hour}) == everything


async def test_it_tells_an_allotment_from_a_block_and_when_that_ends(counter: Counter) -> None:
    block = {"seat": "A1", "reason": "agency", "release_at": "2090-01-01T00:00:00Z"}
    asked = {"block": [block], "channel": {"agency": ["B1"]}}
    await expect(await counter.manager().put(f"/admin/showtimes/{counter.showtime_id}/seats", asked), 200)
    lent, allotted = (await read(counter))[-2:]
    assert (lent["kind"], lent["reason"], lent["release_at"]) == ("house", "agency", "2090-01-01T00:00:00Z")
    assert (allotted["kind"], allotted["reason"], "release_at" in allotted) == ("channel", "agency", False)
