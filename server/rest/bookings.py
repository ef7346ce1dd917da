"""Bookings over HTTP: place, pay on return, look at, cancel.

What changes a booking is a command to its showtime's actor; what is only read comes from the rows beside the log.
"""

import dataclasses
import os
from typing import Annotated, Any, Final, Literal, NotRequired

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from actors.ids import mint_in
from actors.ports import Rejected
from actors.seatmap.bookings import derived_id, own_booking
from actors.seatmap.commands import ActorKind, BookSeats, CancelBooking, Cause, PlaceBooking
from actors.seatmap.refunds import offer
from actors.seatmap.refusals import Refusal, Refused
from actors.seatmap.state import Booking, BookingStatus, SeatMap
from actors.seatmap.terms import Instant
from actors.showtime import ShowtimeActor
from persistence import bookings, promos, refunds
from persistence.bookings import BookingFilter, Contact
from persistence.enclosures import GivenContact
from persistence.payments import Payment
from server import wire
from server.asking import actor_behind, actor_of, ask, cause, problem, respond
from server.auth.details import Addressee, Email
from server.auth.identity import ADMIN, BOX_OFFICE, GUEST, MANAGER, Identity, require
from server.booking_cards import BookingCard, Chapter, card, chapter, place_of
from server.errors import Problem, invalid, not_found
from server.idempotency import idempotent
from server.keys import CLOCK, POOL, REGISTRY, SANDBOX, TILL
from server.operations import SIGNED_IN, Operation
from server.payments.provider import News, Standing
from server.payments.sandbox import NAME as SANDBOX_NAME
from server.payments.sandbox import Sandbox, order_id
from server.payments.till import Settled
from server.problems import STOPPED, TAKING
from server.promotions import redeem
from server.requests import Body, Cursor, Id, Page, Query, path_id, read_body, read_optional_body, read_query
from server.responses import answer
from server.shapes import (
    Booking as BookingBody,
)
from server.shapes import (
    CancelledBooking,
    Listed,
    Money,
    PolicyLine,
    Refund,
    SeatLabel,
    TicketOf,
    Time,
    Uuid,
)
from server.wire import money, rfc3339

SEATS_MAX: Final = 50
REFERENCE_LETTERS: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 signs that nobody confuses: no 0 and O, no 1 and I."""

Label = Annotated[str, Field(min_length=1, max_length=64)]
Labels = Annotated[list[Label], Field(min_length=1, max_length=SEATS_MAX)]
Reason = Annotated[str, Field(max_length=200)]
ProviderText = Annotated[str, Field(min_length=1, max_length=200)]


class ContactBody(Body):
    email: Email
    name: Addressee | None = None
    phone: Annotated[str, Field(max_length=40)] | None = None


class NewBooking(Body):
    """From a hold, or seats of a showtime in one step."""

    hold_id: Id | None = None
    showtime_id: Id | None = None
    seats: Labels | None = None
    ticket_types: Annotated[dict[Label, Label], Field(max_length=SEATS_MAX)] = Field(default_factory=dict)
    contact: ContactBody | None = None
    promo_code: Annotated[str, Field(max_length=64)] | None = None
    expected_total: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """What the customer was shown, in minor units: 409 price_changed if it would be something else."""


class Confirmation(Body):
    """What the customer brings back from the provider. Seats and prices are none of it."""

    provider: Literal["sandbox", "stripe", "razorpay"]
    provider_order_id: ProviderText | None = None
    provider_payment_id: ProviderText | None = None
    signature: ProviderText | None = None


class Cancellation(Body):
    seats: Labels | None = None
    reason: Reason = ""


class BookingsQuery(Page):
    status: Literal["pending_payment", "confirmed", "cancelled", "expired"] | None = None
    when: Literal["upcoming", "past"] | None = None


class QuoteQuery(Query):
    """`seats`: labels separated by commas; all seats without it."""

    seats: Annotated[str, Field(max_length=600)] = ""


class ContactGiven(TypedDict):
    email: str
    name: NotRequired[str]
    phone: NotRequired[str]


class BookingPage(BookingCard):
    """A booking with whom to write to and what happened to it."""

    tickets: list[TicketOf]  # type: ignore[misc] # here it is always there
    contact: ContactGiven | None
    refund: Refund | None
    """The latest money that goes back, and how far it is."""

    history: list[Chapter]


class CancellationQuote(TypedDict):
    """What would come back if these seats were given back now, and until when.

    `policy_line` is the line of the policy that the booking was made under; None when it gives nothing back. `moved`:
    the start has changed since, and everything comes back whatever the policy says.
    """

    booking_id: Uuid
    seats: list[SeatLabel]
    refund: Money
    fee: Money
    policy_line: PolicyLine | None
    moved: bool
    deadline: Time


async def place(request: web.Request) -> web.Response:
    caller = require(request)
    asked = await read_body(request, NewBooking)
    who = cause(request, caller, "book", asked, key_required=True)
    if asked.contact is None and GUEST in caller.roles:
        raise Problem(422, "contact_required", "A booking without an account needs a contact with an e-mail address.")
    actor, command = await _wanted(request, asked, who)
    if asked.promo_code:
        promo, booking_id = await redeem(request, caller, asked.promo_code, actor, who.command_id, command.booking_id)
        command = dataclasses.replace(command, promo=promo, booking_id=booking_id)
    contact = _contact(request, caller, actor.showtime_id, command.booking_id, asked.contact)
    showtimes = request.app[REGISTRY]
    try:
        reply = await showtimes.ask(actor.showtime_id, command, contact)
    except Rejected:  # two bookings drew the same reference
        command = dataclasses.replace(command, reference=mint_reference())
        reply = await showtimes.ask(actor.showtime_id, command, contact)
    if command.promo is not None and isinstance(reply.decision, Refused):
        await promos.give_back(request.app[POOL], who.command_id)
    return respond(reply, command)


async def show_all(request: web.Request) -> web.Response:
    """The caller's bookings, the newest first."""
    caller = require(request)
    query = read_query(request, BookingsQuery)
    cursor, now = Cursor.read(query.cursor), request.app[CLOCK].now()
    wanted = BookingFilter(
        owner=caller.account_id,
        status=query.status,
        ending_after=now if query.when == "upcoming" else None,
        ending_before=now if query.when == "past" else None,
        after=place_of(cursor),
    )
    found = await bookings.bookings(request.app[POOL], wanted, query.limit + 1)
    shown = found[: query.limit]
    more = Cursor(key=str(shown[-1].created_at), id=shown[-1].id).text() if len(found) > query.limit else None
    return answer({"items": [card(stored) for stored in shown], "next_cursor": more})


async def show(request: web.Request) -> web.Response:
    caller = require(request)
    booking_id, pool = path_id(request, "booking_id", "booking"), request.app[POOL]
    stored = await bookings.booking(pool, booking_id)
    if stored is None or not (stored.owner == caller.account_id or _sells_at(caller, stored.showtime.theatre_id)):
        raise not_found("booking")
    contact = await bookings.contact(pool, booking_id)
    body = card(stored)
    body.setdefault("tickets", [])
    body["contact"] = None if contact is None else {name: value for name, value in _plain(contact).items() if value}
    records = await bookings.history(pool, stored.showtime.id, booking_id)
    returned = await refunds.states(pool, refunds.refund_ids([record.event for record in records]))
    body["history"] = history = [chapter(record, returned) for record in records]
    body["refund"] = next((told["refund"] for told in reversed(history) if told.get("refund")), None)
    return answer(body)


async def confirm(request: web.Request) -> web.StreamResponse:
    """The customer returns from the provider, whose books say what is true.

    A payment that this request makes is in the log with its key. Whatever else is said here depends on who was first,
    the provider's news or a refund, and is kept.
    """
    booking_id, actor = await actor_behind(request, "booking_id", "booking")
    booked, asked = actor.snapshot.bookings.get(booking_id), await read_body(request, Confirmation)
    sandbox = _sandbox_of(request, asked)
    if booked is not None and sandbox is not None and _pays_here(sandbox, booked, request.app[CLOCK].now()):
        return await _confirm(request, booking_id, actor, asked)
    return await _confirm_kept(request)


async def _confirm_anew(request: web.Request) -> web.Response:
    booking_id, actor = await actor_behind(request, "booking_id", "booking")
    return await _confirm(request, booking_id, actor, await read_body(request, Confirmation))


async def _confirm(request: web.Request, booking_id: str, actor: ShowtimeActor, asked: Confirmation) -> web.Response:
    caller = require(request)
    who = cause(request, caller, "confirm", asked, key_required=True, booking_id=booking_id)
    booked = _own(actor.snapshot, who, booking_id)
    if asked.provider_order_id is not None:
        settled = await request.app[TILL].bring(*await _proven(request, asked, booked), who)
    elif asked.provider_payment_id is not None or asked.signature is not None:
        raise invalid("provider_order_id", "A payment is named by its order.")
    else:
        unnamed = await _unnamed(request, actor, asked, booked, who)
        if isinstance(unnamed, web.Response):
            return unnamed
        settled = unnamed
    if settled.reply is None or settled.command is None:
        raise not_captured()
    decision = settled.reply.decision
    if isinstance(decision, Refused) and decision.refusal is Refusal.EXPIRED_SEATS_LOST:
        stands = settled.reply.state.bookings[booked.id]
        why = _why_returned(settled.payment, settled.standing, stands)
        raise problem(*wire.money_back(why, decision.facts["refund_id"]), who)
    return respond(settled.reply, settled.command)


async def cancel(request: web.Request) -> web.Response:
    return await _cancel(request, await read_optional_body(request, Cancellation), key_required=True)


async def cancel_whole(request: web.Request) -> web.Response:
    return await _cancel(request, Cancellation(), key_required=False)


async def quote_cancellation(request: web.Request) -> web.Response:
    """What would come back if the booking, or some seats of it, were cancelled now."""
    caller = require(request)
    booking_id, actor = await actor_behind(request, "booking_id", "booking")
    state, now = actor.snapshot, request.app[CLOCK].now()
    who = await _as_what(request, caller, actor, booking_id, Cause("", ActorKind.CUSTOMER, caller.account_id))
    booked = _own(state, who, booking_id)
    if booked.status not in (BookingStatus.PENDING_PAYMENT, BookingStatus.CONFIRMED):
        raise Problem(409, "already_cancelled", "This has already been cancelled or has expired.")
    if now >= state.terms.starts_at:
        raise Problem(409, "past_deadline", "It is too late for that.")
    named = [seat for seat in read_query(request, QuoteQuery).seats.split(",") if seat]
    if missing := [seat for seat in named if seat not in booked.seats]:
        raise invalid("seats", f"Not part of this booking: {', '.join(missing)[:200]}")
    return answer(_quote(state, booked, named, now))


_confirm_kept: Final = idempotent(_confirm_anew, required=True, joining=True)

_LIST: Final = Operation(
    "GET", "/api/v1/bookings", show_all, "The caller's bookings, the newest first.",
    access=SIGNED_IN, answers={200: Listed[BookingCard]}, query=BookingsQuery,
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST", "/api/v1/bookings", idempotent(place, required=True, logged=True),
        "Book a hold, or seats of a showtime in one step.",
        access=SIGNED_IN, answers={201: BookingBody}, asks=NewBooking, key_required=True, remembers=True,
        problems=(
            "hold_not_found", "hold_expired", "hold_booked", "showtime_not_found", "contact_required", "promo_invalid",
            "price_changed",
            *TAKING, *STOPPED, "seat_not_in_hold",
        ),
    ),
    _LIST,
    *(_LIST.also("GET", f"/api/v1/bookings/{name}") for name in ("my", "me", "user")),
    Operation(
        "GET", "/api/v1/bookings/{booking_id}", show, "A booking with its tickets and history.",
        access=SIGNED_IN, answers={200: BookingPage},
    ),
    Operation(
        "POST", "/api/v1/bookings/{booking_id}/confirm", confirm, "Return from paying; the provider's books decide.",
        access=SIGNED_IN, answers={200: BookingBody}, asks=Confirmation, key_required=True, remembers=True,
        problems=(
            "payment_not_captured", "payment_mismatch", "bad_signature", "booking_cancelled", "amount_mismatch",
            "already_paid", "expired_seats_lost", "hold_expired", "showtime_cancelled", "showtime_over",
            "provider_unavailable",
        ),
    ),
    Operation(
        "POST", "/api/v1/bookings/{booking_id}/cancel", cancel, "Give back a booking, or some seats of it.",
        access=SIGNED_IN, answers={200: CancelledBooking}, asks=Cancellation, key_required=True, remembers=True,
        body_required=False, problems=("already_cancelled", "past_deadline", "seat_not_in_booking"),
    ),
    Operation(
        "DELETE", "/api/v1/bookings/{booking_id}", cancel_whole, "Give back a whole booking.",
        access=SIGNED_IN, answers={200: CancelledBooking}, remembers=True,
        problems=("already_cancelled", "past_deadline"), alias_of="/api/v1/bookings/{booking_id}/cancel",
    ),
    Operation(
        "GET", "/api/v1/bookings/{booking_id}/cancellation-quote", quote_cancellation, "What would come back now.",
        access=SIGNED_IN, answers={200: CancellationQuote}, query=QuoteQuery,
        problems=("already_cancelled", "past_deadline"),
    ),
)  # fmt: skip


def mint_reference() -> str:
    """Eight signs that one can read out on the telephone."""
    bits = int.from_bytes(os.urandom(5))
    return "".join(REFERENCE_LETTERS[bits >> shift & 31] for shift in range(0, 40, 5))


async def _wanted(
    request: web.Request, asked: NewBooking, who: Cause
) -> tuple[ShowtimeActor, PlaceBooking | BookSeats]:
    app = request.app
    now = app[CLOCK].now()
    if asked.hold_id is not None:
        if asked.showtime_id is not None or asked.seats is not None or asked.ticket_types:
            raise invalid("hold_id", "Give either hold_id, or showtime_id with seats.")
        actor = await actor_of(request, asked.hold_id, "hold")
        booking_id = mint_in(actor.snapshot.number, now)
        return actor, PlaceBooking(
            who, asked.hold_id, booking_id, mint_reference(), expected_total=asked.expected_total
        )
    if asked.showtime_id is None or asked.seats is None:
        raise invalid("hold_id", "Give either hold_id, or showtime_id with seats.")
    actor = await app[REGISTRY].actor(asked.showtime_id)
    number = actor.snapshot.number
    return actor, BookSeats(
        who,
        mint_in(number, now),
        mint_in(number, now),
        mint_reference(),
        tuple(asked.seats),
        asked.ticket_types,
        expected_total=asked.expected_total,
    )


def _contact(
    request: web.Request, caller: Identity, showtime_id: str, booking_id: str, given: ContactBody | None
) -> GivenContact | None:
    if given is None:
        return None
    return GivenContact(
        booking_id, showtime_id, caller.account_id, given.email, given.name or "", given.phone or "",
        request.app[CLOCK].now(),
    )  # fmt: skip


async def _proven(request: web.Request, asked: Confirmation, booked: Booking) -> tuple[Payment, Standing]:
    """The payment that the customer names, and what the provider's own books say of it."""
    assert asked.provider_order_id is not None
    till = request.app[TILL]
    payment = await till.named(asked.provider, News("", order_id=asked.provider_order_id))
    if payment is None or payment.booking_id != booked.id:
        raise Problem(409, "payment_mismatch", "This payment does not belong to this booking.")
    provider = till.provider_of(payment)
    standing = await provider.look(payment)
    paid_as = asked.provider_payment_id or standing.provider_payment_id
    if asked.signature is not None and not provider.is_proof(payment, paid_as, asked.signature):
        raise Problem(400, "bad_signature", "The provider did not sign this.")
    if not standing.is_money:
        await till.bring(payment, standing)
        raise _gone_back(payment, standing, booked) or not_captured()
    if paid_as != standing.provider_payment_id:
        raise Problem(409, "payment_mismatch", "This payment does not belong to this booking.")
    return payment, standing


async def _unnamed(
    request: web.Request, actor: ShowtimeActor, asked: Confirmation, booked: Booking, who: Cause
) -> Settled | web.Response:
    """The customer returns without naming an order: it is the booking's. With the sandbox that means to pay now."""
    till = request.app[TILL]
    sandbox = _sandbox_of(request, asked)
    if sandbox is None:
        payment = await till.payment(booked.payment_id)
        if payment is None or payment.provider != asked.provider:
            raise not_captured()
        return await till.settle(payment, who)
    now = request.app[CLOCK].now()
    payment_id = _paid_here(sandbox, booked)
    payment = Payment(
        payment_id, booked.id, actor.showtime_id, booked.owner, sandbox.name, order_id(payment_id), booked.total,
        booked.currency, now,
    )  # fmt: skip
    if booked.payment_id == payment_id or payment_id in booked.refunded_payments:  # said again
        return await till.bring(payment, sandbox.as_paid(payment), who)
    if booked.status is BookingStatus.CONFIRMED:
        return answer(wire.booking(actor.snapshot, booked))
    if booked.status is not BookingStatus.PENDING_PAYMENT:
        raise unpayable(booked.status)
    if booked.expires_at <= now:
        raise unpayable(BookingStatus.EXPIRED)
    return await till.bring(payment, sandbox.as_paid(payment), who, sandbox.paid_now(payment))


def _paid_here(sandbox: Sandbox, booked: Booking) -> str:
    """The payment that a confirmation makes: one for all who return at once, so that nobody pays twice."""
    return derived_id(sandbox.name, booked.id)


def _sandbox_of(request: web.Request, asked: Confirmation) -> Sandbox | None:
    """Where a confirmation that names no order is paid at once."""
    unnamed = asked.provider == SANDBOX_NAME and asked.provider_order_id is None
    return request.app.get(SANDBOX) if unnamed else None


def _pays_here(sandbox: Sandbox, booked: Booking, now: Instant) -> bool:
    """Whether such a confirmation pays the booking, or did so before."""
    can_be_paid = booked.status is BookingStatus.PENDING_PAYMENT and booked.expires_at > now
    return can_be_paid or _paid_here(sandbox, booked) in (booked.payment_id, *booked.refunded_payments)


def _gone_back(payment: Payment, standing: Standing, booked: Booking) -> Problem | None:
    """Money that was there and is not any more."""
    if payment.id in booked.refunded_payments:
        status, body = wire.money_back(_why_returned(payment, standing, booked), derived_id(payment.id, "refund"))
    elif booked.paid and booked.payment_id == payment.id:
        status, body = wire.refused(Refused(Refusal.BOOKING_CANCELLED))
    else:
        return None
    return Problem(status, **body)


def _why_returned(payment: Payment, standing: Standing, booked: Booking) -> str:
    """Why money that came earlier was sent back."""
    if (standing.amount, standing.currency) != (payment.amount, payment.currency):
        return "amount_mismatch"
    return {BookingStatus.CANCELLED: "booking_cancelled", BookingStatus.CONFIRMED: "second_payment"}.get(
        booked.status, ""
    )


def not_captured() -> Problem:
    return Problem(402, "payment_not_captured", "The provider has not received this payment.")


def unpayable(status: BookingStatus) -> Problem:
    if status is BookingStatus.EXPIRED:
        return Problem(410, "hold_expired", "The time to pay has run out. Nothing was charged.")
    return Problem(409, "booking_cancelled", "This booking has been cancelled. Nothing was charged.")


async def _cancel(request: web.Request, asked: Cancellation, *, key_required: bool) -> web.Response:
    caller = require(request)
    booking_id, actor = await actor_behind(request, "booking_id", "booking")
    who = cause(request, caller, "cancel", asked, key_required=key_required, booking_id=booking_id)
    who = await _as_what(request, caller, actor, booking_id, who)
    command = CancelBooking(who, booking_id, tuple(asked.seats or ()), asked.reason)
    return await ask(request, actor.showtime_id, command)


async def _as_what(request: web.Request, caller: Identity, actor: ShowtimeActor, booking_id: str, who: Cause) -> Cause:
    """Somebody who sells at that theatre acts for the house, except on bookings of their own."""
    booked = actor.snapshot.bookings.get(booking_id)
    if booked is None or booked.owner == caller.account_id or not caller.is_any(BOX_OFFICE, MANAGER, ADMIN):
        return who
    theatre_id = await bookings.theatre_of(request.app[POOL], actor.showtime_id)
    if theatre_id is None or not _sells_at(caller, theatre_id):
        return who
    return dataclasses.replace(who, kind=ActorKind.STAFF)


def _sells_at(caller: Identity, theatre_id: str) -> bool:
    return caller.is_any(BOX_OFFICE, MANAGER, ADMIN) and caller.works_for(theatre_id)


def _own(state: SeatMap, who: Cause, booking_id: str) -> Booking:
    found = own_booking(state, who, booking_id)
    if isinstance(found, Refused):
        raise problem(*wire.refused(found), who)
    return found


def _quote(state: SeatMap, booked: Booking, named: list[str], now: int) -> dict[str, Any]:
    currency = booked.currency
    lines = [line for line in booked.lines if not named or line.seat in named]
    offered = offer(state, booked, lines, now)
    step = offered.step
    return {
        "booking_id": booked.id,
        "seats": [line.seat for line in lines],
        "refund": money(offered.refund, currency),
        "fee": money(offered.worth - offered.refund, currency),
        "policy_line": None if step is None else wire.policy_line(step, currency),
        "moved": offered.moved,
        "deadline": rfc3339(offered.until),
    }


def _plain(contact: Contact) -> dict[str, str]:
    return {"email": contact.email, "name": contact.name, "phone": contact.phone}
