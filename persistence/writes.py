"""The small writes beside the log that every sale needs, each kind in groups: keys and answers, contacts, payments.

What only means something together with an append that follows is written lazily: that append's commit, which comes
later in the same write-ahead log, makes both durable.
"""

from collections.abc import Sequence

from persistence import bookings, idempotency, payments
from persistence.bookings import GivenContact
from persistence.database import Pool
from persistence.groups import Grouped
from persistence.idempotency import Answer, Claim, Scope, Wish
from persistence.payments import Payment, SandboxOrder, SandboxPaid


class Writes:
    def __init__(self, pool: Pool, lazy: Pool) -> None:
        self._pool = pool
        self._lazy = lazy
        self._claims: Grouped[Wish, Claim] = Grouped(self._claim, lambda wish: wish.scope)
        self._bound: Grouped[Wish, Claim] = Grouped(self._bind, lambda wish: wish.scope)
        self._answers: Grouped[tuple[Scope, Answer], None] = Grouped(self._settle, lambda settled: settled[0])
        self._contacts: Grouped[GivenContact, None] = Grouped(self._put_contacts, lambda given: given.booking_id)
        self._payments: Grouped[Payment, None] = Grouped(self._put_payments, lambda started: started.id)
        self._orders: Grouped[SandboxOrder, None] = Grouped(self._put_orders, lambda order: order.order_id)
        self._paid: Grouped[SandboxPaid, SandboxOrder | None] = Grouped(self._authorise, lambda paid: paid.order_id)
        self._paid_now: Grouped[tuple[Payment, str], SandboxOrder] = Grouped(self._pay_now, lambda paid: paid[0].id)

    async def claim(self, wish: Wish) -> Claim:
        """Take a key, or learn who had it. Exactly one of several concurrent callers gets it.

        Lazily where the log remembers the answer.
        """
        return await (self._bound if wish.bound else self._claims).put(wish)

    async def settle(self, scope: Scope, answer: Answer) -> None:
        """Keep an answer for whoever repeats the request."""
        await self._answers.put((scope, answer))

    async def contact(self, given: GivenContact) -> None:
        """Remember whom a booking is for, lazily: the booking comes after. The first contact stays."""
        await self._contacts.put(given)

    async def payment(self, started: Payment) -> None:
        """Remember a payment that began."""
        await self._payments.put(started)

    async def order(self, order: SandboxOrder) -> None:
        """Open an order in the sandbox's books."""
        await self._orders.put(order)

    async def authorise(self, paid: SandboxPaid) -> SandboxOrder | None:
        """A customer of the sandbox pays, if that can still be done; how the order stands then."""
        return await self._paid.put(paid)

    async def pay_now(self, payment: Payment, provider_payment_id: str) -> SandboxOrder:
        """A payment and its order in the sandbox's books, paid in the same moment, lazily; how the order stands."""
        return await self._paid_now.put((payment, provider_payment_id))

    async def _claim(self, wishes: Sequence[Wish]) -> list[Claim]:
        return await idempotency.claim(self._pool, wishes)

    async def _bind(self, wishes: Sequence[Wish]) -> list[Claim]:
        return await idempotency.claim(self._lazy, wishes)

    async def _settle(self, settled: Sequence[tuple[Scope, Answer]]) -> list[None]:
        await idempotency.settle(self._pool, settled)
        return [None] * len(settled)

    async def _put_contacts(self, given: Sequence[GivenContact]) -> list[None]:
        await bookings.put_contacts(self._lazy, given)
        return [None] * len(given)

    async def _put_payments(self, started: Sequence[Payment]) -> list[None]:
        await payments.put_payments(self._pool, started)
        return [None] * len(started)

    async def _put_orders(self, orders: Sequence[SandboxOrder]) -> list[None]:
        await payments.put_orders(self._pool, orders)
        return [None] * len(orders)

    async def _authorise(self, paid: Sequence[SandboxPaid]) -> list[SandboxOrder | None]:
        return await payments.authorise_orders(self._pool, paid)

    async def _pay_now(self, paid: Sequence[tuple[Payment, str]]) -> list[SandboxOrder]:
        return await payments.pay_orders_now(self._lazy, paid)
