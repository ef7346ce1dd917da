"""Effects on the world, as rows: stored in the transaction of the event that asks for them, worked afterwards.

A job is done at least once. Its dedupe key makes that harmless: it is the payment provider's idempotency key and the
letter's Message-ID, and the table takes each key once, however often an event is projected.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from actors.seatmap import events as e
from actors.seatmap.events import Record
from actors.seatmap.state import SeatMap


@dataclass(frozen=True, slots=True)
class Job:
    """`payload` is plain JSON: ids and amounts, never personal data."""

    topic: str
    dedupe_key: str
    showtime_id: str
    payload: Mapping[str, object]


def effects(state: SeatMap, record: Record) -> Iterable[Job]:
    """The jobs that one record of a showtime asks for."""
    showtime_id = state.showtime_id
    match record.event:
        case e.BookingConfirmed(booking_id=booking_id, reference=reference, owner=owner):
            letter = {"booking_id": booking_id, "reference": reference, "owner": owner}
            yield Job("letter.confirmed", f"confirm:{booking_id}", showtime_id, letter)
        case e.BookingCancelled() as cancelled:
            if cancelled.refund:
                yield Job("refund", f"refund:{cancelled.refund_id}", showtime_id, _refund_of(cancelled))
            news: dict[str, object] = {
                "booking_id": cancelled.booking_id,
                "reference": cancelled.reference,
                "owner": cancelled.owner,
                "seats": list(cancelled.seats),
                "whole": cancelled.whole,
                "refund": cancelled.refund,
                "currency": cancelled.currency,
                "reason": cancelled.reason,
            }
            yield Job("letter.cancelled", f"cancel:{cancelled.booking_id}:{record.version}", showtime_id, news)
        case e.RefundDecided() as refund:
            payload = {
                "refund_id": refund.refund_id,
                "booking_id": refund.booking_id,
                "payment_id": refund.payment_id,
                "provider": refund.provider,
                "provider_payment_id": refund.provider_payment_id,
                "amount": refund.amount,
                "currency": refund.currency,
            }
            yield Job("refund", f"refund:{refund.refund_id}", showtime_id, payload)
            apology: dict[str, object] = {
                "booking_id": refund.booking_id,
                "owner": refund.owner,
                "refund": refund.amount,
                "currency": refund.currency,
                "reason": refund.reason,
            }
            yield Job("letter.refunded", f"refunded:{refund.refund_id}", showtime_id, apology)
        case e.ShowtimeRescheduled(terms=terms):
            yield Job(
                "letter.rescheduled",
                f"reschedule:{showtime_id}:{record.version}",
                showtime_id,
                {"starts_at": terms.starts_at},
            )


def _refund_of(cancelled: e.BookingCancelled) -> Mapping[str, object]:
    """The provider is found by the payment: it is in the booking's row."""
    return {
        "refund_id": cancelled.refund_id,
        "booking_id": cancelled.booking_id,
        "payment_id": cancelled.payment_id,
        "amount": cancelled.refund,
        "currency": cancelled.currency,
    }
