"""Theatres: opening, changing and closing them, whose they are, and finding them by distance."""

import asyncio
from math import asin, cos, radians, sin, sqrt
from typing import Any

import pytest

from actors.ids import mint
from persistence.database import Pool
from server.keys import CLOCK
from tests.server.house import House
from tests.server.rest.cinema import Person, expect, open_counter

ALDER = {
    "name": "The Alder",
    "city": "New York",
    "address": "12 Pine Street",
    "geo": {"lat": 40.7066, "lng": -74.0084},
    "pincode": "10005",
    "contact": {"email": "Desk@Alder.example", "phone": "+1 212 555 0100"},
    "amenities": ["bar", " step-free  access ", "bar"],
    "time_zone": "America/New_York",
    "currency": "USD",
}


def person(house: House, *roles: str, theatres: tuple[str, ...] = ()) -> Person:
    return Person(house, mint(house.app[CLOCK].now()), roles, theatres)


@pytest.fixture
def admin(house: House) -> Person:
    return person(house, "admin")


async def opened(admin: Person, **changes: Any) -> dict[str, Any]:
    return await expect(await admin.post("/admin/theatres", {**ALDER, **changes}), 201)


async def refused(response: Any, status: int) -> str:
    return str((await expect(response, status))["code"])


async def change(who: Person, theatre_id: str, status: int = 200, *, match: str | None = None, **changes: Any) -> Any:
    headers = {} if match is None else {"If-Match": match}
    path = f"/admin/theatres/{theatre_id}"
    return await expect(await who.house.ask("PATCH", path, token=who.token, json=changes, headers=headers), status)


async def test_an_administrator_opens_a_theatre_that_everybody_finds(house: House, admin: Person) -> None:
    response = await admin.post("/admin/theatres", ALDER)
    made = await expect(response, 201)
    assert response.headers["Location"] == f"/api/v1/admin/theatres/{made['id']}"
    assert response.headers["ETag"] == '"1"'
    assert made["amenities"] == ["bar", "step-free access"]
    assert made["contact"] == {"email": "desk@alder.example", "phone": "+12125550100"}
    assert await expect(await admin.get(f"/admin/theatres/{made['id']}"), 200) == made
    public = await expect(await house.get(f"/theatres/{made['id']}"), 200)
    assert public == {key: value for key, value in made.items() if key not in ("version", "cancellation_policy")}
    assert (await expect(await house.get("/theatres?city=new%20york&q=pine"), 200))["items"] == [public]


async def test_a_key_opens_one_theatre(admin: Person) -> None:
    first = await admin.post("/admin/theatres", ALDER, key="open-alder")
    again = await admin.post("/admin/theatres", ALDER, key="open-alder")
    assert (first.status, await first.read()) == (again.status, await again.read())
    assert len((await expect(await admin.get("/admin/theatres"), 200))["items"]) == 1


async def test_managers_see_and_change_their_own_theatres_only(house: House, admin: Person) -> None:
    own, other = await opened(admin), await opened(admin, name="The Birch")
    manager = person(house, "manager", theatres=(own["id"],))
    assert [item["id"] for item in (await expect(await manager.get("/admin/theatres"), 200))["items"]] == [own["id"]]
    assert (await change(manager, own["id"], city="Albany"))["city"] == "Albany"
    path = f"/admin/theatres/{other['id']}"
    for response in (
        await manager.get(path),
        await manager.patch(path, {"city": "X Town"}),
        await manager.delete(path),
    ):
        assert await refused(response, 403) == "out_of_scope"
    assert await refused(await manager.post("/admin/theatres", {**ALDER, "name": "Mine too"}), 403) == "forbidden"
    for role in ("customer", "usher", "box_office"):
        assert (
            await refused(await person(house, role, theatres=(own["id"],)).get("/admin/theatres"), 403) == "forbidden"
        )
    assert await refused(await house.get("/admin/theatres"), 401) == "auth_required"


async def test_a_change_touches_what_it_names(admin: Person) -> None:
    made = await opened(admin)
    changed = await change(admin, made["id"], geo=None, contact={"phone": None, "website": "https://alder.example/"})
    contact = {"email": "desk@alder.example", "website": "https://alder.example/"}
    assert changed == {**made, "geo": None, "contact": contact, "version": 2}
    assert await change(admin, made["id"], name="The Alder") == changed  # nothing new, so no new version
    put = await admin.put(f"/admin/theatres/{made['id']}", {"pincode": None, "contact": None})
    assert await expect(put, 200) == {**changed, "pincode": "", "contact": {}, "version": 3}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"name": " "},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": None},
        {"currency": "usd"},
        {"currency": "ZZZ"},
        {"geo": {"lat": 91.0, "lng": 0.0}},
        {"geo": {"lat": 1.0}},
        {"contact": {"email": "nobody"}},
        {"contact": {"website": "javascript:alert(1)"}},
        {"amenities": ["x"] * 41},
        {"version": 7},
        {"id": "00000000-0000-7000-8000-000000000000"},
    ],
)
async def test_what_makes_no_theatre_is_refused(admin: Person, changes: dict[str, Any]) -> None:
    made = await opened(admin)
    assert (await change(admin, made["id"], 422, **changes))["code"] == "validation_failed"
    assert await refused(await admin.post("/admin/theatres", {**ALDER, "name": "New", **changes}), 422)
    assert await expect(await admin.get(f"/admin/theatres/{made['id']}"), 200) == made


async def test_a_name_is_taken_within_its_city(admin: Person) -> None:
    made, elsewhere = await opened(admin), await opened(admin, city="Boston")
    assert await refused(await admin.post("/admin/theatres", {**ALDER, "name": "the alder"}), 409) == "name_taken"
    assert (await change(admin, elsewhere["id"], 409, city="NEW YORK"))["code"] == "name_taken"
    assert (await change(admin, made["id"], name="THE ALDER"))["name"] == "THE ALDER"


async def test_of_those_who_saw_the_same_version_one_changes_it(admin: Person) -> None:
    made = await opened(admin)
    path = f"/admin/theatres/{made['id']}"
    answers = await asyncio.gather(
        *(
            admin.house.ask("PATCH", path, token=admin.token, headers={"If-Match": '"1"'}, json={"city": city})
            for city in ("Albany", "Boston", "Chicago")
        )
    )
    assert sorted(answer.status for answer in answers) == [200, 412, 412]
    stale = await admin.house.ask("DELETE", path, token=admin.token, headers={"If-Match": '"1"'})
    assert await refused(stale, 412) == "precondition_failed"


async def test_a_theatre_with_showtimes_stays_and_keeps_its_clock(house: House, pool: Pool) -> None:
    counter = await open_counter(house, rows=2, seats_per_row=4)
    manager, theatre_id = counter.manager(), counter.cinema.theatre_id
    path = f"/admin/theatres/{theatre_id}"
    assert await refused(await manager.delete(path), 409) == "has_showtimes"
    for changes in ({"time_zone": "Asia/Tokyo"}, {"currency": "JPY"}):
        assert (await change(manager, theatre_id, 409, **changes))["code"] == "has_showtimes"
    assert (await change(manager, theatre_id, time_zone="Asia/Kolkata", city="Goa"))["city"] == "Goa"
    await pool.execute("UPDATE showtime SET status = 'cancelled'")
    assert (await change(manager, theatre_id, time_zone="Asia/Tokyo"))["time_zone"] == "Asia/Tokyo"
    assert await refused(await manager.delete(path), 409) == "has_showtimes"


async def test_a_theatre_without_showtimes_closes_with_its_screens_and_drawings(house: House, pool: Pool) -> None:
    counter = await open_counter(house, rows=2, seats_per_row=4)
    for table in ("event", "snapshot", "stream", "showtime"):
        await pool.execute(f"DELETE FROM {table}")
    path = f"/admin/theatres/{counter.cinema.theatre_id}"
    assert (await counter.manager().delete(path)).status == 204
    assert await refused(await counter.manager().get(path), 404) == "theatre_not_found"
    assert (await house.get(f"/theatres/{counter.cinema.theatre_id}")).status == 404
    for table in ("theatre", "screen", "layout"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_the_nearest_theatre_comes_first_page_after_page(house: House, admin: Person) -> None:
    places = {f"Hall {i}": (round(-60 + i * 9.7, 3), round(-170 + i * 25.3, 3)) for i in range(13)}
    for name, (lat, lng) in places.items():
        await opened(admin, name=name, geo={"lat": lat, "lng": lng})
    await opened(admin, name="Nowhere in particular", geo=None)
    here = (48.1, 179.5)
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await expect(await house.get(f"/theatres?near=48.1,179.5&radius_km=12000&limit=3{cursor}"), 200)
        items += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    far = {name: kilometres(here, place) for name, place in places.items()}
    assert [item["name"] for item in items] == sorted((n for n in far if far[n] <= 12_000), key=far.__getitem__)
    assert 2 < len(items) < len(places)
    for item in items:
        assert item["distance_km"] == pytest.approx(far[item["name"]], abs=0.02)


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    (lat, lng), (other_lat, other_lng) = a, b
    half = sin(radians(other_lat - lat) / 2) ** 2
    half += cos(radians(lat)) * cos(radians(other_lat)) * sin(radians(other_lng - lng) / 2) ** 2
    return 12_742 * asin(sqrt(half))


async def test_managers_page_through_their_theatres_by_name(house: House, admin: Person) -> None:
    ids = [(await opened(admin, name=name))["id"] for name in ("beta", "Alpha", "gamma", "Delta")]
    manager = person(house, "manager", theatres=tuple(ids[:3]))
    first = await expect(await manager.get("/admin/theatres?limit=2"), 200)
    rest = await expect(await manager.get(f"/admin/theatres?limit=2&cursor={first['next_cursor']}"), 200)
    assert [item["name"] for item in first["items"] + rest["items"]] == ["Alpha", "beta", "gamma"]
    assert rest["next_cursor"] is None
