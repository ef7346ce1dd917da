"""The till: takes payments for bookings through a provider.

The amount comes from the booking, what is true of the money from the provider's books, and the decision from the
showtime's actor. However news of a payment comes, with the customer's return, by a webhook or because somebody went to
look, `settle` is what it leads to, so neither its order nor its repetition nor its loss can matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from actors.ids import mint_in
from actors.ports import Clock, Enclosure
from actors.seatmap.commands import ActorKind, Cause, ConfirmBooking, StartPayment
from actors.seatmap.events import PaymentStarted
from actors.showtime import Reply, ShowtimeActor
from actors.showtimes import Showtimes
from persistence import bookings, jobs, payments
from persistence.database import Pool
from persistence.jobs import Job
from persistence.payments import Payment
from persistence.writes import Writes
from server.idempotency import command_id
from server.payments.provider import News, Order, Provider, ProviderDown, Stage, Standing

_PAID: Final = "succeeded"


@dataclass(frozen=True, slots=True)
class Started:
    """What became of the wish to pay; without `payment` and `order` when it was refused."""

    command: StartPayment
    reply: Reply
    payment: Payment | None = None
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """How the money stands, and what the actor made of it: nothing as long as there is no money."""

    payment: Payment
    standing: Standing
    command: ConfirmBooking | None = None
    reply: Reply | None = None


class Till:
    """`provider` takes new payments; those that began with another one of `providers` go on with it."""

    def __init__(
        self,
        pool: Pool,
        writes: Writes,
        showtimes: Showtimes,
        clock: Clock,
        providers: Mapping[str, Provider],
        provider: str,
    ) -> None:
        assert provider in providers, provider
        self._pool = pool
        self._writes = writes
        self._showtimes = showtimes
        self._clock = clock
        self.providers = dict(providers)
        self.provider = provider

    def provider_of(self, payment: Payment) -> Provider:
        """ProviderDown when the house has no account there any more."""
        try:
            return self.providers[payment.provider]
        except KeyError:
            raise ProviderDown(f"{payment.provider} is not set up here") from None

    async def start(self, actor: ShowtimeActor, cause: Cause, booking_id: str) -> Started:
        """Begin to pay. The same cause begins the same payment. ProviderDown, ProviderRefused."""
        payment_id = mint_in(actor.snapshot.number, self._clock.now())
        command = StartPayment(cause, booking_id, payment_id, self.provider)
        reply = await self._showtimes.ask(actor.showtime_id, command)
        if not reply.records:
            return Started(command, reply)
        record = reply.records[0]
        event = record.event
        assert isinstance(event, PaymentStarted), event
        payment = Payment(
            event.payment_id, booking_id, actor.showtime_id, event.owner, event.provider, "", event.amount,
            event.currency, record.at,
        )  # fmt: skip
        provider = self.provider_of(payment)
        payment = replace(payment, provider_order_id=provider.order_id(payment))
        # The row comes first: from the moment the provider knows the order, its news may arrive.
        await self._writes.payment(payment)
        order = await provider.open(payment)
        if order.order_id != payment.provider_order_id:
            await payments.name_order(self._pool, payment.id, order.order_id)
        return Started(command, reply, replace(payment, provider_order_id=order.order_id), order)

    async def payment(self, payment_id: str) -> Payment | None:
        return await payments.payment(self._pool, payment_id)

    async def named(self, provider: str, news: News) -> Payment | None:
        """The payment that news is about."""
        found = await payments.payment(self._pool, news.payment_id)
        if found is not None and found.provider == provider:
            return found
        return await payments.payment_by_order(self._pool, provider, news.order_id)

    async def settle(self, payment: Payment, cause: Cause | None = None) -> Settled:
        """Look at the provider's books and bring the booking what they say. ProviderDown."""
        return await self.bring(payment, await self.provider_of(payment).look(payment), cause)

    async def bring(
        self, payment: Payment, standing: Standing, cause: Cause | None = None, enclosure: Enclosure | None = None
    ) -> Settled:
        """What was just read in the books, or what is written into them together with the booking's confirmation.

        Without a cause of its own it is the provider's news.
        """
        if not standing.is_money:
            if standing.stage is Stage.FAILED:
                await self._announce_failure(payment, standing.reason)
            return Settled(payment, standing)
        command = ConfirmBooking(
            cause or news_of(payment, standing),
            payment.booking_id,
            payment.id,
            standing.amount,
            standing.currency,
            payment.provider,
            standing.provider_payment_id,
        )
        return Settled(payment, standing, command, await self._showtimes.ask(payment.showtime_id, command, enclosure))

    async def _announce_failure(self, payment: Payment, reason: str) -> None:
        """People hear of it once, unless another payment has bought the booking meanwhile."""
        if payment.failure:
            return
        booked = await bookings.booking(self._pool, payment.booking_id)
        async with self._pool.acquire() as connection, connection.transaction():
            await payments.note_failure(connection, payment.id, reason or "refused")
            if booked is None or booked.payment_status == _PAID:
                return
            facts = {
                "event": "payment_failed",
                "showtime_id": payment.showtime_id,
                "booking_id": booked.id,
                "reference": booked.reference,
                "owner": booked.owner,
                "payment_id": payment.id,
                "amount": payment.amount,
                "currency": payment.currency,
            }
            await jobs.put(connection, [Job("announce", f"payment_failed:{payment.id}", payment.showtime_id, facts)])


def news_of(payment: Payment, standing: Standing) -> Cause:
    """The provider says the same thing as often as it likes; it is one command."""
    news_id = command_id(payment.provider, _PAID, standing.provider_payment_id)
    return Cause(news_id, ActorKind.PROVIDER, payment.provider, retryable=True)
