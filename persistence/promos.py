"""Promo codes, and the uses that count against their limits.

The row of a limited code is its one owner: whoever wants a use takes that row's lock, counts, and writes the use down,
all before the booking is asked for. A use counts while its booking lives, and until then for as long as the booking may
still come. So a booking that ends gives its use back by ending, whoever ends it, and nothing can be forgotten.
"""

from dataclasses import dataclass
from typing import Final

import asyncpg

from actors.seatmap.terms import Instant
from persistence.database import Connection, Executor
from persistence.moments import instant, moment

DECIDED_MS: Final = 10_000
"""A booking with a promotion is decided this soon after its use was taken, or not at all."""

COMING_MS: Final = 60_000
"""A use whose booking has not been heard of for this long has none: far longer than an append can take."""


class CodeTaken(Exception):
    """There is already a promotion with this code."""


@dataclass(frozen=True, slots=True)
class PromoCode:
    """A code of one theatre, or of all. It takes off a part of each ticket, or one amount of its currency."""

    id: str
    code: str
    theatre_id: str | None
    percent_bps: int
    amount: int
    currency: str | None
    min_seats: int
    ticket_types: tuple[str, ...]
    valid_from: Instant | None
    valid_to: Instant | None
    max_uses: int | None
    max_uses_per_customer: int | None
    active: bool
    created_at: Instant
    revision: int = 1
    used: int = 0

    @property
    def is_limited(self) -> bool:
        return self.max_uses is not None or self.max_uses_per_customer is not None


@dataclass(frozen=True, slots=True)
class PromoFilter:
    """`theatre_ids` None is every theatre; codes of all theatres are always among them. `after` is (created, id)."""

    theatre_ids: tuple[str, ...] | None = None
    theatre_id: str | None = None
    after: tuple[Instant, str] | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One command's use of a code, for one booking."""

    command_id: str
    promo_id: str
    account_id: str
    booking_id: str
    taken_at: Instant


_OWN: Final = """id, code, theatre_id, percent_bps, amount, currency, min_seats, ticket_types, valid_from, valid_to,
    max_uses, max_uses_per_customer, active, created_at, revision"""
_LIVES: Final = "b.status IN ('pending_payment', 'confirmed')"
_COLUMNS: Final = f"""{_OWN}, (SELECT count(*) FROM promo_use u JOIN booking b USING (booking_id)
    WHERE u.promo_id = promo_code.id AND {_LIVES}) AS used"""


async def add(connection: Executor, new: PromoCode) -> None:
    """CodeTaken."""
    try:
        await connection.execute(
            f"""INSERT INTO promo_code ({_OWN})
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)""",
            new.id, new.code, new.theatre_id, new.percent_bps, new.amount, new.currency, new.min_seats,
            new.ticket_types, _moment(new.valid_from), _moment(new.valid_to), new.max_uses, new.max_uses_per_customer,
            new.active, moment(new.created_at), new.revision,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise CodeTaken from error


async def write(connection: Executor, changed: PromoCode) -> None:
    """Everything but its code and place, as its next revision."""
    await connection.execute(
        """
        UPDATE promo_code SET percent_bps = $2, amount = $3, currency = $4, min_seats = $5, ticket_types = $6,
            valid_from = $7, valid_to = $8, max_uses = $9, max_uses_per_customer = $10, active = $11,
            revision = revision + 1
        WHERE id = $1
        """,
        changed.id, changed.percent_bps, changed.amount, changed.currency, changed.min_seats, changed.ticket_types,
        _moment(changed.valid_from), _moment(changed.valid_to), changed.max_uses, changed.max_uses_per_customer,
        changed.active,
    )  # fmt: skip


async def remove(connection: Executor, promo_id: str) -> bool:
    """False when it was ever used: then it can only be switched off."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM promo_use WHERE promo_id = $1)", promo_id):
        return False
    await connection.execute("DELETE FROM promo_code WHERE id = $1", promo_id)
    return True


async def promo(connection: Executor, promo_id: str, *, locked: bool = False) -> PromoCode | None:
    lock = "FOR UPDATE" if locked else ""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM promo_code WHERE id = $1 {lock}", promo_id)
    return None if row is None else _promo(row)


async def by_code(connection: Executor, code: str) -> PromoCode | None:
    """As it stands. A limited one is locked until the transaction ends, so that its uses are counted in turn."""
    row = await connection.fetchrow(f"SELECT {_OWN} FROM promo_code WHERE code = $1", code)
    if row is None:
        return None
    found = _promo(row)
    if found.is_limited:
        row = await connection.fetchrow(f"SELECT {_OWN} FROM promo_code WHERE code = $1 FOR UPDATE", code)
    return None if row is None else _promo(row)


async def promos(connection: Executor, wanted: PromoFilter, limit: int) -> list[PromoCode]:
    """The oldest first."""
    created_at, after_id = wanted.after or (None, None)
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM promo_code
        WHERE ($1::uuid[] IS NULL OR theatre_id IS NULL OR theatre_id = ANY($1::uuid[]))
          AND ($2::uuid IS NULL OR theatre_id = $2::uuid)
          AND ($3::timestamptz IS NULL OR (created_at, id) > ($3, $4::uuid))
        ORDER BY created_at, id LIMIT $5
        """,
        wanted.theatre_ids, wanted.theatre_id, None if created_at is None else moment(created_at), after_id, limit,
    )  # fmt: skip
    return [_promo(row) for row in rows]


async def booked(connection: Executor, command_id: str) -> str | None:
    """The booking that came of this command's use: it has been answered before, and is not judged anew."""
    found = await connection.fetchval(
        "SELECT booking_id FROM promo_use JOIN booking USING (booking_id) WHERE command_id = $1", command_id
    )
    return None if found is None else str(found)


async def take_use(connection: Connection, code: PromoCode, wanted: Use) -> str | None:
    """The booking that has the use of this command; None when no use is left.

    In one transaction with `by_code`. A command that is sent again keeps its booking id: it is the same booking.
    """
    if code.is_limited and not await _is_left(connection, code, wanted):
        return None
    row = await connection.fetchrow(
        """
        INSERT INTO promo_use AS u (command_id, promo_id, account_id, booking_id, taken_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (command_id) DO UPDATE SET taken_at = excluded.taken_at RETURNING u.booking_id
        """,
        wanted.command_id, wanted.promo_id, wanted.account_id, wanted.booking_id, moment(wanted.taken_at),
    )  # fmt: skip
    assert row is not None
    return str(row["booking_id"])


async def give_back(connection: Executor, command_id: str) -> None:
    """The command came to nothing. A use whose booking is there stays: it was not this one that failed."""
    await connection.execute(
        """
        DELETE FROM promo_use u WHERE command_id = $1
          AND NOT EXISTS (SELECT FROM booking b WHERE b.booking_id = u.booking_id)
        """,
        command_id,
    )


async def _is_left(connection: Connection, code: PromoCode, wanted: Use) -> bool:
    """Whether one more is within the limits, not counting this command's own earlier try."""
    row = await connection.fetchrow(
        f"""
        SELECT count(*) AS uses, count(*) FILTER (WHERE u.account_id = $2) AS own
        FROM promo_use u LEFT JOIN booking b USING (booking_id)
        WHERE u.promo_id = $1 AND u.command_id <> $3
          AND ({_LIVES} OR (b.booking_id IS NULL AND u.taken_at > $4))
        """,
        code.id, wanted.account_id, wanted.command_id, moment(wanted.taken_at - COMING_MS),
    )  # fmt: skip
    assert row is not None
    total, own = code.max_uses, code.max_uses_per_customer
    return (total is None or row["uses"] < total) and (own is None or row["own"] < own)


def _promo(row: asyncpg.Record) -> PromoCode:
    return PromoCode(
        id=str(row["id"]),
        code=row["code"],
        theatre_id=None if row["theatre_id"] is None else str(row["theatre_id"]),
        percent_bps=row["percent_bps"],
        amount=row["amount"],
        currency=row["currency"],
        min_seats=row["min_seats"],
        ticket_types=tuple(row["ticket_types"]),
        valid_from=None if row["valid_from"] is None else instant(row["valid_from"]),
        valid_to=None if row["valid_to"] is None else instant(row["valid_to"]),
        max_uses=row["max_uses"],
        max_uses_per_customer=row["max_uses_per_customer"],
        active=row["active"],
        created_at=instant(row["created_at"]),
        revision=row["revision"],
        used=row.get("used", 0),
    )


def _moment(at: Instant | None) -> object:
    return None if at is None else moment(at)
