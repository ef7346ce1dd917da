"""One's own account over HTTP: read it, change it, and have it forgotten."""

from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from pydantic import field_validator

from persistence import accounts
from server.aliases import alias
from server.auth import identity
from server.auth.details import Locale, Name, Phone, Zone
from server.auth.entry import User, own_account, set_cookie, user
from server.auth.grants import last_admin
from server.auth.identity import ADMIN, MEMBERS
from server.errors import Problem, unauthorized
from server.keys import CLOCK, POOL, SESSIONS
from server.operations import SIGNED_IN, Operation
from server.requests import Body, read_body
from server.responses import answer
from server.revisions import check, tagged


class Profile(Body):
    """Absent fields stay as they are; `phone: null` removes the number."""

    display_name: Name | None = None
    phone: Phone | None = None
    locale: Locale | None = None
    time_zone: Zone | None = None

    @field_validator("display_name", "locale", "time_zone", mode="before")
    @classmethod
    def _present(cls, value: object) -> object:
        if value is None:
            raise ValueError("this cannot be removed")
        return value


async def me(request: web.Request) -> web.Response:
    account = await own_account(request)
    return answer(user(account), headers=tagged(account.revision))


async def change_me(request: web.Request) -> web.Response:
    app = request.app
    caller = identity.caller(request)
    asked = await read_body(request, Profile)
    given = asked.model_dump(exclude_unset=True)
    async with app[POOL].acquire() as connection, connection.transaction():
        account = await accounts.lock(connection, caller.account_id)
        if account is None or account.erased:
            raise _gone()
        check(request, account.revision)
        changed = await accounts.update_profile(
            connection,
            account.id,
            display_name=given.get("display_name", account.display_name),
            phone=given.get("phone", account.phone),
            locale=given.get("locale", account.locale),
            time_zone=given.get("time_zone", account.time_zone),
            now=app[CLOCK].now(),
        )
        assert changed is not None
    return answer(user(changed), headers=tagged(changed.revision))


async def erase_me(request: web.Request) -> web.Response:
    """Forget who the caller is. Past bookings stay, and are nobody's; the log is not touched."""
    app = request.app
    caller = identity.caller(request)
    now = app[CLOCK].now()
    async with app[POOL].acquire() as connection, connection.transaction():
        await accounts.lock_grants(connection)
        account = await accounts.lock(connection, caller.account_id)
        if account is None or account.erased:
            raise _gone()
        if ADMIN in account.roles and not await accounts.other_admins(connection, account.id):
            raise last_admin()
        if await accounts.has_upcoming_bookings(connection, account.id, now):
            raise Problem(409, "upcoming_bookings", "Seats are waiting for you. Cancel them first, or come and see.")
        await accounts.erase(connection, account.id, now)
    gone = await accounts.by_id(app[POOL], caller.account_id)
    assert gone is not None
    await app[SESSIONS].regrant(gone)
    response = web.Response(status=202)
    set_cookie(request, response, "", 0)
    return response


def _gone() -> Problem:
    return unauthorized("token_revoked", "This account no longer exists.")


_MEMBERS: Final = frozenset(MEMBERS)
_TAGGED: Final[Mapping[str, str]] = {hdrs.ETAG: "The revision, for If-Match."}
_CHANGE: Final = Operation(
    "PATCH", "/api/v1/auth/me", change_me, "Change one's own account, field by field.",
    access=_MEMBERS, answers={200: User}, headers=_TAGGED, asks=Profile, problems=("precondition_failed",),
)  # fmt: skip
OPERATIONS: Final = (
    Operation("GET", "/api/v1/auth/me", me, "One's own account.", SIGNED_IN, {200: User}, headers=_TAGGED),
    _CHANGE,
    _CHANGE.also("PUT", "/api/v1/auth/me"),
    Operation(
        "DELETE", "/api/v1/auth/me", erase_me, "Be forgotten: personal data goes, past bookings stay without a name.",
        access=_MEMBERS, answers={202: None}, problems=("upcoming_bookings", "last_admin"),
    ),
    *(alias(method, "/api/v1/users/me", "/api/v1/auth/me") for method in ("GET", "PATCH", "PUT", "DELETE")),
)  # fmt: skip
