"""Passwords and proofs over HTTP: change, forget and reset a password, prove an address, sign in with a phone.

Whether an address or a number is known here shows neither in an answer nor in the time it takes.
"""

from dataclasses import replace
from typing import Annotated, Final

from aiohttp import hdrs, web
from pydantic import Field

from actors.ids import mint
from actors.seatmap.terms import Instant
from persistence import accounts, jobs
from persistence.accounts import Account
from persistence.database import Connection
from persistence.jobs import Job
from server.auth import identity, passwords
from server.auth.details import Email, Password, Phone, Secret
from server.auth.entry import SignedIn, address, agent, locale, own_account, signed_in
from server.auth.identity import GUEST, MEMBERS, Identity
from server.auth.proofs import prove, prove_phone, send_code, send_reset, send_welcome
from server.auth.secrets import CODE_DIGITS
from server.errors import Problem, invalid
from server.handover import bring_along
from server.keys import CLOCK, JOBS, LIMITER, PASSWORDS, POOL, SESSIONS
from server.operations import PUBLIC, Operation
from server.requests import Body, read_body
from server.responses import no_content


class NewPassword(Body):
    """`current_password` may be absent only where there is none yet."""

    current_password: Password | None = None
    new_password: Password


class Forgotten(Body):
    email: Email


class Reset(Body):
    token: Secret
    new_password: Password


class Proof(Body):
    token: Secret


class CodeWanted(Body):
    phone: Phone


class Code(Body):
    phone: Phone
    code: Annotated[str, Field(min_length=CODE_DIGITS, max_length=CODE_DIGITS, pattern="^[0-9]+$")]


async def change_password(request: web.Request) -> web.Response:
    """Everybody else who is signed in to this account is signed out."""
    app = request.app
    caller = identity.caller(request)
    asked = await read_body(request, NewPassword)
    account = await own_account(request)
    await _check_current(request, account, asked.current_password)
    passwords.check_strength(asked.new_password, account.email or "", "new_password")
    if asked.new_password == asked.current_password:
        raise Problem(422, "same_password", "The new password is the old one.")
    password_hash = await app[PASSWORDS].hash(asked.new_password)
    now = app[CLOCK].now()
    before = account.password_hash
    async with app[POOL].acquire() as connection, connection.transaction():
        if not await accounts.set_password(connection, account.id, password_hash, instead_of=before, now=now):
            raise _wrong_password()
        await _tell_of_change(connection, account.id, now)
    app[JOBS].wake()
    await app[SESSIONS].end_all(account.id, but=caller.session_id)
    return no_content()


async def forgot_password(request: web.Request) -> web.Response:
    app = request.app
    await app[LIMITER].spend(app[LIMITER].rates.letters, request.path, address(request))
    asked = await read_body(request, Forgotten)
    await app[LIMITER].spend(app[LIMITER].rates.proofs, request.path, asked.email)
    await send_reset(app, asked.email)
    return web.Response(status=202)


async def reset_password(request: web.Request) -> web.Response:
    """Everybody who is signed in to this account is signed out."""
    app = request.app
    await app[LIMITER].spend(app[LIMITER].rates.logins, request.path, address(request))
    asked = await read_body(request, Reset)
    # A password that is refused must not cost the token, so what can be said about it is said first.
    passwords.check_strength(asked.new_password, "", "new_password")
    proven = await prove(app, asked.token, "reset")
    password_hash = await app[PASSWORDS].hash(asked.new_password)
    now = app[CLOCK].now()
    async with app[POOL].acquire() as connection, connection.transaction():
        await accounts.reset_password(connection, proven.account_id, password_hash, now)
        await _tell_of_change(connection, proven.account_id, now)
    app[JOBS].wake()
    await app[SESSIONS].end_all(proven.account_id)
    return no_content()


async def ask_to_verify(request: web.Request) -> web.Response:
    """The letter once more."""
    app = request.app
    account = await own_account(request)
    if account.email is None:
        raise invalid("email", "This account has no e-mail address.")
    await app[LIMITER].spend(app[LIMITER].rates.proofs, request.path, account.id)
    if not account.email_verified:
        await send_welcome(app, account.id, account.email)
    return web.Response(status=202)


async def verify_email(request: web.Request) -> web.Response:
    app = request.app
    await app[LIMITER].spend(app[LIMITER].rates.logins, request.path, address(request))
    asked = await read_body(request, Proof)
    proven = await prove(app, asked.token, "verify")
    await accounts.prove_email(app[POOL], proven.account_id, proven.email, app[CLOCK].now())
    return no_content()


async def request_code(request: web.Request) -> web.Response:
    app = request.app
    await app[LIMITER].spend(app[LIMITER].rates.letters, request.path, address(request))
    asked = await read_body(request, CodeWanted)
    await app[LIMITER].spend(app[LIMITER].rates.proofs, request.path, asked.phone)
    await send_code(app, asked.phone, locale(request))
    return web.Response(status=202)


async def verify_code(request: web.Request) -> web.Response:
    """Sign in with a number, or make an account for it. A member who is signed in adds the number to the account."""
    app = request.app
    await app[LIMITER].spend(app[LIMITER].rates.logins, request.path, address(request))
    asked = await read_body(request, Code)
    caller = identity.identify(request)
    await prove_phone(app, asked.phone, asked.code)
    try:
        account = await _owner_of(request, asked.phone, caller)
    except accounts.PhoneTaken:
        raise Problem(409, "phone_taken", "This number belongs to another account.") from None
    pair = await app[SESSIONS].begin(account, agent(request))
    await bring_along(request, caller, account.id)
    return signed_in(request, pair)


async def _owner_of(request: web.Request, phone: str, caller: Identity | None) -> Account:
    """Whose account a proved number opens. PhoneTaken."""
    app = request.app
    pool, now = app[POOL], app[CLOCK].now()
    if caller is not None and caller.is_any(*MEMBERS):
        await accounts.prove_phone(pool, caller.account_id, phone, now)
        return await own_account(request)
    known = await accounts.by_phone(pool, phone)
    if known is not None:
        return known
    account = Account(
        id=mint(now),
        roles=(identity.CUSTOMER,),
        created_at=now,
        phone=phone,
        phone_verified=True,
        locale=locale(request),
    )
    if caller is not None and caller.roles == {GUEST}:
        grown = await accounts.upgrade_guest(pool, replace(account, id=caller.account_id))
        if grown is not None:
            await app[SESSIONS].outgrown(caller.session_id)
            return grown
    await accounts.add(pool, account)
    return account


async def _check_current(request: web.Request, account: Account, password: str | None) -> None:
    """400 wrong_password, 429 login_throttled: a stolen token is no way to guess the password."""
    app = request.app
    if account.password_hash is None:
        return
    limiter, who = app[LIMITER], (account.id, address(request))
    await limiter.spend(limiter.rates.failed_logins, *who, code="login_throttled")
    if password is None or not await app[PASSWORDS].matches(password, account.password_hash):
        raise _wrong_password()
    await limiter.forgive(limiter.rates.failed_logins, *who, code="login_throttled")


async def _tell_of_change(connection: Connection, account_id: str, now: Instant) -> None:
    letter = {"letter": "password_changed", "account_id": account_id}
    await jobs.put(connection, [Job("mail", f"mail:password:{mint(now)}", None, letter)])


def _wrong_password() -> Problem:
    return Problem(400, "wrong_password", "The current password is another one.")


_MEMBERS: Final = frozenset(MEMBERS)
OPERATIONS: Final = (
    Operation(
        "POST", "/api/v1/auth/change-password", change_password, "Choose another password.",
        access=_MEMBERS, answers={204: None}, asks=NewPassword,
        problems=("wrong_password", "same_password", "weak_password", "login_throttled", "busy"),
    ),
    Operation(
        "POST", "/api/v1/auth/forgot-password", forgot_password, "Get a letter with a link to choose a new password.",
        access=PUBLIC, answers={202: None}, asks=Forgotten, problems=("rate_limited", "busy"),
    ),
    Operation(
        "POST", "/api/v1/auth/reset-password", reset_password, "Choose a new password with the token of a letter.",
        access=PUBLIC, answers={204: None}, asks=Reset,
        problems=("token_invalid", "weak_password", "rate_limited", "busy"),
    ),
    Operation(
        "POST", "/api/v1/auth/verify-email/request", ask_to_verify, "Get the letter about one's address once more.",
        access=_MEMBERS, answers={202: None}, problems=("rate_limited", "busy"),
    ),
    Operation(
        "POST", "/api/v1/auth/verify-email", verify_email, "Prove an address with the token of a letter.",
        access=PUBLIC, answers={204: None}, asks=Proof, problems=("token_invalid", "rate_limited"),
    ),
    Operation(
        "POST", "/api/v1/auth/otp/request", request_code, "Get a code by text message.",
        access=PUBLIC, answers={202: None}, asks=CodeWanted, problems=("rate_limited", "busy"),
    ),
    Operation(
        "POST", "/api/v1/auth/otp/verify", verify_code, "Sign in, or prove one's number, with a code.",
        access=PUBLIC, answers={200: SignedIn}, asks=Code,
        headers={hdrs.SET_COOKIE: "The refresh token, for the site."},
        problems=(
            "otp_invalid", "otp_throttled", "phone_taken", "invalid_credentials", "auth_required", "token_expired",
            "token_revoked",
        ),
    ),
)  # fmt: skip
