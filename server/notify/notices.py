"""Notices: what an inbox and a text message say. The same news as a letter's, in a sentence or two.

A notice is stored as facts and written out when somebody reads it: so it is in the language the reader has by then.
"""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from persistence.bookings import StoredBooking
from persistence.notifications import Notification
from server.notify.drafts import local
from server.notify.news import Facts
from server.notify.speech import Speech
from server.shapes import Time, Uuid
from server.wire import rfc3339


class Notice(TypedDict):
    """Something its reader was told, in the reader's language."""

    id: Uuid
    kind: str
    title: str
    text: str
    showtime_id: Uuid | None
    booking_id: Uuid | None
    read: bool
    created_at: Time


def shown(notification: Notification, speech: Speech) -> Notice:
    title, text = written(notification.kind, notification.facts, speech)
    return {
        "id": notification.id,
        "kind": notification.kind,
        "title": title,
        "text": text,
        "showtime_id": notification.showtime_id,
        "booking_id": notification.booking_id,
        "read": notification.read_at is not None,
        "created_at": rfc3339(notification.created_at),
    }


def facts_of(booking: StoredBooking, facts: Facts) -> dict[str, Any]:
    """What a notice about the booking has to remember: plain values, as they were when it was told."""
    showtime = booking.showtime
    remembered: dict[str, Any] = {
        "title": showtime.movie_title,
        "theatre": showtime.theatre_name,
        "screen": showtime.screen_name,
        "starts_at": showtime.starts_at,
        "time_zone": showtime.time_zone,
        "reference": booking.reference,
        "seats": [line.seat for line in booking.lines],
        "gone": list(facts.get("seats", ())),
        "amount": facts.get("refund", facts.get("amount", 0)),
        "currency": booking.currency,
    }
    return remembered


def written(kind: str, facts: Mapping[str, Any], speech: Speech) -> tuple[str, str]:
    """The heading and the sentence under it."""
    starts = local(facts["starts_at"], facts["time_zone"])
    told = {
        "title": facts["title"],
        "theatre": facts["theatre"],
        "screen": facts["screen"],
        "day": speech.day(starts),
        "time": speech.time(starts),
        "reference": facts["reference"],
        "seats": ", ".join(facts["seats"]),
        "gone": ", ".join(facts["gone"]),
        "amount": speech.money(facts["amount"], facts["currency"]),
    }
    sentence = speech.say(f"inbox.{kind}.text", **told)
    if facts["amount"] and kind in ("booking_cancelled", "seats_cancelled", "showtime_cancelled"):
        sentence = f"{sentence} {speech.say('inbox.refund', **told)}"
    return speech.say(f"inbox.{kind}", **told), sentence
