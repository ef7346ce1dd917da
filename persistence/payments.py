"""Payments that were started, and the sandbox provider's own books.

What became of a payment is in the log; the row here only finds it again by its id or by the provider's.
"""

from dataclasses import dataclass

import asyncpg

from actors.seatmap.terms import Instant
from persistence.database import Executor
from persistence.moments import instant, moment


@dataclass(frozen=True, slots=True)
class Payment:
    """`amount` in minor units of `currency`, taken from the booking and never from a client."""

    id: str
    booking_id: str
    showtime_id: str
    owner: str
    provider: str
    provider_order_id: str
    amount: int
    currency: str
    created_at: Instant


@dataclass(frozen=True, slots=True)
class SandboxOrder:
    """`status` is created, succeeded or failed; `amount` is what was really paid once it succeeded."""

    order_id: str
    payment_id: str
    amount: int
    currency: str
    status: str
    provider_payment_id: str


async def put_payment(connection: Executor, payment: Payment) -> None:
    """Starting the same payment again changes nothing."""
    await connection.execute(
        """
        INSERT INTO payment (payment_id, booking_id, showtime_id, owner, provider, provider_order_id, amount, currency,
            created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
        """,
        payment.id, payment.booking_id, payment.showtime_id, payment.owner, payment.provider,
        payment.provider_order_id, payment.amount, payment.currency, moment(payment.created_at),
    )  # fmt: skip


async def payment(connection: Executor, payment_id: str) -> Payment | None:
    return _payment(await connection.fetchrow("SELECT * FROM payment WHERE payment_id = $1", payment_id))


async def payment_by_order(connection: Executor, provider: str, provider_order_id: str) -> Payment | None:
    return _payment(
        await connection.fetchrow(
            "SELECT * FROM payment WHERE provider = $1 AND provider_order_id = $2", provider, provider_order_id
        )
    )


async def put_order(connection: Executor, order: SandboxOrder) -> None:
    """Open an order; opening it again changes nothing."""
    await connection.execute(
        """
        INSERT INTO sandbox_order (order_id, payment_id, amount, currency) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING
        """,
        order.order_id, order.payment_id, order.amount, order.currency,
    )  # fmt: skip


async def order(connection: Executor, order_id: str) -> SandboxOrder | None:
    return _order(await connection.fetchrow("SELECT * FROM sandbox_order WHERE order_id = $1", order_id))


async def settle_order(
    connection: Executor, order_id: str, status: str, provider_payment_id: str, amount: int | None
) -> SandboxOrder | None:
    """Pay an order or let its payment fail, and see how it stands. What succeeded stays so."""
    await connection.execute(
        """
        UPDATE sandbox_order SET status = $2, provider_payment_id = $3, amount = coalesce($4, amount)
        WHERE order_id = $1 AND status <> 'succeeded'
        """,
        order_id, status, provider_payment_id, amount,
    )  # fmt: skip
    return await order(connection, order_id)


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
    )


def _order(row: asyncpg.Record | None) -> SandboxOrder | None:
    if row is None:
        return None
    return SandboxOrder(
        order_id=row["order_id"],
        payment_id=str(row["payment_id"]),
        amount=row["amount"],
        currency=row["currency"],
        status=row["status"],
        provider_payment_id=row["provider_payment_id"],
    )
