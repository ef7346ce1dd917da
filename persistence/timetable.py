"""The programme as those who plan it see it: drafts, putting showtimes on sale, taking them back, and deleting them.

A draft is a row without a log. Publishing begins the log; what was never sold can be withdrawn again. Whoever changes
what runs on a screen first takes that screen's row (`take_screens`), so that plans for one screen are judged one after
the other, the loser learns who was faster, and the journal never waits for a plan. The exclusion constraint on
`showtime` is the second witness.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import orjson

from actors.seatmap import house
from actors.seatmap.commands import Cause
from actors.seatmap.events import SeatsBlocked
from actors.seatmap.terms import Instant, OrphanRule, RefundStep, Terms
from persistence.catalog import policy_of
from persistence.database import Connection, Executor
from persistence.journal import schedule_all
from persistence.moments import instant, moment
from persistence.programme import (
    COLUMNS,
    JOINED,
    NewShowtime,
    ProgrammeFilter,
    Showtime,
    conditions,
    put_showtimes,
    showtime_of,
    tariff_of,
)

HOLD_FACTOR_MAX: Final = 2
"""A hold can be renewed until it has lasted this many times its ordinary span."""


class HasSales(Exception):
    """Something was booked, so the showtime stays as it is."""


@dataclass(frozen=True, slots=True)
class Film:
    """What planning asks of a film."""

    id: str
    title: str
    minutes: int
    languages: tuple[str, ...]
    publication: str


@dataclass(frozen=True, slots=True)
class Hall:
    """A screen with its present layout, and what planning asks of its theatre."""

    id: str
    name: str
    theatre_id: str
    formats: tuple[str, ...]
    layout_id: str
    capacity: int
    categories: tuple[str, ...]
    time_zone: str
    currency: str
    refund_policy: tuple[RefundStep, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A showtime with all that can be planned about it."""

    showtime: Showtime
    terms: Terms
    preshow_minutes: int
    cleaning_minutes: int
    clear_at: Instant
    revision: int


@dataclass(frozen=True, slots=True)
class Occupied:
    """Who has the screen at that time."""

    id: str
    movie_title: str
    starts_at: Instant
    clear_at: Instant


_PLANNED: Final = f"""
    SELECT {COLUMNS}, s.tariff, s.refund_policy, s.hold_seconds, s.seats_per_customer_max, s.orphan_rule,
        s.preshow_minutes, s.cleaning_minutes, s.clear_at, s.revision {JOINED}"""


async def planned(connection: Executor, showtime_id: str) -> Planned | None:
    row = await connection.fetchrow(f"{_PLANNED} WHERE s.id = $1", showtime_id)
    return None if row is None else _planned(row)


async def plans(connection: Executor, wanted: ProgrammeFilter, limit: int) -> list[Planned]:
    """Showtimes by start."""
    where, arguments = conditions(wanted)
    rows = await connection.fetch(
        f"{_PLANNED} WHERE {where} ORDER BY s.starts_at, s.id LIMIT ${len(arguments) + 1}", *arguments, limit
    )
    return [_planned(row) for row in rows]


async def film(connection: Executor, movie_id: str) -> Film | None:
    row = await connection.fetchrow(
        "SELECT id, title, duration_minutes, languages, publication FROM movie WHERE id = $1", movie_id
    )
    if row is None:
        return None
    return Film(str(row["id"]), row["title"], row["duration_minutes"], tuple(row["languages"]), row["publication"])


async def theatres_of_screens(connection: Executor, screen_ids: Sequence[str]) -> dict[str, str]:
    """The theatre of each screen. Unknown ones are missing."""
    rows = await connection.fetch("SELECT id, theatre_id FROM screen WHERE id = ANY($1::uuid[])", screen_ids)
    return {str(row["id"]): str(row["theatre_id"]) for row in rows}


async def take_screens(connection: Connection, screen_ids: Sequence[str]) -> Mapping[str, Hall]:
    """The screens, kept from other planners until the transaction ends. Unknown ones are missing."""
    await connection.execute(
        "SELECT FROM screen WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE", sorted(set(screen_ids))
    )
    rows = await connection.fetch(
        """
        SELECT c.id, c.name, c.theatre_id, c.formats, c.layout_id, l.capacity, t.time_zone, t.currency, t.refund_policy,
            ARRAY(SELECT category->>'key' FROM jsonb_array_elements(l.plan->'categories') category) AS categories
        FROM screen c JOIN layout l ON l.id = c.layout_id JOIN theatre t ON t.id = c.theatre_id
        WHERE c.id = ANY($1::uuid[])
        """,
        screen_ids,
    )
    halls = [
        Hall(
            id=str(row["id"]),
            name=row["name"],
            theatre_id=str(row["theatre_id"]),
            formats=tuple(row["formats"]),
            layout_id=str(row["layout_id"]),
            capacity=row["capacity"],
            categories=tuple(row["categories"]),
            time_zone=row["time_zone"],
            currency=row["currency"],
            refund_policy=policy_of(row["refund_policy"]),
        )
        for row in rows
    ]
    return {hall.id: hall for hall in halls}


async def is_drawn_alike(connection: Executor, layout_id: str, other_id: str) -> bool:
    """Whether two layouts have the same seats at the same places, under the same number of their version."""
    return bool(
        await connection.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM layout one JOIN layout other USING (version)
                WHERE one.id = $1 AND other.id = $2 AND one.plan - 'name' = other.plan - 'name')
            """,
            layout_id, other_id,
        )
    )  # fmt: skip


async def occupied(
    connection: Executor, screen_id: str, since: Instant, until: Instant, *, but: str | None = None
) -> Occupied | None:
    """The first showtime, other than `but`, that has the screen at some time in between."""
    row = await connection.fetchrow(
        """
        SELECT s.id, m.title, s.starts_at, s.clear_at FROM showtime s JOIN movie m ON m.id = s.movie_id
        WHERE s.screen_id = $1 AND s.status <> 'cancelled' AND s.id IS DISTINCT FROM $4::uuid
          AND tstzrange(s.starts_at, s.clear_at) && tstzrange($2, $3)
        ORDER BY s.starts_at LIMIT 1
        """,
        screen_id, moment(since), moment(until), but,
    )  # fmt: skip
    if row is None:
        return None
    return Occupied(str(row["id"]), row["title"], instant(row["starts_at"]), instant(row["clear_at"]))


async def occupations(
    connection: Executor, screen_ids: Sequence[str], since: Instant, until: Instant
) -> dict[str, list[Occupied]]:
    """By screen, who has it at some time in between, by start."""
    rows = await connection.fetch(
        """
        SELECT s.id, s.screen_id, m.title, s.starts_at, s.clear_at FROM showtime s JOIN movie m ON m.id = s.movie_id
        WHERE s.screen_id = ANY($1::uuid[]) AND s.status <> 'cancelled'
          AND tstzrange(s.starts_at, s.clear_at) && tstzrange($2, $3)
        ORDER BY s.starts_at
        """,
        screen_ids, moment(since), moment(until),
    )  # fmt: skip
    found: dict[str, list[Occupied]] = {}
    for row in rows:
        one = Occupied(str(row["id"]), row["title"], instant(row["starts_at"]), instant(row["clear_at"]))
        found.setdefault(str(row["screen_id"]), []).append(one)
    return found


async def plans_by_id(connection: Executor, showtime_ids: Sequence[str]) -> list[Planned]:
    rows = await connection.fetch(f"{_PLANNED} WHERE s.id = ANY($1::uuid[]) ORDER BY s.starts_at, s.id", showtime_ids)
    return [_planned(row) for row in rows]


async def add(connection: Connection, new: Sequence[NewShowtime], now: Instant, cause: Cause) -> None:
    """Put showtimes into the programme, and those that are no drafts on sale. Overlap."""
    numbers = await put_showtimes(connection, new)
    begun = [(each.id, numbers[each.id], each.terms) for each in new if not each.draft]
    if begun:
        await schedule_all(connection, begun, now, cause)


async def revise(connection: Connection, new: NewShowtime) -> None:
    """Write everything about a draft anew."""
    terms = new.terms
    await connection.execute(
        """
        UPDATE showtime SET movie_id = $2, screen_id = $3, layout_id = $4, starts_at = $5, ends_at = $6,
            preshow_minutes = $7, cleaning_minutes = $8, language = $9, format = $10, free_seats = $11, capacity = $11,
            price_from = $12, currency = $13, sales_open_at = $14, sales_close_at = $15, tariff = $16,
            refund_policy = $17, hold_seconds = $18, seats_per_customer_max = $19, orphan_rule = $20,
            revision = revision + 1
        WHERE id = $1 AND status = 'draft'
        """,
        new.id, terms.movie_id, terms.screen_id, terms.layout_id, moment(terms.starts_at), moment(terms.ends_at),
        new.preshow_minutes, new.cleaning_minutes, new.language, new.format, new.capacity, new.price_from,
        terms.tariff.currency, moment(terms.sales_open_at), moment(terms.sales_close_at), orjson.dumps(terms.tariff),
        orjson.dumps(terms.refund_policy), terms.hold_seconds, terms.seats_per_customer_max, terms.orphan_rule.value,
    )  # fmt: skip


async def annotate(connection: Connection, new: NewShowtime) -> None:
    """Write what the journal does not about a showtime on sale. After its actor: both write to the row."""
    await connection.execute(
        """
        UPDATE showtime SET language = $2, format = $3, preshow_minutes = $4, cleaning_minutes = $5,
            refund_policy = $6, revision = revision + 1
        WHERE id = $1
        """,
        new.id, new.language, new.format, new.preshow_minutes, new.cleaning_minutes,
        orjson.dumps(new.terms.refund_policy),
    )  # fmt: skip


async def publish(
    connection: Connection,
    drafts: Sequence[NewShowtime],
    now: Instant,
    cause: Cause,
    blocks: Sequence[SeatsBlocked] = (),
) -> None:
    """Begin the logs of drafts, with `blocks`. Their rows say already what `drafts` says."""
    rows = await connection.fetch(
        "UPDATE showtime SET status = 'scheduled' WHERE id = ANY($1::uuid[]) AND status = 'draft' RETURNING id, number",
        [new.id for new in drafts],
    )
    numbers = {str(row["id"]): row["number"] for row in rows}
    begun = [(new.id, numbers[new.id], new.terms) for new in drafts if new.id in numbers]
    if begun:
        await schedule_all(connection, begun, now, cause, blocks)


async def withdraw(connection: Connection, showtime_id: str) -> None:
    """Make a showtime a draft again: its log goes, and whoever still writes to it is shut out. HasSales.

    It gets another number, so that ids from the old log lead nowhere and a late snapshot of it is told apart.
    """
    epoch = await _forget_log(connection, showtime_id)
    await connection.execute(
        """
        UPDATE showtime SET status = 'draft', sales = 'not_open', version = 0, free_seats = capacity,
            epoch_floor = greatest(epoch_floor, $2), revision = revision + 1,
            number = nextval(pg_get_serial_sequence('showtime', 'number'))
        WHERE id = $1
        """,
        showtime_id, epoch + 1,
    )  # fmt: skip


async def delete(connection: Connection, showtime_id: str) -> None:
    """Take a showtime away for good, with its log. HasSales."""
    await _forget_log(connection, showtime_id)
    await connection.execute("DELETE FROM showtime WHERE id = $1", showtime_id)


async def is_sold(connection: Executor, showtime_id: str) -> bool:
    """Whether anybody ever booked. What ended unpaid counts too: it has a history that must not lose its showtime."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM booking WHERE showtime_id = $1)", showtime_id))


async def remember_layout(connection: Executor, showtime_id: str, layout_id: str) -> None:
    """Its log will need this drawing also when the showtime has moved to another one."""
    await connection.execute(
        "INSERT INTO former_layout (showtime_id, layout_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        showtime_id, layout_id,
    )  # fmt: skip


def as_new(plan: Planned) -> NewShowtime:
    """A draft as it would be published."""
    shown = plan.showtime
    return NewShowtime(
        id=shown.id,
        terms=plan.terms,
        language=shown.language,
        format=shown.format,
        preshow_minutes=plan.preshow_minutes,
        cleaning_minutes=plan.cleaning_minutes,
        capacity=shown.capacity,
        price_from=shown.price_from,
        draft=True,
    )


def due_at(new: NewShowtime, now: Instant, blocks: Sequence[SeatsBlocked] = ()) -> Instant:
    """When something happens next to a showtime that has just been published."""
    return house.begun(1, new.terms, now, blocks)[1]


async def _forget_log(connection: Connection, showtime_id: str) -> int:
    """The epoch of its last owner; 0 when there was no log. Appends wait, and then find their log gone. HasSales."""
    epoch = await connection.fetchval("SELECT epoch FROM stream WHERE showtime_id = $1 FOR UPDATE", showtime_id)
    if await is_sold(connection, showtime_id):
        raise HasSales(showtime_id)
    for table in ("event", "snapshot", "refusal", "job", "former_layout", "stream"):
        await connection.execute(f"DELETE FROM {table} WHERE showtime_id = $1", showtime_id)
    return int(epoch or 0)


def _planned(row: asyncpg.Record) -> Planned:
    return Planned(
        showtime=showtime_of(row),
        terms=_terms(row),
        preshow_minutes=row["preshow_minutes"],
        cleaning_minutes=row["cleaning_minutes"],
        clear_at=instant(row["clear_at"]),
        revision=row["revision"],
    )


def _terms(row: asyncpg.Record) -> Terms:
    return Terms(
        movie_id=str(row["movie_id"]),
        screen_id=str(row["screen_id"]),
        layout_id=str(row["layout_id"]),
        starts_at=instant(row["starts_at"]),
        ends_at=instant(row["ends_at"]),
        sales_open_at=instant(row["sales_open_at"]),
        sales_close_at=instant(row["sales_close_at"]),
        tariff=tariff_of(row["tariff"]),
        refund_policy=policy_of(row["refund_policy"]),
        hold_seconds=row["hold_seconds"],
        hold_seconds_max=HOLD_FACTOR_MAX * row["hold_seconds"],
        seats_per_customer_max=row["seats_per_customer_max"],
        orphan_rule=OrphanRule(row["orphan_rule"]),
    )
