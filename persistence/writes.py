"""The small writes beside the log that every sale needs, each kind in groups: keys, their answers, contacts."""

from collections.abc import Sequence

from persistence import bookings, idempotency
from persistence.bookings import GivenContact
from persistence.database import Pool
from persistence.groups import Grouped
from persistence.idempotency import Answer, Claim, Scope, Wish


class Writes:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._claims: Grouped[Wish, Claim] = Grouped(self._claim, lambda wish: wish.scope)
        self._answers: Grouped[tuple[Scope, Answer], None] = Grouped(self._settle, lambda settled: settled[0])
        self._contacts: Grouped[GivenContact, None] = Grouped(self._put_contacts, lambda given: given.booking_id)

    async def claim(self, wish: Wish) -> Claim:
        """Take a key, or learn who had it. Exactly one of several concurrent callers gets it."""
        return await self._claims.put(wish)

    async def settle(self, scope: Scope, answer: Answer) -> None:
        """Keep an answer for whoever repeats the request."""
        await self._answers.put((scope, answer))

    async def contact(self, given: GivenContact) -> None:
        """Remember whom a booking is for. The first contact stays."""
        await self._contacts.put(given)

    async def _claim(self, wishes: Sequence[Wish]) -> list[Claim]:
        return await idempotency.claim(self._pool, wishes)

    async def _settle(self, settled: Sequence[tuple[Scope, Answer]]) -> list[None]:
        await idempotency.settle(self._pool, settled)
        return [None] * len(settled)

    async def _put_contacts(self, given: Sequence[GivenContact]) -> list[None]:
        await bookings.put_contacts(self._pool, given)
        return [None] * len(given)
