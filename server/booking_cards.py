"""How stored bookings look in answers: as a card in a list, and chapter by chapter."""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from actors.seatmap.events import (
    BookingCancelled,
    BookingConfirmed,
    PaymentStarted,
    Record,
    RefundDecided,
    RefundGranted,
)
from actors.seatmap.state import BookingStatus
from persistence.bookings import BookedShowtime, StoredBooking
from persistence.codec import kind_of
from persistence.programme import business_date
from server import wire
from server.errors import invalid
from server.requests import Cursor
from server.shapes import BookingFacts, Day, LocalTime, Money, Refund, SeatLabel, ShowtimeStatus, Time, Uuid
from server.wire import money, rfc3339


class BookedMovie(TypedDict):
    id: Uuid
    title: str
    poster_url: str | None


class BookedTheatre(TypedDict):
    id: Uuid
    name: str
    city: str
    time_zone: str


class BookedScreen(TypedDict):
    id: Uuid
    name: str


class Visit(TypedDict):
    """Where and when a booking is for."""

    id: Uuid
    starts_at: Time
    starts_at_local: LocalTime
    business_date: Day
    ends_at: Time
    status: ShowtimeStatus
    language: str
    format: str
    movie: BookedMovie
    theatre: BookedTheatre
    screen: BookedScreen


class BookingCard(BookingFacts):
    """A booking in a list."""

    showtime: Visit
    created_at: Time
    refunded: NotRequired[Money]


class Chapter(TypedDict):
    """One event of a booking's life, without what only the house may know."""

    seq: int
    at: Time
    event: str
    by: Literal["customer", "staff", "provider", "system"]
    amount: NotRequired[Money]
    seats: NotRequired[list[SeatLabel]]
    refund: NotRequired[Refund | None]
    reason: NotRequired[str]


def card(stored: StoredBooking) -> dict[str, Any]:
    """A booking in a list."""
    pending = stored.status == BookingStatus.PENDING_PAYMENT.value
    body = wire.booking_body(
        _showtime(stored.showtime),
        booking_id=stored.id,
        reference=stored.reference,
        hold_id=stored.hold_id,
        status=stored.status,
        lines=stored.lines,
        currency=stored.currency,
        tickets=stored.tickets if stored.status == BookingStatus.CONFIRMED.value else (),
        expires_at=stored.expires_at if pending else None,
        payment={"id": stored.payment_id or None, "status": stored.payment_status},
    )
    body["created_at"] = rfc3339(stored.created_at)
    if stored.refunded:
        body["refunded"] = money(stored.refunded, stored.currency)
    return body


def chapter(record: Record, returned: Mapping[str, str]) -> dict[str, Any]:
    """One event of a booking's life, without what only the house may know."""
    event = record.event
    told: dict[str, Any] = {
        "seq": record.version,
        "at": rfc3339(record.at),
        "event": kind_of(event),
        "by": record.cause.kind.value,
    }
    if isinstance(event, PaymentStarted | BookingConfirmed):
        told["amount"] = money(event.amount, event.currency)
    elif isinstance(event, BookingCancelled):
        told["seats"] = list(event.seats)
        told["refund"] = wire.refunded(event, returned)
        told["reason"] = event.reason
    elif isinstance(event, RefundDecided | RefundGranted):
        told["refund"] = wire.refunded(event, returned)
    return told


def _showtime(showtime: BookedShowtime) -> dict[str, Any]:
    return {
        "id": showtime.id,
        "starts_at": rfc3339(showtime.starts_at),
        "starts_at_local": showtime.local_start.isoformat(timespec="seconds"),
        "business_date": business_date(showtime.starts_at, showtime.time_zone),
        "ends_at": rfc3339(showtime.ends_at),
        "status": showtime.status,
        "language": showtime.language,
        "format": showtime.format,
        "movie": {
            "id": showtime.movie_id,
            "title": showtime.movie_title,
            "poster_url": showtime.movie_poster_url,
        },
        "theatre": {
            "id": showtime.theatre_id,
            "name": showtime.theatre_name,
            "city": showtime.theatre_city,
            "time_zone": showtime.time_zone,
        },
        "screen": {"id": showtime.screen_id, "name": showtime.screen_name},
    }


def place_of(cursor: Cursor | None) -> tuple[int, str] | None:
    """Where a list of bookings goes on: (created, id) of the last one seen."""
    if cursor is None:
        return None
    if not cursor.key.isdigit() or len(cursor.key) > 14:
        raise invalid("cursor", "This cursor was not made by this server.")
    return int(cursor.key), cursor.id
