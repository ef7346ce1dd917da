"""What everybody may read: films, theatres, screens, layouts and the programme, over the demo house."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.runtime.clock import ManualClock
from persistence.database import Pool
from server.config import Config
from server.demo import demo_id, load_into
from tests.server.house import SECRET, House, open_house

MORNING = int(datetime(2026, 11, 21, 0, 30, tzinfo=UTC).timestamp()) * 1_000
LANTERN = demo_id("theatre", "lantern")
NOWHERE = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def house(database_url: str, pool: Pool) -> AsyncIterator[House]:
    clock = ManualClock(MORNING)
    await load_into(pool, Config(jwt_secret=SECRET), clock, password_cost=4)
    async with open_house(database_url, clock=clock) as house:
        # The doors open one after the other: every actor has to notice that its sale has begun.
        while await pool.fetchval("SELECT count(*) FROM showtime WHERE sales = 'not_open'"):
            await asyncio.sleep(0.01)
        yield house


async def read(house: House, path: str) -> Any:
    response = await house.get(path)
    assert response.status == 200, await response.text()
    return await response.json()


async def every(house: House, path: str, limit: int) -> list[Any]:
    """All items of a list, page by page."""
    items: list[Any] = []
    cursor = ""
    while True:
        page = await read(house, f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        assert len(page["items"]) == limit
        cursor = f"&cursor={page['next_cursor']}"


async def test_films_are_listed_by_title_and_read_one_by_one(house: House) -> None:
    films = await every(house, "/movies", 7)
    assert len(films) == 24
    assert [film["title"].lower() for film in films] == sorted(film["title"].lower() for film in films)
    film = await read(house, f"/movies/{films[0]['id']}")
    assert film == films[0]
    assert film["status"] == "now_showing"
    assert film["next_showtimes_count"] == len(await every(house, f"/movies/{film['id']}/showtimes", 50))


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("genre=western", {"3:10 to Yuma"}),
        ("q=matrix", {"The Matrix"}),
        ("q=mulin%20rouge", {"Moulin Rouge"}),
        ("title=AMÉLIE", {"Le Fabuleux destin d'Amélie Poulain"}),
        ("language=french", {"Le Fabuleux destin d'Amélie Poulain", "La marche de l'empereur"}),
        ("status=ended", set()),
        ("city=Atlantis", set()),
        ("date=2031-01-01", set()),
    ],
)
async def test_films_are_found(house: House, query: str, titles: set[str]) -> None:
    assert {film["title"] for film in await every(house, f"/movies?{query}", 100)} == titles


async def test_films_of_a_city_and_day_are_those_that_run_there_then(house: House) -> None:
    films = {film["id"] for film in await every(house, "/movies?city=berlin&date=2026-11-22", 100)}
    shown = {showtime["movie"]["id"] for showtime in await every(house, "/showtimes?city=Berlin&date=2026-11-22", 100)}
    assert films == shown
    assert films


async def test_theatres_are_found_by_name_and_by_distance(house: House) -> None:
    theatres = (await read(house, "/theatres"))["items"]
    assert [theatre["name"] for theatre in theatres] == ["Kino Morgenstern", "The Alder", "The Lantern"]
    near = (await read(house, "/theatres?near=48.1,11.6&radius_km=20000"))["items"]
    assert [theatre["city"] for theatre in near] == ["Berlin", "Mumbai", "New York"]
    assert 400 < near[0]["distance_km"] < 600
    assert [item["city"] for item in await every(house, "/theatres?near=48.1,11.6&radius_km=20000", 1)] == [
        "Berlin",
        "Mumbai",
        "New York",
    ]
    assert [item["name"] for item in (await read(house, "/theatres?q=sternstra"))["items"]] == ["Kino Morgenstern"]
    assert (await read(house, f"/theatres/{LANTERN}"))["currency"] == "INR"


async def test_a_screen_shows_the_layout_it_sells(house: House) -> None:
    screens = (await read(house, f"/theatres/{LANTERN}/screens"))["items"]
    assert [screen["name"] for screen in screens] == ["Courtyard", "Palace", "Studio"]
    pages = [await read(house, f"/theatres/{LANTERN}/screens?limit=1")]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(await read(house, f"/theatres/{LANTERN}/screens?limit=1&cursor={cursor}"))
    assert [page["items"] for page in pages] == [[screen] for screen in screens]
    palace = await read(house, f"/screens/{screens[1]['id']}")
    drawing = await read(house, f"/screens/{palace['id']}/layout")
    seats = [seat for row in drawing["rows"] for seat in row["seats"]]
    assert len(seats) == drawing["capacity"] == palace["capacity"] == 446
    assert {"seat", "number", "x", "y", "category", "kind", "attrs"} <= seats[0].keys()
    assert [zone["key"] for zone in drawing["zones"]] == ["stalls", "balcony"]
    assert "BAL-C12" in {seat["seat"] for seat in seats}
    old = await house.get(f"/screens/{palace['id']}/layout?version=1")
    assert "immutable" in old.headers["Cache-Control"]
    assert await old.json() == drawing == await read(house, f"/layouts/{palace['layout_id']}")
    assert (await house.get(f"/screens/{palace['id']}/layout?version=2")).status == 404


async def test_the_programme_is_listed_by_start_without_gaps_between_pages(house: House) -> None:
    shown = await every(house, "/showtimes", 17)
    assert len(shown) >= 180
    assert [item["starts_at"] for item in shown] == sorted(item["starts_at"] for item in shown)
    assert len({item["id"] for item in shown}) == len(shown)


async def test_a_day_of_the_programme_is_a_cinema_day_in_local_time(house: House) -> None:
    for theatre in (await read(house, "/theatres"))["items"]:
        shown = await every(house, f"/showtimes?theatre_id={theatre['id']}&date=2026-11-22", 100)
        assert shown
        assert {item["business_date"] for item in shown} == {"2026-11-22"}
        for item in shown:
            local = datetime.fromisoformat(item["starts_at_local"])
            assert local == datetime.fromisoformat(item["starts_at"])
            assert local.hour >= 6
        again = await every(house, f"/theatres/{theatre['id']}/showtimes?date=2026-11-22", 100)
        assert again == shown


async def test_filters_of_the_programme_narrow_it(house: House) -> None:
    everything = await every(house, "/showtimes", 100)
    facets = await read(house, "/showtimes/facets")
    assert set(facets["formats"]) == {"2D", "3D"}
    assert facets["dates"] == sorted({item["business_date"] for item in everything})
    assert len(facets["movies"]) == 24
    for query, keep in (
        ("format=3d", lambda item: item["format"] == "3D"),
        ("language=hindi", lambda item: item["language"] == "Hindi"),
        ("city=new%20york", lambda item: item["theatre"]["city"] == "New York"),
        (f"screen_id={everything[0]['screen']['id']}", lambda item: item["screen"] == everything[0]["screen"]),
        ("from=2026-11-22T00:00:00Z&to=2026-11-23T00:00:00Z", lambda item: item["starts_at"][:10] == "2026-11-22"),
    ):
        found = await every(house, f"/showtimes?{query}", 100)
        assert found == [item for item in everything if keep(item)], query
        assert found, query


async def test_showtimes_of_a_film_come_by_theatre_on_request(house: House) -> None:
    film = (await read(house, "/movies?q=inception"))["items"][0]
    groups = (await read(house, f"/movies/{film['id']}/showtimes?group=theatre&limit=100"))["items"]
    flat = (await read(house, f"/movies/{film['id']}/showtimes?limit=100"))["items"]
    assert sum(len(group["showtimes"]) for group in groups) == len(flat)
    assert all(item["theatre"] == group["theatre"] for group in groups for item in group["showtimes"])
    week = (await read(house, f"/movies/{film['id']}/showtimes?date=2026-11-20&days=30&limit=100"))["items"]
    assert week == flat


async def test_a_showtime_says_what_a_seat_costs_all_in(house: House) -> None:
    listed = (await read(house, f"/showtimes?theatre_id={LANTERN}&limit=1"))["items"][0]
    page = await read(house, f"/showtimes/{listed['id']}")
    assert {key: page[key] for key in listed} == listed
    assert page["hold_ttl_s"] == 600
    assert page["max_seats"] == 10
    assert page["cancellation_policy"][0] == {
        "hours_before": 24,
        "refund_pct": 100.0,
        "fee": {"amount": 0, "currency": "INR"},
    }
    for price in page["prices"]:
        assert price["total"] == price["amount"] + price["fee"] + price["tax"]
        assert price["currency"] == "INR"
    adult = [price["amount"] for price in page["prices"] if price["ticket_type"] == "adult"]
    assert page["price_from"] == {"amount": min(adult), "currency": "INR"}


async def test_lists_show_the_free_seats_of_this_moment(house: House) -> None:
    showtime = (await read(house, "/showtimes?limit=1"))["items"][0]
    guest = await house.guest()
    held = await house.post(
        f"/showtimes/{showtime['id']}/holds",
        {"best_available": {"count": 3}},
        token=guest["access_token"],
    )
    assert held.status == 201, await held.text()
    again = (await read(house, "/showtimes?limit=1"))["items"][0]
    assert again["free_seats"] == showtime["free_seats"] - 3
    assert (await read(house, f"/showtimes/{showtime['id']}"))["free_seats"] == again["free_seats"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/movies/{NOWHERE}", "movie_not_found"),
        ("/movies/1", "movie_not_found"),
        (f"/movies/{NOWHERE}/showtimes", "movie_not_found"),
        (f"/theatres/{NOWHERE}", "theatre_not_found"),
        (f"/theatres/{NOWHERE}/screens", "theatre_not_found"),
        (f"/screens/{NOWHERE}", "screen_not_found"),
        (f"/screens/{NOWHERE}/layout", "layout_not_found"),
        (f"/layouts/{NOWHERE}", "layout_not_found"),
        (f"/showtimes/{NOWHERE}", "showtime_not_found"),
        ("/showtimes/%00", "showtime_not_found"),
    ],
)
async def test_what_does_not_exist_is_not_found(house: House, path: str, code: str) -> None:
    response = await house.get(path)
    assert (response.status, (await response.json())["code"]) == (404, code)


@pytest.mark.parametrize(
    "path",
    [
        "/movies?limit=0",
        "/movies?limit=101",
        "/movies?limit=x",
        "/movies?cursor=abc",
        "/movies?cursor=WyJ4Il0",
        "/movies?status=later",
        "/movies?date=tomorrow",
        "/movies?date=0001-01-01",
        "/movies?q=%00",
        "/movies?q=" + "x" * 201,
        "/showtimes?cursor=WyJ4eHgiLCIwMDAwMDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDAiXQ",
        "/showtimes?movie_id=1",
        "/showtimes?from=2026-11-22",
        "/showtimes?from=2026-11-22T00:00:00",
        "/showtimes?to=0001-01-01T00:00:00Z",
        "/theatres?near=1",
        "/theatres?near=91,0",
        "/theatres?near=nan,0",
        "/theatres?radius_km=inf",
        f"/movies/{demo_id('movie', 'Inception')}/showtimes?days=31&date=2026-11-21",
    ],
)
async def test_a_strange_question_is_refused(house: House, path: str) -> None:
    response = await house.get(path)
    assert (response.status, (await response.json())["code"]) == (422, "validation_failed")


async def test_who_has_the_present_answer_hears_only_that(house: House) -> None:
    for path in ("/movies", "/theatres", "/layouts", "/showtimes", "/showtimes/facets"):
        first = await house.get(path)
        assert first.headers["Cache-Control"].startswith("public")
        again = await house.get(path, headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
        assert (again.status, await again.read()) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert (await house.get(path, headers={"If-None-Match": '"other"'})).status == 200


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/movies/upcoming", "/api/v1/movies?status=coming_soon"),
        ("/movies/search?q=x", "/api/v1/movies?q=x"),
        ("/theaters?city=Berlin", "/api/v1/theatres?city=Berlin"),
        (f"/theaters/{LANTERN}", f"/api/v1/theatres/{LANTERN}"),
    ],
)
async def test_old_addresses_lead_on(house: House, old: str, new: str) -> None:
    response = await house.get(old, allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (308, new)
