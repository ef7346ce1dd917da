"""What the world has to hear of or to do because of an event, as jobs: pure, from the log alone.

An announcement names what happened and to whom; whoever works it decides by which letters, messages and hooks people
hear of it. Money that goes back or is taken is a job of its own, keyed by what it is about.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from actors.seatmap import events as e
from actors.seatmap.bookings import NO_PAYMENT
from actors.seatmap.events import Record
from actors.seatmap.state import SeatMap
from actors.seatmap.terms import Instant, Terms
from persistence.jobs import Job

PAYMENT_WATCH_MS: Final = 120_000
REMINDER_MS: Final = 3 * 3_600_000
"""How long after a payment began somebody asks the provider, and how long before the start people are reminded."""

GOODWILL: Final = "goodwill"
"""Why money came back for nothing. What the staff wrote down about it is not for the customer."""

Facts = dict[str, object]


def effects(before: SeatMap | None, showtime_id: str, records: Sequence[Record]) -> Iterator[Job]:
    """The jobs that records ask for, in their order. The same for the whole log and for a part of it after `before`."""
    terms = before.terms if before is not None else None
    for record in records:
        match record.event:
            case e.ShowtimeScheduled(terms=terms):
                pass
            case e.ShowtimeRescheduled() as moved:
                assert terms is not None, record
                yield from _moved(showtime_id, record.version, terms, moved.terms)
                terms = moved.terms
            case event:
                assert terms is not None, record
                yield from _of(showtime_id, record, event, terms.starts_at)


def _of(showtime_id: str, record: Record, event: e.Event, starts_at: Instant) -> Iterator[Job]:
    match event:
        case e.PaymentStarted():
            facts: Facts = {"payment_id": event.payment_id, "booking_id": event.booking_id}
            due_at = record.at + PAYMENT_WATCH_MS
            yield Job("payment_watch", f"payment_watch:{event.payment_id}", showtime_id, facts, due_at)
        case e.BookingConfirmed():
            yield from _confirmed(showtime_id, record, event, starts_at)
        case e.BookingCancelled():
            yield from _cancelled(showtime_id, record.version, event)
        case e.RefundGranted():
            yield _refund(showtime_id, event, event.refund, GOODWILL)
            yield _returned(showtime_id, record.version, event, event.refund, GOODWILL)
        case e.RefundDecided():
            yield from _refund_decided(showtime_id, record.version, event)
        case e.ShowtimeCancelled(reason=reason):
            key = f"ended:{showtime_id}:{record.version}"
            yield _announce("showtime_cancelled", key, showtime_id, record.version, {"reason": reason})


def _confirmed(showtime_id: str, record: Record, event: e.BookingConfirmed, starts_at: Instant) -> Iterator[Job]:
    booking_id = event.booking_id
    facts: Facts = {"booking_id": booking_id, "reference": event.reference, "owner": event.owner}
    yield _announce("booking_confirmed", f"confirmed:{booking_id}", showtime_id, record.version, facts)
    if event.provider != NO_PAYMENT:
        money: Facts = {
            "payment_id": event.payment_id,
            "booking_id": booking_id,
            "amount": event.amount,
            "currency": event.currency,
        }
        yield Job("capture", f"capture:{event.payment_id}", showtime_id, money)
    if starts_at - REMINDER_MS > record.at:
        due_at = starts_at - REMINDER_MS
        yield Job("reminder", f"reminder:{booking_id}", showtime_id, {"booking_id": booking_id}, due_at)


def _cancelled(showtime_id: str, version: int, event: e.BookingCancelled) -> Iterator[Job]:
    if event.refund:
        yield _refund(showtime_id, event, event.refund, event.reason)
    facts: Facts = {
        "booking_id": event.booking_id,
        "reference": event.reference,
        "owner": event.owner,
        "seats": list(event.seats),
        "whole": event.whole,
        "refund": event.refund,
        "currency": event.currency,
        "reason": event.reason,
    }
    yield _announce("booking_cancelled", f"cancelled:{event.booking_id}:{version}", showtime_id, version, facts)


def _refund_decided(showtime_id: str, version: int, event: e.RefundDecided) -> Iterator[Job]:
    if not event.amount:
        return
    yield _refund(showtime_id, event, event.amount, event.reason)
    yield _returned(showtime_id, version, event, event.amount, event.reason)


def _returned(
    showtime_id: str, version: int, event: e.RefundDecided | e.RefundGranted, amount: int, reason: str
) -> Job:
    facts: Facts = {
        "booking_id": event.booking_id,
        "owner": event.owner,
        "payment_id": event.payment_id,
        "refund_id": event.refund_id,
        "amount": amount,
        "currency": event.currency,
        "reason": reason,
    }
    return _announce("payment_returned", f"returned:{event.refund_id}", showtime_id, version, facts)


def _refund(
    showtime_id: str, event: e.BookingCancelled | e.RefundGranted | e.RefundDecided, amount: int, reason: str
) -> Job:
    facts: Facts = {
        "refund_id": event.refund_id,
        "booking_id": event.booking_id,
        "payment_id": event.payment_id,
        "amount": amount,
        "currency": event.currency,
        "reason": reason,
    }
    return Job("refund", f"refund:{event.refund_id}", showtime_id, facts)


def _moved(showtime_id: str, version: int, before: Terms, after: Terms) -> Iterator[Job]:
    """Only what people have to know: when sales close is no news for who has bought."""
    if (before.starts_at, before.ends_at, before.screen_id) == (after.starts_at, after.ends_at, after.screen_id):
        return
    facts: Facts = {"starts_at_before": before.starts_at, "starts_at": after.starts_at, "screen_id": after.screen_id}
    yield _announce("showtime_changed", f"changed:{showtime_id}:{version}", showtime_id, version, facts)


def _announce(name: str, key: str, showtime_id: str, version: int, facts: Facts) -> Job:
    return Job("announce", key, showtime_id, {"event": name, "showtime_id": showtime_id, "version": version, **facts})
