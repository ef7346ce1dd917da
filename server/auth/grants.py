"""Grants: what an account may do and where, and how that changes.

A change holds at once: tokens from before it are refused, so refreshing brings the new roles, and sockets come anew.
Changes are made one at a time, so that the last administrator cannot be lost between two of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web

from actors.seatmap.terms import Instant
from persistence import accounts
from persistence.accounts import Account
from persistence.database import Connection
from server.auth.identity import ADMIN, BOX_OFFICE, CUSTOMER, GUEST, MANAGER, USHER
from server.errors import Problem, not_found
from server.keys import CLOCK, POOL, SESSIONS
from server.revisions import check


@dataclass(frozen=True, slots=True)
class Grants:
    roles: frozenset[str]
    theatre_ids: frozenset[str]
    blocked: bool

    @classmethod
    def of(cls, account: Account) -> "Grants":
        return cls(frozenset(account.roles), frozenset(account.theatre_ids), account.blocked)

    def with_manager_of(self, theatre_id: str) -> "Grants":
        return Grants(self.roles | {MANAGER}, self.theatre_ids | {theatre_id}, self.blocked)

    def without_theatre(self, theatre_id: str) -> "Grants":
        """No work there any more; who works nowhere else is no manager either."""
        left = self.theatre_ids - {theatre_id}
        roles = self.roles if left else self.roles - {MANAGER, BOX_OFFICE, USHER} or frozenset({CUSTOMER})
        return Grants(roles, left, self.blocked)


Revise = Callable[[Grants], Grants]


async def change(request: web.Request, account_id: str, revise: Revise) -> Account:
    """Change what an account may do. 404 user_not_found, 409 last_admin, 412 precondition_failed."""
    app = request.app
    async with app[POOL].acquire() as connection, connection.transaction():
        await accounts.lock_grants(connection)
        account = await member(connection, account_id)
        check(request, account.revision)
        changed = await write(connection, account, revise(Grants.of(account)), app[CLOCK].now())
    await app[SESSIONS].regrant(changed)
    return changed


async def member(connection: Connection, account_id: str) -> Account:
    """Somebody who can be granted something, locked. 404 user_not_found: guests and the erased cannot."""
    account = await accounts.lock(connection, account_id)
    if account is None or account.erased or GUEST in account.roles:
        raise not_found("user")
    return account


async def write(connection: Connection, account: Account, wanted: Grants, now: Instant) -> Account:
    """Within a transaction that has `lock_grants`. 409 last_admin. Tell `Sessions.regrant` once it is committed."""
    before = Grants.of(account)
    if wanted == before:
        return account
    loses_admin = is_acting_admin(before) and not is_acting_admin(wanted)
    if loses_admin and not await accounts.other_admins(connection, account.id):
        raise last_admin()
    roles, theatre_ids = _sorted(wanted.roles), _sorted(wanted.theatre_ids)
    changed = await accounts.grant(connection, account.id, roles, theatre_ids, now, blocked=wanted.blocked)
    assert changed is not None
    return changed


def is_acting_admin(grants: Grants) -> bool:
    return ADMIN in grants.roles and not grants.blocked


def last_admin() -> Problem:
    return Problem(409, "last_admin", "Somebody has to run this house. Make another administrator first.")


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
