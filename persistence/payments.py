"""Payments that were started, what providers told us about them, and the sandbox provider's own books.

What became of a payment is in the log; the row here only finds it again by its id or by the provider's.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from actors.ids import is_uuid
from actors.seatmap.terms import Instant
from actors.seatmap.values import dataclass
from persistence.database import Executor
from persistence.moments import instant, moment

DAY_MS: Final = 86_400_000
NEWS_KEPT_DAYS: Final = 30
"""Providers stop repeating themselves after three days."""


@dataclass(frozen=True, slots=True)
class Payment:
    """`amount` in minor units of `currency`, taken from the booking and never from a client.

    `provider_order_id` is empty until the provider has opened the order. `failure` is why it refused the payment last.
    """

    id: str
    booking_id: str
    showtime_id: str
    owner: str
    provider: str
    provider_order_id: str
    amount: int
    currency: str
    created_at: Instant
    failure: str = ""


@dataclass(frozen=True, slots=True)
class SandboxOrder:
    """`status` is open, failed, authorised, captured or voided; `amount` is what was really paid once it was."""

    order_id: str
    payment_id: str
    amount: int
    currency: str
    status: str
    provider_payment_id: str


@dataclass(frozen=True, slots=True)
class SandboxPaid:
    """What a customer of the sandbox pays; None is what was asked for."""

    order_id: str
    provider_payment_id: str
    amount: int | None
    currency: str | None


async def put_payments(connection: Executor, started: Sequence[Payment]) -> None:
    """Starting the same payment again changes nothing."""
    await connection.execute(
        """
        INSERT INTO payment (payment_id, booking_id, showtime_id, owner, provider, provider_order_id, amount, currency,
            created_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[],
            $8::text[], $9::timestamptz[])
        ON CONFLICT DO NOTHING
        """,
        [each.id for each in started], [each.booking_id for each in started], [each.showtime_id for each in started],
        [each.owner for each in started], [each.provider for each in started],
        [each.provider_order_id for each in started], [each.amount for each in started],
        [each.currency for each in started], [moment(each.created_at) for each in started],
    )  # fmt: skip


async def name_order(connection: Executor, payment_id: str, provider_order_id: str) -> None:
    """Remember the order that the provider opened. The first one stays: the customer may be paying it."""
    await connection.execute(
        "UPDATE payment SET provider_order_id = $2 WHERE payment_id = $1 AND provider_order_id = ''",
        payment_id, provider_order_id,
    )  # fmt: skip


async def note_failure(connection: Executor, payment_id: str, reason: str) -> None:
    await connection.execute("UPDATE payment SET failure = $2 WHERE payment_id = $1", payment_id, reason)


async def payment(connection: Executor, payment_id: str) -> Payment | None:
    if not is_uuid(payment_id):
        return None
    return _payment(await connection.fetchrow("SELECT * FROM payment WHERE payment_id = $1", payment_id))


async def payment_by_order(connection: Executor, provider: str, provider_order_id: str) -> Payment | None:
    if not provider_order_id:
        return None
    return _payment(
        await connection.fetchrow(
            "SELECT * FROM payment WHERE provider = $1 AND provider_order_id = $2", provider, provider_order_id
        )
    )


async def is_returned(connection: Executor, payment_id: str) -> bool:
    """Whether the money of a payment could not buy its booking and went back, or is about to."""
    return await connection.fetchval("SELECT true FROM ledger WHERE ref = $1", f"unwanted:{payment_id}") is not None


async def kept_of(connection: Executor, payment_id: str) -> int:
    """What the house keeps of a payment, as the ledger has it."""
    kept: int = await connection.fetchval(
        """
        SELECT coalesce(sum(CASE WHEN credit = 'kept' THEN amount ELSE -amount END), 0)::bigint FROM ledger
        WHERE payment_id = $1 AND 'kept' IN (debit, credit)
        """,
        payment_id,
    )
    return kept


async def keep_news(
    connection: Executor, provider: str, event_id: str, payment_id: str, order_id: str, now: Instant
) -> bool:
    """Whether this is new; what a provider says twice is kept once."""
    known = await connection.fetchval(
        """
        INSERT INTO provider_news (provider, event_id, payment_id, order_id, received_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING RETURNING event_id
        """,
        provider, event_id, payment_id, order_id, moment(now),
    )  # fmt: skip
    return known is not None


async def forget_news(connection: Executor, now: Instant) -> None:
    await connection.execute("DELETE FROM provider_news WHERE received_at < $1", moment(now - NEWS_KEPT_DAYS * DAY_MS))


async def put_orders(connection: Executor, orders: Sequence[SandboxOrder]) -> None:
    """Open orders; opening one again changes nothing."""
    await connection.execute(
        """
        INSERT INTO sandbox_order (order_id, payment_id, amount, currency)
        SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) ON CONFLICT DO NOTHING
        """,
        [order.order_id for order in orders], [order.payment_id for order in orders],
        [order.amount for order in orders], [order.currency for order in orders],
    )  # fmt: skip


async def order(connection: Executor, order_id: str) -> SandboxOrder | None:
    return _order(await connection.fetchrow("SELECT * FROM sandbox_order WHERE order_id = $1", order_id))


async def authorise_orders(connection: Executor, paid: Sequence[SandboxPaid]) -> list[SandboxOrder | None]:
    """Customers pay, where that can still be done; how their orders stand then. No order twice."""
    rows = await connection.fetch(
        """
        WITH paid AS (
            SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[])
                AS p (order_id, provider_payment_id, amount, currency)),
        moved AS (
            UPDATE sandbox_order o SET status = 'authorised', provider_payment_id = p.provider_payment_id,
                amount = coalesce(p.amount, o.amount), currency = coalesce(p.currency, o.currency)
            FROM paid p WHERE o.order_id = p.order_id AND o.status IN ('open', 'failed')
            RETURNING o.*)
        SELECT * FROM moved
        UNION ALL SELECT o.* FROM sandbox_order o JOIN paid USING (order_id)
            WHERE NOT EXISTS (SELECT FROM moved WHERE moved.order_id = o.order_id)
        """,
        [each.order_id for each in paid], [each.provider_payment_id for each in paid],
        [each.amount for each in paid], [each.currency for each in paid],
    )  # fmt: skip
    found = {row["order_id"]: _order(row) for row in rows}
    return [found.get(each.order_id) for each in paid]


async def move_order(connection: Executor, order_id: str, since: tuple[str, ...], until: str) -> SandboxOrder | None:
    """Move an order from one of some states to another; how it stands then."""
    await connection.execute(
        "UPDATE sandbox_order SET status = $3 WHERE order_id = $1 AND status = ANY($2)", order_id, list(since), until
    )
    return await order(connection, order_id)


async def refund_order(connection: Executor, order_id: str, refund_id: str, amount: int) -> bool:
    """Give back some of what was captured, once for each refund id. Whether it is given back now."""
    known: int | None = await connection.fetchval(
        """
        WITH paid AS (SELECT amount FROM sandbox_order WHERE order_id = $1 AND status = 'captured' FOR UPDATE),
        done AS (
            INSERT INTO sandbox_refund (order_id, refund_id, amount)
            SELECT $1, $2, $3::bigint FROM paid
            WHERE $3::bigint <= paid.amount
                - (SELECT coalesce(sum(r.amount), 0)::bigint FROM sandbox_refund r WHERE r.order_id = $1)
            ON CONFLICT DO NOTHING RETURNING amount)
        SELECT amount FROM done
        UNION SELECT amount FROM sandbox_refund WHERE order_id = $1 AND refund_id = $2
        """,
        order_id, refund_id, amount,
    )  # fmt: skip
    return known == amount


async def order_refunds(connection: Executor, order_id: str) -> Mapping[str, int]:
    rows = await connection.fetch("SELECT refund_id, amount FROM sandbox_refund WHERE order_id = $1", order_id)
    return {row["refund_id"]: row["amount"] for row in rows}


def _payment(row: asyncpg.Record | None) -> Payment | None:
    if row is None:
        return None
    return Payment(
        id=str(row["payment_id"]),
        booking_id=str(row["booking_id"]),
        showtime_id=str(row["showtime_id"]),
        owner=row["owner"],
        provider=row["provider"],
        provider_order_id=row["provider_order_id"],
        amount=row["amount"],
        currency=row["currency"],
        created_at=instant(row["created_at"]),
        failure=row["failure"],
    )


def _order(row: asyncpg.Record | None) -> SandboxOrder | None:
    return None if row is None else _known(row)


def _known(row: asyncpg.Record) -> SandboxOrder:
    return SandboxOrder(
        order_id=row["order_id"],
        payment_id=str(row["payment_id"]),
        amount=row["amount"],
        currency=row["currency"],
        status=row["status"],
        provider_payment_id=row["provider_payment_id"],
    )
