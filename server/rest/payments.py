"""Payments over HTTP: begin one, look at it, and play the customer of the sandbox."""

from typing import Annotated, Any, Final, Literal, NotRequired

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from actors.seatmap.refusals import Refused
from actors.seatmap.state import BookingStatus
from persistence import bookings, payments
from persistence.bookings import StoredBooking
from persistence.payments import Payment
from server import wire
from server.asking import actor_of, cause, respond
from server.auth.identity import ADMIN, BOX_OFFICE, MANAGER, require
from server.errors import Problem, invalid, not_found
from server.idempotency import idempotent
from server.keys import POOL, SANDBOX, TILL
from server.operations import PUBLIC, SIGNED_IN, Operation
from server.payments.provider import Stage, Standing
from server.payments.sandbox import Sandbox
from server.requests import Body, Id, path_id, read_body, read_optional_body
from server.responses import answer
from server.shapes import Money, PaymentState, Time, Uuid
from server.wire import money, rfc3339


class NewPayment(Body):
    """What to pay for. The amount is the booking's own."""

    booking_id: Id
    provider: Literal["sandbox", "stripe", "razorpay"] | None = None
    """The house takes payments through one provider; who names another one is told so."""


class Pretence(Body):
    """Pay something else than asked for, to see what happens."""

    amount: Annotated[int, Field(ge=0, le=10**12)] | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None


class PaymentStart(TypedDict):
    """A payment that has begun. `expires_at` is until when the seats wait for the money.

    The customer pays at `checkout_url`, relative to this server's own address, or in a page of the client's own, with
    the provider's script, `public_key`, and with Stripe `client_secret`.
    """

    payment_id: Uuid
    booking_id: Uuid
    provider: str
    provider_order_id: str
    amount: Money
    currency: str
    expires_at: Time
    checkout_url: str
    client_secret: NotRequired[str]
    public_key: NotRequired[str]


class PaymentCard(TypedDict):
    payment_id: Uuid
    booking_id: Uuid
    provider: str
    provider_order_id: str
    amount: Money
    currency: str
    status: PaymentState
    created_at: Time


class PaymentProof(PaymentCard):
    """What the customer brings back from the sandbox."""

    provider_payment_id: str
    signature: str


async def start(request: web.Request) -> web.Response:
    """Begin to pay: an order at the provider, and time enough to finish."""
    caller = require(request)
    asked = await read_body(request, NewPayment)
    till = request.app[TILL]
    if asked.provider not in (None, till.provider):
        raise invalid("provider", f"This house takes payments through {till.provider}.")
    who = cause(request, caller, "pay", asked, key_required=True)
    actor = await actor_of(request, asked.booking_id, "booking")
    started = await till.start(actor, who, asked.booking_id)
    order = started.order
    if order is None:
        _explain(started.reply.decision)
        return respond(started.reply, started.command)
    _, body = wire.answer(started.reply, started.command)
    body["provider_order_id"] = order.order_id
    body["checkout_url"] = order.checkout_url
    if order.client_secret is not None:
        body["client_secret"] = order.client_secret
    if order.public_key is not None:
        body["public_key"] = order.public_key
    return answer(body, 201)


async def show(request: web.Request) -> web.Response:
    caller = require(request)
    payment = await _payment(request)
    stored = await bookings.booking(request.app[POOL], payment.booking_id)
    if stored is None:
        raise not_found("payment")
    if payment.owner != caller.account_id and not (
        caller.is_any(BOX_OFFICE, MANAGER, ADMIN) and caller.works_for(stored.showtime.theatre_id)
    ):
        raise not_found("payment")
    return answer(_shown(payment, await _status(request, payment, stored)))


async def succeed(request: web.Request) -> web.Response:
    """The sandbox's customer pays, and the sandbox tells us, as a webhook would."""
    sandbox, payment = await _pretended(request)
    asked = await read_optional_body(request, Pretence)
    standing = await sandbox.pay(payment.id, asked.amount, asked.currency)
    if standing is None:
        raise not_found("payment")
    await request.app[TILL].bring(payment, standing)
    return answer(
        {
            **_shown(payment, _told(standing)),
            "provider_payment_id": standing.provider_payment_id,
            "signature": sandbox.proof(payment.provider_order_id, standing.provider_payment_id),
        }
    )


async def fail(request: web.Request) -> web.Response:
    """The card of the sandbox's customer is refused."""
    sandbox, payment = await _pretended(request)
    standing = await sandbox.refuse(payment.id)
    if standing is None:
        raise not_found("payment")
    await request.app[TILL].bring(payment, standing)
    return answer(_shown(payment, _told(standing)))


_START: Final = Operation(
    "POST", "/api/v1/payments/orders", idempotent(start, required=True, logged=True),
    "Begin to pay: an order at the provider, and time enough to finish.",
    access=SIGNED_IN, answers={201: PaymentStart}, asks=NewPayment, key_required=True, remembers=True,
    problems=(
        "booking_not_found", "booking_not_payable", "hold_expired", "provider_refused", "provider_unavailable",
    ),
)  # fmt: skip

OPERATIONS: Final = (
    _START,
    _START.also("POST", "/api/v1/payments/intents"),
    _START.also("POST", "/api/v1/payments/create-order"),
    _START.also("POST", "/api/v1/payments/create-intent"),
    _START.also("POST", "/api/v1/payment/initiate-booking"),
    Operation(
        "GET", "/api/v1/payments/{payment_id}", show, "How a payment stands.",
        access=SIGNED_IN, answers={200: PaymentCard},
    ),
    Operation(
        "POST", "/api/v1/payments/sandbox/{payment_id}/succeed", succeed, "Pay, as the customer of the sandbox.",
        access=PUBLIC, answers={200: PaymentProof}, asks=Pretence, body_required=False, problems=("not_found",),
    ),
    Operation(
        "POST", "/api/v1/payments/sandbox/{payment_id}/fail", fail, "Have the card of the sandbox's customer refused.",
        access=PUBLIC, answers={200: PaymentCard}, problems=("not_found",),
    ),
)  # fmt: skip


async def _payment(request: web.Request) -> Payment:
    payment = await request.app[TILL].payment(path_id(request, "payment_id", "payment"))
    if payment is None:
        raise not_found("payment")
    return payment


async def _pretended(request: web.Request) -> tuple[Sandbox, Payment]:
    """A payment of the sandbox. Where real money moves there is none."""
    sandbox = request.app.get(SANDBOX)
    if sandbox is None:
        raise Problem(404, "not_found", "There is nothing at this address.")
    return sandbox, await _payment(request)


def _explain(decision: object) -> None:
    """Time that has run out is told as such, not as a state of the booking."""
    if isinstance(decision, Refused) and decision.facts.get("status") == BookingStatus.EXPIRED.value:
        raise Problem(410, "hold_expired", "The time to pay has run out. Nothing was charged.")


async def _status(request: web.Request, payment: Payment, stored: StoredBooking) -> str:
    """What became of this payment: it bought the booking, went back, was refused, or nothing yet."""
    if stored.paid and stored.payment_id == payment.id:
        return stored.payment_status
    if await payments.is_returned(request.app[POOL], payment.id):
        return "refunded"
    waits = stored.status == BookingStatus.PENDING_PAYMENT.value and not payment.failure
    return "pending" if waits else "failed"


def _told(standing: Standing) -> str:
    """What the provider's books say, in the words for payments."""
    if standing.is_money:
        return "succeeded"
    return "pending" if standing.stage is Stage.OPEN else "failed"


def _shown(payment: Payment, status: str) -> dict[str, Any]:
    return {
        "payment_id": payment.id,
        "booking_id": payment.booking_id,
        "provider": payment.provider,
        "provider_order_id": payment.provider_order_id,
        "amount": money(payment.amount, payment.currency),
        "currency": payment.currency,
        "status": status,
        "created_at": rfc3339(payment.created_at),
    }
