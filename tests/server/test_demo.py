"""The demo is a plausible house, is loaded once, and grows by a day a day."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest

from actors.runtime.clock import ManualClock
from actors.seatmap.layout import Layout, SeatKind
from persistence import accounts, catalog, houses, programme
from persistence.catalog import MovieFilter, Theatre, TheatreFilter
from persistence.database import Pool
from persistence.houses import ScreenSearch
from persistence.layouts import StoredLayouts
from persistence.programme import ProgrammeFilter, Showtime
from server.config import Config
from server.demo import demo_id, load_into
from server.importing import ImportRefused, import_layout, import_movies

DAY_MS = 86_400_000
MORNING = int(datetime(2026, 11, 21, 0, 30, tzinfo=UTC).timestamp()) * 1_000
CONFIG = Config(jwt_secret="a secret that is only used in tests, long enough")
MOVIES = Path(__file__).parents[2] / "server" / "demo" / "movies.json"


async def load(pool: Pool, clock: ManualClock) -> tuple[int, int, int]:
    loaded = await load_into(pool, CONFIG, clock, password_cost=4)
    return loaded.movies, loaded.showtimes, loaded.users


async def whole_programme(pool: Pool) -> list[Showtime]:
    return await programme.showtimes(pool, ProgrammeFilter(), 1_000)


async def layouts(pool: Pool) -> Sequence[Layout]:
    stored = StoredLayouts(pool)
    return [await stored.layout(row.id) for row in await catalog.layouts(pool, None, 100)]


async def test_it_has_films_theatres_screens_and_a_week(pool: Pool) -> None:
    movies, showtimes, users = await load(pool, ManualClock(MORNING))
    assert (movies, users) == (24, 4)
    assert 180 <= showtimes <= 240
    theatres = await catalog.theatres(pool, TheatreFilter(), 10)
    assert {theatre.currency for theatre in theatres} == {"INR", "EUR", "USD"}
    assert len({theatre.time_zone for theatre in theatres}) == 3
    screens = await houses.screens(pool, ScreenSearch(), 100)
    assert len(screens) == 8
    assert len({screen.layout_id for screen in screens}) == 5
    listed = await catalog.movies(pool, MovieFilter(), MORNING, 100)
    assert {movie.status for movie in listed} == {"now_showing"}
    assert len({genre for movie in listed for genre in movie.genres}) >= 10


async def test_its_halls_have_what_halls_have(pool: Pool) -> None:
    await load(pool, ManualClock(MORNING))
    drawn = await layouts(pool)
    capacities = sorted(layout.capacity for layout in drawn)
    assert capacities[0] in range(55, 70)
    assert capacities[-1] in range(430, 470)
    seats = [seat for layout in drawn for seat in layout.seats.values()]
    assert {seat.kind for seat in seats} == set(SeatKind)
    attributes = {attribute for seat in seats for attribute in seat.attributes}
    assert attributes == {"aisle", "restricted_view", "recliner", "love_seat"}
    assert any(len(layout.zones) > 1 for layout in drawn)
    for layout in drawn:
        assert min(layout.seats.values(), key=lambda seat: seat.distance).category == "premium", layout.name
        for seat in layout.seats.values():
            if seat.partner is not None:
                assert layout.seats[seat.partner].partner == seat.label
            if seat.kind is not SeatKind.STANDARD or seat.category == "love_seat":
                assert seat.partner in (seat.left, seat.right)


async def test_no_two_films_run_at_once_and_each_fits_its_evening(pool: Pool) -> None:
    await load(pool, ManualClock(MORNING))
    shown = await whole_programme(pool)
    for screen_id in {showtime.screen_id for showtime in shown}:
        day = [showtime for showtime in shown if showtime.screen_id == screen_id]
        for first, second in pairwise(day):
            assert first.ends_at + 20 * 60_000 <= second.starts_at
    assert all(10 < showtime.local_start.hour < 24 for showtime in shown)
    assert set(Counter(showtime.movie_title for showtime in shown).values()) <= set(range(1, 31))
    assert len({showtime.movie_id for showtime in shown}) == 24
    assert all(showtime.format == "3D" for showtime in shown if showtime.movie_title == "U2 3D")


async def test_loading_it_again_changes_nothing_and_tomorrow_adds_a_day(pool: Pool) -> None:
    clock = ManualClock(MORNING)
    await load(pool, clock)
    before = await whole_programme(pool)
    assert await load(pool, clock) == (0, 0, 0)
    clock.advance(DAY_MS)
    movies, showtimes, users = await load(pool, clock)
    assert (movies, users) == (0, 0)
    after = await whole_programme(pool)
    assert [showtime.id for showtime in after][: len(before)] != []
    assert {showtime.id for showtime in before} < {showtime.id for showtime in after}
    assert len(after) - len(before) == showtimes
    assert 20 <= showtimes <= 45


async def test_a_house_that_has_its_names_is_left_as_it_is(pool: Pool) -> None:
    other = Theatre(
        demo_id("theatre", "another"), "The Lantern", "Mumbai", "", "", None, None, (), {}, "Asia/Kolkata", "INR"
    )
    await catalog.put_theatre(pool, other)
    assert await load(pool, ManualClock(MORNING)) == (0, 0, 4)
    assert [theatre.id for theatre in await catalog.theatres(pool, TheatreFilter(), 10)] == [other.id]


@pytest.mark.parametrize("month", [3, 10])
async def test_a_week_with_a_change_of_clocks_has_no_overlap(pool: Pool, month: int) -> None:
    sunday = datetime(2026, month, 31, tzinfo=UTC)
    sunday -= timedelta(days=(sunday.weekday() + 1) % 7)
    _, showtimes, _ = await load(pool, ManualClock(int((sunday - timedelta(days=2)).timestamp()) * 1_000))
    assert showtimes > 150


async def test_every_seat_of_a_showtime_has_a_price_for_everybody(pool: Pool) -> None:
    await load(pool, ManualClock(MORNING))
    stored = StoredLayouts(pool)
    for showtime in (await whole_programme(pool))[::7]:
        detail = await programme.showtime(pool, showtime.id)
        assert detail is not None
        layout = await stored.layout(showtime.layout_id)
        assert {seat.category for seat in layout.seats.values()} == set(detail.tariff.prices)
        for by_type in detail.tariff.prices.values():
            assert set(by_type) == {"adult", "child", "senior", "student"}
            assert 0 < by_type["child"] < by_type["adult"]
        assert showtime.free_seats == showtime.capacity == layout.capacity


def test_its_ids_are_of_the_version_that_all_ids_have() -> None:
    assert UUID(demo_id("theatre", "lantern")).version == 7
    assert demo_id("theatre", "lantern") == demo_id("theatre", "lantern") != demo_id("screen", "lantern")


async def test_its_people_can_do_what_their_names_say(pool: Pool) -> None:
    await load(pool, ManualClock(MORNING))
    roles = {}
    for name in ("admin", "manager", "ana", "bob"):
        account = await accounts.by_email(pool, f"{name}@demo.example")
        assert account is not None
        roles[name] = account.roles
    assert roles == {"admin": ("admin",), "manager": ("manager",), "ana": ("customer",), "bob": ("customer",)}
    manager = await accounts.by_email(pool, "manager@demo.example")
    assert manager is not None
    assert manager.theatre_ids == (demo_id("theatre", "lantern"), demo_id("theatre", "morgenstern"))


async def test_the_whole_list_of_films_is_imported_once(pool: Pool, database_url: str) -> None:
    assert await import_movies(database_url, MOVIES) == (1_190, 1_190)
    assert await import_movies(database_url, MOVIES) == (1_190, 0)
    await pool.execute("UPDATE movie SET title = 'Renamed', release_date = '1999-04-01' WHERE title = 'The Matrix'")
    heard: list[tuple[int, int]] = []
    assert await import_movies(database_url, MOVIES, lambda done, of: heard.append((done, of))) == (1_190, 0)
    assert heard == [(min(done, 1_190), 1_190) for done in range(100, 1_201, 100)]
    statuses = {movie.status for movie in await catalog.movies(pool, MovieFilter(), MORNING, 2_000)}
    assert statuses == {"ended"}


async def test_the_demo_finds_its_films_among_imported_ones(pool: Pool, database_url: str) -> None:
    await import_movies(database_url, MOVIES)
    movies, showtimes, _ = await load(pool, ManualClock(MORNING))
    assert movies == 0
    assert showtimes > 100
    shown = "SELECT count(*) FROM showtime s JOIN movie m ON m.id = s.movie_id WHERE m.publication = 'published'"
    assert await pool.fetchval(shown) == showtimes


async def test_a_file_that_is_no_list_is_refused_with_a_sentence(database_url: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('[{"title": "No length"}]')
    with pytest.raises(ImportRefused, match=r"0\.duration_minutes"):
        await import_movies(database_url, bad)
    with pytest.raises(ImportRefused, match="not a seating plan"):
        await import_layout(database_url, bad)
    with pytest.raises(ImportRefused, match="cannot be read"):
        await import_movies(database_url, tmp_path / "missing.json")


@pytest.mark.parametrize("title", ["", "  ", "Nu\x00l"])
async def test_a_film_with_a_title_that_is_none_is_refused_with_a_sentence(
    database_url: str, tmp_path: Path, title: str
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps([{"title": "Good", "duration_minutes": 90}, {"title": title, "duration_minutes": 90}]))
    with pytest.raises(ImportRefused, match=r"1\.title: "):
        await import_movies(database_url, bad)
