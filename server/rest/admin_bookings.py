"""Bookings as the house sees them: found, refunded, ended by hand, and with all that ever happened to them."""

from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from actors.ids import is_uuid
from actors.seatmap.bookings import derived_id
from actors.seatmap.commands import ActorKind, CancelBooking, Cause, ConfirmBooking, RefundBooking
from actors.seatmap.refusals import Refusal, Refused
from persistence import bookings, refunds
from persistence.bookings import BookingFilter, StoredBooking
from persistence.moments import instant
from persistence.payments import Payment
from server import wire
from server.asking import ask, cause, problem
from server.auth.identity import ADMIN, BOX_OFFICE, MANAGER, Identity, caller, require_staff_of
from server.booking_cards import BookingCard, Chapter, card, chapter, place_of
from server.chronicle import Doer, recorded
from server.errors import Problem, invalid, not_found
from server.keys import CLOCK, POOL, REGISTRY, WRITES
from server.operations import Operation
from server.payments import by_hand
from server.requests import Body, Cursor, Id, Page, Text, WireTime, path_id, read_body, read_query
from server.responses import answer
from server.shapes import Listed, Money, PaymentState, Refund, SeatLabel, Uuid
from server.wire import money

SEATS_MAX: Final = 50
_ONE: Final = "/api/v1/admin/bookings/{booking_id}"
_SELLERS: Final = frozenset((BOX_OFFICE, MANAGER, ADMIN))
_MANAGERS: Final = frozenset((MANAGER, ADMIN))
_NEXT: Final = {"pending_payment": ("confirmed", "cancelled"), "confirmed": ("cancelled",)}
"""The states to which the house can bring a booking by hand. Nothing leaves the others."""

Label = Annotated[str, Field(min_length=1, max_length=64)]
Reason = Annotated[str, Field(min_length=1, max_length=200)]


class BookingsQuery(Page):
    """`user` is an account's id or an address; `from` and `to` say when the booking was made."""

    status: Literal["pending_payment", "confirmed", "cancelled", "expired"] | None = None
    payment: PaymentState | None = None
    showtime_id: Id | None = None
    movie_id: Id | None = None
    theatre_id: Id | None = None
    user: Text | None = None
    reference: Text | None = None
    since: WireTime | None = Field(None, alias="from")
    until: WireTime | None = Field(None, alias="to")


class GivingBack(Body):
    """An amount in minor units, and the seats stay sold; or seats that are given up and refunded in full: all of them
    when neither is named."""

    amount: Annotated[int, Field(ge=1, le=2**53)] | None = None
    seats: Annotated[list[Label], Field(min_length=1, max_length=SEATS_MAX)] | None = None
    reason: Reason


class NewStatus(Body):
    status: Literal["pending_payment", "confirmed", "cancelled", "expired"]
    reason: Reason


class HouseBooking(BookingCard):
    """A booking in the house's list. `reason` is why it ended, where somebody said so."""

    owner: str
    paid: Money
    reason: str


class RefundGiven(Refund):
    """Money that goes back on its way. `seats` were given up for it; `paid` and `refunded` are the booking's sums."""

    booking_id: Uuid
    payment_id: str
    seats: list[SeatLabel]
    reason: str
    paid: Money
    refunded: Money


class Footprint(Chapter):
    """An event as it is in the log: who caused it by which request, and a hash of it."""

    actor: Doer
    actor_id: str
    request_id: str
    command_id: str
    hash: str


class Trail(TypedDict):
    items: list[Footprint]
    next_cursor: None


async def list_bookings(request: web.Request) -> web.Response:
    """The bookings of the caller's theatres, the newest first."""
    who = caller(request)
    query = read_query(request, BookingsQuery)
    if query.theatre_id is not None:
        require_staff_of(request, query.theatre_id, *_SELLERS)
    wanted = BookingFilter(
        user=query.user,
        status=query.status,
        payment=query.payment,
        reference=query.reference,
        showtime_id=query.showtime_id,
        movie_id=query.movie_id,
        theatre_id=query.theatre_id,
        theatre_ids=None if who.is_any(ADMIN) else tuple(who.theatres),
        since=None if query.since is None else instant(query.since),
        until=None if query.until is None else instant(query.until),
        after=place_of(Cursor.read(query.cursor)),
    )
    found = await bookings.bookings(request.app[POOL], wanted, query.limit + 1)
    shown = found[: query.limit]
    more = Cursor(key=str(shown[-1].created_at), id=shown[-1].id).text() if len(found) > query.limit else None
    return answer({"items": [_house_card(stored) for stored in shown], "next_cursor": more})


async def refund(request: web.Request) -> web.Response:
    """Give money back whatever the policy says; the provider is asked by a job."""
    stored, who = await _booking(request, MANAGER, ADMIN)
    asked = await read_body(request, GivingBack)
    if asked.amount is not None and asked.seats is not None:
        raise invalid("amount", "Give either an amount, or seats, which are refunded in full.")
    why = cause(request, who, "refund", asked, kind=ActorKind.STAFF, key_required=True, booking_id=stored.id)
    command = RefundBooking(why, stored.id, asked.reason, asked.amount, tuple(asked.seats or ()))
    return await ask(request, stored.showtime.id, command)


async def change_status(request: web.Request) -> web.Response:
    """Confirm a booking that was paid at the theatre, or end one. Who paid gets back what the policy says."""
    stored, who = await _booking(request, MANAGER, ADMIN)
    asked = await read_body(request, NewStatus)
    why = cause(request, who, "status", asked, kind=ActorKind.STAFF, booking_id=stored.id)
    if asked.status == "cancelled":
        await _end(request, stored, why, asked.reason)
    elif asked.status == "confirmed":
        await _take(request, stored, why)
    else:
        raise _illegal(stored.status)
    changed = await bookings.booking(request.app[POOL], stored.id)
    assert changed is not None
    return answer(_house_card(changed))


async def audit(request: web.Request) -> web.Response:
    """Everything the log says about a booking, and who caused it."""
    stored, _ = await _booking(request, MANAGER, ADMIN)
    pool = request.app[POOL]
    trail = await bookings.trail(pool, stored.showtime.id, stored.id)
    returned = await refunds.states(pool, refunds.refund_ids([record.event for record, _ in trail]))
    items: list[dict[str, Any]] = [
        {
            **chapter(record, returned),
            "actor": recorded(record)["actor"],
            "actor_id": record.cause.actor_id,
            "request_id": record.cause.request_id,
            "command_id": record.cause.command_id or "",
            "hash": digest,
        }
        for record, digest in trail
    ]
    return answer({"items": items, "next_cursor": None})


OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/admin/bookings", list_bookings, "Bookings of one's theatres, the newest first.",
        access=_SELLERS, answers={200: Listed[HouseBooking]}, query=BookingsQuery, problems=("out_of_scope",),
    ),
    Operation(
        "POST", f"{_ONE}/refund", refund, "Give money back: for seats that are given up, or as a favour.",
        access=_MANAGERS, answers={201: RefundGiven}, asks=GivingBack, key_required=True, remembers=True,
        problems=("out_of_scope", "booking_not_found", "exceeds_paid", "already_cancelled", "seat_not_in_booking"),
    ),
    Operation(
        "PUT", f"{_ONE}/status", change_status, "Confirm what was paid at the theatre, or end a booking.",
        access=_MANAGERS, answers={200: HouseBooking}, asks=NewStatus, remembers=True,
        problems=(
            "out_of_scope", "booking_not_found", "illegal_transition", "expired_seats_lost", "booking_cancelled",
            "already_paid", "showtime_cancelled", "showtime_over", "amount_mismatch",
        ),
    ),
    Operation(
        "GET", f"{_ONE}/audit", audit, "Everything that happened to a booking, and who caused it.",
        access=_MANAGERS, answers={200: Trail}, problems=("out_of_scope", "booking_not_found"),
    ),
)  # fmt: skip


async def _booking(request: web.Request, *roles: str) -> tuple[StoredBooking, Identity]:
    """The booking in the path, and a caller who works for its theatre. 404 booking_not_found, 403 out_of_scope."""
    booking_id = path_id(request, "booking_id", "booking")
    stored = await bookings.booking(request.app[POOL], booking_id) if is_uuid(booking_id) else None
    if stored is None:
        raise not_found("booking")
    return stored, require_staff_of(request, stored.showtime.theatre_id, *roles)


async def _end(request: web.Request, stored: StoredBooking, why: Cause, reason: str) -> None:
    reply = await request.app[REGISTRY].ask(stored.showtime.id, CancelBooking(why, stored.id, (), reason))
    if isinstance(reply.decision, Refused):
        if reply.decision.refusal is Refusal.ALREADY_CANCELLED:
            raise _illegal(str(reply.decision.facts["status"]))
        raise problem(*wire.refused(reply.decision), why)


async def _take(request: web.Request, stored: StoredBooking, why: Cause) -> None:
    """Somebody has paid at the theatre. The same request again is the same payment."""
    payment_id = derived_id(why.command_id, by_hand.NAME, stored.id)
    if stored.status != "pending_payment" and stored.payment_id != payment_id:
        raise _illegal(stored.status)
    total, app = sum(line.total for line in stored.lines), request.app
    payment = Payment(
        payment_id, stored.id, stored.showtime.id, stored.owner, by_hand.NAME, payment_id, total, stored.currency,
        app[CLOCK].now(),
    )  # fmt: skip
    await app[WRITES].payment(payment)
    command = ConfirmBooking(why, stored.id, payment_id, total, stored.currency, by_hand.NAME, payment_id)
    reply = await app[REGISTRY].ask(stored.showtime.id, command)
    status, body = wire.answer(reply, command)
    if status >= 400:  # its time ran out just now, or somebody was faster: the drawer owes the money
        raise problem(status, body, why)


def _house_card(stored: StoredBooking) -> dict[str, Any]:
    return {
        **card(stored),
        "owner": stored.owner,
        "paid": money(stored.paid, stored.currency),
        "reason": stored.reason,
    }


def _illegal(status: str) -> Problem:
    allowed = list(_NEXT.get(status, ()))
    return Problem(409, "illegal_transition", f"A booking that is {status} cannot become that.", allowed=allowed)
