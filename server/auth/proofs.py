"""Proofs that an address or a number is somebody's: one-time tokens in letters, codes in texts.

Only digests are stored. A code has few digits, so its digest is keyed: who reads the table cannot try them all.
"""

import hmac
import secrets
from hashlib import sha256
from typing import Final

from aiohttp import web

from actors.ids import mint
from persistence import accounts, proofs
from persistence.proofs import LetterToken, Proven, Purpose
from server.errors import Problem, too_many, unauthorized
from server.keys import CLOCK, CONFIG, LETTERS, POOL, TEXTS
from server.letters import code_text, reset_letter, welcome_letter

RESET_MS: Final = 60 * 60_000
WELCOME_MS: Final = 24 * 60 * 60_000
CODE_MS: Final = 5 * 60_000
CODE_DIGITS: Final = 6
TRIES_MAX: Final = 5


async def send_reset(app: web.Application, email: str, site: str) -> None:
    """A letter with a link to choose a new password, if somebody has this address."""
    account = await accounts.by_email(app[POOL], email)
    if account is None or account.blocked:
        return
    token = await _new_token(app, account.id, email, "reset", RESET_MS)
    link = f"{site}/sign-in#reset={token}"
    await app[LETTERS].send(reset_letter(mint(app[CLOCK].now()), email, link))


async def send_welcome(app: web.Application, account_id: str, email: str, site: str) -> None:
    """A letter with a link that proves the address."""
    token = await _new_token(app, account_id, email, "verify", WELCOME_MS)
    link = f"{site}/sign-in#verify={token}"
    await app[LETTERS].send(welcome_letter(mint(app[CLOCK].now()), email, link))


async def prove(app: web.Application, token: str, purpose: Purpose) -> Proven:
    """Use a letter's token up. 400 token_invalid."""
    proven = await proofs.take_token(app[POOL], _digest(token), purpose, app[CLOCK].now())
    if proven is None:
        raise Problem(400, "token_invalid", "This link was used already, or is too old. Ask for a new one.")
    return proven


async def send_code(app: web.Application, phone: str) -> None:
    """A code by text, whoever has the number."""
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    now = app[CLOCK].now()
    await proofs.put_code(app[POOL], phone, _keyed(app, phone, code), now + CODE_MS)
    await app[TEXTS].send(code_text(mint(now), phone, code))


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


async def _new_token(app: web.Application, account_id: str, email: str, purpose: Purpose, life_ms: int) -> str:
    token = secrets.token_urlsafe(32)
    expires_at = app[CLOCK].now() + life_ms
    await proofs.put_token(app[POOL], LetterToken(_digest(token), account_id, purpose, email, expires_at))
    return token


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _keyed(app: web.Application, phone: str, code: str) -> bytes:
    secret = app[CONFIG].jwt_secret.encode()
    return hmac.digest(secret, f"phone code\0{phone}\0{code}".encode(), "sha256")


def _wrong_code() -> Problem:
    return unauthorized("otp_invalid", "This code is wrong or too old.")
