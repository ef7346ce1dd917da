"""News about bookings as drafts: each kind looks at the booking as it is now, and says what is true or says nothing.

Between an event and its letter a booking can end, a showtime move once more, a payment succeed after all. A letter that
would be wrong by now is not written; where people must hear something, they hear what became of it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from actors.seatmap.state import BookingStatus
from actors.seatmap.terms import Instant
from persistence.bookings import StoredBooking
from server.notify.drafts import Draft, Telling, amount, day, of_booking, same, time

CONFIRMED: Final = BookingStatus.CONFIRMED.value
PENDING: Final = BookingStatus.PENDING_PAYMENT.value
SCHEDULED: Final = "scheduled"
WITH_ITS_SHOWTIME: Final = "showtime_cancelled"
"""Why a booking ended that its owner did not cancel."""

GOODWILL: Final = "goodwill"
"""Why money comes back for nothing."""

Facts = Mapping[str, Any]
"""A job's payload: what was so at the time of the event."""


def draft_of(kind: str, booking: StoredBooking, facts: Facts, now: Instant) -> Draft | None:
    """What there is to say about the booking now. None where nothing is, by now."""
    return _KINDS[kind](booking, facts, now)


def kind_of(event: str, facts: Facts) -> str:
    """The kind of news that an announced event is for the owner of a booking."""
    match event:
        case "booking_cancelled" if facts["reason"] == WITH_ITS_SHOWTIME:
            return "showtime_cancelled"
        case "booking_cancelled" if not facts["whole"]:
            return "seats_cancelled"
        case "payment_returned" if facts["reason"] == GOODWILL:
            return "refund_granted"
        case "showtime_changed" if facts["starts_at"] == facts["starts_at_before"]:
            return "screen_changed"
    return event


def _confirmed(booking: StoredBooking, facts: Facts, _now: Instant) -> Draft | None:
    if booking.status != CONFIRMED:
        back = amount(booking.refunded, booking.currency)
        return Draft(
            "booking_gone", of_booking(booking, amount=back), {"refunded": booking.refunded > 0}, _link(booking)
        )
    shown = {"again": bool(facts.get("again")), "paid": booking.paid > 0}
    return Draft("booking_confirmed", of_booking(booking), shown, _link(booking), booking)


def _cancelled(booking: StoredBooking, facts: Facts, _now: Instant) -> Draft | None:
    was_there = booking.confirmed_at is not None
    return Draft(
        "booking_cancelled",
        _given_back(booking, facts),
        {"refunded": facts["refund"] > 0, "paid": booking.paid > 0},
        _link(booking),
        booking if was_there else None,
        visit_ends=True,
    )


def _seats_cancelled(booking: StoredBooking, facts: Facts, now: Instant) -> Draft | None:
    if booking.status not in (CONFIRMED, PENDING):
        return _cancelled(booking, facts, now)
    gone = facts["seats"]
    return Draft(
        "seats_cancelled",
        of_booking(booking, amount=amount(facts["refund"], facts["currency"]), gone=same(", ".join(gone))),
        {"refunded": facts["refund"] > 0, "paid": booking.paid > 0, "gone_count": len(gone)},
        _link(booking),
        booking if booking.status == CONFIRMED else None,
    )


def _showtime_cancelled(booking: StoredBooking, facts: Facts, _now: Instant) -> Draft | None:
    return Draft(
        "showtime_cancelled",
        _given_back(booking, facts),
        {"refunded": facts["refund"] > 0},
        _link(booking),
        booking if booking.confirmed_at is not None else None,
        visit_ends=True,
    )


def _payment_failed(booking: StoredBooking, _facts: Facts, now: Instant) -> Draft | None:
    if booking.status == CONFIRMED:
        return None
    waiting = booking.status == PENDING and booking.expires_at > now
    until = time(booking.expires_at, booking.showtime.time_zone)
    link = _link(booking) if waiting else f"/showtimes/{booking.showtime.id}"
    return Draft("payment_failed", of_booking(booking, until=until), {"waiting": waiting}, link)


def _payment_returned(booking: StoredBooking, facts: Facts, _now: Instant) -> Draft | None:
    back = amount(facts["amount"], facts["currency"])
    return Draft("payment_returned", of_booking(booking, amount=back), {"reason": facts["reason"]}, _link(booking))


def _refund_granted(booking: StoredBooking, facts: Facts, _now: Instant) -> Draft | None:
    back = amount(facts["amount"], facts["currency"])
    return Draft("refund_granted", of_booking(booking, amount=back), {}, _link(booking))


def _showtime_changed(booking: StoredBooking, facts: Facts, _now: Instant) -> Draft | None:
    """Nothing where it was moved once more: that is told by a letter of its own."""
    if not _stands(booking) or booking.showtime.starts_at != facts["starts_at"]:
        return None
    before, zone = facts["starts_at_before"], booking.showtime.time_zone
    told = of_booking(booking, day_before=day(before, zone), time_before=time(before, zone))
    return Draft("showtime_changed", told, {}, _link(booking), _entry(booking))


def _screen_changed(booking: StoredBooking, facts: Facts, _now: Instant) -> Draft | None:
    if not _stands(booking) or booking.showtime.screen_id != facts["screen_id"]:
        return None
    return Draft("screen_changed", of_booking(booking), {}, _link(booking), _entry(booking))


def _reminder(booking: StoredBooking, facts: Facts, now: Instant) -> Draft | None:
    if booking.status != CONFIRMED or not _stands(booking) or booking.showtime.starts_at <= now:
        return None
    if booking.showtime.starts_at != facts["starts_at"]:
        return None
    return Draft("reminder", of_booking(booking), {}, _link(booking))


def _given_back(booking: StoredBooking, facts: Facts) -> Telling:
    """Of the seats that this was about: others may have been given back before."""
    seats, back = facts["seats"], amount(facts["refund"], facts["currency"])
    return of_booking(booking, amount=back, seats=same(", ".join(seats)), count=same(len(seats)))


def _stands(booking: StoredBooking) -> bool:
    return booking.status in (CONFIRMED, PENDING) and booking.showtime.status == SCHEDULED


def _entry(booking: StoredBooking) -> StoredBooking | None:
    """What is not paid for yet is in nobody's calendar."""
    return booking if booking.status == CONFIRMED else None


def _link(booking: StoredBooking) -> str:
    return f"/bookings/{booking.id}"


_KINDS: Final[Mapping[str, Callable[[StoredBooking, Facts, Instant], Draft | None]]] = {
    "booking_confirmed": _confirmed,
    "booking_cancelled": _cancelled,
    "seats_cancelled": _seats_cancelled,
    "showtime_cancelled": _showtime_cancelled,
    "payment_failed": _payment_failed,
    "payment_returned": _payment_returned,
    "refund_granted": _refund_granted,
    "showtime_changed": _showtime_changed,
    "screen_changed": _screen_changed,
    "reminder": _reminder,
}
KINDS: Final = frozenset(_KINDS)
