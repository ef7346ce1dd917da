"""Reading bookings: the rows that the journal keeps beside the log, with film, theatre and start of their showtimes.

Whom a booking is for is beside the log, because personal data never enters it.
"""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import asyncpg

from actors.seatmap.events import Line, Record, Ticket
from actors.seatmap.terms import Instant
from actors.seatmap.values import dataclass
from persistence import codec
from persistence.database import Executor
from persistence.moments import instant, moment


@dataclass(frozen=True, slots=True)
class Contact:
    email: str
    name: str
    phone: str


@dataclass(frozen=True, slots=True)
class BookedShowtime:
    """What a booking shows of its showtime."""

    id: str
    starts_at: Instant
    ends_at: Instant
    status: str
    language: str
    format: str
    movie_id: str
    movie_title: str
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


@dataclass(frozen=True, slots=True)
class StoredBooking:
    """A booking as the log left it. `lines` are its live seats, or all it ever had when it has ended."""

    id: str
    reference: str
    hold_id: str
    owner: str
    status: str
    currency: str
    paid: int
    refunded: int
    payment_id: str
    payment_status: str
    created_at: Instant
    expires_at: Instant
    confirmed_at: Instant | None
    ended_at: Instant | None
    reason: str
    lines: tuple[Line, ...]
    tickets: tuple[Ticket, ...]
    showtime: BookedShowtime


@dataclass(frozen=True, slots=True)
class BookingFilter:
    """Which bookings. `after` is (created, id) of the last one seen; the newest come first.

    `user` is an account's id or an address: that of an account, or the one given with the booking.
    """

    owner: str | None = None
    user: str | None = None
    status: str | None = None
    payment: str | None = None
    reference: str | None = None
    showtime_id: str | None = None
    movie_id: str | None = None
    theatre_id: str | None = None
    theatre_ids: tuple[str, ...] | None = None
    since: Instant | None = None
    until: Instant | None = None
    ending_after: Instant | None = None
    ending_before: Instant | None = None
    starting_from: Instant | None = None
    starting_before: Instant | None = None
    after: tuple[Instant, str] | None = None


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which records of a showtime's log: those that name this seat and this account, after a version."""

    seat: str | None = None
    person: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    after: int = 0


_PAYMENT: Final = """
    CASE WHEN b.payment_status = 'pending' AND p.failure <> '' THEN 'failed' ELSE b.payment_status END"""
"""A card that was refused is no fact of the log: nothing has been decided, and the customer may try another."""

_SELECT: Final = f"""
    SELECT b.booking_id, b.reference, b.hold_id, b.owner, b.status, b.currency, b.paid, b.refunded, b.payment_id,
           {_PAYMENT} AS payment_status, b.created_at, b.expires_at, b.confirmed_at, b.ended_at, b.reason,
           s.id AS showtime_id, s.starts_at, s.ends_at, s.status AS showtime_status, s.language, s.format,
           m.id AS movie_id, m.title, m.poster_url, t.id AS theatre_id, t.name AS theatre_name, t.city, t.time_zone,
           c.id AS screen_id, c.name AS screen_name, seats.lines
    FROM booking b
    JOIN showtime s ON s.id = b.showtime_id
    JOIN movie m ON m.id = s.movie_id
    JOIN screen c ON c.id = s.screen_id
    JOIN theatre t ON t.id = c.theatre_id
    LEFT JOIN payment p ON p.payment_id = CASE WHEN b.payment_status = 'pending' THEN b.payment_id::uuid END
    JOIN LATERAL (
        SELECT array_agg((seat, category, ticket_type, amount, fee, tax, ticket_id, discount, rules)
                         ORDER BY position) AS lines
        FROM booking_seat WHERE booking_id = b.booking_id
          AND (live OR b.status NOT IN ('pending_payment', 'confirmed'))) seats ON true"""


async def booking(connection: Executor, booking_id: str) -> StoredBooking | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE b.booking_id = $1", booking_id)
    return None if row is None else _booking(row)


async def bookings(connection: Executor, wanted: BookingFilter, limit: int) -> list[StoredBooking]:
    """The newest first."""
    where, arguments = _conditions(wanted)
    rows = await connection.fetch(
        f"{_SELECT} WHERE {where} ORDER BY b.created_at DESC, b.booking_id LIMIT ${len(arguments) + 1}",
        *arguments, limit,
    )  # fmt: skip
    return [_booking(row) for row in rows]


def _conditions(wanted: BookingFilter) -> tuple[str, list[object]]:
    """Only what is asked for, so that each question is planned for itself."""
    said: list[tuple[str, object]] = [
        ("b.owner = $%d", wanted.owner),
        (_OF_ADDRESS if "@" in (wanted.user or "") else "b.owner = $%d", wanted.user),
        ("b.status = $%d", wanted.status),
        (f"{_PAYMENT} = $%d", wanted.payment),
        ("b.reference = upper($%d)", wanted.reference),
        ("b.showtime_id = $%d", wanted.showtime_id),
        ("s.movie_id = $%d", wanted.movie_id),
        ("c.theatre_id = $%d", wanted.theatre_id),
        ("c.theatre_id = ANY($%d::uuid[])", wanted.theatre_ids),
        ("b.created_at >= $%d", _moment(wanted.since)),
        ("b.created_at < $%d", _moment(wanted.until)),
        ("s.ends_at > $%d", _moment(wanted.ending_after)),
        ("s.ends_at <= $%d", _moment(wanted.ending_before)),
        ("s.starts_at >= $%d", _moment(wanted.starting_from)),
        ("s.starts_at < $%d", _moment(wanted.starting_before)),
    ]
    asked = [(condition, value) for condition, value in said if value is not None]
    where = [condition.replace("%d", str(number)) for number, (condition, _) in enumerate(asked, 1)]
    arguments = [value for _, value in asked]
    if wanted.after is not None:
        created_at, after_id = wanted.after
        at, last = len(arguments) + 1, len(arguments) + 2
        where.append(f"(b.created_at < ${at} OR (b.created_at = ${at} AND b.booking_id > ${last}::uuid))")
        arguments += [moment(created_at), after_id]
    return " AND ".join(where) or "true", arguments


_OF_ADDRESS: Final = """(b.owner IN (SELECT id::text FROM account WHERE email = lower($%d))
    OR b.booking_id IN (SELECT booking_id FROM booking_contact WHERE lower(email) = lower($%d)))"""


_KINDS: Final = [
    "booking_placed", "payment_started", "booking_confirmed", "refund_decided", "booking_expired",
    "booking_cancelled", "refund_granted",
]  # fmt: skip
"""Events about one booking, whose id is the first word after the cause."""


async def history(connection: Executor, showtime_id: str, booking_id: str) -> list[Record]:
    """Everything the log says about a booking, oldest first."""
    rows = await connection.fetch(
        """
        SELECT version, to_millis(at), key::text, schema, kind, body FROM event
        WHERE showtime_id = $1 AND body->>1 = $2 AND kind = ANY($3::text[])
        ORDER BY version
        """,
        showtime_id, booking_id, _KINDS,
    )  # fmt: skip
    return [codec.decode(*row) for row in rows]


_HASHED: Final = """
    SELECT version, to_millis(at), key::text, schema, kind, body,
        encode(sha256(convert_to(concat_ws('|', version, to_millis(at), kind, body), 'UTF8')), 'hex') FROM event"""


async def trail(connection: Executor, showtime_id: str, booking_id: str) -> list[tuple[Record, str]]:
    """Everything the log says about a booking, oldest first, each record with a hash of it as it is stored."""
    rows = await connection.fetch(
        f"""
        {_HASHED} WHERE showtime_id = $1 AND body->>1 = $2 AND kind = ANY($3::text[]) ORDER BY version
        """,
        showtime_id, booking_id, _KINDS,
    )  # fmt: skip
    return [(codec.decode(*row[:6]), row[6]) for row in rows]


async def log(connection: Executor, showtime_id: str, wanted: LogFilter, limit: int) -> list[tuple[Record, str]]:
    """What the log says about a showtime, oldest first, each record with a hash of it as it is stored."""
    rows = await connection.fetch(
        f"""
        {_HASHED} WHERE showtime_id = $1 AND version > $2
            AND ($3::timestamptz IS NULL OR at >= $3) AND ($4::timestamptz IS NULL OR at < $4)
            AND ($5::text IS NULL OR jsonb_path_exists(body, '$.** ? (@ == $it)', jsonb_build_object('it', $5::text)))
            AND ($6::text IS NULL OR jsonb_path_exists(body, '$.** ? (@ == $it)', jsonb_build_object('it', $6::text)))
        ORDER BY version LIMIT $7
        """,
        showtime_id, wanted.after, _moment(wanted.since), _moment(wanted.until), wanted.seat, wanted.person, limit,
    )  # fmt: skip
    return [(codec.decode(*row[:6]), row[6]) for row in rows]


async def records_after(connection: Executor, showtime_id: str, version: int, limit: int) -> list[Record]:
    """What the log says next about a showtime."""
    rows = await connection.fetch(
        """
        SELECT version, to_millis(at), key::text, schema, kind, body FROM event
        WHERE showtime_id = $1 AND version > $2 ORDER BY version LIMIT $3
        """,
        showtime_id, version, limit,
    )  # fmt: skip
    return [codec.decode(*row) for row in rows]


async def theatre_of(connection: Executor, showtime_id: str) -> str | None:
    """The theatre in which a showtime runs."""
    found = await connection.fetchval(
        "SELECT c.theatre_id FROM showtime s JOIN screen c ON c.id = s.screen_id WHERE s.id = $1", showtime_id
    )
    return None if found is None else str(found)


async def contact(connection: Executor, booking_id: str) -> Contact | None:
    row = await connection.fetchrow("SELECT email, name, phone FROM booking_contact WHERE booking_id = $1", booking_id)
    return None if row is None else Contact(*row)


def _booking(row: asyncpg.Record) -> StoredBooking:
    lines = row["lines"] or []
    return StoredBooking(
        id=str(row["booking_id"]),
        reference=row["reference"],
        hold_id=str(row["hold_id"]),
        owner=row["owner"],
        status=row["status"],
        currency=row["currency"],
        paid=row["paid"],
        refunded=row["refunded"],
        payment_id=row["payment_id"],
        payment_status=row["payment_status"],
        created_at=instant(row["created_at"]),
        expires_at=instant(row["expires_at"]),
        confirmed_at=_instant(row["confirmed_at"]),
        ended_at=_instant(row["ended_at"]),
        reason=row["reason"],
        lines=tuple(_line(*values) for values in lines),
        tickets=tuple(Ticket(values[6], values[0]) for values in lines if values[6]),
        showtime=BookedShowtime(
            id=str(row["showtime_id"]),
            starts_at=instant(row["starts_at"]),
            ends_at=instant(row["ends_at"]),
            status=row["showtime_status"],
            language=row["language"],
            format=row["format"],
            movie_id=str(row["movie_id"]),
            movie_title=row["title"],
            movie_poster_url=row["poster_url"],
            theatre_id=str(row["theatre_id"]),
            theatre_name=row["theatre_name"],
            theatre_city=row["city"],
            time_zone=row["time_zone"],
            screen_id=str(row["screen_id"]),
            screen_name=row["screen_name"],
        ),
    )


def _line(
    seat: str, category: str, ticket_type: str, amount: int, fee: int, tax: int, _ticket: str, discount: int, rules: str
) -> Line:
    return Line(seat, category, ticket_type, amount, fee, tax, tuple(rules.splitlines()), discount)


def _moment(at: Instant | None) -> datetime | None:
    return None if at is None else moment(at)


def _instant(at: datetime | None) -> Instant | None:
    return None if at is None else instant(at)
