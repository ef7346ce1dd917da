"""Whom to tell, and what they were told: addressees of announcements, and the rows of their inboxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import orjson

from actors.seatmap.terms import Instant
from persistence.accounts import Preferences
from persistence.database import Connection, Executor
from persistence.moments import instant, moment

KEPT_MS: Final = 180 * 24 * 60 * 60_000
"""How long a notification stays in the inbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """Whose booking it is, and how to reach them. `email` is the booking's contact, else the account's address.

    `phone` is one that the account has proved: what somebody typed in as a contact may be anybody's. Without an account
    (a booking of the box office) `account_id` is None.
    """

    booking_id: str
    account_id: str | None
    email: str | None
    phone: str | None
    name: str
    locale: str
    preferences: Preferences
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """`facts` are plain values; `read_at` is None while it is unread."""

    id: str
    account_id: str
    dedupe_key: str
    kind: str
    showtime_id: str | None
    booking_id: str | None
    facts: Mapping[str, Any]
    created_at: Instant
    read_at: Instant | None = None


_ADDRESSEES: Final = """
    SELECT b.booking_id, a.id AS account_id, coalesce(c.email, a.email) AS email,
        CASE WHEN a.phone_verified_at IS NOT NULL THEN a.phone END AS phone,
        coalesce(nullif(c.name, ''), a.display_name, '') AS name, coalesce(a.locale, 'en') AS locale,
        coalesce(a.preferences, '{}') AS preferences, a.erased_at IS NOT NULL AS erased
    FROM booking b
    LEFT JOIN account a ON a.id = CASE WHEN b.owner ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN b.owner::uuid END
    LEFT JOIN booking_contact c ON c.booking_id = b.booking_id"""


async def addressee(connection: Executor, booking_id: str) -> Addressee | None:
    row = await connection.fetchrow(f"{_ADDRESSEES} WHERE b.booking_id = $1", booking_id)
    return None if row is None else _addressee(row)


async def standing(connection: Executor, showtime_id: str) -> list[str]:
    """The bookings of a showtime that stand, paid or not."""
    rows = await connection.fetch(
        """
        SELECT booking_id FROM booking WHERE showtime_id = $1 AND status IN ('pending_payment', 'confirmed')
        ORDER BY created_at, booking_id
        """,
        showtime_id,
    )
    return [str(row["booking_id"]) for row in rows]


async def version_of(connection: Executor, showtime_id: str) -> int:
    """How far the showtime's log is: it only grows, so a calendar knows by it what is newer."""
    return int(await connection.fetchval("SELECT version FROM stream WHERE showtime_id = $1", showtime_id) or 0)


async def put(connection: Connection, notifications: Sequence[Notification]) -> list[Notification]:
    """Add those that are not there yet, for accounts that are; returns the new ones."""
    if not notifications:
        return []
    rows = await connection.fetch(
        """
        INSERT INTO notification (id, account_id, dedupe_key, kind, showtime_id, booking_id, facts, created_at)
        SELECT n.id, n.account_id, n.dedupe_key, n.kind, n.showtime_id, n.booking_id, n.facts, from_millis(n.created_at)
        FROM jsonb_to_recordset($1::jsonb) AS n(id uuid, account_id uuid, dedupe_key text, kind text, showtime_id uuid,
            booking_id uuid, facts jsonb, created_at bigint)
        JOIN account a ON a.id = n.account_id AND a.erased_at IS NULL
        ON CONFLICT (dedupe_key) DO NOTHING RETURNING dedupe_key
        """,
        orjson.dumps([_row(notification) for notification in notifications]),
    )
    new = {row["dedupe_key"] for row in rows}
    return [notification for notification in notifications if notification.dedupe_key in new]


async def inbox(
    connection: Executor, account_id: str, *, unread: bool, after: tuple[Instant, str] | None, limit: int
) -> list[Notification]:
    """The newest first."""
    created_at, after_id = after or (None, None)
    rows = await connection.fetch(
        """
        SELECT * FROM notification
        WHERE account_id = $1 AND (NOT $2 OR read_at IS NULL)
          AND ($3::timestamptz IS NULL OR created_at < $3 OR (created_at = $3 AND id > $4::uuid))
        ORDER BY created_at DESC, id LIMIT $5
        """,
        account_id, unread, None if created_at is None else moment(created_at), after_id, limit,
    )  # fmt: skip
    return [_notification(row) for row in rows]


async def unread_count(connection: Executor, account_id: str) -> int:
    count = await connection.fetchval(
        "SELECT count(*) FROM notification WHERE account_id = $1 AND read_at IS NULL", account_id
    )
    return int(count)


async def mark(
    connection: Executor, account_id: str, notification_id: str, *, read: bool, now: Instant
) -> Notification | None:
    """Read, or unread again. The moment at which it was first read stays."""
    row = await connection.fetchrow(
        """
        UPDATE notification SET read_at = CASE WHEN $3 THEN coalesce(read_at, $4) END
        WHERE id = $2 AND account_id = $1 RETURNING *
        """,
        account_id, notification_id, read, moment(now),
    )  # fmt: skip
    return None if row is None else _notification(row)


async def mark_all_read(connection: Executor, account_id: str, now: Instant) -> int:
    """How many were unread."""
    done = await connection.execute(
        "UPDATE notification SET read_at = $2 WHERE account_id = $1 AND read_at IS NULL", account_id, moment(now)
    )
    return int(done.rpartition(" ")[2])


async def forget_old(connection: Executor, now: Instant) -> None:
    await connection.execute("DELETE FROM notification WHERE created_at < $1", moment(now - KEPT_MS))


def _addressee(row: asyncpg.Record) -> Addressee:
    return Addressee(
        booking_id=str(row["booking_id"]),
        account_id=None if row["account_id"] is None else str(row["account_id"]),
        email=row["email"],
        phone=row["phone"],
        name=row["name"],
        locale=row["locale"],
        preferences=orjson.loads(row["preferences"]),
        erased=row["erased"],
    )


def _row(notification: Notification) -> dict[str, Any]:
    return {
        "id": notification.id,
        "account_id": notification.account_id,
        "dedupe_key": notification.dedupe_key,
        "kind": notification.kind,
        "showtime_id": notification.showtime_id,
        "booking_id": notification.booking_id,
        "facts": notification.facts,
        "created_at": notification.created_at,
    }


def _notification(row: asyncpg.Record) -> Notification:
    return Notification(
        id=str(row["id"]),
        account_id=str(row["account_id"]),
        dedupe_key=row["dedupe_key"],
        kind=row["kind"],
        showtime_id=None if row["showtime_id"] is None else str(row["showtime_id"]),
        booking_id=None if row["booking_id"] is None else str(row["booking_id"]),
        facts=orjson.loads(row["facts"]),
        created_at=instant(row["created_at"]),
        read_at=None if row["read_at"] is None else instant(row["read_at"]),
    )
