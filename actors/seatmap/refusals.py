"""Refusals: why a customer cannot have it. Values, not exceptions; the edge maps each to a status in one table."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from actors.seatmap.events import Event
from actors.seatmap.values import dataclass


class Refusal(StrEnum):
    """The value is the stable problem code that clients see."""

    COMMAND_ID_REUSED = "idempotency_mismatch"
    SHOWTIME_CANCELLED = "showtime_cancelled"
    SHOWTIME_OVER = "showtime_over"
    ALREADY_STARTED = "already_started"
    SALES_NOT_OPEN = "sales_not_open"
    SALES_CLOSED = "sales_closed"
    NO_SEATS = "no_seats"
    SEAT_UNKNOWN = "unknown_seat"
    SEAT_TWICE = "duplicate_seat"
    TICKET_TYPE_UNKNOWN = "unknown_ticket_type"
    CATEGORY_UNKNOWN = "unknown_category"
    ROW_UNKNOWN = "unknown_row"
    HOLD_LIMIT = "hold_limit"
    SEATS_UNAVAILABLE = "seats_unavailable"
    NO_BLOCK = "no_block"
    ORPHAN_SEAT = "orphan_seat"
    SEAT_NOT_IN_HOLD = "seat_not_in_hold"
    HOLD_EXPIRED = "hold_expired"
    HOLD_FOREIGN = "hold_not_found"
    HOLD_BOOKED = "hold_booked"
    RENEW_LIMIT = "renew_limit"
    BOOKING_UNKNOWN = "booking_not_found"
    BOOKING_NOT_PAYABLE = "booking_not_payable"
    BOOKING_CANCELLED = "booking_cancelled"
    AMOUNT_MISMATCH = "amount_mismatch"
    EXPIRED_SEATS_LOST = "expired_seats_lost"
    ALREADY_CANCELLED = "already_cancelled"
    PAST_DEADLINE = "past_deadline"
    EXCEEDS_PAID = "exceeds_paid"
    SEAT_NOT_IN_BOOKING = "seat_not_in_booking"
    HAS_SALES = "has_sales"
    SEATS_VANISH = "seats_vanish"
    CATEGORY_UNPRICED = "category_unpriced"
    PRICE_CHANGED = "price_changed"
    PROMO_INVALID = "promo_invalid"
    CURRENCY_DIFFERS = "currency_differs"


@dataclass(frozen=True, slots=True)
class Refused:
    """`conflicts` says for each seat in the way why (`held`, `sold`, `blocked`, `accessible_only`, …).

    `facts` are further plain values that the answer may show: `limit`, `held`, `largest_block`, `orphans`,
    `suggestions`, `refund_id`, `booking_id`, `hold_id` (one's own, which has those seats already).
    """

    refusal: Refusal
    conflicts: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """No events means that what was asked for is already so."""

    events: tuple[Event, ...]


Decision = Accepted | Refused
