"""What partners hear: the kinds of messages, and what each says.

A message is made from the log's own record of the event, field by field, so that nothing of a customer can slip into
it: no contact, no account, no text that somebody typed. `version` is the place in the showtime's log: messages may come
late, twice or out of order, and whoever keeps the highest version per showtime has the newest.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import orjson

from actors.seatmap import events as e
from actors.seatmap.events import Line, Record
from actors.seatmap.terms import Instant
from server.wire import money, rfc3339

Kind = Literal["booking.confirmed", "booking.cancelled", "payment.returned", "showtime.changed", "showtime.cancelled"]
PING: Final = "ping"

KINDS: Final[Mapping[str, Kind]] = {
    "booking_confirmed": "booking.confirmed",
    "booking_cancelled": "booking.cancelled",
    "payment_returned": "payment.returned",
    "showtime_changed": "showtime.changed",
    "showtime_cancelled": "showtime.cancelled",
}
"""By the name under which the house announces it. What is not here is nobody else's business."""

Json = dict[str, Any]


def message(message_id: str, kind: str, at: Instant, data: Json) -> bytes:
    """The bytes that are sent."""
    return orjson.dumps({"id": message_id, "type": kind, "created_at": rfc3339(at), "data": data})


def told(record: Record, showtime_id: str, theatre_id: str | None, before: Instant | None) -> Json:
    """What a record of a showtime's log means to a partner. `before`: when a moved showtime would have begun."""
    place: Json = {"showtime_id": showtime_id, "theatre_id": theatre_id, "version": record.version}
    match record.event:
        case e.BookingConfirmed() as confirmed:
            return place | {
                "booking_id": confirmed.booking_id,
                "reference": confirmed.reference,
                "seats": list(_seats(confirmed.lines, confirmed.currency)),
                "total": money(confirmed.amount, confirmed.currency),
            }
        case e.BookingCancelled() as cancelled:
            return place | {
                "booking_id": cancelled.booking_id,
                "reference": cancelled.reference,
                "seats": list(cancelled.seats),
                "whole": cancelled.whole,
                "refund": money(cancelled.refund, cancelled.currency),
            }
        case e.RefundDecided() as returned:
            return place | {
                "booking_id": returned.booking_id,
                "payment_id": returned.payment_id,
                "refund_id": returned.refund_id,
                "amount": money(returned.amount, returned.currency),
                "reason": returned.reason,
            }
        case e.ShowtimeRescheduled(terms=terms):
            return place | {
                "starts_at": rfc3339(terms.starts_at),
                "ends_at": rfc3339(terms.ends_at),
                "screen_id": terms.screen_id,
                "starts_at_before": None if before is None else rfc3339(before),
            }
    return place


def _seats(lines: Iterable[Line], currency: str) -> Iterable[Json]:
    for line in lines:
        yield {
            "seat": line.seat,
            "category": line.category,
            "ticket_type": line.ticket_type,
            "total": money(line.total, currency),
        }
