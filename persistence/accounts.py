"""People and their sessions: plain functions over the tables of migration 0003.

A session is a family of refresh tokens. Rotation is one statement that only one of several concurrent callers wins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import asyncpg

from actors.seatmap.terms import Instant
from persistence.database import Connection, Executor
from persistence.moments import instant, moment

ENDED_KEPT_MS: Final = 24 * 3_600_000


class EmailTaken(Exception):
    """Another account has this address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody. Guests have neither e-mail address nor password; `theatre_ids` are where staff works."""

    id: str
    roles: tuple[str, ...]
    created_at: Instant
    email: str | None = None
    display_name: str = ""
    phone: str | None = None
    locale: str = "en"
    time_zone: str = "UTC"
    password_hash: str | None = None
    theatre_ids: tuple[str, ...] = ()
    blocked: bool = False


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


_COLUMNS = """a.id, a.email, a.display_name, a.phone, a.locale, a.time_zone, a.password_hash, a.roles, a.theatre_ids,
    a.blocked_at, a.created_at"""


async def add(connection: Executor, account: Account) -> None:
    """EmailTaken."""
    try:
        await connection.execute(
            """
            INSERT INTO account (id, email, display_name, phone, locale, time_zone, password_hash, roles, theatre_ids,
                created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
            """,
            account.id, account.email, account.display_name, account.phone, account.locale, account.time_zone,
            account.password_hash, account.roles, account.theatre_ids, moment(account.created_at),
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise EmailTaken from error


async def by_email(connection: Executor, email: str) -> Account | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM account a WHERE a.email = $1", email)
    return None if row is None else _account(row)


async def by_id(connection: Executor, account_id: str) -> Account | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM account a WHERE a.id = $1", account_id)
    return None if row is None else _account(row)


async def update_profile(
    connection: Executor,
    account_id: str,
    *,
    display_name: str,
    phone: str | None,
    locale: str,
    time_zone: str,
    now: Instant,
) -> None:
    await connection.execute(
        """
        UPDATE account SET display_name = $2, phone = $3, locale = $4, time_zone = $5, updated_at = $6 WHERE id = $1
        """,
        account_id, display_name, phone, locale, time_zone, moment(now),
    )  # fmt: skip


async def grant(connection: Executor, account_id: str, roles: Iterable[str], theatre_ids: Iterable[str]) -> None:
    """Set what an account may do, and where."""
    await connection.execute(
        "UPDATE account SET roles = $2, theatre_ids = $3, updated_at = now() WHERE id = $1",
        account_id, tuple(roles), tuple(theatre_ids),
    )  # fmt: skip


async def open_session(connection: Executor, session: NewSession) -> None:
    """A session with its first refresh token, in one statement."""
    await connection.execute(
        """
        WITH opened AS (
            INSERT INTO session (id, account_id, agent, created_at, used_at, expires_at)
            VALUES ($1, $2, $3, $4, $4, $5) RETURNING id)
        INSERT INTO refresh_token (digest, session_id, expires_at) SELECT $6, id, $7 FROM opened
        """,
        session.id, session.account_id, session.agent, moment(session.created_at), moment(session.ends_at),
        session.refresh_digest, moment(session.refresh_until),
    )  # fmt: skip


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
            SELECT r.used_at, r.expires_at, s.id AS session_id, s.revoked_at, s.expires_at AS session_end, {_COLUMNS}
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
        return Rotated(Rotation.WON, _account(row), session_id, instant(until))


async def revoke(connection: Executor, session_ids: Sequence[str], now: Instant) -> None:
    await connection.execute(
        "UPDATE session SET revoked_at = $2 WHERE id = ANY($1::uuid[]) AND revoked_at IS NULL",
        session_ids, moment(now),
    )  # fmt: skip


async def revoke_all(connection: Executor, account_id: str, now: Instant) -> list[str]:
    """End every session of an account; returns those that were alive."""
    rows = await connection.fetch(
        "UPDATE session SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL RETURNING id",
        account_id, moment(now),
    )  # fmt: skip
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


def _account(row: asyncpg.Record) -> Account:
    return Account(
        id=str(row["id"]),
        email=row["email"],
        display_name=row["display_name"],
        phone=row["phone"],
        locale=row["locale"],
        time_zone=row["time_zone"],
        password_hash=row["password_hash"],
        roles=tuple(row["roles"]),
        theatre_ids=tuple(map(str, row["theatre_ids"])),
        blocked=row["blocked_at"] is not None,
        created_at=instant(row["created_at"]),
    )
