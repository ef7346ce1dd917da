"""Proofs that an address or a number is somebody's: one-time tokens in letters, codes in texts.

Only digests are stored. A code has few digits, so its digest is keyed: who reads the table cannot try them all. What is
sent is a job, stored in one transaction with the digest of what it will carry.
"""

import hmac
from typing import Final

from aiohttp import web

from actors.ids import mint
from persistence import jobs, proofs
from persistence.jobs import Job
from persistence.proofs import LetterToken, Proven, Purpose
from server.auth.secrets import code_of, digest_of, token_of
from server.errors import Problem, too_many, unauthorized
from server.keys import CLOCK, CONFIG, JOBS, POOL

RESET_MS: Final = 60 * 60_000
WELCOME_MS: Final = 24 * 60 * 60_000
CODE_MS: Final = 5 * 60_000
TRIES_MAX: Final = 5


async def send_reset(app: web.Application, email: str) -> None:
    """A letter with a link to choose a new password, if somebody has this address.

    For an address that nobody has the same is done but for one row, so that it takes as long. Its job finds no token.
    """
    now = app[CLOCK].now()
    key = f"mail:reset:{mint(now)}"
    digest = digest_of(token_of(app[CONFIG].jwt_secret, key))
    async with app[POOL].acquire() as connection, connection.transaction():
        await proofs.put_token_of(connection, email, digest, "reset", now + RESET_MS)
        await jobs.put(connection, [Job("mail", key, None, {"letter": "password_reset"})])
    app[JOBS].wake()


async def send_welcome(app: web.Application, account_id: str, email: str) -> None:
    """A letter with a link that proves the address."""
    now = app[CLOCK].now()
    key = f"mail:verify:{mint(now)}"
    digest = digest_of(token_of(app[CONFIG].jwt_secret, key))
    async with app[POOL].acquire() as connection, connection.transaction():
        await proofs.put_token(connection, LetterToken(digest, account_id, "verify", email, now + WELCOME_MS))
        await jobs.put(connection, [Job("mail", key, None, {"letter": "verification"})])
    app[JOBS].wake()


async def prove(app: web.Application, token: str, purpose: Purpose) -> Proven:
    """Use a letter's token up. 400 token_invalid."""
    proven = await proofs.take_token(app[POOL], digest_of(token), purpose, app[CLOCK].now())
    if proven is None:
        raise Problem(400, "token_invalid", "This link was used already, or is too old. Ask for a new one.")
    return proven


async def send_code(app: web.Application, phone: str, locale: str) -> None:
    """A code by text, whoever has the number; in this language where nobody has proved it to be theirs."""
    now = app[CLOCK].now()
    key = f"sms:code:{mint(now)}"
    digest = _keyed(app, phone, code_of(app[CONFIG].jwt_secret, key))
    async with app[POOL].acquire() as connection, connection.transaction():
        await proofs.put_code(connection, phone, digest, now + CODE_MS, key)
        await jobs.put(connection, [Job("sms", key, None, {"text": "code", "locale": locale})])
    app[JOBS].wake()


async def prove_phone(app: web.Application, phone: str, code: str) -> None:
    """Use a code up. 401 otp_invalid; 429 otp_throttled after TRIES_MAX tries, until there is a new code."""
    found = await proofs.try_code(app[POOL], phone, app[CLOCK].now())
    if found is None:
        raise _wrong_code()
    digest, tries = found
    if tries > TRIES_MAX:
        raise too_many("otp_throttled", "Too many wrong codes. Ask for a new one.", CODE_MS // 1000)
    same = hmac.compare_digest(digest, _keyed(app, phone, code))
    if not same or not await proofs.take_code(app[POOL], phone, digest):
        raise _wrong_code()


def _keyed(app: web.Application, phone: str, code: str) -> bytes:
    secret = app[CONFIG].jwt_secret.encode()
    return hmac.digest(secret, f"phone code\0{phone}\0{code}".encode(), "sha256")


def _wrong_code() -> Problem:
    return unauthorized("otp_invalid", "This code is wrong or too old.")
