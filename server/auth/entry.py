"""What somebody who signs in is given: the account, the tokens, and the cookie of the site.

The refresh token travels in the body for programs and in an HttpOnly cookie for the site.
"""

from typing import Final

from aiohttp import hdrs, web
from typing_extensions import TypedDict

from persistence import accounts
from persistence.accounts import Account
from server.auth import identity
from server.auth.details import first_locale
from server.auth.sessions import Pair
from server.auth.tokens import ACCESS_MS
from server.errors import forbidden, unauthorized
from server.keys import CONFIG, POOL
from server.requests import client_address
from server.responses import answer
from server.wire import rfc3339

COOKIE_PATH: Final = "/api/v1/auth"
_COOKIE: Final = "marquee_refresh"
_SECURE_COOKIE: Final = "__Secure-marquee_refresh"


class User(TypedDict):
    """An account as its owner sees it."""

    id: str
    email: str | None
    email_verified: bool
    display_name: str
    phone: str | None
    phone_verified: bool
    locale: str
    time_zone: str
    roles: list[str]
    theatre_ids: list[str]
    created_at: str


class SignedIn(TypedDict):
    """The account and how to prove to be its owner. `expires_in` is the access token's life in seconds."""

    user: User
    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


def user(account: Account) -> User:
    return {
        "id": account.id,
        "email": account.email,
        "email_verified": account.email_verified,
        "display_name": account.display_name,
        "phone": account.phone,
        "phone_verified": account.phone_verified,
        "locale": account.locale,
        "time_zone": account.time_zone,
        "roles": list(account.roles),
        "theatre_ids": list(account.theatre_ids),
        "created_at": rfc3339(account.created_at),
    }


def signed_in(request: web.Request, pair: Pair, status: int = 200) -> web.Response:
    body: SignedIn = {
        "user": user(pair.account),
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_MS // 1000,
    }
    response = answer(body, status)
    set_cookie(request, response, pair.refresh_token, pair.refresh_seconds)
    return response


async def own_account(request: web.Request) -> Account:
    """The caller's account. 401 token_revoked when it is gone."""
    caller = identity.require(request)
    account = await accounts.by_id(request.app[POOL], caller.account_id)
    if account is None or account.erased:
        raise unauthorized("token_revoked", "This account no longer exists.")
    return account


def set_cookie(request: web.Request, response: web.Response, token: str, seconds: int) -> None:
    secure = _is_https(request)
    response.set_cookie(
        _SECURE_COOKIE if secure else _COOKIE,
        token,
        max_age=seconds,
        path=COOKIE_PATH,
        httponly=True,
        secure=secure,
        samesite="Strict",
    )


def cookie(request: web.Request) -> str | None:
    """The site's refresh token. A request that another site caused may not use it: 403."""
    token = request.cookies.get(_SECURE_COOKIE if _is_https(request) else _COOKIE)
    if token and request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise forbidden("This must be asked for by the site itself.")
    origin = request.headers.get(hdrs.ORIGIN)
    if token and origin is not None and origin.partition("://")[2] != request.host:
        raise forbidden("This must be asked for by the site itself.")
    return token or None


def address(request: web.Request) -> str:
    """Where the caller is."""
    return client_address(request, request.app[CONFIG].trusted_proxies)


def agent(request: web.Request) -> str:
    return request.headers.get(hdrs.USER_AGENT, "")


def locale(request: web.Request) -> str:
    """The language that somebody who is new here reads, as their browser says."""
    return first_locale(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))


def _is_https(request: web.Request) -> bool:
    return (request.app[CONFIG].public_url or "").startswith("https://")
