"""The programme's lists: how much of the database a page of them touches, and where pages begin and end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from actors.ids import mint
from actors.seatmap.layout import from_plan, from_shortcut
from actors.seatmap.terms import Tariff, Terms
from persistence import catalog, programme
from persistence.catalog import Movie, Theatre
from persistence.database import Pool
from persistence.layouts import to_row
from persistence.programme import NewShowtime, ProgrammeFilter

NOW = 1_790_000_000_000
HOUR = 3_600_000
FILMS, THEATRES, SCREENS = 30, 10, 40
PIECE = 1_000
PAGES_MAX = 1_000
"""Reading the whole programme touches far more than ten thousand."""


class Explained:
    """An executor that does what it is asked and remembers how many pages of tables and indexes that touched."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.pages = 0

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        [row] = await self._pool.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *arguments)
        [told] = orjson.loads(row[0])
        self.pages = told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"]
        return []


async def fill(pool: Pool, count: int, *, past: int) -> ProgrammeFilter:
    """`count` showtimes, three hours apart on each of forty screens, the first `past` of each screen over by now.

    The filter names a film, a theatre, a screen and a day that have some.
    """
    layout = from_plan(mint(NOW), 1, from_shortcut("Hall", 4, 10))
    movies = [
        Movie(mint(NOW), f"Film {n}", "", 100, (), ("en",), "U", (), "", None, None, None, None, {}, "published")
        for n in range(FILMS)
    ]
    theatres = [
        Theatre(mint(NOW), f"House {n}", f"City {n % 3}", "", "", None, None, (), {}, "Europe/Berlin", "EUR")
        for n in range(THEATRES)
    ]
    screens = [mint(NOW) for _ in range(SCREENS)]
    tariff = Tariff("EUR", {"standard": {"adult": 1_000}}, "adult", 0, 0)
    async with pool.acquire() as connection, connection.transaction():
        await catalog.put_movies(connection, movies)
        await catalog.put_layout(connection, to_row(layout, mint(NOW)))
        for theatre in theatres:
            await catalog.put_theatre(connection, theatre)
        for n, screen_id in enumerate(screens):
            await catalog.put_screen(connection, screen_id, theatres[n % THEATRES].id, f"{n}", ["2D"], layout.id)
        new = []
        for n in range(count):
            starts_at = NOW + (n // SCREENS + 1 - past) * 3 * HOUR
            film, screen_id = movies[n % FILMS].id, screens[n % SCREENS]
            terms = Terms(film, screen_id, layout.id, starts_at, starts_at + 2 * HOUR, 0, starts_at, tariff, ())
            new.append(NewShowtime(mint(NOW), terms, "en", "2D", 0, 10, 40, 1_000))
        for begin in range(0, count, PIECE):
            await programme.put_showtimes(connection, new[begin : begin + PIECE])
    await pool.execute("ANALYZE")
    today = programme.business_date(NOW, "Europe/Berlin")
    return ProgrammeFilter(
        movie_id=movies[3].id, theatre_id=theatres[3].id, screen_id=screens[3], city="city 1", language="EN",
        format="2d", since_day=today, until_day=today + timedelta(days=1),
    )  # fmt: skip


@pytest.mark.parametrize("past", [0, 120])
async def test_a_page_among_ten_thousand_showtimes_touches_as_little_as_among_a_few_hundred(
    pool: Pool, past: int
) -> None:
    some = await fill(pool, 10_000, past=past)
    upcoming = ProgrammeFilter(ending_after=NOW)
    for wanted in (
        upcoming,
        replace(upcoming, after=(NOW + 24 * HOUR, mint(NOW))),
        replace(upcoming, movie_id=some.movie_id),
        replace(upcoming, theatre_id=some.theatre_id),
        replace(upcoming, screen_id=some.screen_id),
        replace(upcoming, city=some.city),
        replace(upcoming, language=some.language, format=some.format),
        ProgrammeFilter(theatre_id=some.theatre_id, since_day=some.since_day, until_day=some.until_day),
        ProgrammeFilter(city=some.city, since_day=some.since_day, until_day=some.until_day),
    ):
        assert await programme.showtimes(pool, wanted, 21), wanted
        explained = Explained(pool)
        await programme.showtimes(explained, wanted, 21)
        assert explained.pages < PAGES_MAX, (wanted, explained.pages)


async def test_pages_follow_each_other_without_a_gap_or_a_repetition(pool: Pool) -> None:
    await fill(pool, 200, past=1)
    wanted = ProgrammeFilter(ending_after=NOW)
    whole = await programme.showtimes(pool, wanted, 1_000)
    assert len(whole) == 200
    seen: list[str] = []
    while page := await programme.showtimes(pool, wanted, 7):
        seen += [each.id for each in page]
        wanted = replace(wanted, after=(page[-1].starts_at, page[-1].id))
    assert seen == [each.id for each in whole]
