"""Sessions end, are remembered for as long as it matters, and are then forgotten."""

from hashlib import sha256

import pytest

from actors.ids import mint
from persistence import accounts, sessions
from persistence.accounts import Account
from persistence.database import Pool
from persistence.sessions import NewSession, Rotation

NOW = 1_790_000_000_000
DAY_MS = 86_400_000


def digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


async def open_session(pool: Pool, token: str) -> NewSession:
    account = Account(id=mint(NOW), roles=("customer",), created_at=NOW)
    await accounts.add(pool, account)
    session = NewSession(mint(NOW), account.id, "", digest(token), NOW, NOW + 7 * DAY_MS, NOW + 90 * DAY_MS)
    assert await sessions.open_session(pool, session, None)
    return session


async def rotate(pool: Pool, used: str, fresh: str, at: int) -> sessions.Rotated:
    async with pool.acquire() as connection:
        return await sessions.rotate(
            connection, used=digest(used), fresh=digest(fresh), arrived_at=at, refresh_until=at + 7 * DAY_MS
        )


async def test_an_exchange_never_outlives_the_session(pool: Pool) -> None:
    session = await open_session(pool, "t0")
    at = NOW
    for number in range(15):
        at += 6 * DAY_MS
        rotated = await rotate(pool, f"t{number}", f"t{number + 1}", at)
        if at < session.ends_at:
            assert rotated.outcome is Rotation.WON
            assert rotated.refresh_until == min(at + 7 * DAY_MS, session.ends_at)
    assert rotated.outcome is Rotation.EXPIRED


async def test_an_unknown_token_is_nobodys(pool: Pool) -> None:
    assert (await rotate(pool, "never", "given", NOW)).outcome is Rotation.UNKNOWN


async def test_an_address_belongs_to_one_account(pool: Pool) -> None:
    await accounts.add(pool, Account(id=mint(NOW), roles=("customer",), created_at=NOW, email="ana@example.com"))
    with pytest.raises(accounts.EmailTaken):
        await accounts.add(pool, Account(id=mint(NOW), roles=("guest",), created_at=NOW, email="ana@example.com"))


async def test_what_was_revoked_lately_is_known_and_what_has_run_out_is_forgotten(pool: Pool) -> None:
    revoked, alive = await open_session(pool, "a"), await open_session(pool, "b")
    await sessions.revoke(pool, [revoked.id], NOW)
    assert await sessions.revoked_since(pool, NOW - 1) == [revoked.id]
    await sessions.forget_ended(pool, NOW + 6 * DAY_MS)
    assert await sessions.session_of(pool, alive.refresh_digest) == alive.id
    await sessions.forget_ended(pool, NOW + 8 * DAY_MS)
    assert await sessions.session_of(pool, alive.refresh_digest) is None
    assert await pool.fetchval("SELECT count(*) FROM session") == 0
