"""Razorpay through its own library: an order for each payment, taken by hand once the booking is confirmed.

The library waits for the network, so every call runs in a thread. Razorpay has no way to let an authorisation go: what
is not captured returns to the customer by itself, as soon as the account's settings say.
"""

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

import orjson
import razorpay as sdk  # type: ignore[import-untyped]
import requests
from razorpay.errors import BadRequestError, SignatureVerificationError  # type: ignore[import-untyped]

from persistence.payments import Payment
from server.payments.provider import (
    BadSignature,
    News,
    Order,
    ProviderDown,
    ProviderRefused,
    Script,
    Stage,
    Standing,
    pay_path,
)
from server.price_shapes import exponent

NAME: Final = "razorpay"
SIGNATURE: Final = "X-Razorpay-Signature"
EVENT_ID: Final = "X-Razorpay-Event-Id"
CALL_SECONDS_MAX: Final = 5
CALLS_AT_ONCE: Final = 4
"""Threads are shared with everything else that waits."""

_SCRIPT: Final = Script(
    "https://checkout.razorpay.com/v1/checkout.js",
    "razorpay.js",
    {
        "script-src": "https://checkout.razorpay.com",
        "frame-src": "https://api.razorpay.com https://checkout.razorpay.com",
        "connect-src": "https://api.razorpay.com https://lumberjack.razorpay.com",
        "img-src": "https://cdn.razorpay.com",
        "style-src": "'unsafe-inline'",
    },
)
_GIVEN_BACK: Final = ("pending", "processed")
_RANK: Final = (Stage.CAPTURED, Stage.AUTHORISED, Stage.OPEN, Stage.FAILED, Stage.VOIDED)
"""Of several attempts to pay one order the first of these counts."""


class Line(requests.Session):
    """A connection whose failures are ours: the library would print them."""

    def request(self, *what: Any, **rest: Any) -> Any:
        try:
            answer = super().request(*what, **{**rest, "timeout": CALL_SECONDS_MAX, "allow_redirects": False})
            if answer.content:
                answer.json()
        except requests.RequestException as error:  # also for an answer that is no JSON
            raise ProviderDown(type(error).__name__) from None
        return answer


class Razorpay:
    name = NAME
    script = _SCRIPT

    def __init__(self, key_id: str, key_secret: str, webhook_secret: str, base_url: str) -> None:
        self._key_id = key_id
        self._webhook_secret = webhook_secret
        self._line = Line()
        self._client = sdk.Client(session=self._line, auth=(key_id, key_secret), base_url=base_url)
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)

    def order_id(self, payment: Payment) -> str:
        return ""

    async def open(self, payment: Payment) -> Order:
        order_id = payment.provider_order_id or await self._opened_before(payment)
        if not order_id:
            asked = {
                "amount": _in_steps(payment.amount, payment.currency),
                "currency": payment.currency,
                "receipt": payment.id,
                "payment_capture": 0,
                "notes": {"payment_id": payment.id, "booking_id": payment.booking_id},
            }
            order_id = (await self._answer(lambda: self._client.order.create(asked)))["id"]
        return Order(order_id, pay_path(payment), public_key=self._key_id)

    async def look(self, payment: Payment) -> Standing:
        attempts = await self._attempts(payment)
        if not attempts:
            return Standing(Stage.OPEN, payment.amount, payment.currency)
        best = min(attempts, key=lambda attempt: _RANK.index(_stage(attempt)))
        stage = _stage(best)
        refunds = await self._refunds(best["id"]) if stage is Stage.CAPTURED and best.get("amount_refunded") else {}
        reason = str(best.get("error_code") or "")
        return Standing(stage, best["amount"], best["currency"], best["id"], refunds, reason)

    async def capture(self, payment: Payment, key: str) -> None:
        paid = await self._paid(payment)
        asked = {"currency": paid.currency}
        await self._answer(lambda: self._client.payment.capture(paid.provider_payment_id, paid.amount, asked))

    async def void(self, payment: Payment, key: str) -> None:
        """Nothing to do: it lapses."""

    async def refund(self, payment: Payment, refund_id: str, amount: int, key: str) -> None:
        paid = await self._paid(payment)
        asked = {
            "amount": amount,
            "receipt": refund_id,
            "notes": {"refund_id": refund_id, "payment_id": payment.id},
        }
        headers = {"X-Refund-Idempotency": key}
        made = await self._answer(lambda: self._client.payment.refund(paid.provider_payment_id, asked, headers=headers))
        if made["status"] not in _GIVEN_BACK:
            raise ProviderRefused(f"the refund {made['id']} is {made['status']}")

    def is_proof(self, payment: Payment, provider_payment_id: str, signature: str) -> bool:
        try:
            self._client.utility.verify_payment_signature(
                {
                    "razorpay_order_id": payment.provider_order_id,
                    "razorpay_payment_id": provider_payment_id,
                    "razorpay_signature": signature,
                }
            )
        except (SignatureVerificationError, TypeError):  # a signature that is not ASCII cannot be compared
            return False
        return True

    def read_news(self, raw: bytes, headers: Mapping[str, str]) -> News:
        try:
            signature = headers.get(SIGNATURE, "")
            self._client.utility.verify_webhook_signature(raw.decode(), signature, self._webhook_secret)
            return _news(orjson.loads(raw), headers.get(EVENT_ID) or sha256(raw).hexdigest())
        except (SignatureVerificationError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadSignature(type(error).__name__) from None

    async def close(self) -> None:
        self._line.close()

    async def _opened_before(self, payment: Payment) -> str:
        """The order that was made for this payment by a call whose answer got lost."""
        found = await self._answer(lambda: self._client.order.all({"receipt": payment.id}))
        return next((str(order["id"]) for order in found["items"] if order["receipt"] == payment.id), "")

    async def _attempts(self, payment: Payment) -> list[dict[str, Any]]:
        if not payment.provider_order_id:
            return []
        found = await self._answer(lambda: self._client.order.payments(payment.provider_order_id))
        return list(found["items"])

    async def _paid(self, payment: Payment) -> Standing:
        standing = await self.look(payment)
        if not standing.is_money:
            raise ProviderRefused(f"the order is {standing.stage}")
        return standing

    async def _refunds(self, provider_payment_id: str) -> dict[str, int]:
        found = await self._answer(
            lambda: self._client.payment.fetch_multiple_refund(provider_payment_id, {"count": 100})
        )
        return {
            refund["notes"]["refund_id"]: refund["amount"]
            for refund in found["items"]
            if refund["status"] in _GIVEN_BACK and "refund_id" in (refund["notes"] or {})
        }

    async def _answer(self, call: Callable[[], Any]) -> dict[str, Any]:
        """What Razorpay answers. ProviderDown, ProviderRefused."""
        async with self._calls:
            try:
                answer: dict[str, Any] = await asyncio.to_thread(call)
            except BadRequestError as error:
                raise ProviderRefused(str(error)[:200]) from None
            except ProviderDown:
                raise
            except Exception as error:  # noqa: BLE001 - whatever else it raises, nobody knows what was done
                raise ProviderDown(type(error).__name__) from None
            return answer


def _stage(attempt: Mapping[str, Any]) -> Stage:
    match attempt["status"]:
        case "captured":
            return Stage.CAPTURED
        case "authorized":
            return Stage.AUTHORISED
        case "refunded":  # in full: what had been captured, or what nobody captured in time
            return Stage.CAPTURED if attempt.get("captured") else Stage.VOIDED
        case "failed":
            return Stage.FAILED
    return Stage.OPEN


def _news(told: Mapping[str, Any], event_id: str) -> News:
    about = {name: part.get("entity") or {} for name, part in told["payload"].items()}
    order, payment, refund = about.get("order", {}), about.get("payment", {}), about.get("refund", {})
    notes = [part["notes"] for part in (order, payment, refund) if isinstance(part.get("notes"), dict)]
    payment_id = next((note["payment_id"] for note in notes if note.get("payment_id")), "")
    return News(event_id, payment_id, order.get("id") or payment.get("order_id") or "")


def _in_steps(amount: int, currency: str) -> int:
    """Amounts in three-decimal currencies are taken in steps of ten. ProviderRefused for others."""
    if exponent(currency) == 3 and amount % 10:
        raise ProviderRefused(f"Razorpay takes {currency} in steps of ten")
    return amount
