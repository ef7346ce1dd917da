"""The demo: a house to look around in, with real films, three theatres, a week of showtimes, and people.

Everything gets its id from its name, so loading the demo again changes nothing, and tomorrow adds the new day only.
The demo's users exist only where somebody loaded the demo.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson
import structlog

from actors.ids import mint
from actors.runtime.clock import Clock, SystemClock
from actors.seatmap.bookings import derived_id
from actors.seatmap.commands import ActorKind, Cause
from actors.seatmap.layout import Layout, from_plan
from actors.seatmap.terms import Instant, Terms
from persistence import accounts, catalog, programme
from persistence.catalog import Movie, Theatre
from persistence.database import Connection, Pool, open_pool
from persistence.journal import schedule_all
from persistence.layouts import to_row
from persistence.programme import NewShowtime, business_date
from server.auth.passwords import COST, Passwords
from server.config import Config
from server.demo.drawings import plan_of
from server.demo.week import (
    CLEANING_MINUTES,
    DAYS,
    PRESHOW_MINUTES,
    Film,
    Hall,
    Screening,
    refund_policy_of,
    screenings,
    tariff_of,
)

Json = Mapping[str, Any]

PASSWORD: Final = "marquee-demo"  # noqa: S105 (everybody may know it)
SALES_OPEN_DAYS_BEFORE: Final = 14
_FOLDER: Final = Path(__file__).parent
_OPENED: Final = "019b76da-a800-7000-8000-000000000000"
_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_log: Final = structlog.get_logger("marquee.demo")


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many rows were new."""

    movies: int
    showtimes: int
    users: int


async def is_empty(dsn: str) -> bool:
    """Whether there is no theatre yet."""
    async with _opened(dsn) as pool:
        return not await catalog.theatres(pool, catalog.TheatreFilter(), 1)


async def load_demo(dsn: str, config: Config, *, clock: Clock | None = None, password_cost: int = COST) -> Loaded:
    """Add whatever of the demo is not there yet."""
    async with _opened(dsn) as pool:
        loaded = await load_into(pool, config, clock or SystemClock(), password_cost)
    _log.info("demo_loaded", movies=loaded.movies, showtimes=loaded.showtimes, users=loaded.users)
    return loaded


async def load_into(pool: Pool, config: Config, clock: Clock, password_cost: int = COST) -> Loaded:
    house, films = _read("house.json"), _films()
    now = clock.now()
    try:
        movies, showtimes = await _put_house(pool, house, films, config, now)
    except asyncpg.UniqueViolationError as taken:
        _log.warning("demo_left_out", reason="other theatres have its names", constraint=taken.constraint_name)
        movies = showtimes = 0
    return Loaded(movies, showtimes, await _put_people(pool, house, now, password_cost))


async def _put_house(
    pool: Pool, house: Json, films: list[tuple[Movie, Film]], config: Config, now: Instant
) -> tuple[int, int]:
    """How many films and showtimes were not there yet: all of it, or nothing where a name is somebody else's."""
    async with pool.acquire() as connection, connection.transaction():
        movies = await catalog.put_movies(connection, [movie for movie, _ in films])
        known = await catalog.ids_of(connection, [movie for movie, _ in films])
        films = [(replace(movie, id=known[movie.id]), film) for movie, film in films]
        layouts = await _put_layouts(connection)
        await _put_theatres(connection, house, layouts)
        return movies, await _put_week(connection, house, films, layouts, config, now)


def demo_id(kind: str, name: str) -> str:
    """The id that a thing of the demo has everywhere and always."""
    return derived_id(_OPENED, kind, name)


def _films() -> list[tuple[Movie, Film]]:
    listed = {film["title"]: film for film in _read("movies.json")}
    films = []
    for chosen in _read("films.json"):
        film = listed[chosen["title"]]
        movie = Movie(
            id=demo_id("movie", film["title"]),
            title=film["title"],
            description=chosen["about"],
            duration_minutes=film["duration_minutes"],
            genres=genres_of(film),
            languages=tuple(chosen["languages"]),
            certificate=film["certificate"],
            cast=tuple(chosen["cast"]),
            director=film["director"] or chosen["director"],
            poster_url=None,
            trailer_url=None,
            release_date=date.fromisoformat(film["release_date"]),
            end_date=None,
            external_ids={},
            publication="published",
        )
        shown = Film(
            title=movie.title,
            minutes=movie.duration_minutes,
            certificate=movie.certificate,
            languages=movie.languages,
            format=chosen.get("format", "2D"),
            draw=chosen["draw"],
        )
        films.append((movie, shown))
    return films


def genres_of(film: Json) -> tuple[str, ...]:
    """`Thriller/Suspense` and the like are two genres."""
    return tuple(filter(None, (film.get("genre") or "").split("/")))


async def _put_layouts(connection: Connection) -> dict[str, Layout]:
    drawn = _read("layouts.json")
    layouts = {}
    for drawing in drawn["layouts"]:
        plan = plan_of(drawing, drawn["places"], drawn["categories"])
        layout = from_plan(demo_id("layout", f"{drawing['key']}/1"), 1, plan)
        await catalog.put_layout(connection, to_row(layout, demo_id("layout", drawing["key"])))
        layouts[drawing["key"]] = layout
    return layouts


async def _put_theatres(connection: Connection, house: Json, layouts: Mapping[str, Layout]) -> None:
    for told in house["theatres"]:
        theatre = Theatre(
            id=demo_id("theatre", told["key"]),
            name=told["name"],
            city=told["city"],
            address=told["address"],
            pincode=told["pincode"],
            lat=told["geo"]["lat"],
            lng=told["geo"]["lng"],
            amenities=tuple(told["amenities"]),
            contact=told["contact"],
            time_zone=told["time_zone"],
            currency=told["currency"],
        )
        await catalog.put_theatre(connection, theatre)
        for screen in told["screens"]:
            screen_id = demo_id("screen", f"{told['key']}/{screen['key']}")
            layout_id = layouts[screen["layout"]].id
            await catalog.put_screen(connection, screen_id, theatre.id, screen["name"], screen["formats"], layout_id)


async def _put_week(
    connection: Connection,
    house: Json,
    films: Sequence[tuple[Movie, Film]],
    layouts: Mapping[str, Layout],
    config: Config,
    now: Instant,
) -> int:
    planned = [
        new
        for theatre in house["theatres"]
        for position, screen in enumerate(theatre["screens"])
        for new in _showtimes(house, theatre, screen, position, films, layouts, config, now)
    ]
    known = await programme.known(connection, [new.id for new in planned])
    begun = [
        (new.id, number, new.terms)
        for new in planned
        if new.id not in known and (number := await programme.put_showtime(connection, new)) is not None
    ]
    if begun:
        await schedule_all(connection, begun, now, Cause(mint(now), ActorKind.SYSTEM, "demo"))
    return len(begun)


def _showtimes(
    house: Json,
    theatre: Json,
    screen: Json,
    position: int,
    films: Sequence[tuple[Movie, Film]],
    layouts: Mapping[str, Layout],
    config: Config,
    now: Instant,
) -> list[NewShowtime]:
    key = f"{theatre['key']}/{screen['key']}"
    hall = Hall(
        key=key,
        formats=tuple(screen["formats"]),
        languages=tuple(theatre["languages"]),
        time_zone=theatre["time_zone"],
        shift_minutes=position * 20,
    )
    shown = [film for _, film in films]
    today = business_date(now, hall.time_zone)
    movie_ids = {film.title: movie.id for movie, film in films}
    layout = layouts[screen["layout"]]
    return [
        _new_showtime(house, theatre["currency"], key, layout, movie_ids[screening.film.title], screening, config)
        for offset in range(DAYS)
        for screening in screenings(hall, shown, today + timedelta(days=offset))
        if screening.starts_at > now
    ]


def _new_showtime(
    house: Json, currency: str, screen_key: str, layout: Layout, movie_id: str, screening: Screening, config: Config
) -> NewShowtime:
    tariff = tariff_of(layout, house, currency, screening.local_start)
    terms = Terms(
        movie_id=movie_id,
        screen_id=demo_id("screen", screen_key),
        layout_id=layout.id,
        starts_at=screening.starts_at,
        ends_at=screening.ends_at,
        sales_open_at=screening.starts_at - SALES_OPEN_DAYS_BEFORE * _DAY_MS,
        sales_close_at=screening.starts_at + PRESHOW_MINUTES * _MINUTE_MS,
        tariff=tariff,
        refund_policy=refund_policy_of(house, currency),
        hold_seconds=config.hold_ttl_s,
        hold_seconds_max=2 * config.hold_ttl_s,
    )
    return NewShowtime(
        id=demo_id("showtime", f"{screen_key}/{screening.starts_at}"),
        terms=terms,
        language=screening.language,
        format=screening.format,
        preshow_minutes=PRESHOW_MINUTES,
        cleaning_minutes=CLEANING_MINUTES,
        capacity=layout.capacity,
        price_from=min(by_type[tariff.default_ticket_type] for by_type in tariff.prices.values()),
    )


async def _put_people(pool: Pool, house: Json, now: Instant, password_cost: int) -> int:
    missing = [told for told in house["users"] if await accounts.by_email(pool, told["email"]) is None]
    if not missing:
        return 0
    passwords = Passwords(cost=password_cost)
    try:
        password_hash = await passwords.hash(PASSWORD)
    finally:
        passwords.close()
    for told in missing:
        account = accounts.Account(
            id=demo_id("account", told["email"]),
            roles=tuple(told["roles"]),
            created_at=now,
            email=told["email"],
            display_name=told["display_name"],
            locale=told.get("locale", "en"),
            time_zone=told.get("time_zone", "UTC"),
            password_hash=password_hash,
            theatre_ids=tuple(demo_id("theatre", key) for key in told.get("theatres", ())),
        )
        await accounts.add(pool, account)
    return len(missing)


def _read(name: str) -> Any:
    return orjson.loads((_FOLDER / name).read_bytes())


@asynccontextmanager
async def _opened(dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(dsn)
    try:
        yield pool
    finally:
        await pool.close()
