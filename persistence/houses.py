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
from persistence.catalog import Theatre
from persistence.database import Connection, Executor
from persistence.moments import moment


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
          AND ($2::text IS NULL OR position(lower($2) IN lower(t.name || ' ' || t.city || ' ' || t.address)) > 0)
          AND ($3::text IS NULL OR lower(t.city) = lower($3))
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
                contact = $9, time_zone = $10, currency = $11, revision = revision + 1, updated_at = $12
            WHERE id = $1
            """,
            theatre.id, theatre.name, theatre.city, theatre.address, theatre.pincode, theatre.lat, theatre.lng,
            theatre.amenities, orjson.dumps(theatre.contact), theatre.time_zone, theatre.currency, moment(now),
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
        """,
        [row["family_id"] for row in families],
    )
