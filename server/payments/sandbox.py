"""The sandbox: a payment provider without a network, for development and demonstrations.

It keeps books of its own, signs what it says as real providers do, and is asked like one: nobody confirms a booking
on a client's word. Ids follow from the payment's, so that starting or paying twice is the same thing. What its customer
does with an order (`pay`, `refuse`) is not part of the port: that happens on the provider's side.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import orjson

from actors.ports import Clock
from persistence import payments
from persistence.database import Pool
from persistence.enclosures import PaidNow
from persistence.payments import Payment, SandboxOrder, SandboxPaid
from persistence.writes import Writes
from server.payments.provider import BadSignature, News, Order, ProviderRefused, Stage, Stale, Standing

NAME: Final = "sandbox"
SIGNATURE: Final = "X-Sandbox-Signature"
TOLERANCE_SECONDS: Final = 300
CARD_REFUSED: Final = "card_declined"


class Sandbox:
    name = NAME
    script = None

    def __init__(self, pool: Pool, writes: Writes, secret: str, clock: Clock) -> None:
        self._pool = pool
        self._writes = writes
        self._clock = clock
        self._secret = hmac.digest(secret.encode(), b"sandbox payments", "sha256")

    def order_id(self, payment: Payment) -> str:
        return order_id(payment.id)

    async def open(self, payment: Payment) -> Order:
        name = order_id(payment.id)
        await self._writes.order(SandboxOrder(name, payment.id, payment.amount, payment.currency, Stage.OPEN, ""))
        return Order(name, checkout_url=f"/pay/{name}")

    async def look(self, payment: Payment) -> Standing:
        name = order_id(payment.id)
        order = await payments.order(self._pool, name)
        if order is None:  # we stopped between the payment and its order
            return Standing(Stage.OPEN, payment.amount, payment.currency)
        refunds = await payments.order_refunds(self._pool, name) if order.status == Stage.CAPTURED else {}
        return _standing(order, refunds)

    async def capture(self, payment: Payment, key: str) -> None:
        await self._move(payment, (Stage.AUTHORISED,), Stage.CAPTURED)

    async def void(self, payment: Payment, key: str) -> None:
        await self._move(payment, (Stage.OPEN, Stage.FAILED, Stage.AUTHORISED), Stage.VOIDED)

    async def refund(self, payment: Payment, refund_id: str, amount: int, key: str) -> None:
        if not await payments.refund_order(self._pool, order_id(payment.id), refund_id, amount):
            raise ProviderRefused("there is not that much to give back")

    def is_proof(self, payment: Payment, provider_payment_id: str, signature: str) -> bool:
        proof = self.proof(order_id(payment.id), provider_payment_id)
        return hmac.compare_digest(proof.encode(), signature.encode())

    def read_news(self, raw: bytes, headers: Mapping[str, str]) -> News:
        signed_at, _, signature = headers.get(SIGNATURE, "").partition(",")
        if not signed_at.isdigit() or len(signed_at) > 12:
            raise BadSignature("there is no signature")
        if not hmac.compare_digest(self._signature(int(signed_at), raw).encode(), signature.encode()):
            raise BadSignature("the signature does not fit the body")
        if abs(self._clock.now() / 1_000 - int(signed_at)) > TOLERANCE_SECONDS:
            raise Stale("signed too long ago")
        told = orjson.loads(raw)
        return News(told["id"], payment_id=told["payment_id"], order_id=told["order_id"])

    async def close(self) -> None:
        """There is no network to hang up."""

    async def pay(self, payment_id: str, amount: int | None = None, currency: str | None = None) -> Standing | None:
        """The customer pays; something else than asked for is for trying out what happens then."""
        paid = SandboxPaid(order_id(payment_id), _paid_as(payment_id), amount, currency)
        order = await self._writes.authorise(paid)
        return None if order is None else _standing(order, {})

    def paid_now(self, payment: Payment) -> PaidNow:
        """What stands in the books when a customer of the house's own site pays in the moment of confirming."""
        return PaidNow(
            payment.id, payment.booking_id, payment.showtime_id, payment.owner, self.name, order_id(payment.id),
            payment.amount, payment.currency, _paid_as(payment.id), payment.created_at,
        )  # fmt: skip

    def as_paid(self, payment: Payment) -> Standing:
        """How the money of a payment stands when it has just come."""
        return Standing(Stage.AUTHORISED, payment.amount, payment.currency, _paid_as(payment.id))

    async def refuse(self, payment_id: str) -> Standing | None:
        """The customer's card is refused. They may try again."""
        order = await payments.move_order(self._pool, order_id(payment_id), (Stage.OPEN,), Stage.FAILED)
        return None if order is None else _standing(order, {})

    async def lapse(self, payment_id: str) -> None:
        """The bank takes its promise back, or it was not taken up in time."""
        await payments.move_order(self._pool, order_id(payment_id), (Stage.AUTHORISED,), Stage.VOIDED)

    def proof(self, order_name: str, provider_payment_id: str) -> str:
        """What a customer brings back."""
        return hmac.new(self._secret, f"{order_name}|{provider_payment_id}".encode(), sha256).hexdigest()

    def message(self, event_id: str, kind: str, payment_id: str) -> tuple[bytes, dict[str, str]]:
        """A webhook as it is sent now: body and headers."""
        raw = orjson.dumps({"id": event_id, "type": kind, "payment_id": payment_id, "order_id": order_id(payment_id)})
        now = self._clock.now() // 1_000
        return raw, {"Content-Type": "application/json", SIGNATURE: f"{now},{self._signature(now, raw)}"}

    def _signature(self, at: int, raw: bytes) -> str:
        return hmac.new(self._secret, b"%d." % at + raw, sha256).hexdigest()

    async def _move(self, payment: Payment, since: tuple[str, ...], until: Stage) -> None:
        order = await payments.move_order(self._pool, order_id(payment.id), since, until)
        if order is None or order.status != until:
            raise ProviderRefused(f"the order is {order.status if order else 'unknown'}")


def order_id(payment_id: str) -> str:
    return f"sbx_order_{payment_id}"


def _paid_as(payment_id: str) -> str:
    return f"sbx_pay_{payment_id}"


def payment_of(order_name: str) -> str:
    """The payment that an order is for; no id at all for what is no order."""
    return order_name.removeprefix("sbx_order_")


def _standing(order: SandboxOrder, refunds: Mapping[str, int]) -> Standing:
    stage = Stage(order.status)
    reason = CARD_REFUSED if stage is Stage.FAILED else ""
    return Standing(stage, order.amount, order.currency, order.provider_payment_id, refunds, reason)
