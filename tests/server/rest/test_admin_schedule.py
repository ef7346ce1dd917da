"""Planning many showtimes at once: what a pattern makes, what stands in its way, and how a week is copied."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.runtime.clock import ManualClock
from persistence import audit
from persistence.database import Pool
from tests.server.house import open_house
from tests.server.rest.cinema import Person, expect
from tests.server.rest.planning import PRICES, Office, at, open_office

MORNING = at("2026-10-18T08:00")


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    clock = ManualClock(MORNING)
    async with open_house(database_url, clock=clock) as house:
        yield await open_office(house, clock)


def pattern(office: Office, **more: Any) -> dict[str, Any]:
    """Two screens, two times, Monday to Wednesday: twelve showtimes."""
    return {
        "movie_id": office.movie_id,
        "screen_ids": office.screens,
        "weekdays": [1, 2, 3],
        "times": ["20:00", "17:00"],
        "from": "2026-10-19",
        "to": "2026-10-25",
        "language": "EN",
        "format": "2d",
        "prices": PRICES,
        **more,
    }


async def bulk(office: Office, status: int = 201, /, **asked: Any) -> dict[str, Any]:
    given = {"pattern": pattern(office), **asked}
    return await expect(await office.manager.post("/admin/showtimes/bulk", given), status)


async def test_a_dry_run_says_what_would_happen_and_makes_nothing(office: Office) -> None:
    tried = await bulk(office, 200, dry_run=True)
    assert len(tried["created"]) == 12
    assert {slot["id"] for slot in tried["created"]} == {None}
    assert await office.listed() == []
    made = await bulk(office)
    assert [{**slot, "id": None} for slot in made["created"]] == tried["created"]
    assert set(await office.listed()) == {slot["id"] for slot in made["created"]}
    shown = await office.read(made["created"][0]["id"])
    assert (shown["language"], shown["format"], shown["sales"]) == ("en", "2D", "open")


async def test_what_stands_in_the_way_is_named_and_the_rest_takes_place(office: Office) -> None:
    there = await office.add("2026-10-20T19:00")
    made = await bulk(office)
    assert len(made["created"]) == 10
    assert [(clash["reason"], clash["starts_at_local"]) for clash in made["conflicts"]] == [
        ("overlap", "2026-10-20T17:00:00"),
        ("overlap", "2026-10-20T20:00:00"),
    ]
    assert {clash["showtime_id"] for clash in made["conflicts"]} == {there["id"]}
    again = await bulk(office, 200)
    assert again["created"] == []
    assert len(again["conflicts"]) == 12


async def test_a_pattern_can_stand_in_its_own_way(office: Office) -> None:
    tried = await bulk(office, 200, dry_run=True, pattern=pattern(office, times=["20:00", "21:00"], weekdays=[1]))
    assert len(tried["created"]) == 2
    assert [clash["showtime_id"] for clash in tried["conflicts"]] == [None, None]


async def test_of_the_same_patterns_at_the_same_moment_each_showtime_wins_once(office: Office, pool: Pool) -> None:
    answers = await asyncio.gather(*(bulk_of(office) for _ in range(4)))
    created = [slot["id"] for told in answers for slot in told["created"]]
    assert len(created) == 12
    assert sum(len(told["conflicts"]) for told in answers) == 36
    assert set(await office.listed()) == set(created)
    assert (await audit.verify(pool)).differences == []


async def bulk_of(office: Office) -> dict[str, Any]:
    response = await office.manager.post("/admin/showtimes/bulk", {"pattern": pattern(office)})
    assert response.status in (200, 201)
    body: dict[str, Any] = await response.json()
    return body


async def test_early_hours_belong_to_the_night_of_the_day_before(office: Office) -> None:
    """On the night of 24 October the clocks are put back: half past two comes twice, and the first one is meant."""
    asked = pattern(office, times=["02:30", "22:00"], weekdays=[6], screen_ids=office.screens[:1])
    made = await bulk(office, pattern=asked)
    assert [slot["starts_at"] for slot in made["created"]] == ["2026-10-25T00:30:00Z", "2026-10-24T20:00:00Z"]
    assert {slot["business_date"] for slot in made["created"]} == {"2026-10-24"}


async def test_a_time_that_the_clocks_leave_out_is_named(office: Office) -> None:
    asked = pattern(office, times=["02:30", "20:00"], **{"from": "2027-03-26", "to": "2027-03-27"}, weekdays=[5, 6])
    made = await bulk(office, pattern=asked)
    assert len(made["created"]) == 6
    assert {clash["reason"] for clash in made["conflicts"]} == {"nonexistent_local_time"}
    assert {clash["starts_at_local"] for clash in made["conflicts"]} == {"2027-03-28T02:30:00"}


async def test_a_week_is_copied_by_the_clock_on_the_wall(office: Office, pool: Pool) -> None:
    """The copied week lies in winter time, an hour later in UTC."""
    await bulk(office)
    draft = await office.add("2026-10-24T20:00", status="draft", max_seats=4)
    gone = await office.add("2026-10-23T20:00")
    await office.manager.post(f"/admin/showtimes/{gone['id']}/cancel", {"reason": "flood"}, key="flood")
    there = await office.add("2026-10-26T19:30")
    asked = {"theatre_id": office.theatre_id, "from": "2026-10-19", "to": "2026-10-26"}
    tried = await expect(await office.manager.post("/admin/showtimes/copy-week", {**asked, "dry_run": True}), 200)
    told = await expect(await office.manager.post("/admin/showtimes/copy-week", asked), 201)
    assert [{**slot, "id": None} for slot in told["created"]] == tried["created"]
    assert len(told["created"]) == 12
    assert {clash["showtime_id"] for clash in told["conflicts"]} == {there["id"]}
    assert {clash["starts_at_local"] for clash in told["conflicts"]} == {"2026-10-26T20:00:00"}
    [copied] = [slot for slot in told["created"] if slot["status"] == "draft"]
    assert copied["starts_at_local"] == "2026-10-31T20:00:00+01:00"
    page = await office.read(copied["id"])
    assert (page["max_seats"], page["trailers_minutes"]) == (4, draft["trailers_minutes"])
    assert [price["amount"] for price in page["prices"]] == [1_200, 800]
    assert (await audit.verify(pool)).differences == []


async def test_drafts_are_published_together_and_what_cannot_be_is_named(office: Office, pool: Pool) -> None:
    made = await bulk(office, status="draft")
    ids = [slot["id"] for slot in made["created"]]
    assert await office.listed() == []
    on_sale = (await office.add("2026-10-23T20:00"))["id"]
    nobody = "00000000-0000-7000-8000-000000000000"
    office.clock.advance(at("2026-10-19T15:00") - office.clock.now())
    late = [slot["id"] for slot in made["created"] if slot["starts_at"] == "2026-10-19T15:00:00Z"]
    told = await expect(
        await office.manager.post("/admin/showtimes/publish", {"showtime_ids": [*ids, on_sale, nobody]}), 200
    )
    assert set(told["published"]) == {*ids, on_sale} - set(late)
    assert {(each["showtime_id"], each["reason"]) for each in told["refused"]} == {
        (nobody, "showtime_not_found"),
        *((each, "in_past") for each in late),
    }
    assert set(await office.listed()) == set(told["published"])
    assert (await audit.verify(pool)).differences == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "2026-10-18"},
        {"to": "2027-10-18"},
        {"times": []},
        {"times": ["25:00"]},
        {"times": ["20:00:30"]},
        {"weekdays": [8]},
        {"from": "0001-01-01", "to": "0001-01-02"},
        {"from": "9999-12-31", "to": "9999-12-31"},
        {"from": "soon"},
        {"screen_ids": ["00000000-0000-7000-8000-000000000000"]},
        {"movie_id": "00000000-0000-7000-8000-000000000000"},
        {"starts_at": "2026-10-19T20:00:00Z"},
        {"to": "2026-12-31", "weekdays": [1, 2, 3, 4, 5, 6, 7], "times": [f"{hour:02}:00" for hour in range(24)]},
    ],
)
async def test_a_pattern_that_makes_no_sense_is_refused(office: Office, wrong: dict[str, Any]) -> None:
    problem = await bulk(office, 422, pattern=pattern(office, **wrong))
    assert problem["code"] == "validation_failed"
    assert await office.listed() == []


async def test_nobody_plans_many_showtimes_for_a_theatre_that_is_not_theirs(office: Office) -> None:
    draft = await office.add("2026-10-21T20:00", status="draft")
    stranger = Person(office.house, office.manager.account_id, ("manager",), ())
    week = {"theatre_id": office.theatre_id, "from": "2026-10-19", "to": "2026-10-26"}
    for path, asked in (
        ("bulk", {"pattern": pattern(office)}),
        ("copy-week", week),
        ("publish", {"showtime_ids": [draft["id"]]}),
    ):
        assert (await expect(await stranger.post(f"/admin/showtimes/{path}", asked), 403))["code"] == "out_of_scope"
    assert await office.listed() == []
