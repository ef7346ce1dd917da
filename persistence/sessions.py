"""Sessions: families of refresh tokens, over the tables of migration 0003.

Rotation is one transaction that only one of several concurrent callers wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from actors.seatmap.terms import Instant
from persistence.accounts import COLUMNS, Account, from_row
from persistence.database import Connection, Executor
from persistence.moments import instant, moment

ENDED_KEPT_MS: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class NewSession:
    """`refresh_digest` is the SHA-256 of the first refresh token; the token itself is never stored.

    A refresh token lives until `refresh_until`, or is exchanged for the next before; the session ends at `ends_at`.
    """

    id: str
    account_id: str
    agent: str
    refresh_digest: bytes
    created_at: Instant
    refresh_until: Instant
    ends_at: Instant


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as its owner sees it."""

    id: str
    agent: str
    created_at: Instant
    used_at: Instant
    expires_at: Instant


class Rotation(Enum):
    """What became of an attempt to use a refresh token."""

    WON = "won"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    RACED = "raced"
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class Rotated:
    outcome: Rotation
    account: Account | None = None
    session_id: str = ""
    refresh_until: Instant = 0


async def open_session(connection: Executor, session: NewSession, password_hash: str | None) -> bool:
    """A session with its first refresh token, in one statement.

    False when the account may not sign in any more, or no longer with the password that `password_hash` was made of:
    then nothing was opened.
    """
    opened = await connection.fetchval(
        """
        WITH owner AS (
            SELECT id FROM account
            WHERE id = $2 AND blocked_at IS NULL AND erased_at IS NULL AND password_hash IS NOT DISTINCT FROM $8
            FOR SHARE),
        opened AS (
            INSERT INTO session (id, account_id, agent, created_at, used_at, expires_at)
            SELECT $1, id, $3, $4, $4, $5 FROM owner RETURNING id)
        INSERT INTO refresh_token (digest, session_id, expires_at) SELECT $6, id, $7 FROM opened RETURNING true
        """,
        session.id, session.account_id, session.agent, moment(session.created_at), moment(session.ends_at),
        session.refresh_digest, moment(session.refresh_until), password_hash,
    )  # fmt: skip
    return bool(opened)


async def living(
    connection: Executor, account_id: str, now: Instant, after: tuple[Instant, str] | None, limit: int
) -> list[OpenSession]:
    """The sessions that can still be continued, the one used last first. `after` is (used at, id)."""
    after_used, after_id = after or (None, None)
    rows = await connection.fetch(
        """
        SELECT s.id, s.agent, s.created_at, s.used_at, max(r.expires_at) AS expires_at
        FROM session s JOIN refresh_token r ON r.session_id = s.id
        WHERE s.account_id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND r.used_at IS NULL
          AND r.expires_at > $2 AND ($3::timestamptz IS NULL OR (s.used_at, s.id) < ($3, $4::uuid))
        GROUP BY s.id ORDER BY s.used_at DESC, s.id DESC LIMIT $5
        """,
        account_id, moment(now), None if after_used is None else moment(after_used), after_id, limit,
    )  # fmt: skip
    return [
        OpenSession(
            str(row["id"]), row["agent"], *(instant(row[name]) for name in ("created_at", "used_at", "expires_at"))
        )
        for row in rows
    ]


async def rotate(
    connection: Connection,
    *,
    used: bytes,
    fresh: bytes,
    arrived_at: Instant,
    refresh_until: Instant,
) -> Rotated:
    """Exchange one refresh token for the next.

    A token whose use ended before this attempt even arrived was stolen or replayed: REUSED, and the session is over.
    Two attempts at the same time are a race: one WON, the others RACED and harm nobody. A session never outlives its
    absolute end, so the next token expires at the earlier of `refresh_until` and that.
    """
    async with connection.transaction():
        row = await connection.fetchrow(
            f"""
            SELECT r.used_at, r.expires_at, s.id AS session_id, s.revoked_at, s.expires_at AS session_end, {COLUMNS}
            FROM refresh_token r JOIN session s ON s.id = r.session_id JOIN account a ON a.id = s.account_id
            WHERE r.digest = $1 FOR UPDATE OF r
            """,
            used,
        )
        if row is None:
            return Rotated(Rotation.UNKNOWN)
        session_id = str(row["session_id"])
        if row["used_at"] is not None:
            if row["revoked_at"] is None and instant(row["used_at"]) > arrived_at:
                return Rotated(Rotation.RACED, session_id=session_id)
            await revoke(connection, [session_id], arrived_at)
            return Rotated(Rotation.REUSED, session_id=session_id)
        now = moment(arrived_at)
        until = min(moment(refresh_until), row["session_end"])
        if row["revoked_at"] is not None or row["blocked_at"] is not None or row["expires_at"] <= now:
            return Rotated(Rotation.EXPIRED, session_id=session_id)
        await connection.execute(
            """
            WITH spent AS (UPDATE refresh_token SET used_at = clock_timestamp() WHERE digest = $1),
                 seen AS (UPDATE session SET used_at = $5 WHERE id = $3)
            INSERT INTO refresh_token (digest, session_id, expires_at) VALUES ($2, $3, $4)
            """,
            used, fresh, row["session_id"], until, now,
        )  # fmt: skip
        return Rotated(Rotation.WON, from_row(row), session_id, instant(until))


async def revoke(connection: Executor, session_ids: Sequence[str], now: Instant) -> None:
    await connection.execute(
        "UPDATE session SET revoked_at = $2 WHERE id = ANY($1::uuid[]) AND revoked_at IS NULL",
        session_ids, moment(now),
    )  # fmt: skip


async def revoke_own(connection: Executor, account_id: str, session_id: str, now: Instant) -> bool:
    """End one session of an account; False when the account has no such session that lives."""
    done = await connection.fetchval(
        "UPDATE session SET revoked_at = $3 WHERE id = $2 AND account_id = $1 AND revoked_at IS NULL RETURNING true",
        account_id, session_id, moment(now),
    )  # fmt: skip
    return bool(done)


async def revoke_all(connection: Executor, account_id: str, now: Instant, *, but: str | None = None) -> list[str]:
    """End every session of an account, `but` one; returns those that were alive."""
    rows = await connection.fetch(
        """
        UPDATE session SET revoked_at = $2
        WHERE account_id = $1 AND revoked_at IS NULL AND id IS DISTINCT FROM $3::uuid RETURNING id
        """,
        account_id, moment(now), but,
    )  # fmt: skip
    return [str(row["id"]) for row in rows]


async def of_account(connection: Executor, account_id: str) -> list[str]:
    """The sessions of an account that were not ended."""
    rows = await connection.fetch("SELECT id FROM session WHERE account_id = $1 AND revoked_at IS NULL", account_id)
    return [str(row["id"]) for row in rows]


async def forget_ended(connection: Executor, now: Instant) -> None:
    """Drop tokens that have expired and sessions that have run out; what was revoked lately is still known."""
    await connection.execute("DELETE FROM refresh_token WHERE expires_at < $1", moment(now))
    await connection.execute(
        "DELETE FROM session s WHERE s.expires_at < $1 OR (s.used_at < $2 AND NOT EXISTS "
        "(SELECT FROM refresh_token r WHERE r.session_id = s.id))",
        moment(now), moment(now - ENDED_KEPT_MS),
    )  # fmt: skip


async def session_of(connection: Executor, refresh_digest: bytes) -> str | None:
    """The session that a refresh token belongs to."""
    found = await connection.fetchval("SELECT session_id FROM refresh_token WHERE digest = $1", refresh_digest)
    return None if found is None else str(found)


async def revoked_since(connection: Executor, since: Instant) -> list[str]:
    """Sessions revoked lately, whose access tokens may still be about."""
    rows = await connection.fetch("SELECT id FROM session WHERE revoked_at >= $1", moment(since))
    return [str(row["id"]) for row in rows]
