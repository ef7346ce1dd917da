"""Theatres and screens as those who run them change them. What everybody reads of them is in `catalog`.

Whoever changes a theatre or screen first takes its row, so that revisions are judged one after the other. A change
leaves the key alone, which is all that the journal asks of a screen: it never waits for a form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import orjson

from actors.seatmap.terms import Instant
from persistence import catalog
from persistence.catalog import LayoutRow, Screen, Theatre
from persistence.database import Connection, Executor
from persistence.moments import instant, moment


class NameTaken(Exception):
    """There is one of this name already: in the city for a theatre, in the theatre for a screen."""


class HasShowtimes(Exception):
    """Showtimes belong to it, past ones too, so it stays."""


class InUse(Exception):
    """Something other than a showtime refers to it."""


@dataclass(frozen=True, slots=True)
class TheatreSearch:
    """Which theatres, by name; None for `theatre_ids` is all of them. `after` is (lower-case name, id)."""

    theatre_ids: tuple[str, ...] | None = None
    text: str | None = None
    city: str | None = None
    after: tuple[str, str] | None = None


_THEATRE: Final = "SELECT t.*, NULL::float8 AS km, lower(t.name) AS key FROM theatre t"


async def theatres(connection: Executor, wanted: TheatreSearch, limit: int) -> list[Theatre]:
    after_name, after_id = wanted.after or (None, None)
    rows = await connection.fetch(
        f"""
        {_THEATRE}
        WHERE ($1::uuid[] IS NULL OR t.id = ANY($1))
          AND ($2::text IS NULL OR position(fold($2) IN fold(t.name || ' ' || t.city || ' ' || t.address)) > 0)
          AND ($3::text IS NULL OR fold(t.city) = fold($3))
          AND ($4::text IS NULL OR (lower(t.name), t.id) > ($4, $5::uuid))
        ORDER BY lower(t.name), t.id LIMIT $6
        """,
        wanted.theatre_ids, wanted.text, wanted.city, after_name, after_id, limit,
    )  # fmt: skip
    return [catalog.theatre_of(row) for row in rows]


async def take_theatre(connection: Connection, theatre_id: str) -> Theatre | None:
    """The theatre, kept from other writers until the transaction ends."""
    row = await connection.fetchrow(f"{_THEATRE} WHERE t.id = $1 FOR NO KEY UPDATE", theatre_id)
    return None if row is None else catalog.theatre_of(row)


async def add_theatre(connection: Executor, theatre: Theatre) -> None:
    """NameTaken."""
    try:
        await catalog.put_theatre(connection, theatre)
    except asyncpg.UniqueViolationError:
        raise NameTaken from None


async def write_theatre(connection: Connection, theatre: Theatre, now: Instant) -> None:
    """Write everything about a theatre that was taken, as its next revision. NameTaken."""
    try:
        await connection.execute(
            """
            UPDATE theatre SET name = $2, city = $3, address = $4, pincode = $5, lat = $6, lng = $7, amenities = $8,
                contact = $9, time_zone = $10, currency = $11, refund_policy = $12,
                revision = revision + 1, updated_at = $13
            WHERE id = $1
            """,
            theatre.id, theatre.name, theatre.city, theatre.address, theatre.pincode, theatre.lat, theatre.lng,
            theatre.amenities, orjson.dumps(theatre.contact), theatre.time_zone, theatre.currency,
            orjson.dumps(theatre.refund_policy), moment(now),
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise NameTaken from None


async def delete_theatre(connection: Connection, theatre_id: str) -> None:
    """Take a theatre away with its screens and the drawings that nothing else uses. HasShowtimes, InUse."""
    rows = await connection.fetch("SELECT id FROM screen WHERE theatre_id = $1 ORDER BY id FOR UPDATE", theatre_id)
    await delete_screens(connection, [str(row["id"]) for row in rows])
    try:
        await connection.execute("DELETE FROM theatre WHERE id = $1", theatre_id)
    except asyncpg.ForeignKeyViolationError:
        raise InUse from None


async def plays(connection: Executor, theatre_id: str, now: Instant) -> bool:
    """Whether the theatre has showtimes to come, drafts too."""
    return bool(
        await connection.fetchval(
            """
            SELECT EXISTS (SELECT FROM showtime s JOIN screen c ON c.id = s.screen_id
                WHERE c.theatre_id = $1 AND s.status <> 'cancelled' AND s.ends_at > $2)
            """,
            theatre_id, moment(now),
        )
    )  # fmt: skip


async def delete_screens(connection: Connection, screen_ids: Sequence[str]) -> None:
    """Take screens away that were taken FOR UPDATE, with drawings that nothing else uses. HasShowtimes, InUse."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM showtime WHERE screen_id = ANY($1::uuid[]))", screen_ids):
        raise HasShowtimes
    try:
        families = await connection.fetch(
            """
            WITH gone AS (DELETE FROM screen WHERE id = ANY($1::uuid[]) RETURNING layout_id)
            SELECT DISTINCT l.family_id FROM gone JOIN layout l ON l.id = gone.layout_id
            """,
            screen_ids,
        )
    except asyncpg.ForeignKeyViolationError:
        raise InUse from None
    await connection.execute(
        """
        DELETE FROM layout l WHERE l.family_id = ANY($1::uuid[])
          AND NOT EXISTS (SELECT FROM layout v JOIN screen c ON c.layout_id = v.id WHERE v.family_id = l.family_id)
          AND NOT EXISTS (SELECT FROM layout v JOIN showtime s ON s.layout_id = v.id WHERE v.family_id = l.family_id)
          AND NOT EXISTS (SELECT FROM layout v JOIN former_layout f ON f.layout_id = v.id
              WHERE v.family_id = l.family_id)
        """,
        [row["family_id"] for row in families],
    )


@dataclass(frozen=True, slots=True)
class ScreenSearch:
    """Which screens, by name. `after` is (lower-case name, id)."""

    theatre_ids: tuple[str, ...] | None = None
    theatre_id: str | None = None
    after: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a screen's drawing. `current` is whether showtimes planned now get it; `showtimes` have it."""

    id: str
    version: int
    name: str
    capacity: int
    current: bool
    showtimes: int
    created_at: Instant


_SCREEN: Final = """
    SELECT c.*, l.version AS layout_version, l.capacity FROM screen c JOIN layout l ON l.id = c.layout_id"""


async def screens(connection: Executor, wanted: ScreenSearch, limit: int) -> list[Screen]:
    after_name, after_id = wanted.after or (None, None)
    rows = await connection.fetch(
        f"""
        {_SCREEN}
        WHERE ($1::uuid[] IS NULL OR c.theatre_id = ANY($1)) AND ($2::uuid IS NULL OR c.theatre_id = $2)
          AND ($3::text IS NULL OR (lower(c.name), c.id) > ($3, $4::uuid))
        ORDER BY lower(c.name), c.id LIMIT $5
        """,
        wanted.theatre_ids, wanted.theatre_id, after_name, after_id, limit,
    )  # fmt: skip
    return [catalog.screen_of(row) for row in rows]


async def take_screen(connection: Connection, screen_id: str, *, whole: bool = False) -> Screen | None:
    """The screen, kept from other writers until the transaction ends; the `whole` of it to take it away."""
    lock = "UPDATE" if whole else "NO KEY UPDATE"
    await connection.execute(f"SELECT FROM screen WHERE id = $1 FOR {lock}", screen_id)
    # Read anew: a statement that waits for the lock joins the new row with what was there before it waited.
    row = await connection.fetchrow(f"{_SCREEN} WHERE c.id = $1", screen_id)
    return None if row is None else catalog.screen_of(row)


async def add_screen(
    connection: Connection, screen_id: str, theatre_id: str, name: str, formats: Sequence[str], layout: LayoutRow
) -> None:
    """Within a transaction: a screen with a drawing of its own. NameTaken."""
    await catalog.put_layout(connection, layout)
    try:
        await catalog.put_screen(connection, screen_id, theatre_id, name, formats, layout.id)
    except asyncpg.UniqueViolationError:
        raise NameTaken from None


async def write_screen(
    connection: Connection, screen_id: str, name: str, formats: Sequence[str], layout_id: str, now: Instant
) -> None:
    """Write everything about a screen that was taken, as its next revision. NameTaken."""
    try:
        await connection.execute(
            """
            UPDATE screen SET name = $2, formats = $3, layout_id = $4, revision = revision + 1, updated_at = $5
            WHERE id = $1
            """,
            screen_id, name, formats, layout_id, moment(now),
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise NameTaken from None


async def versions(connection: Executor, screen_id: str, before: int | None, limit: int) -> list[Version]:
    """The versions of a screen's drawing, the newest first. Screens that share a drawing share its versions."""
    rows = await connection.fetch(
        """
        SELECT v.id, v.version, v.name, v.capacity, v.created_at, v.id = c.layout_id AS current,
            (SELECT count(*) FROM showtime s WHERE s.layout_id = v.id) AS showtimes
        FROM screen c JOIN layout l ON l.id = c.layout_id JOIN layout v ON v.family_id = l.family_id
        WHERE c.id = $1 AND ($2::integer IS NULL OR v.version < $2)
        ORDER BY v.version DESC LIMIT $3
        """,
        screen_id, before, limit,
    )  # fmt: skip
    return [
        Version(
            id=str(row["id"]),
            version=row["version"],
            name=row["name"],
            capacity=row["capacity"],
            current=row["current"],
            showtimes=row["showtimes"],
            created_at=instant(row["created_at"]),
        )
        for row in rows
    ]


async def next_version(connection: Connection, layout_id: str) -> tuple[str, int]:
    """The family of a drawing and the number of its next version, which is the caller's until the transaction ends.

    A number that was given once is not given again: the drawing behind it may be kept in caches for ever.
    """
    family_id = await connection.fetchval("SELECT family_id FROM layout WHERE id = $1", layout_id)
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"layout {family_id}")
    last = await connection.fetchval(
        """
        SELECT max(version) FROM (SELECT version FROM layout WHERE family_id = $1
            UNION ALL SELECT version FROM layout_gone WHERE family_id = $1) given
        """,
        family_id,
    )
    return str(family_id), last + 1


async def delete_version(connection: Connection, layout: LayoutRow) -> None:
    """Within a transaction: take a version away for good. InUse while a screen, a showtime or a log has it."""
    try:
        await connection.execute("DELETE FROM layout WHERE id = $1", layout.id)
    except asyncpg.ForeignKeyViolationError:
        raise InUse from None
    await connection.execute(
        "INSERT INTO layout_gone (family_id, version) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        layout.family_id, layout.version,
    )  # fmt: skip
