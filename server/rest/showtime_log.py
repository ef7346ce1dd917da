"""A showtime's log as its theatre reads it: what happened to which seats, who caused it, by which request."""

from typing import Any, Final, NotRequired

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from actors.seatmap.events import Record, public_delta
from persistence import accounts, bookings
from persistence.bookings import LogFilter
from persistence.moments import instant
from server.auth.identity import ADMIN, MANAGER, require_staff_of
from server.chronicle import Recorded, recorded
from server.errors import invalid, not_found
from server.keys import POOL
from server.operations import Operation
from server.requests import Cursor, Page, Text, WireTime, path_id, read_query
from server.responses import answer
from server.shapes import Listed, SeatLabel

_READERS: Final = frozenset((MANAGER, ADMIN))


class LogQuery(Page):
    """`seat`: what names this seat. `user`: what this account, by its id or address, caused or is the owner of."""

    seat: Text | None = None
    user: Text | None = None
    since: WireTime | None = Field(None, alias="from")
    until: WireTime | None = Field(None, alias="to")


class SeatsMoved(TypedDict):
    """The seats whose public state is another one afterwards."""

    free: NotRequired[list[SeatLabel]]
    held: NotRequired[list[SeatLabel]]
    sold: NotRequired[list[SeatLabel]]
    blocked: NotRequired[list[SeatLabel]]


class Entry(Recorded):
    """An event, the seats that it moved, and a hash of it as it is stored."""

    seq: int
    seats: SeatsMoved
    hash: str


async def show_log(request: web.Request) -> web.Response:
    """The oldest first."""
    pool, showtime_id = request.app[POOL], path_id(request, "showtime_id", "showtime")
    theatre_id = await bookings.theatre_of(pool, showtime_id)
    if theatre_id is None:
        raise not_found("showtime")
    require_staff_of(request, theatre_id, *_READERS)
    query = read_query(request, LogQuery)
    wanted = LogFilter(
        seat=query.seat,
        person=await _person(request, query.user),
        since=None if query.since is None else instant(query.since),
        until=None if query.until is None else instant(query.until),
        after=_version(Cursor.read(query.cursor)),
    )
    found = await bookings.log(pool, showtime_id, wanted, query.limit + 1)
    shown = found[: query.limit]
    more = Cursor(key=str(shown[-1][0].version), id=showtime_id).text() if len(found) > query.limit else None
    return answer({"items": [_entry(*each) for each in shown], "next_cursor": more})


OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/admin/showtimes/{showtime_id}/events", show_log, "Everything that happened to a showtime.",
        access=_READERS, answers={200: Listed[Entry]}, query=LogQuery, problems=("out_of_scope", "showtime_not_found"),
    ),
)  # fmt: skip


async def _person(request: web.Request, user: str | None) -> str | None:
    """The account that is meant; an address that nobody has stays what it is, and has caused nothing."""
    if user is None or "@" not in user:
        return user
    account = await accounts.by_email(request.app[POOL], user.lower())
    return user if account is None else account.id


def _version(cursor: Cursor | None) -> int:
    """Where the log goes on."""
    if cursor is None:
        return 0
    if not cursor.key.isdecimal() or len(cursor.key) > 15:
        raise invalid("cursor", "This cursor was not made by this server.")
    return int(cursor.key)


def _entry(record: Record, digest: str) -> dict[str, Any]:
    moved = {state: list(seats) for state, seats in public_delta(record.event).items() if seats}
    return {"seq": record.version, **recorded(record), "seats": moved, "hash": digest}
