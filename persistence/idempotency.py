"""Answers already given, by idempotency key, so that a repeated request is answered and not done again."""

from collections.abc import Sequence
from typing import Final

from actors.seatmap.terms import Instant
from actors.seatmap.values import dataclass
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


@dataclass(frozen=True, slots=True)
class Wish:
    """A key that somebody would like to have. `bound`: the log remembers the answer, the key only what was asked."""

    scope: Scope
    body_hash: bytes
    now: Instant
    bound: bool = False


async def claim(connection: Executor, wishes: Sequence[Wish]) -> list[Claim]:
    """Take the keys, or learn who had them. Exactly one of several concurrent callers gets a key. No scope twice."""
    now = max(wish.now for wish in wishes)
    taken = await connection.fetch(
        """
        INSERT INTO idempotency AS i (caller, method, path, key, body_hash, claimed_at, status)
        SELECT caller, method, path, key, body_hash, $6::timestamptz, CASE WHEN bound THEN 0 END
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $9::boolean[])
            AS r (caller, method, path, key, body_hash, bound)
        ON CONFLICT (caller, method, path, key) DO UPDATE
            SET body_hash = excluded.body_hash, status = excluded.status, content_type = NULL, body = NULL,
                claimed_at = excluded.claimed_at
            WHERE i.claimed_at < $7 OR (i.status IS NULL AND i.claimed_at < $8)
        RETURNING caller, method, path, key
        """,
        *_columns([wish.scope for wish in wishes]), [wish.body_hash for wish in wishes],
        moment(now), moment(now - KEPT_MS), moment(now - ABANDONED_MS), [wish.bound for wish in wishes],
    )  # fmt: skip
    mine = {Scope(*row) for row in taken}
    return [
        Claim(wish.body_hash, mine=True) if wish.scope in mine else await _known(connection, wish) for wish in wishes
    ]


async def _known(connection: Executor, wish: Wish) -> Claim:
    scope = wish.scope
    row = await connection.fetchrow(
        """
        SELECT body_hash, status, content_type, body FROM idempotency
        WHERE (caller, method, path, key) = ($1, $2, $3, $4)
        """,
        scope.caller, scope.method, scope.path, scope.key,
    )  # fmt: skip
    if row is None:
        return Claim(wish.body_hash)
    stored = Answer(row["status"], row["content_type"], row["body"]) if row["status"] else None
    return Claim(row["body_hash"], answer=stored)


async def settle(connection: Executor, settled: Sequence[tuple[Scope, Answer]]) -> None:
    """Keep the answers for whoever repeats the requests. No scope twice."""
    answers = [answer for _, answer in settled]
    await connection.execute(
        """
        UPDATE idempotency i SET status = r.status, content_type = r.content_type, body = r.body
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::bytea[])
            AS r (caller, method, path, key, status, content_type, body)
        WHERE (i.caller, i.method, i.path, i.key) = (r.caller, r.method, r.path, r.key)
        """,
        *_columns([scope for scope, _ in settled]), [answer.status for answer in answers],
        [answer.content_type for answer in answers], [answer.body for answer in answers],
    )  # fmt: skip


def _columns(scopes: Sequence[Scope]) -> list[list[str]]:
    return [
        [scope.caller for scope in scopes], [scope.method for scope in scopes],
        [scope.path for scope in scopes], [scope.key for scope in scopes],
    ]  # fmt: skip


async def abandon(connection: Executor, scope: Scope) -> None:
    """Let the key go: the request came to nothing and may be sent again."""
    await connection.execute(
        "DELETE FROM idempotency WHERE (caller, method, path, key) = ($1, $2, $3, $4)"
        " AND (status IS NULL OR status = 0)",
        scope.caller, scope.method, scope.path, scope.key,
    )  # fmt: skip


async def forget_old(connection: Executor, now: Instant) -> None:
    await connection.execute("DELETE FROM idempotency WHERE claimed_at < $1", moment(now - KEPT_MS))
