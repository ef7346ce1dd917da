"""The till: takes payments for bookings through a provider.

The amount comes from the booking, the proof from the provider's books, and the decision from the showtime's actor.
"""

from dataclasses import dataclass
from typing import Final

from actors.ids import mint_in
from actors.ports import Clock
from actors.seatmap.commands import ActorKind, Cause, ConfirmBooking, StartPayment
from actors.seatmap.events import PaymentStarted
from actors.showtime import Reply, ShowtimeActor
from actors.showtimes import Showtimes
from persistence import payments
from persistence.database import Pool
from persistence.payments import Payment, SandboxOrder
from server.idempotency import command_id
from server.payments import sandbox
from server.payments.sandbox import Sandbox

SUCCEEDED: Final = "succeeded"


@dataclass(frozen=True, slots=True)
class Started:
    """What became of the wish to pay; `order` is None when it was refused."""

    command: StartPayment
    reply: Reply
    order: SandboxOrder | None


class Till:
    def __init__(self, pool: Pool, showtimes: Showtimes, clock: Clock, provider: Sandbox) -> None:
        self._pool = pool
        self._showtimes = showtimes
        self._clock = clock
        self.sandbox = provider

    async def start(self, actor: ShowtimeActor, cause: Cause, booking_id: str) -> Started:
        """Begin to pay. The same cause begins the same payment."""
        payment_id = mint_in(actor.snapshot.number, self._clock.now())
        command = StartPayment(cause, booking_id, payment_id, sandbox.NAME)
        reply = await self._showtimes.ask(actor.showtime_id, command)
        if not reply.records:
            return Started(command, reply, None)
        record = reply.records[0]
        event = record.event
        assert isinstance(event, PaymentStarted), event
        order = await self.sandbox.open(event.payment_id, event.amount, event.currency)
        await payments.put_payment(
            self._pool,
            Payment(
                event.payment_id, booking_id, actor.showtime_id, event.owner, sandbox.NAME, order.order_id,
                event.amount, event.currency, record.at,
            ),
        )  # fmt: skip
        return Started(command, reply, order)

    async def payment(self, payment_id: str) -> Payment | None:
        return await payments.payment(self._pool, payment_id)

    async def payment_by_order(self, order_id: str) -> Payment | None:
        return await payments.payment_by_order(self._pool, sandbox.NAME, order_id)

    async def tell(
        self, payment: Payment, order: SandboxOrder, cause: Cause | None = None
    ) -> tuple[ConfirmBooking, Reply]:
        """Bring the news of captured money to the booking. Without a cause of its own it is the provider's news."""
        assert order.status == SUCCEEDED, order
        command = ConfirmBooking(
            cause or provider_news(order),
            payment.booking_id,
            payment.id,
            order.amount,
            order.currency,
            sandbox.NAME,
            order.provider_payment_id,
        )
        return command, await self._showtimes.ask(payment.showtime_id, command)


def provider_news(order: SandboxOrder) -> Cause:
    """The provider says the same thing as often as it likes; it is one command."""
    news_id = command_id(sandbox.NAME, SUCCEEDED, order.provider_payment_id)
    return Cause(news_id, ActorKind.PROVIDER, sandbox.NAME, retryable=True)
