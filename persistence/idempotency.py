"""Answers already given, by idempotency key, so that a repeated request is answered and not done again."""

from dataclasses import dataclass
from typing import Final

from actors.seatmap.terms import Instant
from persistence.database import Executor
from persistence.moments import moment

KEPT_MS: Final = 24 * 3_600_000
ABANDONED_MS: Final = 60_000
"""A request that has not answered for so long died with its process; its key may be claimed again."""


@dataclass(frozen=True, slots=True)
class Scope:
    caller: str
    method: str
    path: str
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """What a key stands for. `mine`: go ahead. Else `answer` is the stored one, or None while it is in the making."""

    body_hash: bytes
    mine: bool = False
    answer: Answer | None = None


async def claim(connection: Executor, scope: Scope, body_hash: bytes, now: Instant) -> Claim:
    """Take the key, or learn who had it. Exactly one of several concurrent callers gets it."""
    taken = await connection.fetchval(
        """
        INSERT INTO idempotency AS i (caller, method, path, key, body_hash, claimed_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (caller, method, path, key) DO UPDATE
            SET body_hash = excluded.body_hash, status = NULL, content_type = NULL, body = NULL,
                claimed_at = excluded.claimed_at
            WHERE i.claimed_at < $7 OR (i.status IS NULL AND i.claimed_at < $8)
        RETURNING true
        """,
        scope.caller, scope.method, scope.path, scope.key, body_hash,
        moment(now), moment(now - KEPT_MS), moment(now - ABANDONED_MS),
    )  # fmt: skip
    if taken:
        return Claim(body_hash, mine=True)
    row = await connection.fetchrow(
        """
        SELECT body_hash, status, content_type, body FROM idempotency
        WHERE (caller, method, path, key) = ($1, $2, $3, $4)
        """,
        scope.caller, scope.method, scope.path, scope.key,
    )  # fmt: skip
    if row is None:
        return Claim(body_hash)
    stored = None if row["status"] is None else Answer(row["status"], row["content_type"], row["body"])
    return Claim(row["body_hash"], answer=stored)


async def settle(connection: Executor, scope: Scope, answer: Answer) -> None:
    """Keep the answer for whoever repeats the request."""
    await connection.execute(
        """
        UPDATE idempotency SET status = $5, content_type = $6, body = $7
        WHERE (caller, method, path, key) = ($1, $2, $3, $4)
        """,
        scope.caller, scope.method, scope.path, scope.key, answer.status, answer.content_type, answer.body,
    )  # fmt: skip


async def abandon(connection: Executor, scope: Scope) -> None:
    """Let the key go: the request came to nothing and may be sent again."""
    await connection.execute(
        "DELETE FROM idempotency WHERE (caller, method, path, key) = ($1, $2, $3, $4) AND status IS NULL",
        scope.caller, scope.method, scope.path, scope.key,
    )  # fmt: skip


async def forget_old(connection: Executor, now: Instant) -> None:
    await connection.execute("DELETE FROM idempotency WHERE claimed_at < $1", moment(now - KEPT_MS))
