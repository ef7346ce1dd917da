"""Applications of people who would like to run a theatre here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import asyncpg
import orjson

from actors.seatmap.terms import Instant
from persistence import catalog
from persistence.catalog import Theatre
from persistence.database import Connection, Executor
from persistence.moments import instant, moment

Status = Literal["pending", "approved", "rejected"]


class NameTaken(Exception):
    """There is a theatre of this name in this city."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """`theatre_id` is the theatre that an approval has made; `reason` is why another was rejected."""

    id: str
    account_id: str
    name: str
    city: str
    address: str
    contact: Mapping[str, Any]
    message: str
    time_zone: str
    currency: str
    created_at: Instant
    status: Status = "pending"
    reason: str = ""
    theatre_id: str | None = None
    decided_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationFilter:
    """Which ones, the newest first. `after` is (created, id) of the last one seen."""

    account_id: str | None = None
    status: Status | None = None
    after: tuple[Instant, str] | None = None


_COLUMNS: Final = """id, account_id, name, city, address, contact, message, time_zone, currency, status, reason,
    theatre_id, decided_at, created_at"""


async def add(connection: Executor, application: Application) -> None:
    await connection.execute(
        """
        INSERT INTO theatre_application (id, account_id, name, city, address, contact, message, time_zone, currency,
            created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        application.id, application.account_id, application.name, application.city, application.address,
        orjson.dumps(application.contact), application.message, application.time_zone, application.currency,
        moment(application.created_at),
    )  # fmt: skip


async def applications(connection: Executor, wanted: ApplicationFilter, limit: int) -> list[Application]:
    created_at, after_id = wanted.after or (None, None)
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM theatre_application
        WHERE ($1::uuid IS NULL OR account_id = $1) AND ($2::text IS NULL OR status = $2)
          AND ($3::timestamptz IS NULL OR created_at < $3 OR (created_at = $3 AND id > $4::uuid))
        ORDER BY created_at DESC, id LIMIT $5
        """,
        wanted.account_id, wanted.status, None if created_at is None else moment(created_at), after_id, limit,
    )  # fmt: skip
    return [_application(row) for row in rows]


async def by_id(connection: Executor, application_id: str) -> Application | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM theatre_application WHERE id = $1", application_id)
    return None if row is None else _application(row)


async def lock(connection: Connection, application_id: str) -> Application | None:
    """The application as it stays until the end of the transaction."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM theatre_application WHERE id = $1 FOR UPDATE", application_id
    )
    return None if row is None else _application(row)


async def approve(
    connection: Connection, application: Application, theatre_id: str, decided_by: str, now: Instant
) -> Application:
    """Within a transaction: make the theatre. NameTaken."""
    theatre = Theatre(
        id=theatre_id,
        name=application.name,
        city=application.city,
        address=application.address,
        pincode="",
        lat=None,
        lng=None,
        amenities=(),
        contact=application.contact,
        time_zone=application.time_zone,
        currency=application.currency,
    )
    try:
        await catalog.put_theatre(connection, theatre)
    except asyncpg.UniqueViolationError as error:
        raise NameTaken from error
    return await _decide(connection, application.id, "approved", "", theatre_id, decided_by, now)


async def reject(
    connection: Connection, application: Application, reason: str, decided_by: str, now: Instant
) -> Application:
    return await _decide(connection, application.id, "rejected", reason, None, decided_by, now)


async def _decide(
    connection: Connection, application_id: str, status: Status, reason: str, theatre_id: str | None, decided_by: str,
    now: Instant,
) -> Application:  # fmt: skip
    row = await connection.fetchrow(
        f"""
        UPDATE theatre_application SET status = $2, reason = $3, theatre_id = $4, decided_by = $5, decided_at = $6
        WHERE id = $1 RETURNING {_COLUMNS}
        """,
        application_id, status, reason, theatre_id, decided_by, moment(now),
    )  # fmt: skip
    assert row is not None
    return _application(row)


def _application(row: asyncpg.Record) -> Application:
    return Application(
        id=str(row["id"]),
        account_id=str(row["account_id"]),
        name=row["name"],
        city=row["city"],
        address=row["address"],
        contact=orjson.loads(row["contact"]),
        message=row["message"],
        time_zone=row["time_zone"],
        currency=row["currency"],
        status=row["status"],
        reason=row["reason"],
        theatre_id=None if row["theatre_id"] is None else str(row["theatre_id"]),
        decided_at=None if row["decided_at"] is None else instant(row["decided_at"]),
        created_at=instant(row["created_at"]),
    )
