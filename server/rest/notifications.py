"""The inbox over HTTP, and a confirmation once more for somebody who cannot find it."""

from typing import Final

from aiohttp import web
from typing_extensions import TypedDict

from actors.ids import mint
from actors.seatmap.state import BookingStatus
from persistence import bookings, jobs
from persistence import notifications as store
from persistence.jobs import Job
from server.auth import identity
from server.auth.entry import own_account
from server.auth.identity import ADMIN, BOX_OFFICE, MANAGER, MEMBERS
from server.errors import Problem, not_found
from server.keys import CLOCK, JOBS, LIMITER, PEOPLE, POOL
from server.listings import after_start
from server.notify.notices import Notice, shown
from server.notify.speech import speech_for
from server.operations import SIGNED_IN, Operation
from server.requests import Body, Cursor, Page, path_id, read_body, read_query
from server.responses import answer
from server.shapes import Listed


class InboxQuery(Page):
    """`unread` alone, or `unread=true`: only what has not been read."""

    unread: bool = False


class Reading(Body):
    """`false` puts it back among the unread."""

    read: bool


class Unread(TypedDict):
    unread: int


class AllRead(TypedDict):
    """How many were unread."""

    read: int


async def inbox(request: web.Request) -> web.Response:
    """The newest first."""
    query = read_query(request, InboxQuery)
    unread = query.unread or request.query.get("unread") == ""
    account = await own_account(request)
    after = after_start(Cursor.read(query.cursor))
    found = await store.inbox(request.app[POOL], account.id, unread=unread, after=after, limit=query.limit + 1)
    items, speech = found[: query.limit], speech_for(account.locale)
    more = Cursor(key=str(items[-1].created_at), id=items[-1].id).text() if len(found) > query.limit else None
    body: Listed[Notice] = {"items": [shown(item, speech) for item in items], "next_cursor": more}
    return answer(body)


async def unread_count(request: web.Request) -> web.Response:
    count: Unread = {"unread": await store.unread_count(request.app[POOL], identity.caller(request).account_id)}
    return answer(count)


async def mark(request: web.Request) -> web.Response:
    app = request.app
    notification_id = path_id(request, "notification_id", "notification")
    asked = await read_body(request, Reading)
    account = await own_account(request)
    marked = await store.mark(app[POOL], account.id, notification_id, read=asked.read, now=app[CLOCK].now())
    if marked is None:
        raise not_found("notification")
    app[PEOPLE].recount(account.id)
    return answer(shown(marked, speech_for(account.locale)))


async def mark_all(request: web.Request) -> web.Response:
    app, person = request.app, identity.caller(request).account_id
    done: AllRead = {"read": await store.mark_all_read(app[POOL], person, app[CLOCK].now())}
    app[PEOPLE].recount(person)
    return answer(done)


async def resend(request: web.Request) -> web.Response:
    """The confirmation as the booking stands now, to the address it was sent to before."""
    app, caller = request.app, identity.caller(request)
    booking_id = path_id(request, "booking_id", "booking")
    stored = await bookings.booking(app[POOL], booking_id)
    staff = caller.is_any(BOX_OFFICE, MANAGER, ADMIN)
    if stored is None or not (
        stored.owner == caller.account_id or (staff and caller.works_for(stored.showtime.theatre_id))
    ):
        raise not_found("booking")
    if stored.status != BookingStatus.CONFIRMED.value:
        raise Problem(409, "not_confirmed", "This booking is not confirmed, so there is nothing to send.")
    await app[LIMITER].spend(app[LIMITER].rates.resends, request.path)
    letter = {"letter": "booking_confirmed", "booking_id": booking_id, "again": True}
    async with app[POOL].acquire() as connection, connection.transaction():
        key = f"mail:resent:{mint(app[CLOCK].now())}"
        await jobs.put(connection, [Job("mail", key, stored.showtime.id, letter)])
    app[JOBS].wake()
    return web.Response(status=202)


_MEMBERS: Final = frozenset(MEMBERS)
_MARK: Final = Operation(
    "PATCH", "/api/v1/notifications/{notification_id}", mark, "Mark a notification as read, or as unread again.",
    access=_MEMBERS, answers={200: Notice}, asks=Reading, problems=("notification_not_found",),
)  # fmt: skip
OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/notifications", inbox, "What one was told, the newest first.",
        access=_MEMBERS, answers={200: Listed[Notice]}, query=InboxQuery,
    ),
    Operation(
        "GET", "/api/v1/notifications/unread-count", unread_count, "How much of the inbox is unread.",
        access=_MEMBERS, answers={200: Unread},
    ),
    _MARK,
    _MARK.also("PUT", "/api/v1/notifications/{notification_id}"),
    Operation(
        "POST", "/api/v1/notifications/read-all", mark_all, "Mark everything as read.",
        access=_MEMBERS, answers={200: AllRead},
    ),
    Operation(
        "POST", "/api/v1/bookings/{booking_id}/resend", resend, "Send the confirmation once more.",
        access=SIGNED_IN, answers={202: None}, problems=("not_confirmed", "rate_limited"),
    ),
)  # fmt: skip
