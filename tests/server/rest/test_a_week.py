"""A week of eight screens, from the first plan to the last credits, through REST only.

The week is that of 25 October 2026 in Berlin: on its last night the clocks are put back, and half past two comes twice.
"""

import asyncio
from dataclasses import replace
from typing import Any

from actors.runtime.clock import ManualClock
from persistence import audit
from persistence.database import Pool
from tests.server.house import open_house
from tests.server.rest.cinema import Person, expect, fresh_key
from tests.server.rest.planning import Office, at, open_office

MATINEE = [
    {"category": "standard", "ticket_type": "adult", "amount": 900},
    {"category": "standard", "ticket_type": "child", "amount": 500},
]
EVENING = [
    {"category": "standard", "ticket_type": "adult", "amount": 1_400},
    {"category": "standard", "ticket_type": "child", "amount": 1_000},
]
WEEK = {"from": "2026-10-19", "to": "2026-10-25"}
DAYS = [f"2026-10-{day}" for day in range(19, 26)]


async def test_a_week_of_eight_screens_is_planned_sold_moved_cancelled_and_shown(database_url: str, pool: Pool) -> None:
    clock = ManualClock(at("2026-10-12T08:00"))
    async with open_house(database_url, clock=clock) as house:
        office = await build_the_house(await open_office(house, clock))
        evenings, matinees, long_night = await plan_the_week(office)
        await read_the_programme(office, evenings, matinees, long_night)
        ana, bob = office.customer(), office.customer()
        moved, bought = await move_some(office, evenings, ana)
        await cancel_one(office, evenings[20], bob)
        copied = await copy_the_week(office)
        await live_through_the_night(office, pool, long_night, ana)
        await stand(pool, moved, "completed")
        assert (await expect(await ana.get(f"/bookings/{bought['id']}"), 200))["status"] == "confirmed"
        assert len(await office.listed(date="2026-11-01", limit="100")) == len(copied["2026-11-01"])
    report = await audit.verify(pool)
    assert report.differences == []
    assert report.showtimes == len(evenings) + len(matinees) + len(long_night) + sum(map(len, copied.values()))


async def build_the_house(other: Office) -> Office:
    """A theatre of eight screens with forty seats each, for the film that the other one has."""
    admin = Person(other.house, other.manager.account_id, ("admin",), ())
    theatre = {"name": "Kino am Ufer", "city": "Berlin", "time_zone": "Europe/Berlin", "currency": "EUR"}
    theatre_id = (await expect(await admin.post("/admin/theatres", theatre), 201))["id"]
    manager = replace(other.manager, theatres=(theatre_id,))
    screens = []
    for number in range(1, 9):
        asked = {"theatre_id": theatre_id, "name": f"{number}", "formats": ["2D"], "rows": 4, "seats_per_row": 10}
        screens.append((await expect(await manager.post("/admin/screens", asked), 201))["id"])
    return replace(other, theatre_id=theatre_id, screens=screens, manager=manager)


async def plan_the_week(office: Office) -> tuple[list[str], list[str], list[str]]:
    """As drafts: three evening shows a day on each screen, matinees at the weekend, and two screens open all night."""

    prices = {"name": "Evenings", "scope": "theatre", "theatre_id": office.theatre_id, "prices": EVENING}
    await expect(await office.manager.post("/admin/price-lists", {**prices, "fee": 100, "tax_bps": 700}), 201)

    async def lay(times: list[str], weekdays: list[int], screens: int = 8) -> list[str]:
        pattern = {
            "movie_id": office.movie_id,
            "screen_ids": office.screens[:screens],
            "times": times,
            "weekdays": weekdays,
            **WEEK,
            "language": "en",
            "format": "2D",
            "sales_open_at": "2026-10-12T10:00:00Z",
            "cancellation_policy": [{"hours_before": 2, "refund_pct": 100}],
        }
        asked = {"pattern": pattern, "status": "draft"}
        tried = await expect(await office.manager.post("/admin/showtimes/bulk", {**asked, "dry_run": True}), 200)
        told = await expect(await office.manager.post("/admin/showtimes/bulk", asked, key=fresh_key()), 201)
        assert tried["conflicts"] == told["conflicts"] == []
        return [slot["id"] for slot in told["created"]]

    evenings = await lay(["17:00", "19:30", "22:00"], [1, 2, 3, 4, 5, 6, 7])
    matinees = await lay(["14:00"], [6, 7])
    long_night = await lay(["00:30", "02:45"], [6], screens=2)
    assert (len(evenings), len(matinees), len(long_night)) == (8 * 3 * 7, 16, 4)
    for matinee in matinees:
        seen = (await office.manager.get(f"/admin/showtimes/{matinee}")).headers["ETag"]
        priced = await office.change(matinee, match=seen, prices=MATINEE)
        assert priced["price_from"]["amount"] == 900
    assert await office.listed() == []
    everything = [*evenings, *matinees, *long_night]
    told = await expect(await office.manager.post("/admin/showtimes/publish", {"showtime_ids": everything}), 200)
    assert (len(told["published"]), told["refused"]) == (len(everything), [])
    return evenings, matinees, long_night


async def read_the_programme(office: Office, evenings: list[str], matinees: list[str], long_night: list[str]) -> None:
    """Every showtime is on the cinema day it belongs to, and opens for sale by itself."""
    counts = [len(await office.listed(date=day)) for day in DAYS]
    assert counts == [24, 24, 24, 24, 24, 24 + 8 + 4, 24 + 8]
    nights = [await office.read(each) for each in long_night]
    assert [night["starts_at"] for night in nights] == ["2026-10-24T22:30:00Z", "2026-10-25T00:45:00Z"] * 2
    assert {night["business_date"] for night in nights} == {"2026-10-24"}
    facets = await expect(await office.house.get("/showtimes/facets"), 200)
    assert facets["dates"] == DAYS
    opening = await expect(await office.house.get(f"/showtimes/{evenings[0]}"), 200)
    assert (opening["sales"], opening["sales_open_at"]) == ("not_open", "2026-10-12T10:00:00Z")
    office.clock.advance(2 * 3_600_000)
    async with asyncio.timeout(60):
        while (await expect(await office.house.get(f"/showtimes/{matinees[0]}"), 200))["sales"] != "open":
            await asyncio.sleep(0.01)


async def move_some(office: Office, evenings: list[str], ana: Any) -> tuple[str, dict[str, Any]]:
    """What nobody has a ticket for moves freely, the rest when people are told, and all only to where there is room."""
    first, second, sold = evenings[0], evenings[1], evenings[2]
    problem = await office.change(first, 409, starts_at_local="2026-10-19T18:00")
    assert (problem["code"], problem["showtime_id"]) == ("overlap", second)
    assert (await office.change(first, starts_at_local="2026-10-19T16:45"))["starts_at"] == "2026-10-19T14:45:00Z"
    bought = await ana.buy(sold, "A1", "A2")
    assert bought["total"] == {"amount": 3_210, "currency": "EUR"}
    assert (await office.change(sold, 409, starts_at_local="2026-10-19T22:15"))["code"] == "has_sales"
    moved = await office.change(sold, starts_at_local="2026-10-19T22:15", notify=True)
    assert moved["starts_at_local"] == "2026-10-19T22:15:00+02:00"
    shown = await expect(await ana.get(f"/bookings/{bought['id']}"), 200)
    assert shown["showtime"]["starts_at"] == moved["starts_at"] == "2026-10-19T20:15:00Z"
    assert (await office.change(second, prices=MATINEE))["price_from"]["amount"] == 900
    premiere = {"prices": [{"category": "standard", "ticket_type": "adult", "amount": 2_000}]}
    repriced = await office.manager.patch(f"/admin/showtimes/{sold}/pricing", premiere)
    assert repriced.status == 200, await repriced.text()
    assert (await office.customer().hold(sold, "C1"))["total"]["amount"] == 2_247
    assert (await expect(await ana.get(f"/bookings/{bought['id']}"), 200))["total"] == bought["total"]
    return sold, bought


async def cancel_one(office: Office, showtime_id: str, bob: Any) -> None:
    """Who has paid gets everything back, and the screen is free for something else."""
    before = await office.read(showtime_id)
    bought = await bob.buy(showtime_id, "B1")
    path = f"/admin/showtimes/{showtime_id}"
    assert (await office.manager.delete(path)).status == 409
    asked = {"reason": "The projector is broken."}
    told = await expect(await office.manager.post(f"{path}/cancel", asked, key=fresh_key()), 202)
    assert (told["bookings"], told["amount"]) == (1, bought["total"])
    assert (await expect(await bob.get(f"/bookings/{bought['id']}"), 200))["status"] == "cancelled"
    instead = await office.add(before["starts_at"], screen_id=before["screen_id"])
    assert (await office.manager.delete(f"/admin/showtimes/{instead['id']}")).status == 204


async def copy_the_week(office: Office) -> dict[str, list[str]]:
    """The next week has the same times on the wall, an hour later by UTC. By day."""
    asked = {"theatre_id": office.theatre_id, "from": "2026-10-19", "to": "2026-10-26"}
    told = await expect(await office.manager.post("/admin/showtimes/copy-week", asked, key=fresh_key()), 201)
    assert told["conflicts"] == []
    days: dict[str, list[str]] = {}
    for slot in told["created"]:
        days.setdefault(slot["business_date"], []).append(slot["id"])
        assert slot["starts_at_local"].endswith("+01:00")
    assert sorted(days) == [f"2026-10-{day}" for day in range(26, 32)] + ["2026-11-01"]
    assert sum(map(len, days.values())) == 8 * 3 * 7 + 16 + 4 - 1  # the cancelled one is not copied
    return days


async def live_through_the_night(office: Office, pool: Pool, long_night: list[str], ana: Any) -> None:
    """Nobody touches anything: the films start and end, and the hour that comes twice is there both times."""
    early, late = long_night[0], long_night[1]
    ticket = await ana.buy(late, "D5")
    assert ticket["status"] == "confirmed"
    assert (await office.read(early))["starts_at"] == "2026-10-24T22:30:00Z"
    assert (await office.read(late))["starts_at_local"] == "2026-10-25T02:45:00+02:00"
    for moment, states in (
        ("2026-10-24T22:29", ("scheduled", "scheduled")),
        ("2026-10-24T22:30", ("running", "scheduled")),
        ("2026-10-25T00:25", ("completed", "scheduled")),
        ("2026-10-25T00:45", ("completed", "running")),
        ("2026-10-25T01:45", ("completed", "running")),  # 02:45 for the second time
        ("2026-10-25T02:40", ("completed", "completed")),
    ):
        office.clock.advance(at(moment) - office.clock.now())
        await stand(pool, early, states[0])
        await stand(pool, late, states[1])


async def stand(pool: Pool, showtime_id: str, status: str) -> None:
    """What the log says, before long."""
    async with asyncio.timeout(30):
        while await pool.fetchval("SELECT status FROM showtime WHERE id = $1", showtime_id) != status:
            await asyncio.sleep(0.01)
