"""Subscriptions of partners, what they were sent, and how each attempt went.

A delivery is written in the transaction that tells of the event, once for each event and subscription. It keeps its id
and its bytes through all attempts and replays, so that a partner who gets it twice can see that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import asyncpg

from actors.seatmap.events import Record
from actors.seatmap.terms import Instant
from persistence import codec
from persistence.database import Connection, Executor
from persistence.moments import instant, moment

State = Literal["waiting", "delivered", "failed"]
Stopped = Literal["", "failing", "gone"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription. Without a theatre it hears of all; `stopped` says why it was switched off by us."""

    id: str
    theatre_id: str | None
    url: str
    events: tuple[str, ...]
    description: str
    active: bool
    secret: bytes
    created_at: Instant
    stopped: Stopped = ""
    old_secret_until: Instant | None = None
    failing_since: Instant | None = None
    revision: int = 1


@dataclass(frozen=True, slots=True)
class WebhookFilter:
    """`theatre_ids` None is every subscription, else those of these theatres. `after` is (created, id)."""

    theatre_ids: tuple[str, ...] | None = None
    theatre_id: str | None = None
    after: tuple[Instant, str] | None = None


@dataclass(frozen=True, slots=True)
class NewDelivery:
    id: str
    webhook_id: str
    dedupe_key: str
    type: str
    showtime_id: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one message to one subscription stands; `last_…` are of the newest attempt."""

    id: str
    webhook_id: str
    type: str
    showtime_id: str | None
    state: State
    attempts: int
    last_status: int | None
    last_error: str
    created_at: Instant
    delivered_at: Instant | None
    body: bytes


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """`after` is (created, id) of the last one seen; the newest come first."""

    webhook_id: str
    state: State | None = None
    type: str | None = None
    showtime_id: str | None = None
    after: tuple[Instant, str] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """`status` None: there was no answer, and `error` says why in one word. `answer` is how it began."""

    at: Instant
    took_ms: int
    status: int | None
    answer: bytes
    error: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A delivery with all that sending it needs. `secrets`: the newest first."""

    id: str
    webhook_id: str
    type: str
    body: bytes
    state: State
    round: int
    tries: int
    url: str
    active: bool
    secrets: tuple[bytes, ...]


_OWN: Final = """id, theatre_id, url, events, description, active, secret, created_at, stopped, old_secret_until,
    failing_since, revision"""
_DELIVERY: Final = """id, webhook_id, type, showtime_id, state, attempts, last_status, last_error, created_at,
    delivered_at, body"""


async def add(connection: Executor, new: Webhook) -> None:
    await connection.execute(
        """INSERT INTO webhook (id, theatre_id, url, events, description, active, secret, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        new.id, new.theatre_id, new.url, new.events, new.description, new.active, new.secret, moment(new.created_at),
    )  # fmt: skip


async def write(connection: Executor, changed: Webhook) -> None:
    """What may be changed, as the next revision. One that is switched on begins without a bad name."""
    await connection.execute(
        """
        UPDATE webhook SET url = $2, events = $3, description = $4, active = $5, stopped = $6, revision = revision + 1,
            failing_since = CASE WHEN $5 AND NOT active THEN NULL ELSE failing_since END,
            failures = CASE WHEN $5 AND NOT active THEN 0 ELSE failures END
        WHERE id = $1
        """,
        changed.id, changed.url, changed.events, changed.description, changed.active, changed.stopped,
    )  # fmt: skip


async def rotate(connection: Executor, webhook_id: str, secret: bytes, old_until: Instant | None) -> None:
    """A new secret; the present one goes on signing beside it until then, if at all."""
    await connection.execute(
        """
        UPDATE webhook SET secret = $2, old_secret = CASE WHEN $3::timestamptz IS NULL THEN NULL ELSE secret END,
            old_secret_until = $3, revision = revision + 1
        WHERE id = $1
        """,
        webhook_id, secret, _moment(old_until),
    )  # fmt: skip


async def remove(connection: Executor, webhook_id: str) -> None:
    """With everything that it was ever sent."""
    await connection.execute("DELETE FROM webhook WHERE id = $1", webhook_id)


async def webhook(connection: Executor, webhook_id: str, *, locked: bool = False) -> Webhook | None:
    lock = "FOR UPDATE" if locked else ""
    row = await connection.fetchrow(f"SELECT {_OWN} FROM webhook WHERE id = $1 {lock}", webhook_id)
    return None if row is None else _webhook(row)


async def webhooks(connection: Executor, wanted: WebhookFilter, limit: int) -> list[Webhook]:
    """The oldest first."""
    created_at, after_id = wanted.after or (None, None)
    rows = await connection.fetch(
        f"""
        SELECT {_OWN} FROM webhook
        WHERE ($1::uuid[] IS NULL OR theatre_id = ANY($1::uuid[]))
          AND ($2::uuid IS NULL OR theatre_id = $2::uuid)
          AND ($3::timestamptz IS NULL OR (created_at, id) > ($3, $4::uuid))
        ORDER BY created_at, id LIMIT $5
        """,
        wanted.theatre_ids, wanted.theatre_id, _moment(created_at), after_id, limit,
    )  # fmt: skip
    return [_webhook(row) for row in rows]


async def count(connection: Executor, theatre_id: str | None) -> int:
    """How many subscriptions a theatre has; those of all theatres for None."""
    found = await connection.fetchval(
        "SELECT count(*) FROM webhook WHERE theatre_id IS NOT DISTINCT FROM $1::uuid", theatre_id
    )
    return int(found)


async def listening(connection: Executor, kind: str, showtime_id: str) -> tuple[str | None, list[str]]:
    """The theatre of a showtime, and the active subscriptions that want to hear of this kind of thing there."""
    row = await connection.fetchrow(
        """
        SELECT c.theatre_id, array(
            SELECT w.id FROM webhook w
            WHERE w.active AND $1 = ANY(w.events) AND (w.theatre_id IS NULL OR w.theatre_id = c.theatre_id)
            ORDER BY w.id) AS listeners
        FROM showtime s JOIN screen c ON c.id = s.screen_id WHERE s.id = $2
        """,
        kind, showtime_id,
    )  # fmt: skip
    return (None, []) if row is None else (str(row["theatre_id"]), [str(each) for each in row["listeners"]])


async def add_deliveries(connection: Executor, new: Iterable[NewDelivery]) -> list[str]:
    """The ids of those that were not there yet."""
    added = []
    for each in new:
        found = await connection.fetchval(
            """
            INSERT INTO webhook_delivery (id, webhook_id, dedupe_key, type, showtime_id, body)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (webhook_id, dedupe_key) DO NOTHING RETURNING id
            """,
            each.id, each.webhook_id, each.dedupe_key, each.type, each.showtime_id, each.body,
        )  # fmt: skip
        if found is not None:
            added.append(str(found))
    return added


async def record(connection: Executor, showtime_id: str, version: int) -> Record | None:
    """What the log of a showtime says there."""
    row = await connection.fetchrow(
        """
        SELECT version, to_millis(at), key::text, schema, kind, body FROM event
        WHERE showtime_id = $1 AND version = $2
        """,
        showtime_id, version,
    )  # fmt: skip
    return None if row is None else codec.decode(*row)


async def deliveries(connection: Executor, wanted: DeliveryFilter, limit: int) -> list[Delivery]:
    """The newest first."""
    created_at, after_id = wanted.after or (None, None)
    rows = await connection.fetch(
        f"""
        SELECT {_DELIVERY} FROM webhook_delivery
        WHERE webhook_id = $1
          AND ($2::text IS NULL OR state = $2)
          AND ($3::text IS NULL OR type = $3)
          AND ($4::uuid IS NULL OR showtime_id = $4::uuid)
          AND ($5::timestamptz IS NULL OR (created_at, id) < ($5, $6::uuid))
        ORDER BY created_at DESC, id DESC LIMIT $7
        """,
        wanted.webhook_id, wanted.state, wanted.type, wanted.showtime_id, _moment(created_at), after_id, limit,
    )  # fmt: skip
    return [_delivery(row) for row in rows]


async def delivery(connection: Executor, webhook_id: str, delivery_id: str) -> Delivery | None:
    row = await connection.fetchrow(
        f"SELECT {_DELIVERY} FROM webhook_delivery WHERE webhook_id = $1 AND id = $2", webhook_id, delivery_id
    )
    return None if row is None else _delivery(row)


async def attempts(connection: Executor, delivery_id: str) -> list[Attempt]:
    """The oldest first."""
    rows = await connection.fetch(
        "SELECT at, took_ms, status, answer, error FROM webhook_attempt WHERE delivery_id = $1 ORDER BY number",
        delivery_id,
    )
    return [Attempt(instant(row["at"]), row["took_ms"], row["status"], row["answer"], row["error"]) for row in rows]


async def replay(connection: Executor, delivery_id: str) -> int:
    """Begin the next round of a delivery, whatever became of the last one. Returns its number."""
    found = await connection.fetchval(
        """
        UPDATE webhook_delivery SET state = 'waiting', round = round + 1, tries = 0, delivered_at = NULL
        WHERE id = $1 RETURNING round
        """,
        delivery_id,
    )
    return int(found)


async def outgoing(connection: Executor, delivery_id: str, now: Instant) -> Outgoing | None:
    """None when its subscription is gone."""
    row = await connection.fetchrow(
        """
        SELECT d.id, d.webhook_id, d.type, d.body, d.state, d.round, d.tries, w.url, w.active, w.secret,
               CASE WHEN w.old_secret_until > $2 THEN w.old_secret END AS old_secret
        FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook_id WHERE d.id = $1
        """,
        delivery_id, moment(now),
    )  # fmt: skip
    if row is None:
        return None
    return Outgoing(
        id=str(row["id"]),
        webhook_id=str(row["webhook_id"]),
        type=row["type"],
        body=row["body"],
        state=row["state"],
        round=row["round"],
        tries=row["tries"],
        url=row["url"],
        active=row["active"],
        secrets=tuple(secret for secret in (row["secret"], row["old_secret"]) if secret is not None),
    )


async def settle(connection: Connection, sent: Outgoing, attempt: Attempt, state: State) -> None:
    """Write an attempt down, in a transaction, with what the delivery became of it and what it says of the partner.

    A replay that was asked for meanwhile stays: it has a round of its own.
    """
    number = await connection.fetchval(
        """
        UPDATE webhook_delivery SET attempts = attempts + 1, last_status = $3, last_error = $4,
            tries = CASE WHEN round = $2 THEN tries + 1 ELSE tries END,
            state = CASE WHEN round = $2 THEN $5 ELSE state END,
            delivered_at = CASE WHEN round = $2 AND $5 = 'delivered' THEN $6 ELSE delivered_at END
        WHERE id = $1 RETURNING attempts
        """,
        sent.id, sent.round, attempt.status, attempt.error, state, moment(attempt.at),
    )  # fmt: skip
    if number is None:  # its subscription was deleted while it was on its way
        return
    await connection.execute(
        """INSERT INTO webhook_attempt (delivery_id, number, at, took_ms, status, answer, error)
        VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        sent.id, number, moment(attempt.at), attempt.took_ms, attempt.status, attempt.answer, attempt.error,
    )  # fmt: skip
    await connection.execute(
        """
        UPDATE webhook SET failing_since = CASE WHEN $2 THEN NULL ELSE coalesce(failing_since, $3) END,
            failures = CASE WHEN $2 THEN 0 ELSE failures + 1 END
        WHERE id = $1 AND (NOT $2 OR failures > 0)
        """,
        sent.webhook_id, state == "delivered", moment(attempt.at),
    )  # fmt: skip


async def give_up(connection: Executor, sent: Outgoing, error: str) -> None:
    """The delivery ends without a further attempt."""
    await connection.execute(
        "UPDATE webhook_delivery SET state = 'failed', last_error = $3 WHERE id = $1 AND round = $2",
        sent.id, sent.round, error,
    )  # fmt: skip


async def stop(connection: Executor, webhook_id: str, why: Stopped) -> bool:
    """Switch a subscription off. False when it was already."""
    done = await connection.execute(
        "UPDATE webhook SET active = false, stopped = $2, revision = revision + 1 WHERE id = $1 AND active",
        webhook_id, why,
    )  # fmt: skip
    return done == "UPDATE 1"


async def stop_hopeless(connection: Executor, webhook_id: str, since: Instant, failures: int) -> bool:
    """Switch a subscription off that had nothing but failures since then, and at least so many of them."""
    done = await connection.execute(
        """
        UPDATE webhook SET active = false, stopped = 'failing', revision = revision + 1
        WHERE id = $1 AND active AND failing_since <= $2 AND failures >= $3
        """,
        webhook_id, moment(since), failures,
    )  # fmt: skip
    return done == "UPDATE 1"


async def forget_old(connection: Executor, days: int) -> None:
    """What was sent and has ended is kept that long; by the database's own clock, which also dated it."""
    await connection.execute(
        "DELETE FROM webhook_delivery WHERE created_at < now() - $1 * interval '1 day' AND state <> 'waiting'", days
    )


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook(
        id=str(row["id"]),
        theatre_id=None if row["theatre_id"] is None else str(row["theatre_id"]),
        url=row["url"],
        events=tuple(row["events"]),
        description=row["description"],
        active=row["active"],
        secret=row["secret"],
        created_at=instant(row["created_at"]),
        stopped=row["stopped"],
        old_secret_until=_instant(row["old_secret_until"]),
        failing_since=_instant(row["failing_since"]),
        revision=row["revision"],
    )


def _delivery(row: asyncpg.Record) -> Delivery:
    return Delivery(
        id=str(row["id"]),
        webhook_id=str(row["webhook_id"]),
        type=row["type"],
        showtime_id=None if row["showtime_id"] is None else str(row["showtime_id"]),
        state=row["state"],
        attempts=row["attempts"],
        last_status=row["last_status"],
        last_error=row["last_error"],
        created_at=instant(row["created_at"]),
        delivered_at=_instant(row["delivered_at"]),
        body=row["body"],
    )


def _moment(at: Instant | None) -> datetime | None:
    return None if at is None else moment(at)


def _instant(at: datetime | None) -> Instant | None:
    return None if at is None else instant(at)
