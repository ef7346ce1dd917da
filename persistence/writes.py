"""The small writes beside the log that come before an append or after it, each kind in groups: keys and answers,
payments that begin.

What only means something together with an append that follows is written lazily: that append's commit, which comes
later in the same write-ahead log, makes both durable.
"""

from collections.abc import Sequence

from persistence import idempotency, payments
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
        self._payments: Grouped[Payment, None] = Grouped(self._put_payments, lambda started: started.id)
        self._orders: Grouped[SandboxOrder, None] = Grouped(self._put_orders, lambda order: order.order_id)
        self._paid: Grouped[SandboxPaid, SandboxOrder | None] = Grouped(self._authorise, lambda paid: paid.order_id)

    async def claim(self, wish: Wish) -> Claim:
        """Take a key, or learn who had it. Exactly one of several concurrent callers gets it.

        Lazily where the log remembers the answer.
        """
        return await (self._bound if wish.bound else self._claims).put(wish)

    async def settle(self, scope: Scope, answer: Answer) -> None:
        """Keep an answer for whoever repeats the request."""
        await self._answers.put((scope, answer))

    async def payment(self, started: Payment) -> None:
        """Remember a payment that began."""
        await self._payments.put(started)

    async def order(self, order: SandboxOrder) -> None:
        """Open an order in the sandbox's books."""
        await self._orders.put(order)

    async def authorise(self, paid: SandboxPaid) -> SandboxOrder | None:
        """A customer of the sandbox pays, if that can still be done; how the order stands then."""
        return await self._paid.put(paid)

    async def _claim(self, wishes: Sequence[Wish]) -> list[Claim]:
        return await idempotency.claim(self._pool, wishes)

    async def _bind(self, wishes: Sequence[Wish]) -> list[Claim]:
        return await idempotency.claim(self._lazy, wishes)

    async def _settle(self, settled: Sequence[tuple[Scope, Answer]]) -> list[None]:
        await idempotency.settle(self._pool, settled)
        return [None] * len(settled)

    async def _put_payments(self, started: Sequence[Payment]) -> list[None]:
        await payments.put_payments(self._pool, started)
        return [None] * len(started)

    async def _put_orders(self, orders: Sequence[SandboxOrder]) -> list[None]:
        await payments.put_orders(self._pool, orders)
        return [None] * len(orders)

    async def _authorise(self, paid: Sequence[SandboxPaid]) -> list[SandboxOrder | None]:
        return await payments.authorise_orders(self._pool, paid)
