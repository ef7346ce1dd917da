"""Who is asking, and what they may do. The only source of an identity is a verified access token."""

from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web

from actors.seatmap.terms import Instant
from actors.seatmap.values import dataclass
from server.errors import Problem, auth_required, forbidden
from server.keys import TOKENS

GUEST: Final = "guest"
CUSTOMER: Final = "customer"
USHER: Final = "usher"
BOX_OFFICE: Final = "box_office"
MANAGER: Final = "manager"
ADMIN: Final = "admin"
EVERYONE: Final = (GUEST, CUSTOMER, USHER, BOX_OFFICE, MANAGER, ADMIN)
MEMBERS: Final = (CUSTOMER, USHER, BOX_OFFICE, MANAGER, ADMIN)
STAFF: Final = (USHER, BOX_OFFICE, MANAGER, ADMIN)


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller. `theatres` are the theatres a member of staff works for; an admin works for all."""

    account_id: str
    session_id: str
    roles: frozenset[str]
    theatres: frozenset[str]
    expires_at: Instant

    def is_any(self, *roles: str) -> bool:
        return not self.roles.isdisjoint(roles)

    def works_for(self, theatre_id: str) -> bool:
        return ADMIN in self.roles or theatre_id in self.theatres


Guard = Callable[[web.Request], None]

_CALLER: Final[web.RequestKey[Identity]] = web.RequestKey("caller", Identity)


def guard(access: frozenset[str]) -> Guard:
    """Lets in whoever has one of the roles, or with no role named whoever has a token, and remembers who it is."""

    def demand(request: web.Request) -> None:
        identity = identify(request)
        if identity is None:
            raise auth_required()
        if access and identity.roles.isdisjoint(access):
            raise forbidden()
        request[_CALLER] = identity

    return demand


def caller(request: web.Request) -> Identity:
    """Whom the guard of this operation let in."""
    return request[_CALLER]


def identify(request: web.Request) -> Identity | None:
    """The caller; None for somebody without a token. 401 token_expired, token_revoked or auth_required."""
    known: Identity | None = request.get(_CALLER)
    if known is not None:
        return known
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return None
    if header[:7] != "Bearer " and header[:7].lower() != "bearer ":
        raise auth_required()
    return request.app[TOKENS].verify_token(header[7:])


def require(request: web.Request, *roles: str) -> Identity:
    """The caller, who has a token and, where roles are named, one of them. 401, or 403 forbidden."""
    identity = identify(request)
    if identity is None:
        raise auth_required()
    if roles and identity.roles.isdisjoint(roles):
        raise forbidden()
    return identity


def require_staff_of(request: web.Request, theatre_id: str, *roles: str) -> Identity:
    """Like `require`, and the caller works for this theatre. 403 out_of_scope."""
    identity = require(request, *roles)
    if not identity.works_for(theatre_id):
        raise Problem(403, "out_of_scope", "This theatre is not one of yours.")
    return identity
