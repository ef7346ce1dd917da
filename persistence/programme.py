"""The programme: which film runs where and when, what it costs, and how many seats are free.

A showtime's terms are frozen into its first event; the row repeats what lists need. The cinema day begins at six in
the morning, theatre time, so a film at half past midnight belongs to the evening before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import asyncpg
import orjson

from actors.seatmap.terms import Instant, RefundStep, Tariff, Terms
from persistence.catalog import policy_of
from persistence.codec import rules_in
from persistence.database import Executor
from persistence.moments import instant, moment

DAY_BEGINS_HOUR: Final = 6


class Overlap(Exception):
    """The screen is taken at that time, by the showtime named."""

    def __init__(self, showtime_id: str | None) -> None:
        super().__init__(showtime_id)
        self.showtime_id = showtime_id


@dataclass(frozen=True, slots=True)
class Showtime:
    """A showtime with what its card shows of film, theatre and screen."""

    id: str
    number: int
    starts_at: Instant
    feature_starts_at: Instant
    ends_at: Instant
    language: str
    format: str
    status: str
    sales: str
    free_seats: int
    capacity: int
    price_from: int
    currency: str
    sales_open_at: Instant
    sales_close_at: Instant
    version: int
    layout_id: str
    movie_id: str
    movie_title: str
    movie_minutes: int
    movie_certificate: str
    movie_genres: tuple[str, ...]
    movie_poster_url: str | None
    theatre_id: str
    theatre_name: str
    theatre_city: str
    time_zone: str
    screen_id: str
    screen_name: str

    @property
    def local_start(self) -> datetime:
        return moment(self.starts_at).astimezone(ZoneInfo(self.time_zone))

    @property
    def business_date(self) -> date:
        return business_date(self.starts_at, self.time_zone)


@dataclass(frozen=True, slots=True)
class ShowtimeDetail:
    """What only the showtime's own page shows: prices, limits, refund policy."""

    showtime: Showtime
    tariff: Tariff
    refund_policy: tuple[RefundStep, ...]
    hold_seconds: int
    seats_per_customer_max: int


@dataclass(frozen=True, slots=True)
class ProgrammeFilter:
    """What to list. Days are cinema days, `until_day` is the first one not wanted; `after` is (start, id).

    `drafts` are nobody's business but their planners'.
    """

    movie_id: str | None = None
    theatre_id: str | None = None
    screen_id: str | None = None
    city: str | None = None
    since_day: date | None = None
    until_day: date | None = None
    since: Instant | None = None
    until: Instant | None = None
    ending_after: Instant | None = None
    language: str | None = None
    format: str | None = None
    theatre_ids: tuple[str, ...] | None = None
    status: str | None = None
    drafts: bool = False
    after: tuple[Instant, str] | None = None


@dataclass(frozen=True, slots=True)
class Facets:
    """What the filters can be set to. Films are (id, title)."""

    cities: tuple[str, ...]
    dates: tuple[date, ...]
    movies: tuple[tuple[str, str], ...]
    formats: tuple[str, ...]
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewShowtime:
    id: str
    terms: Terms
    language: str
    format: str
    preshow_minutes: int
    cleaning_minutes: int
    capacity: int
    price_from: int
    draft: bool = False


def tariff_of(stored: str) -> Tariff:
    """A tariff as its row has it."""
    plain = orjson.loads(stored)
    return Tariff(**{**plain, "rules": rules_in(plain.get("rules", ()))})


def business_date(at: Instant, time_zone: str) -> date:
    """The cinema day of a moment."""
    return (moment(at).astimezone(ZoneInfo(time_zone)) - timedelta(hours=DAY_BEGINS_HOUR)).date()


_BUSINESS_DATE: Final = f"(s.starts_at AT TIME ZONE t.time_zone - interval '{DAY_BEGINS_HOUR} hours')::date"
JOINED: Final = """
    FROM showtime s
    JOIN movie m ON m.id = s.movie_id
    JOIN screen c ON c.id = s.screen_id
    JOIN theatre t ON t.id = c.theatre_id"""
COLUMNS: Final = """s.id, s.number, s.starts_at, s.feature_starts_at, s.ends_at, s.language, s.format, s.status,
    s.sales, s.free_seats, s.capacity, s.price_from, s.currency, s.sales_open_at, s.sales_close_at, s.version,
    s.layout_id,
    m.id AS movie_id, m.title, m.duration_minutes, m.certificate, m.genres, m.poster_url,
    t.id AS theatre_id, t.name AS theatre_name, t.city, t.time_zone, c.id AS screen_id, c.name AS screen_name"""

LONGEST_MS: Final = 24 * 3_600_000
"""No showtime lasts longer; the schema says so too."""

# A condition for each field of a filter that is given, in the order of the fields. Only those asked for become part of
# a statement, so that the planner sees which index answers it. A cinema day lies within two days of UTC on either side,
# whatever the zone, and what has not ended began less than a day ago: that much the index on the start can answer.
_CONDITIONS: Final[Mapping[str, str]] = {
    "movie_id": "s.movie_id = {}::uuid",
    "theatre_id": "s.screen_id IN (SELECT id FROM screen WHERE theatre_id = {}::uuid)",
    "screen_id": "s.screen_id = {}::uuid",
    "city": "fold(t.city) = fold({}::text)",
    "since_day": f"s.starts_at >= {{0}}::date - interval '2 days' AND {_BUSINESS_DATE} >= {{0}}::date",
    "until_day": f"s.starts_at < {{0}}::date + interval '2 days' AND {_BUSINESS_DATE} < {{0}}::date",
    "since": "s.starts_at >= from_millis({}::bigint)",
    "until": "s.starts_at < from_millis({}::bigint)",
    "ending_after": "s.ends_at > from_millis({0}::bigint) AND s.starts_at > from_millis({0}::bigint - 86400000)",
    "language": "lower(s.language) = lower({}::text)",
    "format": "lower(s.format) = lower({}::text)",
    "theatre_ids": "c.theatre_id = ANY({}::uuid[])",
    "status": "s.status = {}::text",
}


def conditions(wanted: ProgrammeFilter) -> tuple[str, list[object]]:
    """What the filter says as SQL, and the arguments it needs, from $1 on."""
    parts = ["true"] if wanted.drafts else ["s.status <> 'draft'"]
    arguments: list[object] = []
    for name, condition in _CONDITIONS.items():
        if (value := getattr(wanted, name)) is not None:
            arguments.append(value)
            parts.append(condition.format(f"${len(arguments)}"))
    if wanted.after is not None:
        arguments += wanted.after
        place = len(arguments)
        parts.append(f"(s.starts_at, s.id) > (from_millis(${place - 1}::bigint), ${place}::uuid)")
    return " AND ".join(parts), arguments


async def showtimes(connection: Executor, wanted: ProgrammeFilter, limit: int) -> list[Showtime]:
    """Showtimes by start, with film, theatre and screen, in one query."""
    where, arguments = conditions(wanted)
    rows = await connection.fetch(
        f"SELECT {COLUMNS} {JOINED} WHERE {where} ORDER BY s.starts_at, s.id LIMIT ${len(arguments) + 1}",
        *arguments, limit,
    )  # fmt: skip
    return [showtime_of(row) for row in rows]


async def showtime(connection: Executor, showtime_id: str) -> ShowtimeDetail | None:
    row = await connection.fetchrow(
        f"""
        SELECT {COLUMNS}, s.tariff, s.refund_policy, s.hold_seconds, s.seats_per_customer_max {JOINED}
        WHERE s.id = $1 AND s.status <> 'draft'
        """,
        showtime_id,
    )
    if row is None:
        return None
    return ShowtimeDetail(
        showtime=showtime_of(row),
        tariff=tariff_of(row["tariff"]),
        refund_policy=policy_of(row["refund_policy"]),
        hold_seconds=row["hold_seconds"],
        seats_per_customer_max=row["seats_per_customer_max"],
    )


async def free_seats(connection: Executor, ending_after: Instant) -> dict[str, int]:
    """For the lobby: the free seats of every showtime that is not over."""
    rows = await connection.fetch(
        "SELECT id, free_seats FROM showtime WHERE ends_at > $1 AND status IN ('scheduled', 'running')",
        moment(ending_after),
    )
    return {str(row["id"]): row["free_seats"] for row in rows}


async def facets(connection: Executor, wanted: ProgrammeFilter) -> Facets:
    """What can be chosen among the showtimes wanted."""
    where, arguments = conditions(wanted)
    row = await connection.fetchrow(
        f"""
        WITH shown AS MATERIALIZED (
            SELECT DISTINCT s.language, s.format, s.movie_id, t.city, {_BUSINESS_DATE} AS day {JOINED}
            WHERE {where} AND s.status <> 'cancelled')
        SELECT ARRAY(SELECT DISTINCT city FROM shown ORDER BY 1) AS cities,
               ARRAY(SELECT DISTINCT day FROM shown ORDER BY 1) AS dates,
               ARRAY(SELECT DISTINCT format FROM shown ORDER BY 1) AS formats,
               ARRAY(SELECT DISTINCT language FROM shown ORDER BY 1) AS languages,
               ARRAY(SELECT ARRAY[title, id::text] FROM movie WHERE id IN (SELECT movie_id FROM shown)
                     ORDER BY 1) AS movies
        """,
        *arguments,
    )
    assert row is not None
    return Facets(
        cities=tuple(row["cities"]),
        dates=tuple(row["dates"]),
        movies=tuple((movie_id, title) for title, movie_id in row["movies"]),
        formats=tuple(row["formats"]),
        languages=tuple(row["languages"]),
    )


async def put_showtime(connection: Executor, new: NewShowtime) -> int | None:
    """Add a catalogue row and return its number; None when there is one with that id. Overlap.

    The first event must follow in the same transaction, unless it is a draft.
    """
    return (await put_showtimes(connection, [new])).get(new.id)


async def put_showtimes(connection: Executor, new: Sequence[NewShowtime]) -> dict[str, int]:
    """Add many at once; the numbers of those whose ids are new. Overlap when one of them is in the way."""
    try:
        rows = await connection.fetch(
            """
            INSERT INTO showtime (id, movie_id, screen_id, layout_id, starts_at, ends_at, preshow_minutes,
                cleaning_minutes, language, format, status, free_seats, capacity, price_from, currency, sales_open_at,
                sales_close_at, tariff, refund_policy, hold_seconds, seats_per_customer_max, orphan_rule)
            SELECT id, movie_id, screen_id, layout_id, from_millis(starts_at), from_millis(ends_at), preshow_minutes,
                cleaning_minutes, language, format, status, capacity, capacity, price_from, currency,
                from_millis(sales_open_at), from_millis(sales_close_at), tariff, refund_policy, hold_seconds,
                seats_per_customer_max, orphan_rule
            FROM jsonb_to_recordset($1::jsonb) AS r (id uuid, movie_id uuid, screen_id uuid, layout_id uuid,
                starts_at bigint, ends_at bigint, preshow_minutes integer, cleaning_minutes integer, language text,
                format text, status text, capacity integer, price_from integer, currency text, sales_open_at bigint,
                sales_close_at bigint, tariff jsonb, refund_policy jsonb, hold_seconds integer,
                seats_per_customer_max integer, orphan_rule text)
            ON CONFLICT (id) DO NOTHING RETURNING id, number
            """,
            orjson.dumps([_row(each) for each in new]),
        )
    except asyncpg.ExclusionViolationError as error:
        raise Overlap(None) from error
    return {str(row["id"]): row["number"] for row in rows}


async def known(connection: Executor, showtime_ids: list[str]) -> set[str]:
    """Which of these showtimes exist."""
    rows = await connection.fetch("SELECT id FROM showtime WHERE id = ANY($1::uuid[])", showtime_ids)
    return {str(row["id"]) for row in rows}


def _row(new: NewShowtime) -> dict[str, object]:
    terms = new.terms
    return {
        "id": new.id,
        "movie_id": terms.movie_id,
        "screen_id": terms.screen_id,
        "layout_id": terms.layout_id,
        "starts_at": terms.starts_at,
        "ends_at": terms.ends_at,
        "preshow_minutes": new.preshow_minutes,
        "cleaning_minutes": new.cleaning_minutes,
        "language": new.language,
        "format": new.format,
        "status": "draft" if new.draft else "scheduled",
        "capacity": new.capacity,
        "price_from": new.price_from,
        "currency": terms.tariff.currency,
        "sales_open_at": terms.sales_open_at,
        "sales_close_at": terms.sales_close_at,
        "tariff": terms.tariff,
        "refund_policy": terms.refund_policy,
        "hold_seconds": terms.hold_seconds,
        "seats_per_customer_max": terms.seats_per_customer_max,
        "orphan_rule": terms.orphan_rule.value,
    }


def showtime_of(row: asyncpg.Record) -> Showtime:
    return Showtime(
        id=str(row["id"]),
        number=row["number"],
        starts_at=instant(row["starts_at"]),
        feature_starts_at=instant(row["feature_starts_at"]),
        ends_at=instant(row["ends_at"]),
        language=row["language"],
        format=row["format"],
        status=row["status"],
        sales=row["sales"],
        free_seats=row["free_seats"],
        capacity=row["capacity"],
        price_from=row["price_from"],
        currency=row["currency"],
        sales_open_at=instant(row["sales_open_at"]),
        sales_close_at=instant(row["sales_close_at"]),
        version=row["version"],
        layout_id=str(row["layout_id"]),
        movie_id=str(row["movie_id"]),
        movie_title=row["title"],
        movie_minutes=row["duration_minutes"],
        movie_certificate=row["certificate"],
        movie_genres=tuple(row["genres"]),
        movie_poster_url=row["poster_url"],
        theatre_id=str(row["theatre_id"]),
        theatre_name=row["theatre_name"],
        theatre_city=row["city"],
        time_zone=row["time_zone"],
        screen_id=str(row["screen_id"]),
        screen_name=row["screen_name"],
    )
