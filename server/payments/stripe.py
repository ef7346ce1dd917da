"""Stripe through its own library: a PaymentIntent for each payment, taken by hand once the booking is confirmed.

Our ids travel as metadata, so its news can name our payment. Stripe counts some currencies in other units than ISO 4217
does; `to_stripe` is the one place that knows.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
import orjson
import stripe as sdk

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

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = "stripe"
SIGNATURE: Final = "Stripe-Signature"
TOLERANCE_SECONDS: Final = 300
CALL_SECONDS_MAX: Final = 5
ANSWER_SECONDS_MAX: Final = 9
"""One call with the library's own second try."""

_SCRIPT: Final = Script(
    "https://js.stripe.com/v3/",
    "stripe.js",
    {
        "script-src": "https://js.stripe.com https://*.js.stripe.com",
        "frame-src": "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com",
        "connect-src": "https://api.stripe.com",
        "img-src": "https://*.stripe.com",
    },
)
_DECIMALS: Final = {"ISK": 2, "UGX": 2}
"""Currencies that Stripe counts in hundredths although they have no smaller unit, always in whole ones."""

_STEPS: Final = {3: 10}
"""By number of decimals: amounts in three-decimal currencies are taken in steps of ten."""

_STAGES: Final = {
    "requires_capture": Stage.AUTHORISED,
    "succeeded": Stage.CAPTURED,
    "canceled": Stage.VOIDED,
}
_GIVEN_BACK: Final = ("pending", "succeeded", "requires_action")
_DEFINITE: Final = (sdk.CardError, sdk.InvalidRequestError, sdk.IdempotencyError)

T = TypeVar("T")


class Stripe:
    name = NAME
    script = _SCRIPT

    def __init__(self, secret_key: str, webhook_secret: str, publishable_key: str, base_url: str) -> None:
        self._webhook_secret = webhook_secret
        self._publishable_key = publishable_key
        self._http = sdk.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS_MAX))
        self._client = sdk.StripeClient(
            secret_key, http_client=self._http, base_addresses={"api": base_url}, max_network_retries=1
        )

    def order_id(self, payment: Payment) -> str:
        return ""

    async def open(self, payment: Payment) -> Order:
        if payment.provider_order_id:
            intent = await self._intent(payment)
        else:
            asked: Any = {
                "amount": to_stripe(payment.amount, payment.currency),
                "currency": payment.currency.lower(),
                "capture_method": "manual",
                "metadata": {"payment_id": payment.id, "booking_id": payment.booking_id},
            }
            intent = await _answer(self._client.v1.payment_intents.create_async(asked, _key(f"intent:{payment.id}")))
        return Order(intent["id"], pay_path(payment), intent["client_secret"], self._publishable_key)

    async def look(self, payment: Payment) -> Standing:
        if not payment.provider_order_id:
            return Standing(Stage.OPEN, payment.amount, payment.currency)
        intent = await self._intent(payment)
        error = intent.get("last_payment_error") or {}
        stage = _STAGES.get(intent["status"], Stage.OPEN)
        if intent["status"] == "requires_payment_method" and error:
            stage = Stage.FAILED
        currency = str(intent["currency"]).upper()
        received = intent.get("amount_received") if stage is Stage.CAPTURED else intent.get("amount_capturable")
        amount = from_stripe(received or intent["amount"], currency)
        refunds = await self._refunds(intent["id"], currency) if stage is Stage.CAPTURED else {}
        return Standing(stage, amount, currency, intent["id"], refunds, str(error.get("code") or ""))

    async def capture(self, payment: Payment, key: str) -> None:
        await _answer(self._client.v1.payment_intents.capture_async(payment.provider_order_id, options=_key(key)))

    async def void(self, payment: Payment, key: str) -> None:
        if payment.provider_order_id:
            await _answer(self._client.v1.payment_intents.cancel_async(payment.provider_order_id, options=_key(key)))

    async def refund(self, payment: Payment, refund_id: str, amount: int, key: str) -> None:
        asked: Any = {
            "payment_intent": payment.provider_order_id,
            "amount": to_stripe(amount, payment.currency),
            "metadata": {"refund_id": refund_id, "payment_id": payment.id},
        }
        made = await _answer(self._client.v1.refunds.create_async(asked, _key(key)))
        if made["status"] not in _GIVEN_BACK:
            raise ProviderRefused(f"the refund {made['id']} is {made['status']}")

    def is_proof(self, payment: Payment, provider_payment_id: str, signature: str) -> bool:
        """Stripe gives customers nothing that proves anything; its books do."""
        return False

    def read_news(self, raw: bytes, headers: Mapping[str, str]) -> News:
        try:
            sdk.Webhook.construct_event(raw, headers.get(SIGNATURE), self._webhook_secret, TOLERANCE_SECONDS)
            told = orjson.loads(raw)
            about = told["data"]["object"]
            # A charge or a refund says whose it is.
            order_id = about["id"] if about.get("object") == "payment_intent" else about.get("payment_intent") or ""
            return News(told["id"], (about.get("metadata") or {}).get("payment_id", ""), order_id)
        except (sdk.SignatureVerificationError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadSignature(type(error).__name__) from None

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _intent(self, payment: Payment) -> Mapping[str, Any]:
        intent = await _answer(self._client.v1.payment_intents.retrieve_async(payment.provider_order_id))
        if intent["metadata"].get("payment_id") != payment.id:
            raise ProviderRefused(f"{payment.provider_order_id} is not of this payment")
        return intent

    async def _refunds(self, intent_id: str, currency: str) -> dict[str, int]:
        found = await _answer(self._client.v1.refunds.list_async({"payment_intent": intent_id, "limit": 100}))
        return {
            refund["metadata"]["refund_id"]: from_stripe(refund["amount"], currency)
            for refund in found["data"]
            if refund["status"] in _GIVEN_BACK and "refund_id" in (refund["metadata"] or {})
        }


def to_stripe(amount: int, currency: str) -> int:
    """An amount of minor units as Stripe counts it. ProviderRefused where it cannot be said."""
    decimals = exponent(currency)
    amount *= 10 ** (_DECIMALS.get(currency, decimals) - decimals)
    if amount % _STEPS.get(decimals, 1):
        raise ProviderRefused(f"Stripe takes {currency} in steps of ten")
    return amount


def from_stripe(amount: int, currency: str) -> int:
    scale: int = 10 ** (_DECIMALS.get(currency, exponent(currency)) - exponent(currency))
    return amount // scale


def _key(key: str) -> Any:
    return {"idempotency_key": key}


async def _answer(call: Awaitable[Any]) -> dict[str, Any]:
    """What Stripe answers, as plain values. ProviderDown, ProviderRefused."""
    with _explained():
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            answer: dict[str, Any] = (await call).to_dict()
            return answer


@contextmanager
def _explained() -> "Iterator[None]":
    """Texts of errors may quote what was sent: only their kind and code go on."""
    try:
        yield
    except _DEFINITE as error:
        raise ProviderRefused(f"{type(error).__name__} {error.code or ''}".strip()) from None
    except (sdk.StripeError, TimeoutError, aiohttp.ClientError, OSError) as error:
        raise ProviderDown(type(error).__name__) from None
