"""What somebody wants to be told, and how, over HTTP."""

from typing import Final

from aiohttp import web
from typing_extensions import TypedDict

from persistence import accounts
from server.auth import identity
from server.auth.details import Zone
from server.auth.entry import own_account
from server.auth.identity import MEMBERS
from server.keys import CLOCK, POOL
from server.notify.ways import Ways, ways
from server.operations import Operation
from server.requests import Body, read_body
from server.responses import answer


class Preferences(TypedDict):
    """`time_zone` is the account's: quiet hours and dates in letters follow it."""

    booking_confirmed: Ways
    booking_cancelled: Ways
    booking_reminder: Ways
    showtime_changed: Ways
    waitlist_offer: Ways
    upcoming_movie: Ways
    time_zone: str


class WaysChange(Body):
    in_app: bool | None = None
    email: bool | None = None
    sms: bool | None = None
    push: bool | None = None


class PreferencesChange(Body):
    """Absent topics and ways stay as they are."""

    booking_confirmed: WaysChange | None = None
    booking_cancelled: WaysChange | None = None
    booking_reminder: WaysChange | None = None
    showtime_changed: WaysChange | None = None
    waitlist_offer: WaysChange | None = None
    upcoming_movie: WaysChange | None = None
    time_zone: Zone | None = None


async def preferences(request: web.Request) -> web.Response:
    account = await own_account(request)
    stored = await accounts.preferences(request.app[POOL], account.id)
    return answer(_whole(stored, account.time_zone))


async def change(request: web.Request) -> web.Response:
    app = request.app
    caller = identity.caller(request)
    asked = await read_body(request, PreferencesChange)
    account = await own_account(request)
    given = asked.model_dump(exclude_unset=True, exclude_none=True)
    zone = given.pop("time_zone", account.time_zone)
    async with app[POOL].acquire() as connection, connection.transaction():
        stored = await accounts.change_preferences(connection, caller.account_id, given, zone, app[CLOCK].now())
    return answer(_whole(stored, zone))


def _whole(stored: accounts.Preferences, time_zone: str) -> Preferences:
    """What is stored, over what is usual."""
    return {
        "booking_confirmed": ways(stored, "booking_confirmed"),
        "booking_cancelled": ways(stored, "booking_cancelled"),
        "booking_reminder": ways(stored, "booking_reminder"),
        "showtime_changed": ways(stored, "showtime_changed"),
        "waitlist_offer": ways(stored, "waitlist_offer"),
        "upcoming_movie": ways(stored, "upcoming_movie"),
        "time_zone": time_zone,
    }


_MEMBERS: Final = frozenset(MEMBERS)
_CHANGE: Final = Operation(
    "PATCH", "/api/v1/me/notification-preferences", change, "Change what one is told, topic by topic.",
    access=_MEMBERS, answers={200: Preferences}, asks=PreferencesChange,
)  # fmt: skip
OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/me/notification-preferences", preferences, "What one is told, and how.",
        access=_MEMBERS, answers={200: Preferences},
    ),
    _CHANGE,
    _CHANGE.also("PUT", "/api/v1/me/notification-preferences"),
)  # fmt: skip
