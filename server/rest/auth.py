"""Accounts over HTTP: register, sign in, stay signed in, sign out, and one's own profile.

The refresh token travels in the body for programs and in an HttpOnly cookie for the site.
"""

import re
from hashlib import sha256
from typing import Annotated, Any, Final
from zoneinfo import available_timezones

from aiohttp import hdrs, web
from pydantic import AfterValidator, Field, field_validator, model_validator

from actors.ids import mint
from persistence import accounts
from persistence.accounts import Account
from server.aliases import moved
from server.auth import identity, passwords
from server.auth.addresses import ADDRESS_LENGTH_MAX, folded
from server.auth.sessions import Pair
from server.auth.tokens import ACCESS_MS
from server.errors import Problem, auth_required, forbidden, unauthorized
from server.keys import CLOCK, CONFIG, LIMITER, PASSWORDS, POOL, SESSIONS, TELEMETRY
from server.requests import Body, client_address, read_body, read_optional_body
from server.responses import answer, no_content
from server.wire import rfc3339

COOKIE_PATH: Final = "/api/v1/auth"
_COOKIE: Final = "marquee_refresh"
_SECURE_COOKIE: Final = "__Secure-marquee_refresh"
_is_phone: Final = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
_is_locale: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}").fullmatch
_ZONES: Final = frozenset(available_timezones())


def _phone(text: str) -> str:
    compact = re.sub(r"[\s().-]", "", text)
    if not _is_phone(compact):
        raise ValueError("a phone number looks like +919812345678")
    return compact


def _name(text: str) -> str:
    name = " ".join(text.split())
    if len(name) < 2 or not name.isprintable():
        raise ValueError("a name has at least 2 printable characters")
    return name


def _locale(text: str) -> str:
    if not _is_locale(text):
        raise ValueError("a locale looks like en or en-IN")
    return text


def _zone(text: str) -> str:
    if text not in _ZONES:
        raise ValueError("this is not an IANA time zone")
    return text


Email = Annotated[str, Field(max_length=ADDRESS_LENGTH_MAX), AfterValidator(folded)]
Phone = Annotated[str, Field(max_length=40), AfterValidator(_phone)]
Name = Annotated[str, Field(max_length=100), AfterValidator(_name)]
Locale = Annotated[str, Field(max_length=35), AfterValidator(_locale)]
Zone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
Password = Annotated[str, Field(max_length=4_096)]


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
    refresh_token: Annotated[str, Field(max_length=200)] | None = None


class Logout(Body):
    all: bool = False
    refresh_token: Annotated[str, Field(max_length=200)] | None = None


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


async def register(request: web.Request) -> web.Response:
    app = request.app
    await _spend(request, app[LIMITER].rates.registrations)
    asked = await read_body(request, Registration)
    passwords.check_strength(asked.password, asked.email)
    account = Account(
        id=mint(app[CLOCK].now()),
        email=asked.email,
        display_name=asked.display_name,
        phone=asked.phone,
        password_hash=await app[PASSWORDS].hash(asked.password),
        roles=(identity.CUSTOMER,),
        created_at=app[CLOCK].now(),
    )
    try:
        await accounts.add(app[POOL], account)
    except accounts.EmailTaken:
        raise Problem(409, "email_taken", "There is already an account with this e-mail address.") from None
    return _signed_in(request, await app[SESSIONS].begin(account, _agent(request)), status=201)


async def login(request: web.Request) -> web.Response:
    app = request.app
    limiter, address = app[LIMITER], _address(request)
    await _spend(request, limiter.rates.logins)
    asked = await read_body(request, Login)
    email = asked.email.strip().lower()
    who = (sha256(email.encode()).hexdigest(), address)
    # Counted before the slow check, so that attempts in parallel cannot slip through; forgiven on success.
    await limiter.spend(limiter.rates.failed_logins, *who, code="login_throttled")
    account = await accounts.by_email(app[POOL], email)
    right = await app[PASSWORDS].matches(asked.password, account.password_hash if account else None)
    if account is None or not right or account.blocked:
        app[TELEMETRY].logins.labels("refused").inc()
        raise unauthorized("invalid_credentials", "E-mail address and password do not match.")
    await limiter.forgive(limiter.rates.failed_logins, *who, code="login_throttled")
    app[TELEMETRY].logins.labels("accepted").inc()
    return _signed_in(request, await app[SESSIONS].begin(account, _agent(request)))


async def guest(request: web.Request) -> web.Response:
    """A token for somebody without an account, good for holding seats."""
    app = request.app
    await _spend(request, app[LIMITER].rates.guests)
    now = app[CLOCK].now()
    account = Account(id=mint(now), roles=(identity.GUEST,), created_at=now)
    await accounts.add(app[POOL], account)
    return _signed_in(request, await app[SESSIONS].begin(account, _agent(request)), status=201)


async def refresh(request: web.Request) -> web.Response:
    app = request.app
    await _spend(request, app[LIMITER].rates.refreshes)
    asked = await read_optional_body(request, Refresh)
    token = asked.refresh_token or _cookie(request)
    if token is None:
        raise unauthorized("refresh_invalid", "A refresh token is needed.")
    return _signed_in(request, await app[SESSIONS].refresh(token))


async def logout(request: web.Request) -> web.Response:
    """End this session, or all of the account's. Signing out twice is no error."""
    sessions = request.app[SESSIONS]
    asked = await read_optional_body(request, Logout)
    caller = identity.identify(request)
    token = asked.refresh_token or _cookie(request)
    if caller is None and token is None:
        raise auth_required()
    if caller is not None and asked.all:
        await sessions.end_all(caller.account_id)
    elif caller is not None:
        await sessions.end(caller.session_id)
    if token is not None:
        await sessions.end_by_refresh_token(token)
    response = no_content()
    _set_cookie(request, response, "", 0)
    return response


async def me(request: web.Request) -> web.Response:
    return answer(_user(await _own_account(request)))


async def change_me(request: web.Request) -> web.Response:
    caller = identity.require(request, *identity.MEMBERS)
    asked = await read_body(request, Profile)
    account = await _own_account(request)
    given = asked.model_dump(exclude_unset=True)
    await accounts.update_profile(
        request.app[POOL],
        caller.account_id,
        display_name=given.get("display_name", account.display_name),
        phone=given.get("phone", account.phone),
        locale=given.get("locale", account.locale),
        time_zone=given.get("time_zone", account.time_zone),
        now=request.app[CLOCK].now(),
    )
    return answer(_user(await _own_account(request)))


ROUTES: Final = (
    web.post("/api/v1/auth/register", register),
    web.post("/api/v1/auth/login", login),
    web.post("/api/v1/auth/guest", guest),
    web.post("/api/v1/auth/refresh", refresh),
    web.post("/api/v1/auth/logout", logout),
    web.get("/api/v1/auth/me", me),
    web.patch("/api/v1/auth/me", change_me),
    web.get("/api/v1/users/me", moved("/api/v1/auth/me")),
    web.patch("/api/v1/users/me", moved("/api/v1/auth/me")),
)


async def _own_account(request: web.Request) -> Account:
    caller = identity.require(request)
    account = await accounts.by_id(request.app[POOL], caller.account_id)
    if account is None:
        raise unauthorized("token_revoked", "This account no longer exists.")
    return account


def _user(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "email": account.email,
        "display_name": account.display_name,
        "phone": account.phone,
        "locale": account.locale,
        "time_zone": account.time_zone,
        "roles": list(account.roles),
        "theatre_ids": list(account.theatre_ids),
        "created_at": rfc3339(account.created_at),
    }


def _signed_in(request: web.Request, pair: Pair, status: int = 200) -> web.Response:
    body = {
        "user": _user(pair.account),
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_MS // 1000,
    }
    response = answer(body, status)
    _set_cookie(request, response, pair.refresh_token, pair.refresh_seconds)
    return response


def _set_cookie(request: web.Request, response: web.Response, token: str, seconds: int) -> None:
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


def _cookie(request: web.Request) -> str | None:
    """The site's refresh token. A request that another site caused may not use it: 403."""
    token = request.cookies.get(_SECURE_COOKIE if _is_https(request) else _COOKIE)
    if token and request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise forbidden("This must be asked for by the site itself.")
    origin = request.headers.get(hdrs.ORIGIN)
    if token and origin is not None and origin.partition("://")[2] != request.host:
        raise forbidden("This must be asked for by the site itself.")
    return token or None


def _is_https(request: web.Request) -> bool:
    return (request.app[CONFIG].public_url or "").startswith("https://")


def _address(request: web.Request) -> str:
    return client_address(request, request.app[CONFIG].trusted_proxies)


def _agent(request: web.Request) -> str:
    return request.headers.get(hdrs.USER_AGENT, "")


async def _spend(request: web.Request, rate: Any) -> None:
    await request.app[LIMITER].spend(rate, request.path, _address(request))
