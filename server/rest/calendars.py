"""One's visits as a calendar sees them: those between two moments, and a file for one's own calendar.

The file is about the same entry as those that letters bring, so a calendar that knows both shows one.
"""

from datetime import UTC, date, datetime, time
from typing import Final

from aiohttp import hdrs, web
from pydantic import model_validator
from typing_extensions import TypedDict

from actors.seatmap.state import BookingStatus
from persistence import accounts, bookings
from persistence.bookings import BookingFilter, StoredBooking
from persistence.moments import instant
from server.auth.identity import require
from server.booking_cards import BookedScreen, BookedTheatre, card, place_of
from server.errors import Problem, not_found
from server.keys import CLOCK, CONFIG, POOL, REGISTRY
from server.notify.calendars import calendar_of
from server.notify.envelopes import host_of, sender_at
from server.notify.speech import speech_for
from server.operations import SIGNED_IN, Operation
from server.requests import Cursor, Day, Page, WireTime, path_id, read_query
from server.responses import answer
from server.shapes import Day as DayShown
from server.shapes import Listed, LocalTime, SeatLabel, Time, Uuid

CALENDAR_TYPE: Final = "text/calendar"
_CONFIRMED: Final = BookingStatus.CONFIRMED.value


class SpanQuery(Page):
    """From `start` until before `end`: moments, or days, which begin at midnight UTC."""

    start: Day | WireTime
    end: Day | WireTime

    @model_validator(mode="after")
    def _forward(self) -> "SpanQuery":
        if _moment(self.start) >= _moment(self.end):
            raise ValueError("the end comes after the start")
        return self


class VisitEntry(TypedDict):
    """A confirmed booking; `id` is its own."""

    id: Uuid
    reference: str
    title: str
    starts_at: Time
    ends_at: Time
    starts_at_local: LocalTime
    business_date: DayShown
    theatre: BookedTheatre
    screen: BookedScreen
    seats: list[SeatLabel]


async def show_visits(request: web.Request) -> web.Response:
    """The newest booking first."""
    query = read_query(request, SpanQuery)
    wanted = BookingFilter(
        owner=require(request).account_id,
        status=_CONFIRMED,
        starting_from=instant(_moment(query.start)),
        starting_before=instant(_moment(query.end)),
        after=place_of(Cursor.read(query.cursor)),
    )
    found = await bookings.bookings(request.app[POOL], wanted, query.limit + 1)
    shown = found[: query.limit]
    more = Cursor(key=str(shown[-1].created_at), id=shown[-1].id).text() if len(found) > query.limit else None
    page: Listed[VisitEntry] = {"items": [_entry(stored) for stored in shown], "next_cursor": more}
    return answer(page)


async def calendar_file(request: web.Request) -> web.Response:
    """The entry of one's own booking."""
    app, who = request.app, require(request)
    stored = await bookings.booking(app[POOL], path_id(request, "booking_id", "booking"))
    if stored is None or stored.owner != who.account_id:
        raise not_found("booking")
    if stored.status != _CONFIRMED:
        raise Problem(409, "not_confirmed", "This booking is not confirmed, so there is no visit yet.")
    config, account = app[CONFIG], await accounts.by_id(app[POOL], who.account_id)
    file = calendar_of(
        stored,
        speech_for(account.locale if account else ""),
        host=host_of(config.mail_from or sender_at(config.public_url)),
        link=f"{config.site}/bookings/{stored.id}",
        sequence=(await app[REGISTRY].actor(stored.showtime.id)).snapshot.version,
        at=app[CLOCK].now(),
        ends=False,
    )
    headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{stored.reference}.ics"'}
    return web.Response(text=file.text, content_type=CALENDAR_TYPE, charset="utf-8", headers=headers)


OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/bookings/calendar", show_visits, "The caller's visits between two moments.",
        access=SIGNED_IN, answers={200: Listed[VisitEntry]}, query=SpanQuery,
    ),
    Operation(
        "GET", "/api/v1/bookings/{booking_id}/calendar.ics", calendar_file, "A visit as a file for one's own calendar.",
        access=SIGNED_IN, answers={200: str}, text_type=CALENDAR_TYPE, problems=("booking_not_found", "not_confirmed"),
    ),
)  # fmt: skip


def _moment(at: date | datetime) -> datetime:
    return at if isinstance(at, datetime) else datetime.combine(at, time(), UTC)


def _entry(stored: StoredBooking) -> VisitEntry:
    visit = card(stored)["showtime"]
    return {
        "id": stored.id,
        "reference": stored.reference,
        "title": stored.showtime.movie_title,
        "starts_at": visit["starts_at"],
        "ends_at": visit["ends_at"],
        "starts_at_local": visit["starts_at_local"],
        "business_date": visit["business_date"],
        "theatre": visit["theatre"],
        "screen": visit["screen"],
        "seats": [line.seat for line in stored.lines],
    }
