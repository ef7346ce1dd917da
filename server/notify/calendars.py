"""Calendar files: one entry for each booking, which later letters move or take away (RFC 5545, 5546).

The entry's UID is the booking's; its SEQUENCE is the version of the showtime's log, which only grows. So whichever of
two letters a calendar reads last, the newer one wins. Times are UTC, which every calendar shows in the local time of
whoever looks: the rules of a time zone would be most of the file and of the work.
"""

from dataclasses import dataclass
from typing import Final

from icalendar import Calendar, Event, vCalAddress, vUri

from actors.seatmap.terms import Instant
from persistence.bookings import StoredBooking
from persistence.moments import moment
from server.notify.speech import Speech

PUBLISH: Final = "PUBLISH"
CANCEL: Final = "CANCEL"
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class CalendarFile:
    method: str
    text: str


def calendar_of(
    booking: StoredBooking, speech: Speech, *, host: str, link: str, sequence: int, at: Instant, ends: bool
) -> CalendarFile:
    """`ends` takes the entry away."""
    method = CANCEL if ends else PUBLISH
    showtime = booking.showtime
    entry = Event()
    entry.add("uid", f"{booking.id}@{host}")
    entry.add("sequence", sequence)
    entry.add("dtstamp", moment(at))
    entry.add("dtstart", moment(showtime.starts_at))
    entry.add("dtend", moment(max(showtime.ends_at, showtime.starts_at + _MINUTE_MS)))
    entry.add("summary", showtime.movie_title)
    entry.add("location", f"{showtime.theatre_name}, {showtime.screen_name}, {showtime.theatre_city}")
    seats = ", ".join(line.seat for line in booking.lines)
    entry.add("description", speech.say("calendar.description", seats=seats, reference=booking.reference))
    entry.add("url", vUri(link))
    entry.add("organizer", vCalAddress(f"mailto:no-reply@{host}"))
    entry.add("status", "CANCELLED" if ends else "CONFIRMED")
    entry.add("class", "PRIVATE")
    entry.add("transp", "TRANSPARENT" if ends else "OPAQUE")
    calendar = Calendar()
    calendar.add("prodid", "-//Marquee//Marquee//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(entry)
    return CalendarFile(method, calendar.to_ical().decode())
