"""What is done about money behind the answers: take it, give it back, hear news of it, and look for news that got lost.

Each work first reads the provider's books and then does only what is missing there, so that one which was killed, or
whose call was executed without an answer, can simply run again. What was done is posted to the ledger under a name
that is taken once. A provider that does not answer is asked again by the worker; a definite no is looked into, and
parked for a person when the books give no reason for it. Works about one payment take turns.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Final
from weakref import WeakValueDictionary

import structlog
from aiohttp import web

from actors.ports import Clock
from actors.seatmap.commands import ActorKind, Cause, RefundBooking
from actors.seatmap.state import BookingStatus
from actors.showtimes import Showtimes
from persistence import bookings, ledger, payments
from persistence.bookings import StoredBooking
from persistence.database import Pool
from persistence.jobs import StoredJob
from persistence.ledger import Account, Posting
from persistence.payments import Payment
from server.idempotency import command_id
from server.jobs.worker import Hopeless, Later, Work
from server.keys import CLOCK, POOL, REGISTRY, SANDBOX_CALLS, TILL
from server.payments.provider import News, ProviderRefused, Stage, Standing
from server.payments.till import Till

PAYMENT_LOST: Final = "payment_lost"
"""Why a booking ended whose money the provider had promised and then did not have."""

WATCH_SECONDS_MIN: Final = 120
WATCH_SECONDS_MAX: Final = 1_800
ORDER_HOURS_MAX: Final = 24
"""For so long somebody may still pay; then the order is closed."""

UNKNOWN_SECONDS_MAX: Final = 600
"""News of a payment that we do not know: it may be of one that is just being opened."""

_log: Final = structlog.get_logger("marquee.payments")


@dataclass(frozen=True, slots=True)
class Due:
    """A refund that was decided."""

    refund_id: str
    amount: int
    currency: str


def money_works(app: web.Application) -> Mapping[str, Work]:
    """All works about money of this house, by topic."""
    money = MoneyWorks(app[TILL], app[REGISTRY], app[POOL], app[CLOCK]).table()
    calls = app.get(SANDBOX_CALLS)
    return money if calls is None else {**money, **calls.table()}


class MoneyWorks:
    def __init__(self, till: Till, showtimes: Showtimes, pool: Pool, clock: Clock) -> None:
        self._till = till
        self._showtimes = showtimes
        self._pool = pool
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def table(self) -> Mapping[str, Work]:
        return {
            "capture": self._in_turn(self.capture),
            "refund": self._in_turn(self.refund),
            "payment_watch": self._in_turn(self.watch),
            "payment_news": self.hear,
        }

    async def capture(self, job: StoredJob) -> None:
        """Take the money of a booking that was confirmed. Money that is not there any more ends the booking."""
        payment = await self._payment(job)
        booked = await bookings.booking(self._pool, payment.booking_id)
        if booked is None or booked.payment_id != payment.id or booked.refunded == booked.paid:
            return  # all of it is owed back: that work knows whether it has to be taken first
        standing = await self._look(payment)
        if standing.stage is Stage.AUTHORISED:
            standing = await self._take(payment, standing)
        if standing.stage is Stage.CAPTURED:
            await self._post(self._captured(payment, standing))
        else:
            await self._give_up(payment, booked, standing)

    async def refund(self, job: StoredJob) -> None:
        """Give back what is owed: a promise is let go where all of it is owed, else taken and a part returned."""
        payment, told = await self._payment(job), job.payload
        due = Due(told["refund_id"], told["amount"], told["currency"])
        standing = await self._look(payment)
        if standing.stage is Stage.AUTHORISED:
            whole = due.amount == standing.amount
            standing = await (self._let_go if whole else self._take)(payment, standing)
        if standing.stage is not Stage.CAPTURED:
            await self._post(self._refunded(payment, due, Account.AUTHORISED))
            return
        if due.refund_id not in standing.refunds:
            await self._give_back(payment, due, job.dedupe_key)
        await self._post(self._captured(payment, standing), self._refunded(payment, due, Account.CAPTURED))

    async def watch(self, job: StoredJob) -> None:
        """Look for money whose news got lost, as long as it may come; then close the order."""
        payment = await payments.payment(self._pool, job.payload["payment_id"])
        if payment is None:  # we stopped before the provider was asked for an order
            return
        settled = await self._till.settle(payment)
        if settled.reply is not None or settled.standing.stage is Stage.VOIDED:
            return
        age_seconds = (self._clock.now() - payment.created_at) // 1_000
        is_old = age_seconds >= ORDER_HOURS_MAX * 3_600
        if is_old or not await self._is_wanted(payment):
            try:
                await self._till.provider_of(payment).void(payment, f"close:{payment.id}")
            except ProviderRefused:
                if is_old:
                    return
            else:
                await self._till.settle(payment)  # somebody may have paid just before it was closed
                return
        raise Later(min(max(age_seconds // 4, WATCH_SECONDS_MIN), WATCH_SECONDS_MAX), counted=False)

    async def hear(self, job: StoredJob) -> None:
        """A provider has news of a payment: look at it."""
        told = job.payload
        payment = await self._till.named(told["provider"], News("", told["payment_id"], told["order_id"]))
        if payment is not None:
            await self._till.settle(payment)
        elif self._clock.now() - told["received_at"] < UNKNOWN_SECONDS_MAX * 1_000:
            raise Later(5, counted=False)
        else:
            _log.warning("news_of_unknown_payment", provider=told["provider"], order_id=told["order_id"])

    def _in_turn(self, work: Work) -> Work:
        """Or one of them would let the money go while another takes it."""

        @wraps(work)
        async def alone(job: StoredJob) -> None:
            async with self._turns.setdefault(job.payload["payment_id"], asyncio.Lock()):
                await work(job)

        return alone

    async def _payment(self, job: StoredJob) -> Payment:
        payment_id = job.payload["payment_id"]
        found = await payments.payment(self._pool, payment_id)
        if found is None:
            raise Hopeless(f"there is no payment {payment_id}")
        return found

    async def _look(self, payment: Payment) -> Standing:
        return await self._till.provider_of(payment).look(payment)

    async def _take(self, payment: Payment, standing: Standing) -> Standing:
        try:
            await self._till.provider_of(payment).capture(payment, f"capture:{payment.id}")
        except ProviderRefused as no:
            return await self._unless_same(payment, standing, no)
        return replace(standing, stage=Stage.CAPTURED)

    async def _let_go(self, payment: Payment, standing: Standing) -> Standing:
        try:
            await self._till.provider_of(payment).void(payment, f"void:{payment.id}")
        except ProviderRefused as no:
            return await self._unless_same(payment, standing, no)
        return replace(standing, stage=Stage.VOIDED)

    async def _give_back(self, payment: Payment, due: Due, key: str) -> None:
        try:
            await self._till.provider_of(payment).refund(payment, due.refund_id, due.amount, key)
        except ProviderRefused as no:
            if due.refund_id not in (await self._look(payment)).refunds:
                raise Hopeless(f"refund refused: {no}") from no

    async def _unless_same(self, payment: Payment, before: Standing, no: ProviderRefused) -> Standing:
        """How it stands after a refusal: something else happened meanwhile, or a person must look. Hopeless."""
        now = await self._look(payment)
        if now.stage is before.stage:
            raise Hopeless(f"refused while {now.stage}: {no}") from no
        return now

    async def _give_up(self, payment: Payment, booked: StoredBooking, standing: Standing) -> None:
        """The promised money is gone and nothing was taken: the booking ends, and all it was worth is owed.

        The refund then finds that there is nothing to return, and what is owed cancels out with the promise. What the
        house would have kept of seats given up earlier it cannot have: that is posted against the promise as well.
        """
        if booked.status == BookingStatus.CONFIRMED.value:
            _log.error("payment_lost", payment_id=payment.id, booking_id=payment.booking_id, stage=standing.stage.value)
            cause = Cause(command_id("till", PAYMENT_LOST, payment.id), ActorKind.SYSTEM, "till", retryable=True)
            await self._showtimes.ask(payment.showtime_id, RefundBooking(cause, payment.booking_id, PAYMENT_LOST))
        kept = await payments.kept_of(self._pool, payment.id)
        if kept:
            await self._post(self._posting(payment, f"lost:{payment.id}", Account.KEPT, Account.AUTHORISED, kept))

    async def _is_wanted(self, payment: Payment) -> bool:
        """Whether this payment could still buy its booking."""
        booked = await bookings.booking(self._pool, payment.booking_id)
        waiting = (BookingStatus.PENDING_PAYMENT.value, BookingStatus.EXPIRED.value)
        return booked is None or booked.status in waiting

    def _captured(self, payment: Payment, standing: Standing) -> Posting:
        return self._posting(
            payment, f"captured:{payment.id}", Account.CAPTURED, Account.AUTHORISED, standing.amount, standing.currency
        )

    def _refunded(self, payment: Payment, due: Due, where: Account) -> Posting:
        return self._posting(payment, f"refund:{due.refund_id}", Account.REFUNDS_DUE, where, due.amount, due.currency)

    def _posting(
        self, payment: Payment, ref: str, debit: Account, credit: Account, amount: int, currency: str | None = None
    ) -> Posting:
        return Posting(
            ref, payment.id, payment.booking_id, payment.showtime_id, debit, credit, amount,
            currency or payment.currency, self._clock.now(),
        )  # fmt: skip

    async def _post(self, *found: Posting) -> None:
        await ledger.post(self._pool, found)
