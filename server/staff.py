"""Accounts that only an operator can make: administrators, from the command line."""

import secrets
from typing import Final

from actors.ids import mint
from actors.runtime.clock import SystemClock
from persistence import accounts
from persistence.database import open_pool
from server.auth.addresses import folded
from server.auth.identity import ADMIN
from server.auth.passwords import Passwords

PASSWORD_BYTES: Final = 15


class StaffRefused(Exception):
    """This account cannot be made; the message is a sentence for the operator."""


async def create_admin(dsn: str, email: str) -> str:
    """Make an administrator, of somebody who is registered too. Returns what to tell the operator. StaffRefused."""
    try:
        email = folded(email)
    except ValueError as error:
        raise StaffRefused(f"{email} is not an e-mail address.") from error
    pool = await open_pool(dsn)
    try:
        known = await accounts.by_email(pool, email)
        if known is not None:
            await accounts.grant(pool, known.id, {*known.roles, ADMIN}, known.theatre_ids, SystemClock().now())
            return f"{email} is an administrator now and keeps the password."
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        passwords = Passwords()
        try:
            password_hash = await passwords.hash(password)
        finally:
            passwords.close()
        now = SystemClock().now()
        account = accounts.Account(
            id=mint(now), roles=(ADMIN,), created_at=now, email=email, display_name="Admin", password_hash=password_hash
        )
        await accounts.add(pool, account)
        return f"{email} is an administrator. The password, shown only now: {password}"
    finally:
        await pool.close()
