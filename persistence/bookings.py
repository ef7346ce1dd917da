"""Reading bookings: the rows that the journal keeps beside the log, with film, theatre and start of their showtimes.

Who a booking is for is written here too, because personal data never enters the log.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import asyncpg

from actors.seatmap.events import Line, Record, Ticket
from actors.seatmap.terms import Instant
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
    lines: tuple[Line, ...]
    tickets: tuple[Ticket, ...]
    showtime: BookedShowtime


@dataclass(frozen=True, slots=True)
class BookingFilter:
    """Which of an owner's bookings. `after` is (created, id) of the last one seen; the newest come first."""

    owner: str
    status: str | None = None
    ending_after: Instant | None = None
    ending_before: Instant | None = None
    after: tuple[Instant, str] | None = None


_SELECT: Final = """
    SELECT b.booking_id, b.reference, b.hold_id, b.owner, b.status, b.currency, b.paid, b.refunded, b.payment_id,
           b.payment_status, b.created_at, b.expires_at, b.confirmed_at, b.ended_at,
           s.id AS showtime_id, s.starts_at, s.ends_at, s.status AS showtime_status, s.language, s.format,
           m.id AS movie_id, m.title, m.poster_url, t.id AS theatre_id, t.name AS theatre_name, t.city, t.time_zone,
           c.id AS screen_id, c.name AS screen_name, seats.lines
    FROM booking b
    JOIN showtime s ON s.id = b.showtime_id
    JOIN movie m ON m.id = s.movie_id
    JOIN screen c ON c.id = s.screen_id
    JOIN theatre t ON t.id = c.theatre_id
    JOIN LATERAL (
        SELECT array_agg((seat, category, ticket_type, amount, fee, tax, ticket_id, discount, rules)
                         ORDER BY position) AS lines
        FROM booking_seat WHERE booking_id = b.booking_id
          AND (live OR b.status NOT IN ('pending_payment', 'confirmed'))) seats ON true"""


async def booking(connection: Executor, booking_id: str) -> StoredBooking | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE b.booking_id = $1", booking_id)
    return None if row is None else _booking(row)


async def bookings(connection: Executor, wanted: BookingFilter, limit: int) -> list[StoredBooking]:
    """An owner's bookings, the newest first."""
    created_at, after_id = wanted.after or (None, None)
    rows = await connection.fetch(
        f"""
        {_SELECT}
        WHERE b.owner = $1
          AND ($2::text IS NULL OR b.status = $2)
          AND ($3::timestamptz IS NULL OR s.ends_at > $3)
          AND ($4::timestamptz IS NULL OR s.ends_at <= $4)
          AND ($5::timestamptz IS NULL OR b.created_at < $5 OR (b.created_at = $5 AND b.booking_id > $6::uuid))
        ORDER BY b.created_at DESC, b.booking_id LIMIT $7
        """,
        wanted.owner, wanted.status, _moment(wanted.ending_after), _moment(wanted.ending_before),
        _moment(created_at), after_id, limit,
    )  # fmt: skip
    return [_booking(row) for row in rows]


async def history(connection: Executor, showtime_id: str, booking_id: str) -> list[Record]:
    """Everything the log says about a booking, oldest first."""
    rows = await connection.fetch(
        """
        SELECT version, to_millis(at), key::text, schema, kind, body FROM event
        WHERE showtime_id = $1 AND body->>1 = $2
          AND kind IN ('booking_placed', 'payment_started', 'booking_confirmed', 'refund_decided', 'booking_expired',
                       'booking_cancelled')
        ORDER BY version
        """,
        showtime_id, booking_id,
    )  # fmt: skip
    return [codec.decode(*row) for row in rows]


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


async def put_contact(connection: Executor, booking_id: str, account_id: str, contact: Contact, now: Instant) -> None:
    """Remember whom a booking is for. The first contact stays."""
    await connection.execute(
        """
        INSERT INTO booking_contact (booking_id, account_id, email, name, phone, created_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (booking_id) DO NOTHING
        """,
        booking_id, account_id, contact.email, contact.name, contact.phone, moment(now),
    )  # fmt: skip


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
