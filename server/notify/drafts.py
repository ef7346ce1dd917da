"""Drafts: what a letter says, before anybody has chosen the words.

The facts come from the database as they are now; how a day, a time or an amount is written follows when the letter is
set, because that depends on the reader.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from actors.seatmap.terms import Instant
from persistence.bookings import StoredBooking
from persistence.moments import moment
from server.notify.speech import Speech

Written = Callable[[Speech], Any]
Telling = Callable[[Speech], dict[str, Any]]
"""What fills the sentences, in the reader's language."""


@dataclass(frozen=True, slots=True)
class Draft:
    """`facts` decide what stands in the letter; `link` is where its button leads, as a path of the site.

    `visit` is what its calendar file is about: an entry, or with `visit_ends` the end of one.
    """

    kind: str
    telling: Telling
    facts: Mapping[str, Any] = field(default_factory=dict)
    link: str = ""
    visit: StoredBooking | None = None
    visit_ends: bool = False


def of_account(**told: Any) -> Telling:
    """Sentences about an account, which hold the same facts in every language."""
    return lambda _speech: dict(told)


def of_booking(booking: StoredBooking, **more: Written) -> Telling:
    """Sentences about a booking; `more` are further facts, written out in the reader's language."""

    def tell(speech: Speech) -> dict[str, Any]:
        showtime = booking.showtime
        seats = [line.seat for line in booking.lines]
        told = {
            "title": showtime.movie_title,
            "day": speech.day(showtime.local_start),
            "time": speech.time(showtime.local_start),
            "theatre": showtime.theatre_name,
            "city": showtime.theatre_city,
            "screen": showtime.screen_name,
            "seats": ", ".join(seats),
            "count": len(seats),
            "reference": booking.reference,
            "total": speech.money(sum(line.total for line in booking.lines), booking.currency),
        }
        return told | {name: written(speech) for name, written in more.items()}

    return tell


def amount(minor_units: int, currency: str) -> Written:
    return lambda speech: speech.money(minor_units, currency)


def day(at: Instant, time_zone: str) -> Written:
    return lambda speech: speech.day(local(at, time_zone))


def time(at: Instant, time_zone: str) -> Written:
    return lambda speech: speech.time(local(at, time_zone))


def same(fact: object) -> Written:
    """What is written alike in every language."""
    return lambda _speech: fact


def local(at: Instant, time_zone: str) -> datetime:
    """A moment as the theatre's clocks show it."""
    return moment(at).astimezone(ZoneInfo(time_zone))
