"""People: plain functions over the table of migrations 0003 and 0005. Personal data lives here, so it can be erased."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import orjson

from actors.seatmap.terms import Instant
from persistence.database import Connection, Executor
from persistence.moments import instant, moment


class EmailTaken(Exception):
    """Another account has this address."""


class PhoneTaken(Exception):
    """Another account has proved that this number is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody. Guests have neither e-mail address nor password; `theatre_ids` are where staff works.

    `revision` counts all changes, `grants` those of what the account may do.
    """

    id: str
    roles: tuple[str, ...]
    created_at: Instant
    email: str | None = None
    email_verified: bool = False
    display_name: str = ""
    phone: str | None = None
    phone_verified: bool = False
    locale: str = "en"
    time_zone: str = "UTC"
    password_hash: str | None = None
    theatre_ids: tuple[str, ...] = ()
    blocked: bool = False
    erased: bool = False
    revision: int = 1
    grants: int = 1


Preferences = dict[str, dict[str, bool]]
"""By topic, by way: whether to tell."""

_GRANTS_LOCK: Final = 7_001_002
COLUMNS: Final = """a.id, a.email, a.email_verified_at, a.display_name, a.phone, a.phone_verified_at, a.locale,
    a.time_zone, a.password_hash, a.roles, a.theatre_ids, a.blocked_at, a.erased_at, a.created_at, a.revision,
    a.grants"""


async def add(connection: Executor, account: Account) -> None:
    """EmailTaken or PhoneTaken."""
    at = moment(account.created_at)
    try:
        await connection.execute(
            """
            INSERT INTO account (id, email, display_name, phone, locale, time_zone, password_hash, roles, theatre_ids,
                created_at, updated_at, email_verified_at, phone_verified_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12)
            """,
            account.id, account.email, account.display_name, account.phone, account.locale, account.time_zone,
            account.password_hash, account.roles, account.theatre_ids, at,
            at if account.email_verified else None, at if account.phone_verified else None,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise _taken(error) from error


async def by_email(connection: Executor, email: str) -> Account | None:
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM account a WHERE a.email = $1", email)
    return None if row is None else from_row(row)


async def by_phone(connection: Executor, phone: str) -> Account | None:
    """Who has proved that this number is theirs."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM account a WHERE a.phone = $1 AND a.phone_verified_at IS NOT NULL", phone
    )
    return None if row is None else from_row(row)


async def by_id(connection: Executor, account_id: str) -> Account | None:
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM account a WHERE a.id = $1", account_id)
    return None if row is None else from_row(row)


async def upgrade_guest(connection: Executor, account: Account) -> Account | None:
    """Make the guest with this id a member; what the guest holds stays the member's. None when it is no guest any more.

    EmailTaken or PhoneTaken.
    """
    at = moment(account.created_at)
    try:
        row = await connection.fetchrow(
            f"""
            UPDATE account a SET email = $2, display_name = $3, phone = $4, password_hash = $5, roles = $6,
                updated_at = $7, phone_verified_at = $8, revision = revision + 1
            WHERE id = $1 AND roles = '{{guest}}' AND erased_at IS NULL AND blocked_at IS NULL RETURNING {COLUMNS}
            """,
            account.id, account.email, account.display_name, account.phone, account.password_hash, account.roles, at,
            at if account.phone_verified else None,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise _taken(error) from error
    return None if row is None else from_row(row)


async def update_profile(
    connection: Executor,
    account_id: str,
    *,
    display_name: str,
    phone: str | None,
    locale: str,
    time_zone: str,
    now: Instant,
) -> Account | None:
    """Write a profile. A new number is unproved."""
    row = await connection.fetchrow(
        f"""
        UPDATE account a SET display_name = $2, phone = $3, locale = $4, time_zone = $5, updated_at = $6,
            phone_verified_at = CASE WHEN phone = $3 THEN phone_verified_at END, revision = revision + 1
        WHERE id = $1 AND erased_at IS NULL RETURNING {COLUMNS}
        """,
        account_id, display_name, phone, locale, time_zone, moment(now),
    )  # fmt: skip
    return None if row is None else from_row(row)


async def set_password(
    connection: Executor, account_id: str, password_hash: str, *, instead_of: str | None, now: Instant
) -> bool:
    """False when the password has been changed since `instead_of` was read."""
    done = await connection.fetchval(
        """
        UPDATE account SET password_hash = $2, updated_at = $4, revision = revision + 1
        WHERE id = $1 AND password_hash IS NOT DISTINCT FROM $3 AND erased_at IS NULL RETURNING true
        """,
        account_id, password_hash, instead_of, moment(now),
    )  # fmt: skip
    return bool(done)


async def reset_password(connection: Executor, account_id: str, password_hash: str, now: Instant) -> None:
    """Set the password of somebody who reads the account's mail.

    Were the address never proved before, whoever registered it may have been a stranger: their phone opens nothing now.
    """
    await connection.execute(
        """
        UPDATE account SET password_hash = $2, updated_at = $3, revision = revision + 1,
            phone_verified_at = CASE WHEN email_verified_at IS NOT NULL THEN phone_verified_at END,
            email_verified_at = coalesce(email_verified_at, $3)
        WHERE id = $1
        """,
        account_id, password_hash, moment(now),
    )  # fmt: skip


async def prove_email(connection: Executor, account_id: str, email: str, now: Instant) -> None:
    """The address is the account's own, if it still is its address."""
    await connection.execute(
        """
        UPDATE account SET email_verified_at = $3, updated_at = $3, revision = revision + 1
        WHERE id = $1 AND email = $2 AND email_verified_at IS NULL
        """,
        account_id, email, moment(now),
    )  # fmt: skip


async def prove_phone(connection: Executor, account_id: str, phone: str, now: Instant) -> None:
    """The number is the account's own. PhoneTaken."""
    try:
        await connection.execute(
            """
            UPDATE account SET phone = $2, phone_verified_at = $3, updated_at = $3, revision = revision + 1
            WHERE id = $1 AND erased_at IS NULL
            """,
            account_id, phone, moment(now),
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise _taken(error) from error


async def lock(connection: Connection, account_id: str) -> Account | None:
    """The account as it stays until the end of the transaction."""
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM account a WHERE a.id = $1 FOR UPDATE", account_id)
    return None if row is None else from_row(row)


async def grant(
    connection: Executor,
    account_id: str,
    roles: Iterable[str],
    theatre_ids: Iterable[str],
    now: Instant,
    *,
    blocked: bool = False,
) -> Account | None:
    """Set what an account may do, and where. Tokens that say otherwise are outdated from now on."""
    row = await connection.fetchrow(
        f"""
        UPDATE account a SET roles = $2, theatre_ids = $3, updated_at = $4, granted_at = $4, grants = grants + 1,
            blocked_at = CASE WHEN $5 THEN coalesce(blocked_at, $4) END, revision = revision + 1
        WHERE id = $1 AND erased_at IS NULL RETURNING {COLUMNS}
        """,
        account_id, tuple(roles), tuple(theatre_ids), moment(now), blocked,
    )  # fmt: skip
    return None if row is None else from_row(row)


async def granted_since(connection: Executor, since: Instant) -> dict[str, int]:
    """Whose grants changed lately, and how often by now."""
    rows = await connection.fetch("SELECT id, grants FROM account WHERE granted_at >= $1", moment(since))
    return {str(row["id"]): row["grants"] for row in rows}


async def lock_grants(connection: Connection) -> None:
    """Until the transaction ends nobody else changes what anybody may do. To be taken before any account's lock."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _GRANTS_LOCK)


async def other_admins(connection: Connection, account_id: str) -> int:
    """How many administrators there are beside this one."""
    count = await connection.fetchval(
        "SELECT count(*) FROM account WHERE 'admin' = ANY(roles) AND blocked_at IS NULL AND id <> $1", account_id
    )
    return int(count)


async def members(
    connection: Executor,
    *,
    words: str,
    role: str | None,
    blocked: bool | None,
    after: tuple[Instant, str] | None,
    limit: int,
) -> list[Account]:
    """Everybody but guests, the newest first; `words` are a part of the name, the address or the number."""
    created_at, after_id = after or (None, None)
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM account a
        WHERE (email IS NOT NULL OR phone IS NOT NULL)
          AND ($1 = '' OR coalesce(email, '') || ' ' || lower(display_name) LIKE $1 OR phone LIKE $1)
          AND ($2::text IS NULL OR $2 = ANY(roles))
          AND ($3::boolean IS NULL OR (blocked_at IS NOT NULL) = $3)
          AND ($4::timestamptz IS NULL OR created_at < $4 OR (created_at = $4 AND id > $5::uuid))
        ORDER BY created_at DESC, id LIMIT $6
        """,
        _part(words), role, blocked, None if created_at is None else moment(created_at), after_id, limit,
    )  # fmt: skip
    return [from_row(row) for row in rows]


async def preferences(connection: Executor, account_id: str) -> Preferences:
    """What somebody wants to be told, where it differs from the usual."""
    stored = await connection.fetchval("SELECT preferences FROM account WHERE id = $1", account_id)
    return dict(orjson.loads(stored)) if stored else {}


async def change_preferences(
    connection: Connection, account_id: str, changes: Preferences, time_zone: str, now: Instant
) -> Preferences:
    """Within a transaction: merge changes into what is stored, topic by topic; returns all of it."""
    await lock(connection, account_id)
    known = await preferences(connection, account_id)
    merged = {**known, **{topic: {**known.get(topic, {}), **ways} for topic, ways in changes.items()}}
    await connection.execute(
        """
        UPDATE account SET preferences = $2, time_zone = $3, updated_at = $4, revision = revision + 1
        WHERE id = $1 AND erased_at IS NULL
        """,
        account_id, orjson.dumps(merged), time_zone, moment(now),
    )  # fmt: skip
    return merged


async def has_upcoming_bookings(connection: Executor, account_id: str, now: Instant) -> bool:
    """Whether seats are waiting for this person."""
    waiting = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM booking b JOIN showtime s ON s.id = b.showtime_id
            WHERE b.owner = $1 AND b.status IN ('pending_payment', 'confirmed') AND s.ends_at > $2)
        """,
        account_id, moment(now),
    )  # fmt: skip
    return bool(waiting)


async def erase(connection: Connection, account_id: str, now: Instant) -> None:
    """Within a transaction: forget who this was. The id stays in the log and in bookings and names nobody any more."""
    before = await lock(connection, account_id)
    assert before is not None
    await connection.execute(
        """
        UPDATE account SET email = NULL, email_verified_at = NULL, display_name = '', phone = NULL,
            phone_verified_at = NULL, locale = 'en', time_zone = 'UTC', password_hash = NULL, preferences = '{}',
            roles = '{guest}', theatre_ids = '{}', erased_at = $2, updated_at = $2, granted_at = $2,
            grants = grants + 1, revision = revision + 1
        WHERE id = $1
        """,
        account_id, moment(now),
    )  # fmt: skip
    for table, column in (
        ("booking_contact", "account_id"), ("letter_token", "account_id"), ("notification", "account_id"),
        ("idempotency", "caller"),
    ):  # fmt: skip
        await connection.execute(f"DELETE FROM {table} WHERE {column} = $1", account_id)
    await connection.execute("DELETE FROM phone_code WHERE phone = $1", before.phone)
    await connection.execute("UPDATE session SET agent = '' WHERE account_id = $1", account_id)
    await _forget_applicant(connection, before, now)


async def _forget_applicant(connection: Connection, account: Account, now: Instant) -> None:
    """Applications, what came of them, and the answers that whoever decided about them has had."""
    await connection.execute(
        "DELETE FROM theatre_application WHERE account_id = $1 AND status <> 'approved'", account.id
    )
    await connection.execute(
        "UPDATE theatre_application SET contact = '{}', message = '' WHERE account_id = $1", account.id
    )
    for name, own in (("email", account.email), ("phone", account.phone)):
        await connection.execute(
            """
            UPDATE theatre SET contact = contact - $1, revision = revision + 1, updated_at = $3
            WHERE contact->>$1 = $2
            """,
            name, own, moment(now),
        )  # fmt: skip
    if account.email is not None:
        await connection.execute(
            "DELETE FROM idempotency WHERE position(convert_to($1, 'UTF8') IN body) > 0", account.email
        )


def from_row(row: asyncpg.Record) -> Account:
    """An account from a row with COLUMNS."""
    return Account(
        id=str(row["id"]),
        email=row["email"],
        email_verified=_is_set(row["email_verified_at"]),
        display_name=row["display_name"],
        phone=row["phone"],
        phone_verified=_is_set(row["phone_verified_at"]),
        locale=row["locale"],
        time_zone=row["time_zone"],
        password_hash=row["password_hash"],
        roles=tuple(row["roles"]),
        theatre_ids=tuple(map(str, row["theatre_ids"])),
        blocked=_is_set(row["blocked_at"]),
        erased=_is_set(row["erased_at"]),
        created_at=instant(row["created_at"]),
        revision=row["revision"],
        grants=row["grants"],
    )


def _is_set(at: datetime | None) -> bool:
    return at is not None


def _part(words: str) -> str:
    """A LIKE pattern for text that holds `words`, whose own wildcards mean themselves."""
    folded = words.strip().lower()
    for wild in ("\\", "%", "_"):
        folded = folded.replace(wild, "\\" + wild)
    return f"%{folded}%" if folded else ""


def _taken(error: asyncpg.UniqueViolationError) -> Exception:
    return PhoneTaken() if error.constraint_name == "account_phone" else EmailTaken()
