"""What decisions look like outside: one rendering for REST and for the live socket.

Answers are rendered from the records a command caused, so that a retry, also after a restart, gets the same bytes. A
hold is rendered for every click of every customer, so this file makes plain dicts and nothing else.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from actors.seatmap import commands as c
from actors.seatmap import events as e
from actors.seatmap.commands import Command
from actors.seatmap.events import Line, Record, Ticket
from actors.seatmap.refusals import Refusal, Refused
from actors.seatmap.state import Booking, BookingStatus, Hold, SeatMap
from actors.seatmap.terms import Instant, RefundStep
from actors.seatmap.view import counts, public_status
from actors.showtime import Reply
from persistence.projections import payment_status
from server.shapes import Money, PolicyLine

Json = dict[str, Any]
Answer = tuple[int, Json]

REFUSALS: Final[Mapping[Refusal, tuple[int, str]]] = {
    Refusal.COMMAND_ID_REUSED: (422, "This key was already used for a different request."),
    Refusal.SHOWTIME_CANCELLED: (409, "This showtime has been cancelled."),
    Refusal.SHOWTIME_OVER: (409, "This showtime is over."),
    Refusal.ALREADY_STARTED: (409, "This showtime has already started."),
    Refusal.SALES_NOT_OPEN: (409, "Tickets for this showtime are not on sale yet."),
    Refusal.SALES_CLOSED: (409, "Tickets for this showtime are no longer on sale."),
    Refusal.NO_SEATS: (422, "Choose at least one seat."),
    Refusal.SEAT_UNKNOWN: (422, "There is no seat {seats} here."),
    Refusal.SEAT_TWICE: (422, "{seats} was asked for twice."),
    Refusal.TICKET_TYPE_UNKNOWN: (422, "No ticket of the type {ticket_types} is sold for that seat."),
    Refusal.CATEGORY_UNKNOWN: (422, "There is no category {category} here."),
    Refusal.ROW_UNKNOWN: (422, "There is no row {row} here."),
    Refusal.HOLD_LIMIT: (409, "One customer can have {limit} seats of a showtime; you already have {held}."),
    Refusal.SEATS_UNAVAILABLE: (409, "{unavailable}"),
    Refusal.NO_BLOCK: (409, "There are not that many seats together; the most is {largest_block}."),
    Refusal.ORPHAN_SEAT: (409, "That would leave {seats} alone between taken seats. Move by one, please."),
    Refusal.SEAT_NOT_IN_HOLD: (422, "{seats} is not part of your hold."),
    Refusal.HOLD_EXPIRED: (410, "This hold has ended; its seats are free for everybody again."),
    Refusal.HOLD_FOREIGN: (404, "There is no such hold."),
    Refusal.HOLD_BOOKED: (409, "This hold has already become a booking."),
    Refusal.RENEW_LIMIT: (409, "This hold cannot be kept any longer."),
    Refusal.BOOKING_UNKNOWN: (404, "There is no such booking."),
    Refusal.BOOKING_NOT_PAYABLE: (409, "This booking is {status} and cannot be paid."),
    Refusal.BOOKING_CANCELLED: (409, "This booking has been cancelled."),
    Refusal.AMOUNT_MISMATCH: (409, "What was paid is not what the booking costs. The money goes back."),
    Refusal.EXPIRED_SEATS_LOST: (410, "The money came too late and the seats are gone. The money goes back."),
    Refusal.ALREADY_CANCELLED: (409, "This has already been cancelled or has expired."),
    Refusal.PAST_DEADLINE: (409, "It is too late for that."),
    Refusal.EXCEEDS_PAID: (409, "That is more than is left of what was paid."),
    Refusal.SEAT_NOT_IN_BOOKING: (422, "{seats} is not part of this booking."),
    Refusal.CATEGORY_UNPRICED: (422, "The category {categories} has no price."),
    Refusal.PRICE_CHANGED: (409, "The price is not what you were shown. Look at it again."),
    Refusal.PROMO_INVALID: (422, "This promotion code is not valid here."),
    Refusal.CURRENCY_DIFFERS: (422, "This showtime is sold in {currency}."),
    Refusal.SEATS_VANISH: (409, "The other drawing has no {seats}, and somebody has them. Move or cancel those first."),
    Refusal.HAS_SALES: (409, "Tickets have been sold. Ask again with notify to change it and tell everybody."),
}

_UNAVAILABLE: Final = {
    "held": "Somebody was faster with {}.",
    "sold": "{} is already sold.",
    "blocked": "{} is not for sale.",
    "channel": "{} is sold elsewhere.",
    "accessible_only": "{} is kept for guests who need it.",
}

_MONEY_BACK: Final = {
    "amount_mismatch": (409, Refusal.AMOUNT_MISMATCH.value, REFUSALS[Refusal.AMOUNT_MISMATCH][1]),
    "booking_cancelled": (409, Refusal.BOOKING_CANCELLED.value, "This booking was cancelled. The money goes back."),
    "second_payment": (409, "already_paid", "This booking is already paid. The second payment goes back."),
}
_SEATS_LOST: Final = (410, Refusal.EXPIRED_SEATS_LOST.value, REFUSALS[Refusal.EXPIRED_SEATS_LOST][1])


def rfc3339(at: Instant) -> str:
    """`2026-11-21T18:00:00Z`, with milliseconds only where there are some."""
    second, ms = divmod(at, 1_000)
    return f"{_second(second)}.{ms:03d}Z" if ms else f"{_second(second)}Z"


@lru_cache(maxsize=8_192)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def money(amount: int, currency: str) -> Money:
    return {"amount": amount, "currency": currency}


def policy(steps: Iterable[RefundStep], currency: str) -> list[PolicyLine]:
    """A cancellation policy, longest notice first."""
    return [policy_line(step, currency) for step in steps]


def policy_line(step: RefundStep, currency: str) -> PolicyLine:
    bps = step.refund_bps
    percent = bps / 100 if bps % 100 else bps // 100
    return {"hours_before": step.hours_before, "refund_pct": percent, "fee": money(step.fee, currency)}


def answer(reply: Reply, command: Command) -> Answer:
    """Status and body for what became of a command. A body with `code` is a problem."""
    decision = reply.decision
    if type(decision) is Refused:
        return refused(decision)
    return _ANSWERS[type(command)](reply, command)


def refused(decision: Refused) -> Answer:
    """Status and `{code, detail, conflicts?, …facts}`."""
    status, sentence = REFUSALS[decision.refusal]
    body: Json = {"code": decision.refusal.value}
    if "{" in sentence:
        body["detail"] = sentence.format_map(_words(decision))
    else:
        body["detail"] = sentence
    if decision.conflicts:
        body["conflicts"] = [{"seat": seat, "reason": why} for seat, why in decision.conflicts.items()]
    for name, fact in decision.facts.items():
        body["booking_status" if name == "status" else name] = fact
    return status, body


def hold(state: SeatMap, held: Hold) -> Json:
    """A live hold as its owner sees it."""
    return _hold(held.id, held, state, state.version)


def booking(state: SeatMap, booked: Booking) -> Json:
    """A booking as its owner sees it."""
    return booking_body(
        {"id": state.showtime_id},
        booking_id=booked.id,
        reference=booked.reference,
        hold_id=booked.hold_id,
        status=booked.status.value,
        lines=booked.lines,
        currency=booked.currency,
        tickets=booked.tickets,
        expires_at=booked.expires_at if booked.status is BookingStatus.PENDING_PAYMENT else None,
        payment={"id": booked.payment_id or None, "status": payment_status(booked)},
    )


def booking_body(
    showtime: Json,
    *,
    booking_id: str,
    reference: str,
    hold_id: str,
    status: str,
    lines: Sequence[Line],
    currency: str,
    tickets: Sequence[Ticket],
    expires_at: Instant | None,
    payment: Json,
) -> Json:
    """A booking's members, in the order of the contract."""
    body: Json = {
        "id": booking_id,
        "reference": reference,
        "status": status,
        "showtime": showtime,
        "hold_id": hold_id,
        "seats": seats(lines, currency),
        **sums(lines, currency),
        "expires_at": None if expires_at is None else rfc3339(expires_at),
        "payment": payment,
    }
    if tickets:
        body["tickets"] = [{"id": ticket.id, "seat": ticket.seat} for ticket in tickets]
    return body


def own_holds(state: SeatMap, account_id: str) -> list[Json]:
    """The caller's live holds, the newest last. Looks no further back than all pledged seats are accounted for."""
    own: list[Hold] = []
    missing = state.pledged.get(account_id, 0)
    for held in tuple(state.holds.values())[::-1]:
        if missing <= 0:
            break
        if held.owner == account_id:
            own.append(held)
            missing -= len(held.lines)
    return [hold(state, held) for held in reversed(own)]


def mine(state: SeatMap, account_id: str) -> Json:
    """The caller's own live holds and bookings: the body of the socket's `mine` frame."""
    return {
        "holds": own_holds(state, account_id),
        "bookings": [
            {"id": own.id, "reference": own.reference, "status": own.status.value, "seats": list(own.seats)}
            for own in state.bookings.values()
            if own.owner == account_id
        ],
    }


def seats(lines: Iterable[Line], currency: str) -> list[Json]:
    """Each seat with its quote."""
    return [
        {
            "seat": line.seat,
            "category": line.category,
            "ticket_type": line.ticket_type,
            "price": {"amount": line.amount, "currency": currency},
            "fee": {"amount": line.fee, "currency": currency},
            "tax": {"amount": line.tax, "currency": currency},
            "total": {"amount": line.amount + line.fee + line.tax, "currency": currency},
        }
        if not line.rules and not line.discount
        else _marked_seat(line, currency)
        for line in lines
    ]


def _marked_seat(line: Line, currency: str) -> Json:
    """A seat that costs something else than the list says, and why."""
    seat: Json = {
        "seat": line.seat,
        "category": line.category,
        "ticket_type": line.ticket_type,
        "price": money(line.amount, currency),
        "fee": money(line.fee, currency),
        "tax": money(line.tax, currency),
        "total": money(line.total, currency),
    }
    if line.rules:
        seat["rules"] = list(line.rules)
    if line.discount:
        seat["discount"] = money(line.discount, currency)
    return seat


def sums(lines: Sequence[Line], currency: str) -> Json:
    """What the seats cost together."""
    return {
        "subtotal": money(sum(line.amount for line in lines), currency),
        "fees": money(sum(line.fee for line in lines), currency),
        "tax": money(sum(line.tax for line in lines), currency),
        "discount": money(sum(line.discount for line in lines), currency),
        "total": money(sum(line.total for line in lines), currency),
        "currency": currency,
    }


def _hold(hold_id: str, held: e.SeatsHeld | e.HoldChanged | Hold, state: SeatMap, seq: int) -> Json:
    currency = state.terms.tariff.currency
    total = 0
    for line in held.lines:
        total += line.amount + line.fee + line.tax
    return {
        "hold_id": hold_id,
        "showtime_id": state.showtime_id,
        "seats": seats(held.lines, currency),
        "total": {"amount": total, "currency": currency},
        "expires_at": rfc3339(held.expires_at),
        "renewals_left": held.renewals_left,
        "next_to_each_other": held.next_to_each_other,
        "seq": seq,
    }


def _held(reply: Reply, command: Any) -> Answer:
    record = reply.records[0]
    assert isinstance(record.event, e.SeatsHeld), record
    return 201, _hold(record.event.hold_id, record.event, reply.state, record.version)


def _changed(reply: Reply, command: c.ChangeHold) -> Answer:
    if reply.records:
        record = reply.records[0]
        assert isinstance(record.event, e.HoldChanged), record
        return 200, _hold(record.event.hold_id, record.event, reply.state, record.version)
    return _live_hold(reply.state, command.hold_id)


def _live_hold(state: SeatMap, hold_id: str) -> Answer:
    """The hold as it stands; it may have ended between the decision and now."""
    held = state.holds.get(hold_id)
    return refused(Refused(Refusal.HOLD_EXPIRED)) if held is None else (200, hold(state, held))


def _renewed(reply: Reply, command: c.RenewHold) -> Answer:
    record = reply.records[0]
    assert isinstance(record.event, e.HoldRenewed), record
    return 200, {
        "hold_id": record.event.hold_id,
        "expires_at": rfc3339(record.event.expires_at),
        "renewals_left": record.event.renewals_left,
        "seq": record.version,
    }


def _released(reply: Reply, command: c.ReleaseHold) -> Answer:
    return 204, {}


def _placed(reply: Reply, command: c.PlaceBooking | c.BookSeats) -> Answer:
    last = reply.records[-1].event
    if isinstance(last, e.BookingConfirmed):
        return 201, _sold(reply.state, last)
    assert isinstance(last, e.BookingPlaced), last
    return 201, booking_body(
        {"id": reply.state.showtime_id},
        booking_id=last.booking_id,
        reference=last.reference,
        hold_id=last.hold_id,
        status=BookingStatus.PENDING_PAYMENT.value,
        lines=last.lines,
        currency=last.currency,
        tickets=(),
        expires_at=last.expires_at,
        payment={"id": None, "status": "none"},
    )


def _payment_started(reply: Reply, command: c.StartPayment) -> Answer:
    event = reply.records[0].event
    assert isinstance(event, e.PaymentStarted), event
    return 201, {
        "payment_id": event.payment_id,
        "booking_id": event.booking_id,
        "provider": event.provider,
        "amount": money(event.amount, event.currency),
        "currency": event.currency,
        "expires_at": rfc3339(event.expires_at),
    }


def _confirmed(reply: Reply, command: c.ConfirmBooking) -> Answer:
    if not reply.records:
        return 200, booking(reply.state, reply.state.bookings[command.booking_id])
    event = reply.records[0].event
    if isinstance(event, e.BookingConfirmed):
        return 200, _sold(reply.state, event)
    assert isinstance(event, e.RefundDecided), event
    return money_back(event.reason, event.refund_id)


def money_back(reason: str, refund_id: object) -> Answer:
    """Money that arrived and could not buy the seats."""
    status, code, detail = _MONEY_BACK.get(reason, _SEATS_LOST)
    return status, {"code": code, "detail": detail, "refund_id": refund_id}


def _sold(state: SeatMap, event: e.BookingConfirmed) -> Json:
    return booking_body(
        {"id": state.showtime_id},
        booking_id=event.booking_id,
        reference=event.reference,
        hold_id=event.hold_id,
        status=BookingStatus.CONFIRMED.value,
        lines=event.lines,
        currency=event.currency,
        tickets=event.tickets,
        expires_at=None,
        payment={"id": event.payment_id or None, "status": "succeeded" if event.amount else "none"},
    )


def _cancelled(reply: Reply, command: c.CancelBooking) -> Answer:
    event = reply.records[0].event
    assert isinstance(event, e.BookingCancelled), event
    stands = BookingStatus.CONFIRMED if event.tickets else BookingStatus.PENDING_PAYMENT
    status = BookingStatus.CANCELLED if event.whole else stands
    body = booking_body(
        {"id": reply.state.showtime_id},
        booking_id=event.booking_id,
        reference=event.reference,
        hold_id=event.hold_id,
        status=status.value,
        lines=event.lines,
        currency=event.currency,
        tickets=event.tickets,
        expires_at=None,
        payment={"id": event.payment_id or None, "status": _payment_after(event)},
    )
    if status is BookingStatus.PENDING_PAYMENT:
        body["expires_at"] = rfc3339(reply.state.bookings[event.booking_id].expires_at)
    body["cancelled_seats"] = list(event.seats)
    body["refund"] = refund(event)
    return 200, body


def _payment_after(event: e.BookingCancelled) -> str:
    if event.refunded:
        return "refunded" if event.refunded == event.paid else "partially_refunded"
    if event.paid or not event.payment_id:
        return "succeeded" if event.paid else "none"
    return "failed" if event.whole else "pending"


def refund(event: e.BookingCancelled) -> Json | None:
    """The money that goes back because of a cancellation; None when there is none."""
    return _refund(event) if event.refund else None


def refunded(event: e.Event, states: Mapping[str, str]) -> Json | None:
    """The money that goes back because of any event, and how far it is."""
    match event:
        case e.BookingCancelled(refund=amount) | e.RefundGranted(refund=amount) | e.RefundDecided(amount=amount):
            if not amount:
                return None
            amounts = money(amount, event.currency)
            return {"id": event.refund_id, "amount": amounts, "status": states[event.refund_id]}
    return None


def _refund(event: e.BookingCancelled | e.RefundGranted) -> Json:
    return {"id": event.refund_id, "amount": money(event.refund, event.currency), "status": "pending"}


def _refund_given(reply: Reply, command: c.RefundBooking) -> Answer:
    event = reply.records[0].event
    assert isinstance(event, e.BookingCancelled | e.RefundGranted), event
    return 201, {
        **_refund(event),
        "booking_id": event.booking_id,
        "payment_id": event.payment_id,
        "seats": list(event.seats) if isinstance(event, e.BookingCancelled) else [],
        "reason": event.reason,
        "paid": money(event.paid, event.currency),
        "refunded": money(event.refunded, event.currency),
    }


def _house(reply: Reply, command: Command) -> Answer:
    return 200, standing(reply.state, reply.records)


def standing(state: SeatMap, records: Sequence[Record] = ()) -> Json:
    """How the whole showtime stands, for the staff of the house."""
    status, sales = public_status(state)
    return {
        "showtime_id": state.showtime_id,
        "seq": records[-1].version if records else state.version,
        "status": status,
        "sales": sales,
        "counts": counts(state),
    }


def _showtime_cancelled(reply: Reply, command: c.CancelShowtime) -> Answer:
    ended = [record.event for record in reply.records if isinstance(record.event, e.BookingCancelled)]
    return 202, {
        "showtime_id": reply.state.showtime_id,
        "seq": reply.records[-1].version,
        "status": reply.state.status.value,
        **cancellation_progress(ended, reply.state.terms.tariff.currency),
    }


def cancellation_progress(
    ended: Sequence[e.BookingCancelled], currency: str, states: Mapping[str, str] | None = None
) -> Json:
    """How many bookings ended with their showtime, and how far their refunds are. Without `states`, none has begun."""
    owed = [event for event in ended if event.refund]
    by_state = Counter("pending" if states is None else states[event.refund_id] for event in owed)
    return {
        "bookings": len(ended),
        "refunded": by_state["succeeded"],
        "failed": by_state["failed"],
        "pending": by_state["pending"],
        "amount": money(sum(event.refund for event in owed), currency),
    }


_ANSWERS: Final[Mapping[type[Command], Callable[[Reply, Any], Answer]]] = {
    c.HoldSeats: _held,
    c.ChangeHold: _changed,
    c.RenewHold: _renewed,
    c.ReleaseHold: _released,
    c.PlaceBooking: _placed,
    c.BookSeats: _placed,
    c.StartPayment: _payment_started,
    c.ConfirmBooking: _confirmed,
    c.CancelBooking: _cancelled,
    c.RefundBooking: _refund_given,
    c.BlockSeats: _house,
    c.UnblockSeats: _house,
    c.OpenSales: _house,
    c.CloseSales: _house,
    c.Reschedule: _house,
    c.Reprice: _house,
    c.ChangeRefundPolicy: _house,
    c.CancelShowtime: _showtime_cancelled,
}


class _Words(dict[str, str]):
    """The words of a sentence; one that the refusal does not bring is left out."""

    def __missing__(self, word: str) -> str:
        return ""


def _words(decision: Refused) -> _Words:
    words = _Words((name, _listed(fact)) for name, fact in decision.facts.items())
    words["seats"] = _listed(list(decision.conflicts))
    own = "hold_id" in decision.facts
    words["unavailable"] = f"You hold {words['seats']} already." if own else " ".join(_reasons(decision.conflicts))
    return words


def _reasons(conflicts: Mapping[str, str]) -> list[str]:
    """One sentence for each reason, naming its seats."""
    by_reason: dict[str, list[str]] = {}
    for seat, why in conflicts.items():
        by_reason.setdefault(why, []).append(seat)
    return [_UNAVAILABLE.get(why, "{} cannot be had.").format(_listed(named)) for why, named in by_reason.items()]


def _listed(fact: object) -> str:
    """`A1`, `A1 and A2`, `A1, A2 and A3`."""
    if not isinstance(fact, list):
        return str(fact).replace("_", " ")
    *most, last = [str(item) for item in fact] or [""]
    return f"{', '.join(most)} and {last}" if most else last
