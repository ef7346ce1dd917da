"""Signing in and out over HTTP: register, log in, come as a guest, stay, and leave."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Annotated, Final

from aiohttp import hdrs, web
from limits import RateLimitItem
from pydantic import Field, model_validator

from actors.ids import mint
from persistence import accounts
from persistence.accounts import Account
from server.auth import identity, passwords
from server.auth.addresses import sought
from server.auth.details import Email, Name, Password, Phone
from server.auth.entry import SignedIn, address, agent, cookie, locale, set_cookie, signed_in
from server.auth.identity import Identity
from server.auth.proofs import send_welcome
from server.auth.sessions import not_matching
from server.errors import Problem, auth_required, unauthorized
from server.handover import bring_along
from server.keys import CLOCK, LIMITER, PASSWORDS, POOL, SESSIONS, TELEMETRY
from server.operations import PUBLIC, Operation
from server.requests import Body, read_body, read_optional_body
from server.responses import no_content

_COOKIE_SET: Final[Mapping[str, str]] = {hdrs.SET_COOKIE: "The refresh token, for the site."}


class Registration(Body):
    email: Email
    password: Password
    display_name: Name
    phone: Phone | None = None
    confirm_password: Password | None = Field(None, alias="confirmPassword")

    @model_validator(mode="after")
    def _confirmed(self) -> "Registration":
        if self.confirm_password is not None and self.confirm_password != self.password:
            raise ValueError("the two passwords differ")
        return self


class Login(Body):
    email: Annotated[str, Field(max_length=254)]
    password: Password


class Refresh(Body):
    """Without a body the site's cookie is used."""

    refresh_token: Annotated[str, Field(max_length=200)] | None = None


class Logout(Body):
    all: bool = False
    refresh_token: Annotated[str, Field(max_length=200)] | None = None


async def register(request: web.Request) -> web.Response:
    """A new account. A guest who registers keeps id, holds and bookings."""
    app = request.app
    await _spend(request, app[LIMITER].rates.registrations)
    asked = await read_body(request, Registration)
    passwords.check_strength(asked.password, asked.email)
    caller = _caller_if_any(request)
    now = app[CLOCK].now()
    account = Account(
        id=mint(now),
        email=asked.email,
        display_name=asked.display_name,
        phone=asked.phone,
        password_hash=await app[PASSWORDS].hash(asked.password),
        roles=(identity.CUSTOMER,),
        created_at=now,
        locale=locale(request),
    )
    try:
        account = await _add(request, account, caller)
    except accounts.EmailTaken:
        raise Problem(409, "email_taken", "There is already an account with this e-mail address.") from None
    await send_welcome(app, account.id, asked.email)
    return signed_in(request, await app[SESSIONS].begin(account, agent(request)), status=201)


async def _add(request: web.Request, account: Account, caller: Identity | None) -> Account:
    """Store a new account: in the place of the guest who asks, if it is one."""
    pool = request.app[POOL]
    if caller is not None and caller.roles == {identity.GUEST}:
        grown = await accounts.upgrade_guest(pool, replace(account, id=caller.account_id))
        if grown is not None:
            await request.app[SESSIONS].outgrown(caller.session_id)
            return grown
    await accounts.add(pool, account)
    return account


async def login(request: web.Request) -> web.Response:
    """A guest who logs in brings along what it holds."""
    app = request.app
    limiter = app[LIMITER]
    await _spend(request, limiter.rates.logins)
    asked = await read_body(request, Login)
    app[PASSWORDS].admit()  # whoever is turned away has not failed, and costs nothing more
    email = sought(asked.email)
    who = (sha256(email.encode()).hexdigest(), address(request))
    # Counted before the slow check, so that attempts in parallel cannot slip through; forgiven on success.
    await limiter.spend(limiter.rates.failed_logins, *who, code="login_throttled")
    account = await accounts.by_email(app[POOL], email)
    right = await app[PASSWORDS].matches(asked.password, account.password_hash if account else None)
    if account is None or not right or account.blocked:
        app[TELEMETRY].logins.labels("refused").inc()
        raise not_matching()
    await limiter.forgive(limiter.rates.failed_logins, *who, code="login_throttled")
    app[TELEMETRY].logins.labels("accepted").inc()
    pair = await app[SESSIONS].begin(account, agent(request))
    await bring_along(request, _caller_if_any(request), account.id)
    return signed_in(request, pair)


async def guest(request: web.Request) -> web.Response:
    """A token for somebody without an account, good for holding seats."""
    app = request.app
    await _spend(request, app[LIMITER].rates.guests)
    now = app[CLOCK].now()
    account = Account(id=mint(now), roles=(identity.GUEST,), created_at=now, locale=locale(request))
    await accounts.add(app[POOL], account)
    return signed_in(request, await app[SESSIONS].begin(account, agent(request)), status=201)


async def refresh(request: web.Request) -> web.Response:
    app = request.app
    await _spend(request, app[LIMITER].rates.refreshes)
    asked = await read_optional_body(request, Refresh)
    token = asked.refresh_token or cookie(request)
    if token is None:
        raise unauthorized("refresh_invalid", "A refresh token is needed.")
    return signed_in(request, await app[SESSIONS].refresh(token))


async def logout(request: web.Request) -> web.Response:
    """End this session, or all of the account's. Signing out twice is no error."""
    sessions = request.app[SESSIONS]
    asked = await read_optional_body(request, Logout)
    caller = identity.identify(request)
    token = asked.refresh_token or cookie(request)
    if caller is None and token is None:
        raise auth_required()
    if caller is not None and asked.all:
        await sessions.end_all(caller.account_id)
    elif caller is not None:
        await sessions.end(caller.session_id)
    if token is not None:
        await sessions.end_by_refresh_token(token)
    response = no_content()
    set_cookie(request, response, "", 0)
    return response


def _caller_if_any(request: web.Request) -> Identity | None:
    """Who registers or logs in, where that is known; a token that is good no more does not stand in the way."""
    try:
        return identity.identify(request)
    except Problem:
        return None


async def _spend(request: web.Request, rate: RateLimitItem) -> None:
    await request.app[LIMITER].spend(rate, request.path, address(request))


OPERATIONS: Final = (
    Operation(
        "POST", "/api/v1/auth/register", register, "Make an account. A guest who does keeps what it holds.",
        access=PUBLIC, answers={201: SignedIn}, asks=Registration, headers=_COOKIE_SET,
        problems=("email_taken", "weak_password", "rate_limited", "busy"),
    ),
    Operation(
        "POST", "/api/v1/auth/login", login, "Sign in. A guest who does brings along what it holds.",
        access=PUBLIC, answers={200: SignedIn}, asks=Login, headers=_COOKIE_SET,
        problems=("invalid_credentials", "login_throttled", "rate_limited", "busy"),
    ),
    Operation(
        "POST", "/api/v1/auth/guest", guest, "Come as a guest, who may hold seats.",
        access=PUBLIC, answers={201: SignedIn}, headers=_COOKIE_SET, problems=("rate_limited",),
    ),
    Operation(
        "POST", "/api/v1/auth/refresh", refresh, "Exchange a refresh token, or the site's cookie, for a new pair.",
        access=PUBLIC, answers={200: SignedIn}, asks=Refresh, body_required=False, headers=_COOKIE_SET,
        problems=("refresh_invalid", "refresh_expired", "refresh_reused", "forbidden", "rate_limited"),
    ),
    Operation(
        "POST", "/api/v1/auth/logout", logout, "End this session, or all of one's sessions.",
        access=PUBLIC, answers={204: None}, asks=Logout, body_required=False,
        problems=("auth_required", "token_expired", "token_revoked", "forbidden"),
    ),
)  # fmt: skip
