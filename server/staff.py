"""Accounts that only an operator can make: administrators, from the command line."""

import secrets
from typing import Final

from actors.ids import mint
from actors.runtime.clock import SystemClock
from persistence import accounts, sessions
from persistence.accounts import Account
from persistence.database import open_pool
from server.auth.addresses import folded
from server.auth.identity import ADMIN
from server.auth.passwords import Passwords

PASSWORD_BYTES: Final = 15


class StaffRefused(Exception):
    """This account cannot be made; the message is a sentence for the operator."""


async def create_admin(dsn: str, email: str) -> str:
    """Make an administrator, of somebody who is registered too. Returns what to tell the operator. StaffRefused.

    Whoever registered an address without proving it may be anybody, and does not become an administrator with it: such
    an account gets a new password and its sessions end.
    """
    try:
        email = folded(email)
    except ValueError as error:
        raise StaffRefused(f"{email} is not an e-mail address.") from error
    async with open_pool(dsn) as pool, pool.acquire() as connection, connection.transaction():
        await accounts.lock_grants(connection)
        known = await accounts.by_email(connection, email)
        now = SystemClock().now()
        if known is None:
            password, password_hash = await _new_password()
            account = Account(
                id=mint(now), roles=(ADMIN,), created_at=now, email=email, email_verified=True, display_name="Admin",
                password_hash=password_hash,
            )  # fmt: skip
            await accounts.add(connection, account)
            return f"{email} is an administrator. The password, shown only now: {password}"
        await accounts.grant(connection, known.id, {*known.roles, ADMIN}, known.theatre_ids, now)
        if known.email_verified:
            return f"{email} is an administrator now and keeps the password."
        password, password_hash = await _new_password()
        await accounts.reset_password(connection, known.id, password_hash, now)
        await sessions.revoke_all(connection, known.id, now)
        return f"{email} is an administrator now. The address was unproved, so the password is a new one: {password}"


async def _new_password() -> tuple[str, str]:
    """A password that nobody knows yet, and its hash."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    passwords = Passwords()
    try:
        return password, await passwords.hash(password)
    finally:
        passwords.close()
