"""Films: written by administrators, read by managers, shown to everybody only while they are published."""

import asyncio
from typing import Any

import pytest

from tests.server.house import House
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter

FILM = {
    "title": "The  Long   Walk ",
    "description": "Two hours of walking.",
    "duration_minutes": 121,
    "genres": ["Drama", "drama", "Western"],
    "languages": ["English", "Hindi"],
    "certificate": "UA",
    "cast": ["Ana Lee", "Bo Chan"],
    "director": "Cy Doe",
    "poster_url": "https://posters.example/walk.jpg",
    "trailer_url": "https://trailers.example/walk",
    "release_date": "2026-11-01",
    "end_date": "2126-12-31",
    "external_ids": {"imdb": "tt0000001"},
}


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house)


@pytest.fixture
def admin(counter: Counter) -> Person:
    return counter.person("admin")


async def add(admin: Person, **given: Any) -> dict[str, Any]:
    return await expect(await admin.post("/admin/movies", {**FILM, **given}), 201)


async def test_a_film_is_added_with_all_that_is_known_about_it(counter: Counter, admin: Person) -> None:
    response = await admin.post("/admin/movies", FILM)
    made = await expect(response, 201)
    assert response.headers["Location"] == f"/api/v1/admin/movies/{made['id']}"
    assert {name: made[name] for name in FILM} == {**FILM, "title": "The Long Walk", "genres": ["Drama", "Western"]}
    assert (made["publication"], made["version"], made["next_showtimes_count"]) == ("draft", 1, 0)
    again = await counter.manager().get(f"/admin/movies/{made['id']}")
    assert again.headers["ETag"] == '"1"'
    assert await expect(again, 200) == made


async def test_only_published_films_are_public_and_archived_ones_can_come_back(counter: Counter, admin: Person) -> None:
    house, film = counter.house, await add(admin)

    async def shown() -> tuple[int, list[str]]:
        listed = await expect(await house.get("/movies?q=walk"), 200)
        return (await house.get(f"/movies/{film['id']}")).status, [item["id"] for item in listed["items"]]

    assert await shown() == (404, [])
    published = await expect(await admin.post(f"/admin/movies/{film['id']}/publish"), 200)
    assert (published["publication"], published["version"], published["status"]) == ("published", 2, "now_showing")
    assert await shown() == (200, [film["id"]])
    again = await expect(await admin.post(f"/admin/movies/{film['id']}/publish"), 200)
    assert again["version"] == 2
    await expect(await admin.post(f"/admin/movies/{film['id']}/archive"), 200)
    assert await shown() == (404, [])
    listed = await expect(await counter.manager().get("/admin/movies?publication=archived"), 200)
    assert [item["id"] for item in listed["items"]] == [film["id"]]
    await expect(await admin.post(f"/admin/movies/{film['id']}/publish"), 200)
    assert await shown() == (200, [film["id"]])


async def test_bookings_and_showtimes_go_on_naming_an_archived_film(counter: Counter, admin: Person) -> None:
    ana = counter.person()
    booking = await ana.buy(counter.showtime_id, "A1")
    await expect(await admin.post(f"/admin/movies/{counter.cinema.movie_id}/archive"), 200)
    page = await expect(await ana.get(f"/bookings/{booking['id']}"), 200)
    assert page["showtime"]["movie"]["title"] == "The Long Night"
    showtime = await expect(await counter.house.get(f"/showtimes/{counter.showtime_id}"), 200)
    assert showtime["movie"]["title"] == "The Long Night"


async def test_the_same_title_in_the_same_languages_is_there_once(admin: Person) -> None:
    film = await add(admin)
    for given in ({"title": "the long walk", "languages": ["hindi", "English"]}, {"release_date": "2020-01-01"}):
        problem = await expect(await admin.post("/admin/movies", {**FILM, **given, "external_ids": {}}), 409)
        assert problem["code"] == "movie_exists"
    dubbed = await add(admin, languages=["German"])
    problem = await expect(await admin.patch(f"/admin/movies/{dubbed['id']}", {"languages": FILM["languages"]}), 409)
    assert problem["code"] == "movie_exists"
    renamed = await expect(await admin.patch(f"/admin/movies/{film['id']}", {"title": "THE LONG WALK"}), 200)
    assert renamed["title"] == "THE LONG WALK"


async def test_of_many_who_add_the_same_film_at_once_one_does(admin: Person) -> None:
    answers = await asyncio.gather(*(admin.post("/admin/movies", FILM) for _ in range(8)))
    assert sorted(response.status for response in answers) == [201] + [409] * 7


async def test_the_same_key_adds_a_film_once(admin: Person) -> None:
    key = fresh_key()
    first = await expect(await admin.post("/admin/movies", FILM, key=key), 201)
    assert await expect(await admin.post("/admin/movies", FILM, key=key), 201) == first


async def test_what_is_named_is_changed_unless_somebody_was_faster(counter: Counter, admin: Person) -> None:
    film = await add(admin)
    path = f"/admin/movies/{film['id']}"
    first = await counter.house.ask(
        "PATCH", path, token=admin.token, json={"poster_url": None, "cast": []}, headers={"If-Match": '"1"'}
    )
    changed = await expect(first, 200)
    assert changed == {**film, "poster_url": None, "cast": [], "version": 2}
    assert first.headers["ETag"] == '"2"'
    for method in ("PATCH", "PUT", "DELETE"):
        body = {} if method == "DELETE" else {"json": {"director": "Di"}}
        late = await counter.house.ask(method, path, token=admin.token, headers={"If-Match": '"1"'}, **body)
        assert (await expect(late, 412))["code"] == "precondition_failed"
    assert (await expect(await admin.put(path, {"director": "Di"}), 200))["director"] == "Di"


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("title", {"title": "  "}),
        ("title", {"title": "x" * 301}),
        ("title", {"title": None}),
        ("duration_minutes", {"duration_minutes": 0}),
        ("duration_minutes", {"duration_minutes": 901}),
        ("duration_minutes", {"duration_minutes": "90"}),
        ("genres.0", {"genres": [""]}),
        ("languages", {"languages": [f"l{number}" for number in range(41)]}),
        ("poster_url", {"poster_url": "javascript:alert(1)"}),
        ("trailer_url", {"trailer_url": "//elsewhere.example/x"}),
        ("release_date", {"release_date": "1st of May"}),
        ("release_date", {"release_date": 0}),
        ("end_date", {"end_date": "2026-10-31"}),
        ("external_ids", {"external_ids": []}),
        ("status", {"status": "now_showing"}),
    ],
)
async def test_a_wrong_field_is_named(admin: Person, path: str, wrong: dict[str, Any]) -> None:
    film = await add(admin, title="Right")
    for response in (
        await admin.post("/admin/movies", {**FILM, **wrong}),
        await admin.patch(f"/admin/movies/{film['id']}", wrong),
    ):
        problem = await expect(response, 422)
        assert problem["code"] == "validation_failed"
        assert [error["path"] for error in problem["errors"]] == [path]


async def test_a_film_is_deleted_only_while_it_was_never_in_the_programme(counter: Counter, admin: Person) -> None:
    film = await add(admin)
    assert (await admin.delete(f"/admin/movies/{film['id']}")).status == 204
    assert (await admin.get(f"/admin/movies/{film['id']}")).status == 404
    path = f"/admin/movies/{counter.cinema.movie_id}"
    assert (await expect(await admin.delete(path), 409))["code"] == "has_showtimes"
    await counter.person().buy(counter.showtime_id, "A1")
    assert (await expect(await admin.delete(path), 409))["code"] == "has_sales"


async def test_all_films_are_listed_by_title_page_by_page(admin: Person) -> None:
    for number in range(7):
        await add(admin, title=f"Part {number}", external_ids={})
    titles, cursor = [], ""
    while True:
        page = await expect(await admin.get(f"/admin/movies?q=part&limit=3{cursor}"), 200)
        titles += [item["title"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert titles == [f"Part {number}" for number in range(7)]


@pytest.mark.parametrize(
    ("dates", "status"),
    [
        ({"release_date": "2100-01-01", "end_date": None}, "coming_soon"),
        ({"release_date": None, "end_date": None}, "coming_soon"),
        ({"release_date": "2020-01-01", "end_date": "2020-02-01"}, "ended"),
        ({"release_date": "2020-01-01", "end_date": None}, "ended"),
        ({"release_date": "2020-01-01", "end_date": "2100-01-01"}, "now_showing"),
    ],
)
async def test_the_status_follows_from_the_dates(admin: Person, dates: dict[str, Any], status: str) -> None:
    assert (await add(admin, **dates))["status"] == status
