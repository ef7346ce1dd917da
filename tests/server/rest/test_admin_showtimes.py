"""Planning showtimes: what fits, what is refused and why, and what becomes of those that are on sale."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import WSMsgType

from actors.ids import mint
from actors.ports import Deposed
from actors.runtime.clock import ManualClock
from actors.seatmap.events import SalesClosed
from persistence import audit, catalog
from persistence.catalog import Theatre
from persistence.database import Pool
from server.keys import JOURNAL, POOL, REGISTRY
from tests.persistence.journal_house import after
from tests.server.house import open_house
from tests.server.rest.cinema import Person, expect
from tests.server.rest.planning import PRICES, Office, at, open_office

MORNING = at("2026-10-20T08:00")


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    clock = ManualClock(MORNING)
    async with open_house(database_url, clock=clock) as house:
        yield await open_office(house, clock)


async def stands(office: Office, showtime_id: str, status: str, sales: str) -> None:
    """What the log and the public page say, before long."""
    pool = office.house.app[POOL]
    async with asyncio.timeout(30):
        while True:
            row = await pool.fetchrow("SELECT status, sales FROM showtime WHERE id = $1", showtime_id)
            shown = await expect(await office.house.get(f"/showtimes/{showtime_id}"), 200)
            if tuple(row or ()) == (shown["status"], shown["sales"]) == (status, sales):
                return
            await asyncio.sleep(0.01)


async def test_a_showtime_is_scheduled_priced_and_on_sale_at_once(office: Office) -> None:
    made = await office.add("2026-10-21T20:00", trailers_minutes=20, cleaning_minutes=10, fee=50, tax_bps=700)
    assert made["starts_at_local"] == "2026-10-21T20:00:00+02:00"
    assert made["feature_starts_at"] == made["sales_close_at"] == "2026-10-21T18:20:00Z"
    assert (made["ends_at"], made["clear_at"]) == ("2026-10-21T20:00:00Z", "2026-10-21T20:10:00Z")
    assert (made["status"], made["sales"]) == ("scheduled", "open")
    assert made["price_from"] == {"amount": 1_200, "currency": "EUR"}
    assert await office.listed() == [made["id"]]
    ana = office.customer()
    held = await ana.hold(made["id"], "A1")
    assert held["total"] == {"amount": 1_338, "currency": "EUR"}
    assert held["seq"] == 3  # scheduled and on sale were the first two facts: nobody had to be woken for the second


async def test_holds_last_as_long_as_the_house_is_set_to_unless_the_showtime_says_otherwise(database_url: str) -> None:
    clock = ManualClock(MORNING)
    async with open_house(database_url, clock=clock, hold_ttl_s=90) as house:
        office = await open_office(house, clock)
        usual = await office.add("2026-10-21T20:00")
        brief = await office.add("2026-10-22T20:00", hold_ttl_s=5)
        assert (usual["hold_ttl_s"], brief["hold_ttl_s"]) == (90, 5)
        assert (await office.change(usual["id"], max_seats=4))["hold_ttl_s"] == 90
        pattern = {
            "movie_id": office.movie_id, "screen_ids": office.screens, "weekdays": [5], "times": ["20:00"],
            "from": "2026-10-19", "to": "2026-10-25", "language": "en", "format": "2D", "prices": PRICES,
        }  # fmt: skip
        made = await expect(await office.manager.post("/admin/showtimes/bulk", {"pattern": pattern}), 201)
        assert (await office.read(made["created"][0]["id"]))["hold_ttl_s"] == 90
        held = await office.customer().hold(brief["id"], "A1")
        assert held["expires_at"] == "2026-10-20T08:00:05Z"


async def test_what_is_scheduled_is_what_the_logs_say(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    await office.add("2026-10-22T20:00", sales_open_at="2026-10-21T08:00:00Z")
    await office.add("2026-10-23T20:00", status="draft")
    await office.change(made["id"], starts_at_local="2026-10-21T21:00", screen_id=office.screens[1])
    report = await audit.verify(pool)
    assert (report.showtimes, report.differences) == (2, [])


async def test_a_draft_is_seen_by_planners_only_until_it_is_published(office: Office) -> None:
    draft = await office.add("2026-10-21T20:00", status="draft")
    assert draft["status"] == "draft"
    assert await office.listed() == []
    assert (await office.house.get(f"/showtimes/{draft['id']}")).status == 404
    assert (await office.house.get(f"/showtimes/{draft['id']}/seats")).status == 404
    plans = await expect(await office.manager.get("/admin/showtimes?status=draft"), 200)
    assert [item["id"] for item in plans["items"]] == [draft["id"]]
    changed = await office.change(draft["id"], starts_at_local="2026-10-21T21:00", max_seats=4, hold_ttl_s=120)
    assert (changed["status"], changed["max_seats"], changed["hold_ttl_s"]) == ("draft", 4, 120)
    published = await expect(await office.manager.post(f"/admin/showtimes/{draft['id']}/publish"), 200)
    assert (published["status"], published["sales"]) == ("scheduled", "open")
    assert await office.listed() == [draft["id"]]
    customer = office.customer()
    refused = await customer.post(f"/showtimes/{draft['id']}/holds", {"seats": ["A1", "A2", "A3", "A4", "A5"]})
    assert (await expect(refused, 409))["code"] == "hold_limit"


async def test_a_screen_shows_one_thing_at_a_time_and_the_refusal_names_it(office: Office) -> None:
    first = await office.add("2026-10-21T20:00")  # 15 minutes of trailers, 100 of film, 15 of cleaning: until 22:10
    problem = await office.refuse("2026-10-21T22:09", 409, "overlap")
    assert problem["showtime_id"] == first["id"]
    await office.refuse("2026-10-21T17:51", 409, "overlap")
    await office.refuse("2026-10-21T17:51", 409, "overlap", status="draft")
    await office.add("2026-10-21T22:10")
    await office.add("2026-10-21T17:50")
    await office.add("2026-10-21T20:00", screen_id=office.screens[1])


async def test_of_plans_made_at_the_same_moment_for_one_screen_one_wins(office: Office) -> None:
    wishes = [office.wish(f"2026-10-21T20:{minute:02}") for minute in range(12)]
    answers = await asyncio.gather(*(office.manager.post("/admin/showtimes", wish) for wish in wishes))
    bodies = [await answer.json() for answer in answers]
    assert sorted(answer.status for answer in answers) == [201] + [409] * 11
    [winner] = [body["id"] for body in bodies if "code" not in body]
    assert {body["showtime_id"] for body in bodies if "code" in body} == {winner}
    assert await office.listed() == [winner]


async def test_of_showtimes_moved_at_the_same_moment_to_one_time_one_arrives(office: Office) -> None:
    days = [await office.add(f"2026-10-{day}T20:00") for day in range(21, 27)]
    answers = await asyncio.gather(
        *(
            office.manager.patch(f"/admin/showtimes/{each['id']}", {"starts_at_local": "2026-10-28T20:00"})
            for each in days
        )
    )
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5
    assert len(await office.listed(date="2026-10-28")) == 1
    assert len(await office.listed()) == 6


@pytest.mark.parametrize(
    ("starts_at", "more", "code"),
    [
        ("2026-10-20T07:59:00Z", {}, "in_past"),
        ("2026-10-21T20:00", {"ends_at": "2026-10-21T19:54:00Z"}, "too_short"),
        ("2026-10-21T20:00", {"runtime_minutes": 99}, "too_short"),
        ("2026-10-21T20:00", {"format": "IMAX"}, "format_mismatch"),
        ("2026-10-21T20:00", {"language": "fr"}, "language_mismatch"),
        (
            "2026-10-21T20:00",
            {"prices": [{"category": "box", "ticket_type": "adult", "amount": 1}]},
            "category_unpriced",
        ),
        ("2026-10-21T20:00", {"default_ticket_type": "senior"}, "category_unpriced"),
        ("2026-10-21T20:00", {"prices": None}, "validation_failed"),
        ("2026-10-21T20:00", {"prices": [PRICES[0], PRICES[0]]}, "validation_failed"),
        ("2026-10-21T20:00", {"ends_at": "2026-10-23T20:00:00Z"}, "validation_failed"),
        ("2026-10-21T20:00", {"sales_open_at": "2026-10-22T20:00:00Z"}, "validation_failed"),
        ("2026-10-21T20:00", {"sales_close_at": "2026-10-22T20:00:00Z"}, "validation_failed"),
        ("2026-10-21T20:00", {"starts_at": "2026-10-21T20:00:00Z"}, "validation_failed"),
        ("2026-10-21T20:00", {"screen_id": "00000000-0000-7000-8000-000000000000"}, "validation_failed"),
        ("2026-10-21T20:00", {"movie_id": "00000000-0000-7000-8000-000000000000"}, "validation_failed"),
        ("2026-10-21T20:00", {"price": 3}, "validation_failed"),
        ("2026-10-21T20:00+02", {"starts_at": "soon"}, "validation_failed"),
        ("2026-10-21T20:00", {"starts_at_local": "2026-10-21T20:00Z"}, "validation_failed"),
        ("2026-03-29T02:30", {"starts_at_local": "2027-03-28T02:30"}, "nonexistent_local_time"),
        ("2026-10-25T02:30", {}, "ambiguous_local_time"),
    ],
)
async def test_what_does_not_fit_is_refused(office: Office, starts_at: str, more: dict[str, object], code: str) -> None:
    await office.refuse(starts_at, 422, code, **more)
    assert (await expect(await office.manager.get("/admin/showtimes"), 200))["items"] == []


async def test_the_hour_that_comes_twice_is_told_apart_by_fold_or_offset(office: Office) -> None:
    problem = await office.refuse("2026-10-25T02:30", 422, "ambiguous_local_time")
    assert problem["choices"] == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
    early = await office.add("2026-10-25T02:30", fold=0, screen_id=office.screens[0])
    late = await office.add("2026-10-25T02:30", fold=1, screen_id=office.screens[1])
    assert (early["starts_at"], late["starts_at"]) == ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")
    assert early["business_date"] == late["business_date"] == "2026-10-24"
    await office.refuse("2026-10-25T02:30:00+01:00", 409, "overlap", screen_id=office.screens[1])


async def test_a_showtime_across_midnight_blocks_both_days(office: Office) -> None:
    late = await office.add("2026-10-21T23:30")
    assert late["ends_at"] == "2026-10-21T23:25:00Z"
    assert late["business_date"] == "2026-10-21"
    assert (await office.refuse("2026-10-22T01:00", 409, "overlap"))["showtime_id"] == late["id"]
    assert await office.listed(date="2026-10-21") == [late["id"]]
    assert await office.listed(date="2026-10-22") == []


async def test_who_has_seen_an_older_version_is_refused(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    path = f"/admin/showtimes/{made['id']}"
    seen = (await office.manager.get(path)).headers["ETag"]
    await office.change(made["id"], match=seen, language="de")
    assert (await office.change(made["id"], 412, match=seen, language="en"))["code"] == "precondition_failed"
    assert (await office.read(made["id"]))["language"] == "de"
    answers = await asyncio.gather(
        *(
            office.house.ask(
                "PATCH", path, token=office.manager.token, headers={"If-Match": '"2"'},
                json={"starts_at_local": f"2026-10-21T20:{minute}"},
            )
            for minute in (10, 20, 30)
        )
    )  # fmt: skip
    assert sorted(answer.status for answer in answers) == [200, 412, 412]
    deletion = await office.house.ask("DELETE", path, token=office.manager.token, headers={"If-Match": seen})
    assert deletion.status == 412


async def test_a_showtime_moves_through_its_actor_and_lists_agree(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    await office.customer().hold(made["id"], "A1")
    moved = await office.change(made["id"], starts_at_local="2026-10-22T19:00", screen_id=office.screens[1])
    assert (moved["starts_at"], moved["ends_at"]) == ("2026-10-22T17:00:00Z", "2026-10-22T18:55:00Z")
    assert moved["sales_close_at"] == moved["feature_starts_at"] == "2026-10-22T17:15:00Z"
    assert moved["screen_id"] == office.screens[1]
    assert moved["free_seats"] == 39
    state = (await office.house.app[REGISTRY].actor(made["id"])).snapshot
    assert state.terms.starts_at == at("2026-10-22T17:00")
    assert state.terms.screen_id == office.screens[1]
    assert await office.listed(date="2026-10-22", screen_id=office.screens[1]) == [made["id"]]
    await office.add("2026-10-21T20:00")
    assert (await audit.verify(pool)).differences == []


async def test_what_is_sold_moves_only_when_everybody_is_told(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    await office.customer().buy(made["id"], "A1", "A2")
    for change in (
        {"starts_at_local": "2026-10-21T21:00"},
        {"screen_id": office.screens[1]},
        {"language": "de"},
        {"max_seats": 3},
        {"status": "draft"},
    ):
        assert (await office.change(made["id"], 409, **change))["code"] == "has_sales", change
    dearer = [{**PRICES[0], "amount": 1_500}]
    assert (await office.change(made["id"], prices=dearer))["price_from"]["amount"] == 1_500
    assert (await office.customer().hold(made["id"], "B1"))["total"]["amount"] == 1_500
    moved = await office.change(made["id"], starts_at_local="2026-10-21T21:00", language="de", notify=True)
    assert (moved["starts_at"], moved["language"]) == ("2026-10-21T19:00:00Z", "de")
    told = await pool.fetchval(
        "SELECT payload FROM job WHERE topic = 'announce' AND dedupe_key LIKE 'changed:' || $1 || ':%'", made["id"]
    )
    assert orjson.loads(told)["starts_at"] - orjson.loads(told)["starts_at_before"] == 3_600_000
    deletion = await office.manager.delete(f"/admin/showtimes/{made['id']}")
    assert (await expect(deletion, 409))["code"] == "has_sales"
    assert (await audit.verify(pool)).differences == []


async def test_what_is_sold_moves_to_a_screen_that_has_everybodys_seats(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    ana, bob = office.customer(), office.customer()
    await ana.buy(made["id"], "A1", "A2")
    held = await bob.hold(made["id"], "D4")
    other = await _new_screen(office, rows=3, seats_per_row=12)
    assert (await office.change(made["id"], 409, screen_id=other["id"]))["code"] == "has_sales"
    refused = await office.change(made["id"], 409, screen_id=other["id"], notify=True)
    assert (refused["code"], refused["conflicts"]) == ("seats_vanish", [{"seat": "D4", "reason": "vanishes"}])
    assert (await bob.delete(f"/holds/{held['hold_id']}")).status == 204
    moved = await office.change(made["id"], screen_id=other["id"], notify=True)
    assert (moved["layout_id"], moved["free_seats"], moved["capacity"]) == (other["layout_id"], 34, 36)
    log = await expect(await office.manager.get(f"/admin/showtimes/{made['id']}/events"), 200)
    told = log["items"][-1]
    assert (told["event"], told["screen_id"], told["layout_id"]) == (
        "showtime_rescheduled", other["id"], other["layout_id"],
    )  # fmt: skip
    assert (await expect(await bob.post(f"/showtimes/{made['id']}/holds", {"seats": ["D4"]}), 422))["code"] == (
        "unknown_seat"
    )
    await bob.hold(made["id"], "C12")
    deleted = await office.manager.delete(f"/admin/screens/{office.screens[0]}/layouts/1")
    assert (await expect(deleted, 409))["code"] == "layout_in_use", "the log needs the drawing it began with"
    await office.house.app[REGISTRY].lost()
    state = (await office.house.app[REGISTRY].actor(made["id"])).snapshot
    assert (state.layout.id, state.sold, state.held) == (other["layout_id"], 2, 1)
    seen = await expect(await office.manager.get(f"/showtimes/{made['id']}/seats", params={"at": "3"}), 200)
    assert sum(seen["counts"].values()) == 40, "as it was before it moved"
    assert (await audit.verify(pool)).differences == []


async def test_what_the_house_keeps_from_the_public_survives_a_change_before_the_first_sale(
    office: Office, pool: Pool
) -> None:
    """Such a log begins anew: with other limits, and in a hall with other seats."""
    made = await office.add("2026-10-21T20:00")
    seats, block = f"/admin/showtimes/{made['id']}/seats", {"reason": "press", "release_at": "2026-10-20T09:00:00Z"}
    kept = {"block": [{"seat": "A1", **block}, {"seat": "D10", **block}], "channel": {"agency": ["B1", "D9"]}}
    await expect(await office.manager.put(seats, kept), 200)
    assert (await office.change(made["id"], max_seats=4))["free_seats"] == 36
    other = await _new_screen(office, rows=3, seats_per_row=12)
    assert (await office.change(made["id"], screen_id=other["id"]))["free_seats"] == 34
    seen = await expect(await office.manager.get(f"/admin/showtimes/{made['id']}/live"), 200)
    assert seen["blocked"] == [{"seat": "A1", "kind": "house", **block}]
    assert (seen["channel"], seen["sales"], seen["counts"]["blocked"]) == ({"agency": ["B1"]}, "open", 2)
    await office.house.app[REGISTRY].lost()
    office.clock.advance(3_600_000)
    await office.customer().hold(made["id"], "A1")
    assert (await audit.verify(pool)).differences == []


async def test_another_drawing_is_sold_at_prices_for_its_categories(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    await office.customer().buy(made["id"], "A1", "A2")
    grand = await _new_screen(office, rows=3, seats_per_row=12, type_counts={"standard": 24, "royal": 12})
    assert (await office.change(made["id"], 422, screen_id=grand["id"], notify=True))["code"] == "category_unpriced"
    prices = [*PRICES, {"category": "royal", "ticket_type": "adult", "amount": 2_000}]
    moved = await office.change(made["id"], screen_id=grand["id"], prices=prices, notify=True)
    assert {price["category"] for price in moved["prices"]} == {"standard", "royal"}
    assert (await office.customer().hold(made["id"], "C1"))["total"]["amount"] == 2_000
    assert (await audit.verify(pool)).differences == []


async def test_what_is_sold_in_one_theatre_does_not_move_to_another(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    await office.customer().buy(made["id"], "A1", "A2")
    theatre_id, screen_id = mint(office.clock.now()), mint(office.clock.now())
    theatre = Theatre(theatre_id, f"House {theatre_id}", "Rome", "", "", None, None, (), {}, "Europe/Rome", "EUR")
    async with pool.acquire() as connection:
        await catalog.put_theatre(connection, theatre)
        await catalog.put_screen(connection, screen_id, theatre_id, "1", ["2D"], made["layout_id"])
    admin = Person(office.house, mint(office.clock.now()), ("admin",), ())
    refused = await admin.patch(f"/admin/showtimes/{made['id']}", {"screen_id": screen_id, "notify": True})
    assert (await expect(refused, 409))["code"] == "has_sales"
    assert (await office.read(made["id"]))["screen_id"] == office.screens[0]


async def test_what_is_sold_moves_to_a_screen_that_is_drawn_alike(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    await office.customer().buy(made["id"], "A1", "A2")
    alike = await _new_screen(office, layout_id=made["layout_id"])
    assert (await office.change(made["id"], 409, screen_id=alike["id"]))["code"] == "has_sales"
    moved = await office.change(made["id"], screen_id=alike["id"], notify=True)
    assert (moved["screen_id"], moved["layout_id"], moved["free_seats"]) == (alike["id"], made["layout_id"], 38)
    assert (await office.house.app[REGISTRY].actor(made["id"])).snapshot.terms.screen_id == alike["id"]
    again = await office.change(made["id"], starts_at_local="2026-10-21T21:00", notify=True)
    assert (again["screen_id"], again["layout_id"]) == (alike["id"], made["layout_id"])
    back = await office.change(made["id"], screen_id=office.screens[0], notify=True)
    assert back["screen_id"] == office.screens[0]
    assert (await audit.verify(pool)).differences == []


async def test_terms_of_what_was_never_sold_change_with_a_log_that_begins_anew(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    ana = office.customer()
    held = await ana.hold(made["id"], "A1")
    assert (await office.change(made["id"], 409, max_seats=2))["code"] == "has_sales"
    assert (await ana.delete(f"/holds/{held['hold_id']}")).status == 204
    before = (await office.house.app[REGISTRY].actor(made["id"])).epoch
    changed = await office.change(made["id"], max_seats=2, orphan_rule="off", prices=PRICES[:1], fee=100)
    assert (changed["max_seats"], changed["orphan_rule"], changed["fee"]) == (2, "off", 100)
    refused = await ana.post(f"/showtimes/{made['id']}/holds", {"seats": ["A1", "A2", "A3"]})
    assert (await expect(refused, 409))["code"] == "hold_limit"
    assert (await ana.hold(made["id"], "A1"))["total"]["amount"] == 1_300
    assert (await office.house.app[REGISTRY].actor(made["id"])).epoch > before
    assert (await audit.verify(pool)).differences == []


async def test_an_owner_that_has_not_heard_of_the_new_log_can_harm_nothing(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    app, ana = office.house.app, office.customer()
    held = await ana.hold(made["id"], "A1")
    assert (await ana.delete(f"/holds/{held['hold_id']}")).status == 204
    stale = await app[REGISTRY].actor(made["id"])
    before = stale.snapshot
    await office.change(made["id"], max_seats=2)
    state, records = after(before, SalesClosed("stale"), at=office.clock.now())
    with pytest.raises(Deposed):
        await app[JOURNAL].append(stale.epoch, before, state, records)
    await app[JOURNAL].snapshot(before)  # it was on its way when the log went
    for seat in ("B1", "B2"):
        await ana.hold(made["id"], seat)
    await app[REGISTRY].lost()
    fresh = (await app[REGISTRY].actor(made["id"])).snapshot
    assert fresh.version >= before.version
    assert (fresh.terms.seats_per_customer_max, set(fresh.taken)) == (2, {"B1", "B2"})
    assert (await ana.get(f"/holds/{held['hold_id']}")).status in (404, 410)
    assert (await audit.verify(pool)).differences == []


async def test_who_watches_a_showtime_that_is_withdrawn_is_told_that_it_is_gone(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    async with office.house.client.ws_connect(f"/api/v1/showtimes/{made['id']}/live") as socket:
        assert (await socket.receive_json())["type"] == "hello"
        assert (await socket.receive_json())["type"] == "snapshot"
        await office.change(made["id"], max_seats=3)
        anew = await socket.receive_json()
        assert (anew["type"], anew["sales"]) == ("snapshot", "open")
        await office.change(made["id"], status="draft")
        while (message := await socket.receive(timeout=30)).type != WSMsgType.CLOSE:
            pass
        assert message.data == 4404


async def test_what_was_never_sold_is_withdrawn_published_again_and_deleted(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    withdrawn = await office.change(made["id"], status="draft")
    assert withdrawn["status"] == "draft"
    assert await office.listed() == []
    assert (await office.house.get(f"/showtimes/{made['id']}/seats")).status == 404
    assert (await office.change(made["id"], status="scheduled"))["sales"] == "open"
    await office.customer().hold(made["id"], "B1")
    assert (await expect(await office.manager.delete(f"/admin/showtimes/{made['id']}"), 409))["code"] == "has_sales"
    office.clock.advance(11 * 60_000)
    path = f"/admin/showtimes/{made['id']}"
    while (await office.manager.delete(path)).status == 409:  # until the hold has expired
        await asyncio.sleep(0)
    assert (await office.manager.get(path)).status == 404
    assert await pool.fetchval("SELECT count(*) FROM event") == 0
    await office.add("2026-10-21T20:00")


async def test_a_showtime_opens_runs_and_ends_by_the_clock_alone(office: Office) -> None:
    made = await office.add(
        "2026-10-21T20:00", sales_open_at="2026-10-21T08:00:00Z", sales_close_at="2026-10-21T17:30:00Z"
    )
    await stands(office, made["id"], "scheduled", "not_open")
    for moment, status, sales in (
        ("2026-10-21T08:00", "scheduled", "open"),
        ("2026-10-21T17:30", "scheduled", "closed"),
        ("2026-10-21T18:00", "running", "closed"),
        ("2026-10-21T19:55", "completed", "closed"),
    ):
        office.clock.advance(at(moment) - office.clock.now())
        await stands(office, made["id"], status, sales)
    assert (await office.change(made["id"], 409, language="de"))["code"] == "already_started"


async def test_the_sale_follows_a_showtime_that_moves(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00", sales_close_at="2026-10-21T12:00:00Z")
    office.clock.advance(at("2026-10-21T13:00") - office.clock.now())
    await stands(office, made["id"], "scheduled", "closed")
    moved = await office.change(made["id"], starts_at_local="2026-10-22T20:00")
    assert (moved["sales"], moved["sales_close_at"]) == ("open", "2026-10-22T12:00:00Z")
    later = await office.change(made["id"], sales_open_at="2026-10-22T06:00:00Z")
    assert later["sales"] == "not_open"
    office.clock.advance(at("2026-10-22T06:00") - office.clock.now())
    await stands(office, made["id"], "scheduled", "open")
    await office.customer().buy(made["id"], "A1")
    assert (await office.change(made["id"], 409, sales_open_at="2026-10-22T09:00:00Z"))["code"] == "has_sales"
    assert (await audit.verify(pool)).differences == []


async def test_a_cancelled_showtime_frees_its_screen_and_stays_as_it_is(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    cancelled = await office.manager.post(f"/admin/showtimes/{made['id']}/cancel", {"reason": "flood"}, key="k1")
    assert cancelled.status == 202
    assert (await office.change(made["id"], 409, language="de"))["code"] == "showtime_cancelled"
    await office.add("2026-10-21T20:00")


async def test_nobody_plans_for_a_theatre_that_is_not_theirs(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    stranger = Person(office.house, office.manager.account_id, ("manager",), ())
    for response in (
        await stranger.post("/admin/showtimes", office.wish("2026-10-22T20:00")),
        await stranger.get(f"/admin/showtimes/{made['id']}"),
        await stranger.patch(f"/admin/showtimes/{made['id']}", {"language": "de"}),
        await stranger.put(f"/admin/showtimes/{made['id']}", {"language": "de"}),
        await stranger.post(f"/admin/showtimes/{made['id']}/publish"),
        await stranger.delete(f"/admin/showtimes/{made['id']}"),
    ):
        assert (await expect(response, 403))["code"] == "out_of_scope"
    assert (await expect(await stranger.get("/admin/showtimes"), 200))["items"] == []
    usher = Person(office.house, office.manager.account_id, ("usher",), (office.theatre_id,))
    assert (await usher.get("/admin/showtimes")).status == 403
    admin = Person(office.house, office.manager.account_id, ("admin",), ())
    assert len((await expect(await admin.get("/admin/showtimes"), 200))["items"]) == 1


async def test_a_film_that_is_not_published_has_drafts_only(office: Office) -> None:
    await office.house.app[POOL].execute("UPDATE movie SET publication = 'draft'")
    await office.refuse("2026-10-21T20:00", 409, "movie_not_published")
    draft = await office.add("2026-10-21T20:00", status="draft")
    assert (await office.change(draft["id"], 409, status="scheduled"))["code"] == "movie_not_published"


async def test_the_same_wish_with_the_same_key_makes_one_showtime(office: Office) -> None:
    first, again = [
        await office.manager.post("/admin/showtimes", office.wish("2026-10-21T20:00"), key="twice") for _ in range(2)
    ]
    assert (first.status, again.status) == (201, 201)
    assert await first.read() == await again.read()
    assert len(await office.listed()) == 1


async def _new_screen(office: Office, **drawing: Any) -> dict[str, Any]:
    asked = {"theatre_id": office.theatre_id, "name": f"Like {len(drawing)}", "formats": ["2D"], **drawing}
    return await expect(await office.manager.post("/admin/screens", asked), 201)
