"""Many showtimes on sale, written with the project's own functions, and signed tokens for many guests."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from actors.ids import mint
from actors.runtime.clock import SystemClock
from actors.seatmap.commands import ActorKind, Cause
from actors.seatmap.layout import Layout, from_plan, from_shortcut
from actors.seatmap.terms import OrphanRule, Tariff, Terms
from persistence import catalog, programme
from persistence.catalog import Movie, Theatre
from persistence.database import open_pool
from persistence.journal import schedule_all
from persistence.layouts import to_row
from persistence.programme import NewShowtime
from server.auth.identity import GUEST
from server.auth.tokens import Tokens

ROWS: Final = 15
SEATS_PER_ROW: Final = 20
CAPACITY: Final = ROWS * SEATS_PER_ROW
SEATS_PER_CUSTOMER: Final = 10
HOUR_MS: Final = 3_600_000
SECRET: Final = hashlib.sha256(b"bench").hexdigest()
TARIFF: Final = Tariff("INR", {"standard": {"adult": 45_000, "child": 25_000}}, "adult", 1_000, 1_800)


@dataclass(frozen=True, slots=True)
class Cinema:
    """Where the showtimes of a run are: ids in order, labels in the order of the layout."""

    layout: Layout
    showtimes: tuple[str, ...]
    seats: tuple[str, ...]


async def seed(dsn: str, count: int) -> Cinema:
    """`count` showtimes of 300 seats, four hours apart on one screen, on sale since an hour. The database is migrated.

    The orphan rule is off: many clients that take neighbouring seats at once would be refused by chance.
    """
    now = SystemClock().now()
    movie_id, theatre_id, screen_id = mint(now), mint(now), mint(now)
    layout = from_plan(mint(now), 1, from_shortcut("Bench hall", ROWS, SEATS_PER_ROW))
    movie = Movie(movie_id, "Bench", "", 120, (), ("en",), "U", (), "", None, None, None, None, {}, "published")
    theatre = Theatre(theatre_id, "Bench", "Pune", "1 Road", "", None, None, (), {}, "Asia/Kolkata", "INR")
    new: list[NewShowtime] = []
    async with open_pool(dsn) as pool, pool.acquire() as connection, connection.transaction():
        await catalog.put_movies(connection, [movie])
        await catalog.put_theatre(connection, theatre)
        await catalog.put_layout(connection, to_row(layout, mint(now)))
        await catalog.put_screen(connection, screen_id, theatre_id, "1", ["2D"], layout.id)
        for index in range(count):
            starts_at = now + (24 + 4 * index) * HOUR_MS
            terms = Terms(
                movie_id=movie_id,
                screen_id=screen_id,
                layout_id=layout.id,
                starts_at=starts_at,
                ends_at=starts_at + 2 * HOUR_MS,
                sales_open_at=now - HOUR_MS,
                sales_close_at=starts_at,
                tariff=TARIFF,
                refund_policy=(),
                orphan_rule=OrphanRule.OFF,
            )
            new.append(NewShowtime(mint(now), terms, "en", "2D", 0, 20, layout.capacity, 45_000))
        numbers = await programme.put_showtimes(connection, new)
        logs = [(each.id, numbers[each.id], each.terms) for each in new]
        await schedule_all(connection, logs, now, Cause(mint(now), ActorKind.SYSTEM, "bench"))
    return Cinema(layout, tuple(each.id for each in new), tuple(layout.seats))


def guests(count: int) -> tuple[str, ...]:
    """Access tokens of as many different guests."""
    clock = SystemClock()
    tokens = Tokens((SECRET,), clock)
    now = clock.now()
    return tuple(tokens.issue(mint(now), mint(now), [GUEST], []) for _ in range(count))


def round_robin(showtimes: Sequence[str], seats: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """(showtime, index of the seat, seat): the first seat of every showtime, then the second of every one…"""
    for index, seat in enumerate(seats):
        for showtime in showtimes:
            yield showtime, index, seat


def one_by_one(showtimes: Sequence[str], seats: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Each showtime until it is sold out, then the next."""
    for showtime in showtimes:
        for index, seat in enumerate(seats):
            yield showtime, index, seat
