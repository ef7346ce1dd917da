"""Screens and their drawings: making them, drawing new versions, and what showtimes keep of the old ones."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse

from actors.ids import mint
from actors.runtime.clock import ManualClock
from actors.seatmap.layout import SeatKind, from_shortcut
from persistence import audit
from persistence.database import Pool
from tests.server.house import open_house
from tests.server.rest.cinema import Person, expect, fresh_key
from tests.server.rest.planning import PRICES, Office, at, open_office

MORNING = at("2026-10-20T08:00")
NOWHERE = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    clock = ManualClock(MORNING)
    async with open_house(database_url, clock=clock) as house:
        yield await open_office(house, clock, screens=1)


async def added(office: Office, **wanted: Any) -> dict[str, Any]:
    asked = {"theatre_id": office.theatre_id, "name": "Studio", "rows": 4, "seats_per_row": 6, **wanted}
    asked = {name: value for name, value in asked.items() if value is not None}
    return await expect(await office.manager.post("/admin/screens", asked), 201)


def plan(rows: int = 4, seats: int = 6, **categories: list[str]) -> dict[str, Any]:
    return from_shortcut("Studio", rows, seats, categories=categories)


async def draw(office: Office, screen_id: str, document: Any, *, status: int = 201, query: str = "") -> dict[str, Any]:
    return await expect(await office.manager.post(f"/admin/screens/{screen_id}/layouts{query}", document), status)


async def draw_big(office: Office, screen_id: str, document: Any, key: str) -> ClientResponse:
    """Drawings so large that the client wants them as a file."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    path, body = f"/admin/screens/{screen_id}/layouts", BytesIO(orjson.dumps(document))
    return await office.house.ask("POST", path, token=office.manager.token, data=body, headers=headers)


async def drawing(office: Office, screen_id: str, query: str = "") -> dict[str, Any]:
    return await expect(await office.house.get(f"/screens/{screen_id}/layout{query}"), 200)


async def code(response: ClientResponse, status: int) -> str:
    return str((await expect(response, status))["code"])


def labels(document: dict[str, Any]) -> list[str]:
    return [seat["seat"] for row in document["rows"] for seat in row["seats"]]


async def test_a_screen_from_the_shortcut_is_there_for_everybody(office: Office) -> None:
    response = await office.manager.post(
        "/admin/screens",
        {
            "theatre_id": office.theatre_id, "name": " Big  Hall ", "formats": ["2D", "IMAX", "2D"], "rows": 52,
            "seats_per_row": 60, "type_counts": {"front": 100, "standard": 2_960, "premium": 60},
        },
    )  # fmt: skip
    made = await expect(response, 201)
    assert response.headers["Location"] == f"/api/v1/admin/screens/{made['id']}"
    assert (made["name"], made["formats"], made["capacity"]) == ("Big Hall", ["2D", "IMAX"], 3_120)
    public = await expect(await office.house.get(f"/screens/{made['id']}"), 200)
    assert public == {key: value for key, value in made.items() if key != "version"}
    drawn = await drawing(office, made["id"])
    assert drawn["version"] == made["layout_version"] == 1
    counts = {c["key"]: 0 for c in drawn["categories"]}
    for row in drawn["rows"]:
        for seat in row["seats"]:
            counts[seat["category"]] += 1
    assert counts == {"front": 100, "standard": 2_960, "premium": 60}
    assert labels(drawn)[-1] == "AZ60"


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ({"rows": 53}, "rows"),
        ({"rows": 0}, "rows"),
        ({"seats_per_row": 61}, "seats_per_row"),
        ({"rows": None}, ""),
        ({"rows": None, "seats_per_row": None}, ""),
        ({"layout_id": NOWHERE}, ""),
        ({"rows": None, "seats_per_row": None, "layout_id": NOWHERE}, "layout_id"),
        ({"type_counts": {"standard": 23}}, "type_counts"),
        ({"type_counts": {"standard": 20, "premium": 5}}, "type_counts"),
        ({"type_counts": {"standard": 24, "premium": -1}}, "type_counts.premium"),
        ({"aisles_after": [6]}, "aisles_after"),
        ({"formats": []}, "formats"),
        ({"name": " "}, "name"),
        ({"theatre_id": NOWHERE}, "theatre_id"),
        ({"capacity": 24}, "capacity"),
        ({"rows": None, "seats_per_row": None, "layout": {"name": "x"}}, "layout.categories"),
        ({"rows": None, "seats_per_row": None, "layout": {**plan(), "rows": []}}, "layout.rows"),
        ({"rows": None, "seats_per_row": None, "layout": {"zones": [{"rows": 7}]}}, "layout"),
    ],
)
async def test_what_makes_no_screen_is_refused_and_named(office: Office, wanted: dict[str, Any], path: str) -> None:
    asked = {"theatre_id": office.theatre_id, "name": "Studio", "rows": 4, "seats_per_row": 6, **wanted}
    asked = {name: value for name, value in asked.items() if value is not None}
    problem = await expect(await office.manager.post("/admin/screens", asked), 422)
    assert path in [error["path"] for error in problem["errors"]], problem


async def test_a_name_is_taken_within_its_theatre(office: Office) -> None:
    made = await added(office)
    again = {"theatre_id": office.theatre_id, "name": "STUDIO", "rows": 1, "seats_per_row": 1}
    assert await code(await office.manager.post("/admin/screens", again), 409) == "name_taken"
    path = f"/admin/screens/{made['id']}"
    assert await code(await office.manager.patch(path, {"name": "1"}), 409) == "name_taken"
    changed = await expect(await office.manager.put(path, {"name": "studio", "formats": ["3D"]}), 200)
    assert (changed["name"], changed["formats"], changed["version"]) == ("studio", ["3D"], 2)
    for empty in ({"name": None}, {"formats": None}, {"layout_version": None}, {"layout_version": 2}):
        assert await code(await office.manager.patch(path, empty), 422) == "validation_failed"


async def test_screens_of_other_theatres_are_out_of_scope(office: Office) -> None:
    made = await added(office)
    stranger = Person(office.house, mint(office.clock.now()), ("manager",), (mint(office.clock.now()),))
    one = f"/admin/screens/{made['id']}"
    new = {"theatre_id": office.theatre_id, "name": "Mine", "rows": 1, "seats_per_row": 1}
    for response in (
        await stranger.get(one),
        await stranger.patch(one, {"name": "Mine"}),
        await stranger.delete(one),
        await stranger.post("/admin/screens", new),
        await stranger.get(f"/admin/screens?theatre_id={office.theatre_id}"),
        await stranger.get(f"{one}/layouts"),
        await stranger.post(f"{one}/layouts", plan()),
        await stranger.get(f"{one}/layouts/1"),
        await stranger.delete(f"{one}/layouts/1"),
        await stranger.post(f"{one}/layouts/1/preview?showtime_id={NOWHERE}"),
    ):
        assert await code(response, 403) == "out_of_scope"
    assert (await expect(await stranger.get("/admin/screens"), 200))["items"] == []
    own = await expect(await office.manager.get("/admin/screens"), 200)
    assert [item["name"] for item in own["items"]] == ["1", "Studio"]


async def test_of_those_who_saw_the_same_screen_one_changes_it(office: Office) -> None:
    made = await added(office)
    path = f"/admin/screens/{made['id']}"

    def rename(name: str) -> Any:
        headers = {"If-Match": '"1"'}
        return office.house.ask("PATCH", path, token=office.manager.token, headers=headers, json={"name": name})

    answers = await asyncio.gather(*map(rename, ("A", "B", "C")))
    assert sorted(answer.status for answer in answers) == [200, 412, 412]


async def test_a_screen_that_never_had_a_showtime_can_go(office: Office, pool: Pool) -> None:
    made = await added(office)
    await draw(office, made["id"], plan(2))
    path = f"/admin/screens/{made['id']}"
    assert (await office.manager.delete(path)).status == 204
    assert await code(await office.manager.get(path), 404) == "screen_not_found"
    assert await pool.fetchval("SELECT count(*) FROM layout") == 1  # the other screen's
    await office.add("2026-10-21T20:00", status="draft")
    used = f"/admin/screens/{office.screens[0]}"
    assert await code(await office.manager.delete(used), 409) == "has_showtimes"


async def test_a_showtime_keeps_the_version_it_was_planned_with(office: Office, pool: Pool) -> None:
    made = await added(office)
    old = await office.add("2026-10-21T20:00", screen_id=made["id"])
    ana = office.customer()
    await ana.hold(old["id"], "D6")
    version = await draw(office, made["id"], plan(3, 5))
    assert (version["version"], version["capacity"], version["current"]) == (2, 15, True)
    assert (await office.read(old["id"]))["layout_id"] == made["layout_id"]
    await office.customer().hold(old["id"], "D5")
    new = await office.add("2026-10-22T20:00", screen_id=made["id"])
    assert (new["layout_id"], new["free_seats"]) == (version["id"], 15)
    refused = await office.customer().post(f"/showtimes/{new['id']}/holds", {"seats": ["D5"]})
    assert await code(refused, 422) == "unknown_seat"
    seen = await expect(await office.manager.get(f"/admin/screens/{made['id']}/layouts"), 200)
    assert [(item["version"], item["current"], item["showtimes"]) for item in seen["items"]] == [
        (2, True, 1),
        (1, False, 1),
    ]
    assert (await audit.verify(pool)).differences == []


async def test_public_versions_may_be_kept_for_ever(office: Office) -> None:
    made = await added(office)
    first = await office.house.get(f"/screens/{made['id']}/layout?version=1")
    await draw(office, made["id"], plan(3, 5))
    again = await office.house.get(f"/screens/{made['id']}/layout?version=1")
    assert "immutable" in first.headers["Cache-Control"]
    assert await first.read() == await again.read()
    tag = {"If-None-Match": first.headers["ETag"]}
    assert (await office.house.get(f"/screens/{made['id']}/layout?version=1", headers=tag)).status == 304
    present = await office.house.get(f"/screens/{made['id']}/layout", headers=tag)
    assert (await present.json())["capacity"] == 15
    assert "immutable" not in present.headers["Cache-Control"]


async def test_a_version_can_wait_and_be_taken_up_and_given_up(office: Office) -> None:
    made = await added(office)
    path = f"/admin/screens/{made['id']}"
    waiting = await draw(office, made["id"], plan(2), query="?use=false")
    assert not waiting["current"]
    assert (await drawing(office, made["id"]))["version"] == 1
    taken = await expect(await office.manager.patch(path, {"layout_version": 2}), 200)
    assert (taken["layout_version"], taken["capacity"], taken["layout_id"]) == (2, 12, waiting["id"])
    back = await expect(await office.manager.patch(path, {"layout_version": 1}), 200)
    assert (back["layout_id"], back["capacity"]) == (made["layout_id"], 24)


async def test_a_version_in_use_stays_and_the_number_of_another_is_never_given_again(office: Office) -> None:
    made = await added(office)
    path = f"/admin/screens/{made['id']}/layouts"
    await office.add("2026-10-21T20:00", screen_id=made["id"])
    await draw(office, made["id"], plan(2))
    for version in (1, 2):
        assert await code(await office.manager.delete(f"{path}/{version}"), 409) == "layout_in_use"
    await draw(office, made["id"], plan(3), query="?use=false")
    assert (await office.manager.delete(f"{path}/3")).status == 204
    for missing in ("3", "0", "x", "99999999999999999999", "-1"):
        assert await code(await office.manager.get(f"{path}/{missing}"), 404) == "layout_not_found"
    assert (await draw(office, made["id"], plan(4)))["version"] == 4


async def test_many_who_draw_at_once_get_versions_of_their_own(office: Office) -> None:
    made = await added(office)
    versions = await asyncio.gather(*(draw(office, made["id"], plan(rows)) for rows in range(1, 7)))
    assert sorted(version["version"] for version in versions) == [2, 3, 4, 5, 6, 7]
    screen = await expect(await office.manager.get(f"/admin/screens/{made['id']}"), 200)
    assert (screen["layout_version"], screen["version"]) == (7, 7)


async def test_a_version_comes_back_as_the_document_it_was_drawn_from(office: Office) -> None:
    made = await added(office, rows=None, seats_per_row=None, layout=plan(3, 8, premium=["C"]))
    path = f"/admin/screens/{made['id']}/layouts/1"
    document = await expect(await office.manager.get(path), 200)
    for row, drawn in zip(document["rows"], plan(3, 8, premium=["C"])["rows"], strict=True):
        assert row == drawn
    document["rows"][0]["seats"][0] |= {"kind": SeatKind.WHEELCHAIR.value, "partner": "A2"}
    document["rows"][0]["seats"][1] |= {"kind": SeatKind.COMPANION.value, "partner": "A1"}
    await draw(office, made["id"], document)
    again = await expect(await office.manager.get(f"/admin/screens/{made['id']}/layouts/2"), 200)
    assert again == document


async def test_a_pretix_plan_goes_out_and_comes_in_without_losing_categories(office: Office) -> None:
    made = await added(office, rows=None, seats_per_row=None, layout=plan(3, 8, front_row=["A"], deluxe=["B", "C"]))
    before = await drawing(office, made["id"])
    document = await expect(await office.manager.get(f"/admin/screens/{made['id']}/layouts/1?format=pretix"), 200)
    assert document["zones"][0]["rows"][0]["seats"][0]["seat_guid"] == "A1"
    assert document["categories"][0]["name"] == "Front row"
    document["zones"][0]["rows"][2]["seats"].pop()
    assert (await draw(office, made["id"], document))["capacity"] == 23
    after = await drawing(office, made["id"])
    assert set(labels(before)) - set(labels(after)) == {"C8"}
    old = {seat["seat"]: seat for row in before["rows"] for seat in row["seats"]}
    for row in after["rows"]:
        for seat in row["seats"]:
            was = old[seat["seat"]]
            assert (seat["x"], seat["y"]) == pytest.approx((was["x"], was["y"]), abs=0.001)
            for member in ("category", "left", "number"):
                assert seat[member] == was[member]


async def test_a_preview_names_the_seats_that_people_would_lose(office: Office) -> None:
    made = await added(office)
    showtime = await office.add("2026-10-21T20:00", screen_id=made["id"])
    ana, bob = office.customer(), office.customer()
    booking = await ana.buy(showtime["id"], "A1", "D6")
    await bob.hold(showtime["id"], "D1", "B1")
    seats = {"block": [{"seat": "D2", "reason": "broken"}]}
    await expect(await office.manager.put(f"/admin/showtimes/{showtime['id']}/seats", seats), 200)
    await draw(office, made["id"], plan(3, 7, premium=["B"]), query="?use=false")
    path = f"/admin/screens/{made['id']}/layouts/2/preview?showtime_id="
    seen = await expect(await office.manager.post(f"{path}{showtime['id']}"), 200)
    assert seen == {
        "showtime_id": showtime["id"],
        "layout_version": 2,
        "capacity": 21,
        "added": 3,
        "removed": 6,
        "vanishing": [
            {"seat": "D1", "state": "held", "booking_id": None},
            {"seat": "D6", "state": "sold", "booking_id": booking["id"]},
        ],
        "regraded": [{"seat": "B1", "state": "held", "category": "standard", "becomes": "premium"}],
        "fits": False,
    }
    draft = await office.add("2026-10-22T20:00", screen_id=made["id"], status="draft")
    assert (await expect(await office.manager.post(f"{path}{draft['id']}"), 200))["fits"]
    assert await code(await office.manager.post(f"{path}{NOWHERE}"), 404) == "showtime_not_found"
    assert await code(await office.manager.post(path), 422) == "validation_failed"


async def test_a_preview_looks_at_showtimes_of_its_own_theatre_only(office: Office) -> None:
    other = await open_office(office.house, office.clock, screens=1)
    theirs = await other.add("2026-10-21T20:00")
    made = await added(office)
    response = await office.manager.post(f"/admin/screens/{made['id']}/layouts/1/preview?showtime_id={theirs['id']}")
    assert await code(response, 404) == "showtime_not_found"


async def test_a_drawing_of_thousands_of_seats_fits_and_more_than_that_does_not(office: Office) -> None:
    made = await added(office)
    big = plan(52, 60)
    assert (await expect(await draw_big(office, made["id"], big, fresh_key()), 201))["capacity"] == 3_120
    big["padding"] = "x" * 2_100_000
    assert await code(await draw_big(office, made["id"], big, fresh_key()), 413) == "body_too_large"


async def test_a_key_draws_one_version(office: Office) -> None:
    made = await added(office)
    key, path = fresh_key(), f"/admin/screens/{made['id']}/layouts"
    first, again = [await draw_big(office, made["id"], plan(52, 60), key) for _ in range(2)]
    assert (first.status, await first.read()) == (again.status, await again.read())
    other = await office.manager.post(path, plan(3), key=key)
    assert await code(other, 422) == "idempotency_mismatch"
    assert (await drawing(office, made["id"]))["version"] == 2


async def test_a_new_screen_can_copy_a_drawing_and_go_its_own_way(office: Office) -> None:
    made = await added(office)
    copied = await added(office, name="Twin", rows=None, seats_per_row=None, layout_id=made["layout_id"])
    assert copied["layout_id"] != made["layout_id"]
    mine, theirs = await drawing(office, made["id"]), await drawing(office, copied["id"])
    assert mine["rows"] == theirs["rows"]
    await draw(office, copied["id"], plan(1))
    assert await drawing(office, made["id"]) == mine


async def test_every_category_of_a_new_drawing_must_be_priced(office: Office) -> None:
    made = await added(office)
    await draw(office, made["id"], plan(2, 6, premium=["B"]))
    await office.refuse("2026-10-21T20:00", 422, "category_unpriced", screen_id=made["id"], prices=PRICES)
