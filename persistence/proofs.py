"""What proves that an address or a number is somebody's: tokens from letters and codes from texts, as digests only."""

from dataclasses import dataclass
from typing import Literal

from actors.seatmap.terms import Instant
from persistence.database import Executor
from persistence.moments import moment

Purpose = Literal["reset", "verify"]


@dataclass(frozen=True, slots=True)
class LetterToken:
    digest: bytes
    account_id: str
    purpose: Purpose
    email: str
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class Proven:
    """Who read the letter, and at which address."""

    account_id: str
    email: str


async def put_token(connection: Executor, token: LetterToken) -> None:
    """A new token; older ones of its purpose are good no more."""
    await connection.execute(
        """
        WITH older AS (DELETE FROM letter_token WHERE account_id = $2 AND purpose = $3)
        INSERT INTO letter_token (digest, account_id, purpose, email, expires_at) VALUES ($1, $2, $3, $4, $5)
        """,
        token.digest, token.account_id, token.purpose, token.email, moment(token.expires_at),
    )  # fmt: skip


async def put_token_of(connection: Executor, email: str, digest: bytes, purpose: Purpose, expires_at: Instant) -> None:
    """Like `put_token`, for whoever has this address; nobody who is blocked. Nothing for an address nobody has."""
    await connection.execute(
        """
        WITH known AS (SELECT id FROM account WHERE email = $1 AND blocked_at IS NULL),
            older AS (DELETE FROM letter_token t USING known WHERE t.account_id = known.id AND t.purpose = $3)
        INSERT INTO letter_token (digest, account_id, purpose, email, expires_at)
        SELECT $2, known.id, $3, $1, $4 FROM known
        """,
        email, digest, purpose, moment(expires_at),
    )  # fmt: skip


async def waiting(connection: Executor, digest: bytes, purpose: Purpose, now: Instant) -> Proven | None:
    """Whose token it is, as long as it is good."""
    row = await connection.fetchrow(
        """
        SELECT a.id, a.email FROM letter_token t JOIN account a ON a.id = t.account_id AND a.email = t.email
        WHERE t.digest = $1 AND t.purpose = $2 AND t.expires_at > $3 AND a.blocked_at IS NULL
        """,
        digest, purpose, moment(now),
    )  # fmt: skip
    return None if row is None else Proven(str(row["id"]), row["email"])


async def take_token(connection: Executor, digest: bytes, purpose: Purpose, now: Instant) -> Proven | None:
    """Use a token up. One of several concurrent callers gets it; None for one that is unknown, used or too old.

    It proves the address that the account still has, or nothing.
    """
    row = await connection.fetchrow(
        """
        WITH taken AS (
            DELETE FROM letter_token WHERE digest = $1 AND purpose = $2 RETURNING account_id, email, expires_at)
        SELECT a.id, a.email FROM taken t JOIN account a ON a.id = t.account_id AND a.email = t.email
        WHERE t.expires_at > $3 AND a.blocked_at IS NULL
        """,
        digest, purpose, moment(now),
    )  # fmt: skip
    return None if row is None else Proven(str(row["id"]), row["email"])


async def put_code(connection: Executor, phone: str, digest: bytes, expires_at: Instant, job_key: str) -> None:
    """The code that a number is sent by this job; earlier ones are good no more."""
    await connection.execute(
        """
        INSERT INTO phone_code (phone, digest, expires_at, job_key) VALUES ($1, $2, $3, $4)
        ON CONFLICT (phone) DO UPDATE SET digest = $2, expires_at = $3, job_key = $4, tries = 0
        """,
        phone, digest, moment(expires_at), job_key,
    )  # fmt: skip


async def waiting_phone(connection: Executor, job_key: str, now: Instant) -> str | None:
    """The number that a job's code is for, as long as the code is good."""
    phone = await connection.fetchval(
        "SELECT phone FROM phone_code WHERE job_key = $1 AND expires_at > $2", job_key, moment(now)
    )
    return None if phone is None else str(phone)


async def try_code(connection: Executor, phone: str, now: Instant) -> tuple[bytes, int] | None:
    """Count a try first: the digest to compare with, and which try this is; None without a living code."""
    row = await connection.fetchrow(
        "UPDATE phone_code SET tries = tries + 1 WHERE phone = $1 AND expires_at > $2 RETURNING digest, tries",
        phone, moment(now),
    )  # fmt: skip
    return None if row is None else (row["digest"], row["tries"])


async def take_code(connection: Executor, phone: str, digest: bytes) -> bool:
    """Use a code up; True for one of several concurrent callers."""
    return bool(
        await connection.fetchval(
            "DELETE FROM phone_code WHERE phone = $1 AND digest = $2 RETURNING true", phone, digest
        )
    )


async def forget_expired(connection: Executor, now: Instant) -> None:
    await connection.execute("DELETE FROM letter_token WHERE expires_at <= $1", moment(now))
    await connection.execute("DELETE FROM phone_code WHERE expires_at <= $1", moment(now))
