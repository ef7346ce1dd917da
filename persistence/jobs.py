"""Effects on the world, as rows: stored in the transaction of the event that asks for them, worked afterwards.

A job is done at least once. Its dedupe key makes that harmless: it is the payment provider's idempotency key and the
letter's Message-ID, and the table takes each key once, for ever, however often an event is projected.

A claim lasts until its lease ends, unless it is renewed; after that anybody may claim the job again. `attempts` tells
one claim from the next, so that whoever lost a job can no longer say anything about it.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import asyncpg
import orjson

from actors.seatmap.terms import Instant
from actors.seatmap.values import dataclass
from persistence.database import Executor
from persistence.moments import instant, moment

KEPT_MS: Final = 30 * 24 * 3_600_000
"""How long the payload of a finished job is kept. Its key stays."""

FORGOTTEN_AT_ONCE_MAX: Final = 5_000


class JobState(StrEnum):
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    PARKED = "parked"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Job:
    """`payload` is plain JSON: ids and amounts, never personal data. Without `due_at` it is due at once."""

    topic: str
    dedupe_key: str
    showtime_id: str | None
    payload: Mapping[str, object]
    due_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class StoredJob:
    """`due_at` of a running job is the end of its lease. `payload` is empty once a finished job is old."""

    id: int
    topic: str
    dedupe_key: str
    showtime_id: str | None
    payload: Mapping[str, Any]
    state: JobState
    attempts: int
    failures: int
    failing_since: Instant | None
    created_at: Instant
    due_at: Instant
    finished_at: Instant | None
    last_error: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which ones, the newest first. `before` is the id of the last one seen."""

    state: JobState | None = None
    topic: str | None = None
    showtime_id: str | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs of a topic are in a state. `oldest_due` is since when the oldest of them should have been done."""

    topic: str
    state: JobState
    count: int
    oldest_due: Instant | None


_COLUMNS: Final = """job.id, job.topic, job.dedupe_key, job.showtime_id, job.payload, job.state, job.attempts,
    job.failures, job.failing_since, job.created_at, coalesce(nullif(job.due_at, 'epoch'), job.created_at) AS due_at,
    job.finished_at, job.last_error, job.note"""

# The first of every topic come before the second of any, and what a topic has running counts as its first ones.
_CLAIM: Final = f"""
WITH waiting AS (
    SELECT found.id, asked.busy + row_number() OVER (PARTITION BY asked.topic ORDER BY found.due_at, found.id) AS turn,
        asked.place
    FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY AS asked (topic, busy, place)
    CROSS JOIN LATERAL (
        SELECT id, due_at FROM job
        WHERE job.topic = asked.topic AND job.state IN ('ready', 'running') AND job.due_at <= $3 AND job.id <> ALL ($7)
        ORDER BY job.due_at, job.id LIMIT greatest($4::integer - asked.busy, 0) FOR UPDATE SKIP LOCKED) found)
, chosen AS (SELECT id, turn, place FROM waiting ORDER BY turn, place LIMIT $5)
, claimed AS (
    UPDATE job SET state = 'running', attempts = attempts + 1, due_at = $6 FROM chosen WHERE job.id = chosen.id
    RETURNING {_COLUMNS}, chosen.turn, chosen.place)
SELECT * FROM claimed ORDER BY turn, place"""

_MINE: Final = "WHERE id = $1 AND attempts = $2 AND state = 'running'"
_CLAIMED: Final = """FROM unnest($1::bigint[], $2::integer[]) AS mine (id, attempts)
    WHERE job.id = mine.id AND job.attempts = mine.attempts AND job.state = 'running'"""


async def put(connection: Executor, jobs: Iterable[Job]) -> int:
    """Store what is not known yet. How many were new."""
    new = list(jobs)
    if not new:
        return 0
    done: str = await connection.execute(
        """
        INSERT INTO job (topic, dedupe_key, showtime_id, payload, due_at)
        SELECT topic, dedupe_key, showtime_id, payload, coalesce(from_millis(due_at), 'epoch')
        FROM json_to_recordset($1::text::json)
            AS r (topic text, dedupe_key text, showtime_id uuid, payload jsonb, due_at bigint)
        ON CONFLICT (dedupe_key) DO NOTHING
        """,
        orjson.dumps(new).decode(),
    )
    return int(done.rsplit(" ", 1)[-1])


async def claim(
    connection: Executor,
    topics: Sequence[str],
    now: Instant,
    *,
    limit: int,
    share: int,
    lease_ms: int,
    running: Sequence[StoredJob] = (),
) -> list[StoredJob]:
    """Take up to `limit` due jobs, so that with those that are `running` no topic has more than `share`.

    Topics that have the least running come first, and of those the ones that `topics` names first.
    """
    rows = await connection.fetch(
        _CLAIM,
        topics,
        [sum(job.topic == topic for job in running) for topic in topics],
        moment(now),
        share,
        limit,
        moment(now + lease_ms),
        [job.id for job in running],
    )
    return [_stored(row) for row in rows]


async def renew(connection: Executor, claims: Sequence[StoredJob], until: Instant) -> frozenset[int]:
    """Make leases last until then. The ids of the jobs that are still the claimants'."""
    rows = await connection.fetch(
        f"UPDATE job SET due_at = $3 {_CLAIMED} RETURNING job.id",
        [job.id for job in claims],
        [job.attempts for job in claims],
        moment(until),
    )
    return frozenset(row[0] for row in rows)


async def finish(connection: Executor, job: StoredJob, now: Instant) -> bool:
    """The world has it. False when the claim was lost meanwhile."""
    return _found(
        await connection.execute(
            f"""
            UPDATE job SET state = 'done', finished_at = $3, failures = 0, failing_since = NULL, last_error = '' {_MINE}
            """,
            job.id, job.attempts, moment(now),
        )
    )  # fmt: skip


async def retry_at(connection: Executor, job: StoredJob, due_at: Instant, error: str, now: Instant) -> bool:
    """It failed and is tried again then. False when the claim was lost meanwhile."""
    return _found(
        await connection.execute(
            f"""
            UPDATE job SET state = 'ready', due_at = $3, last_error = $4, failures = failures + 1,
                failing_since = coalesce(failing_since, $5) {_MINE}
            """,
            job.id, job.attempts, moment(due_at), error, moment(now),
        )
    )  # fmt: skip


async def put_off(connection: Executor, job: StoredJob, due_at: Instant, why: str) -> bool:
    """It is too early: no failure, and none before it counts any more. False when the claim was lost meanwhile."""
    return _found(
        await connection.execute(
            f"""
            UPDATE job SET state = 'ready', due_at = $3, last_error = $4, failures = 0, failing_since = NULL {_MINE}
            """,
            job.id, job.attempts, moment(due_at), why,
        )
    )  # fmt: skip


async def park(connection: Executor, job: StoredJob, error: str, now: Instant) -> bool:
    """Give it up until a person decides. False when the claim was lost meanwhile."""
    return _found(
        await connection.execute(
            f"""
            UPDATE job SET state = 'parked', last_error = $3, failures = failures + 1,
                failing_since = coalesce(failing_since, $4) {_MINE}
            """,
            job.id, job.attempts, error, moment(now),
        )
    )  # fmt: skip


async def give_back(connection: Executor, claims: Sequence[StoredJob]) -> None:
    """Claimed and not done: anybody may have them at once."""
    await connection.execute(
        f"UPDATE job SET state = 'ready', due_at = 'epoch' {_CLAIMED}",
        [job.id for job in claims],
        [job.attempts for job in claims],
    )


async def revive(connection: Executor, job_id: int) -> StoredJob | None:
    """Have it done at once, with as much patience as a new one. None when it runs, is done or is not there."""
    row = await connection.fetchrow(
        f"""
        UPDATE job SET state = 'ready', due_at = 'epoch', failures = 0, failing_since = NULL, finished_at = NULL
        WHERE id = $1 AND state IN ('ready', 'parked', 'dropped') AND payload IS NOT NULL RETURNING {_COLUMNS}
        """,
        job_id,
    )
    return None if row is None else _stored(row)


async def drop(connection: Executor, job_id: int, reason: str, now: Instant) -> StoredJob | None:
    """Decide against it. None when it runs, is done, was dropped before or is not there."""
    row = await connection.fetchrow(
        f"""
        UPDATE job SET state = 'dropped', note = $2, finished_at = $3 WHERE id = $1 AND state IN ('ready', 'parked')
        RETURNING {_COLUMNS}
        """,
        job_id,
        reason,
        moment(now),
    )
    return None if row is None else _stored(row)


async def by_id(connection: Executor, job_id: int) -> StoredJob | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM job WHERE id = $1", job_id)
    return None if row is None else _stored(row)


async def by_key(connection: Executor, dedupe_key: str) -> StoredJob | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM job WHERE dedupe_key = $1", dedupe_key)
    return None if row is None else _stored(row)


async def found(connection: Executor, wanted: JobFilter, limit: int) -> list[StoredJob]:
    """The newest first."""
    # As a constant the state lets the planner take the index of what is not done.
    state = "" if wanted.state is None else f"state = '{wanted.state}' AND"
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM job
        WHERE {state} ($1::text IS NULL OR topic = $1) AND ($2::uuid IS NULL OR showtime_id = $2)
          AND ($3::bigint IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4
        """,
        wanted.topic,
        wanted.showtime_id,
        wanted.before,
        limit,
    )
    return [_stored(row) for row in rows]


async def progress(connection: Executor, showtime_id: str) -> Mapping[str, Mapping[JobState, int]]:
    """How many jobs of a showtime are in each state, by topic."""
    rows = await connection.fetch(
        "SELECT topic, state, count(*) FROM job WHERE showtime_id = $1 GROUP BY topic, state ORDER BY topic, state",
        showtime_id,
    )
    counts: dict[str, dict[JobState, int]] = {}
    for topic, state, count in rows:
        counts.setdefault(topic, {})[JobState(state)] = count
    return counts


async def depths(connection: Executor, now: Instant) -> list[Depth]:
    """What there is to do, by topic and state: finished jobs are not counted."""
    rows = await connection.fetch(
        """
        SELECT topic, state, count(*) AS count,
            min(coalesce(nullif(due_at, 'epoch'), created_at))
                FILTER (WHERE state <> 'parked' AND due_at <= $1) AS oldest_due
        FROM job WHERE state IN ('ready', 'running', 'parked') GROUP BY topic, state
        """,
        moment(now),
    )
    return [
        Depth(row["topic"], JobState(row["state"]), row["count"], _instant_or_none(row["oldest_due"])) for row in rows
    ]


async def forget_old(connection: Executor, now: Instant) -> None:
    """Empty what was finished long ago. The keys stay, so nothing of it is ever done again."""
    await connection.execute(
        """
        UPDATE job SET payload = NULL WHERE id IN (
            SELECT id FROM job WHERE finished_at < $1 AND payload IS NOT NULL ORDER BY finished_at LIMIT $2)
        """,
        moment(now - KEPT_MS),
        FORGOTTEN_AT_ONCE_MAX,
    )


def _found(status: str) -> bool:
    return status != "UPDATE 0"


def _stored(row: asyncpg.Record) -> StoredJob:
    return StoredJob(
        id=row["id"],
        topic=row["topic"],
        dedupe_key=row["dedupe_key"],
        showtime_id=None if row["showtime_id"] is None else str(row["showtime_id"]),
        payload={} if row["payload"] is None else orjson.loads(row["payload"]),
        state=JobState(row["state"]),
        attempts=row["attempts"],
        failures=row["failures"],
        failing_since=_instant_or_none(row["failing_since"]),
        created_at=instant(row["created_at"]),
        due_at=instant(row["due_at"]),
        finished_at=_instant_or_none(row["finished_at"]),
        last_error=row["last_error"],
        note=row["note"],
    )


def _instant_or_none(found: Any) -> Instant | None:
    return None if found is None else instant(found)
