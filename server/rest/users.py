"""Members for administrators: find them, and say what they may do and where."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from aiohttp import hdrs, web
from pydantic import Field
from typing_extensions import TypedDict

from persistence import accounts, catalog
from persistence.accounts import Account
from server.auth import grants
from server.auth.grants import Grants
from server.auth.identity import ADMIN, GUEST
from server.errors import invalid, not_found
from server.keys import POOL
from server.listings import after_start
from server.operations import Operation
from server.requests import Body, Cursor, Id, Page, Text, path_id, read_body, read_query
from server.responses import answer, no_content
from server.revisions import tagged
from server.shapes import Listed
from server.wire import rfc3339

Role = Literal["customer", "usher", "box_office", "manager", "admin"]


class Member(TypedDict):
    """An account as an administrator sees it. `scopes` are the theatres where staff works."""

    id: str
    email: str | None
    email_verified: bool
    display_name: str
    phone: str | None
    phone_verified: bool
    roles: list[str]
    scopes: list[str]
    blocked: bool
    created_at: str
    revision: int


class MembersQuery(Page):
    q: Text | None = None
    role: Role | None = None
    blocked: bool | None = None


class GrantsChange(Body):
    """Absent fields stay as they are."""

    roles: Annotated[list[Role], Field(min_length=1, max_length=5)] | None = None
    scopes: Annotated[list[Id], Field(max_length=200)] | None = None
    blocked: bool | None = None


async def members(request: web.Request) -> web.Response:
    query = read_query(request, MembersQuery)
    rows = await accounts.members(
        request.app[POOL],
        words=query.q or "",
        role=query.role,
        blocked=query.blocked,
        after=after_start(Cursor.read(query.cursor)),
        limit=query.limit + 1,
    )
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    body: Listed[Member] = {
        "items": [_member(account) for account in shown],
        "next_cursor": Cursor(key=str(last.created_at), id=last.id).text() if last else None,
    }
    return answer(body)


async def one_member(request: web.Request) -> web.Response:
    account = await accounts.by_id(request.app[POOL], path_id(request, "id", "user"))
    if account is None or account.erased or GUEST in account.roles:
        raise not_found("user")
    return _shown(account)


async def change_member(request: web.Request) -> web.Response:
    """It holds at once, for tokens and sockets that are in use too. Whoever is blocked is signed out everywhere."""
    account_id = path_id(request, "id", "user")
    asked = await read_body(request, GrantsChange)
    await _demand_theatres(request, asked.scopes or ())

    def revise(before: Grants) -> Grants:
        return Grants(
            before.roles if asked.roles is None else frozenset(asked.roles),
            before.theatre_ids if asked.scopes is None else frozenset(asked.scopes),
            before.blocked if asked.blocked is None else asked.blocked,
        )

    return _shown(await grants.change(request, account_id, revise))


async def add_manager(request: web.Request) -> web.Response:
    theatre_id = path_id(request, "id", "theatre")
    account_id = path_id(request, "user_id", "user")
    if await catalog.theatre(request.app[POOL], theatre_id) is None:
        raise not_found("theatre")
    await grants.change(request, account_id, lambda before: before.with_manager_of(theatre_id))
    return no_content()


async def remove_manager(request: web.Request) -> web.Response:
    theatre_id = path_id(request, "id", "theatre")
    account_id = path_id(request, "user_id", "user")
    await grants.change(request, account_id, lambda before: before.without_theatre(theatre_id))
    return no_content()


async def _demand_theatres(request: web.Request, theatre_ids: list[str] | tuple[str, ...]) -> None:
    for number, theatre_id in enumerate(theatre_ids):
        if await catalog.theatre(request.app[POOL], theatre_id) is None:
            raise invalid(f"scopes.{number}", "There is no such theatre.")


def _shown(account: Account) -> web.Response:
    return answer(_member(account), headers=tagged(account.revision))


def _member(account: Account) -> Member:
    return {
        "id": account.id,
        "email": account.email,
        "email_verified": account.email_verified,
        "display_name": account.display_name,
        "phone": account.phone,
        "phone_verified": account.phone_verified,
        "roles": list(account.roles),
        "scopes": list(account.theatre_ids),
        "blocked": account.blocked,
        "created_at": rfc3339(account.created_at),
        "revision": account.revision,
    }


_ADMIN: Final = frozenset({ADMIN})
_TAGGED: Final[Mapping[str, str]] = {hdrs.ETAG: "The revision, for If-Match."}
_CHANGE: Final = Operation(
    "PATCH", "/api/v1/admin/users/{id}", change_member, "Change what a member may do and where, or block it.",
    access=_ADMIN, answers={200: Member}, headers=_TAGGED, asks=GrantsChange,
    problems=("user_not_found", "last_admin", "precondition_failed"),
)  # fmt: skip
OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/admin/users", members, "Find members by name, address or number, role and state.",
        access=_ADMIN, answers={200: Listed[Member]}, query=MembersQuery,
    ),
    Operation(
        "GET", "/api/v1/admin/users/{id}", one_member, "One member.",
        access=_ADMIN, answers={200: Member}, headers=_TAGGED, problems=("user_not_found",),
    ),
    _CHANGE,
    _CHANGE.also("PUT", "/api/v1/admin/users/{id}"),
    Operation(
        "PUT", "/api/v1/admin/theatres/{id}/managers/{user_id}", add_manager, "Make a member manager of a theatre.",
        access=_ADMIN, answers={204: None}, problems=("theatre_not_found", "user_not_found", "precondition_failed"),
    ),
    Operation(
        "DELETE", "/api/v1/admin/theatres/{id}/managers/{user_id}", remove_manager, "End a member's work at a theatre.",
        access=_ADMIN, answers={204: None}, problems=("theatre_not_found", "user_not_found", "precondition_failed"),
    ),
)  # fmt: skip
