"""Rules of buying: a hold becomes a booking, money confirms it, and late money is rescued or returned."""

import hashlib
import re
from collections.abc import Sequence

from actors.seatmap.commands import (
    ActorKind,
    BookSeats,
    CancelBooking,
    Cause,
    ConfirmBooking,
    HoldSeats,
    PlaceBooking,
    RefundBooking,
    StartPayment,
)
from actors.seatmap.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingPlaced,
    Event,
    Line,
    PaymentStarted,
    RefundDecided,
    RefundGranted,
    SeatsHeld,
    Ticket,
)
from actors.seatmap.holds import closed, hold_seats, own_hold
from actors.seatmap.promotions import discounted
from actors.seatmap.refunds import offer, worth_of
from actors.seatmap.refusals import Accepted, Decision, Refusal, Refused
from actors.seatmap.state import LIVE, Booking, BookingStatus, SeatMap, Status
from actors.seatmap.terms import Instant

NO_PAYMENT = "none"

_LONG_AGO = "00000000-0000"
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""What the sign of a digest becomes where a UUID names its variant."""

_is_v7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch


def place_booking(state: SeatMap, c: PlaceBooking, now: Instant) -> Decision:
    hold = own_hold(state, c.cause, c.hold_id)
    if isinstance(hold, Refused):
        return hold
    if no := closed(state, c.cause):
        return no
    lines = _as_charged(state, c, hold.lines, now)
    if isinstance(lines, Refused):
        return lines
    expires_at = max(hold.expires_at, now + state.terms.payment_seconds_min * 1_000)
    return Accepted(_placed(state, c, hold.owner, lines, expires_at))


def book_seats(state: SeatMap, c: BookSeats, now: Instant) -> Decision:
    wish = HoldSeats(c.cause, hold_id=c.hold_id, seats=c.seats, ticket_types=c.ticket_types)
    decision = hold_seats(state, wish, now)
    if isinstance(decision, Refused):
        return decision
    (held,) = decision.events
    assert isinstance(held, SeatsHeld)
    lines = _as_charged(state, c, held.lines, now)
    if isinstance(lines, Refused):
        return lines
    return Accepted((held, *_placed(state, c, held.owner, lines, held.expires_at)))


def start_payment(state: SeatMap, c: StartPayment, now: Instant) -> Decision:
    booking = own_booking(state, c.cause, c.booking_id)
    if isinstance(booking, Refused):
        return booking
    if booking.status is not BookingStatus.PENDING_PAYMENT:
        return Refused(Refusal.BOOKING_NOT_PAYABLE, facts={"status": booking.status.value})
    return Accepted(
        (
            PaymentStarted(
                booking.id,
                c.payment_id,
                booking.owner,
                c.provider,
                booking.total,
                booking.currency,
                max(booking.expires_at, now + state.terms.payment_seconds_min * 1_000),
            ),
        )
    )


def confirm_booking(state: SeatMap, c: ConfirmBooking, now: Instant) -> Decision:
    """One decision for money that arrived: confirmed, rescued late, or going back for good."""
    booking = state.bookings.get(c.booking_id)
    if booking is None:
        return Refused(Refusal.BOOKING_UNKNOWN)
    if c.payment_id in booking.refunded_payments:
        return Refused(Refusal.EXPIRED_SEATS_LOST, facts={"refund_id": derived_id(c.payment_id, "refund")})
    if booking.paid and booking.payment_id == c.payment_id:  # old news: this money has bought the seats already
        still = booking.status is BookingStatus.CONFIRMED
        return Accepted(()) if still else Refused(Refusal.BOOKING_CANCELLED)
    if reason := _unusable(state, booking, c):
        return Accepted((_money_back(booking, c, reason),))
    return Accepted((_confirmed(booking, c, late=booking.status is BookingStatus.EXPIRED),))


def cancel_booking(state: SeatMap, c: CancelBooking, now: Instant) -> Decision:
    booking = own_booking(state, c.cause, c.booking_id)
    if isinstance(booking, Refused):
        return booking
    if now >= state.terms.starts_at and c.cause.kind is ActorKind.CUSTOMER:
        return Refused(Refusal.PAST_DEADLINE)
    gone = given_up(booking, c.seats)
    if isinstance(gone, Refused):
        return gone
    return Accepted((cancelled(booking, gone, offer(state, booking, gone, now).refund, c.cause, c.reason),))


def refund_booking(state: SeatMap, c: RefundBooking, now: Instant) -> Decision:
    """Seats that are given up come back in full; an amount alone comes back for nothing."""
    booking = own_booking(state, c.cause, c.booking_id)
    if isinstance(booking, Refused):
        return booking
    if c.amount is not None:
        return _granted(booking, c, c.amount)
    gone = given_up(booking, c.seats)
    if isinstance(gone, Refused):
        return gone
    worth = worth_of(booking, gone)
    if not worth:
        return _exceeds_paid(booking)
    return Accepted((cancelled(booking, gone, worth, c.cause, c.reason),))


def given_up(booking: Booking, seats: Sequence[str]) -> Sequence[Line] | Refused:
    """The lines of these seats, of all when none is named, in a booking that still lives."""
    if booking.status not in LIVE:
        return Refused(Refusal.ALREADY_CANCELLED, facts={"status": booking.status.value})
    if missing := [seat for seat in seats if seat not in booking.seats]:
        return Refused(Refusal.SEAT_NOT_IN_BOOKING, dict.fromkeys(missing, "not_in_booking"))
    return [line for line in booking.lines if not seats or line.seat in seats]


def cancelled(booking: Booking, gone: Sequence[Line], refund: int, cause: Cause, reason: str) -> BookingCancelled:
    """`gone` leaves the booking and `refund` of what it was worth goes back."""
    worth = worth_of(booking, gone)
    assert 0 <= refund <= worth, (refund, worth)
    seats = tuple(line.seat for line in gone)
    whole = len(gone) == len(booking.lines)
    return BookingCancelled(
        booking_id=booking.id,
        reference=booking.reference,
        hold_id=booking.hold_id,
        owner=booking.owner,
        seats=seats,
        lines=booking.lines if whole else tuple(line for line in booking.lines if line.seat not in seats),
        currency=booking.currency,
        tickets=() if whole else tuple(ticket for ticket in booking.tickets if ticket.seat not in seats),
        whole=whole,
        payment_id=booking.payment_id,
        paid=booking.paid,
        refunded=booking.refunded + refund,
        refund_id=derived_id(cause.command_id, booking.id) if refund else "",
        refund=refund,
        reason=reason,
        left=booking.value - worth,
    )


def own_booking(state: SeatMap, cause: Cause, booking_id: str) -> Booking | Refused:
    """The caller's booking. Somebody else's looks as if it were not there."""
    booking = state.bookings.get(booking_id)
    if booking is None or (booking.owner != cause.actor_id and cause.kind is ActorKind.CUSTOMER):
        return Refused(Refusal.BOOKING_UNKNOWN)
    return booking


def derived_id(*parts: str) -> str:
    """A UUIDv7 that follows from others, so that deciding mints nothing and a replay finds the same one.

    Its time is that of the last UUIDv7 among them.
    """
    at = next((part[:13] for part in reversed(parts) if _is_v7(part)), _LONG_AGO)
    noise = hashlib.blake2b("|".join(parts).encode(), digest_size=16).hexdigest()
    return f"{at}-7{noise[13:16]}-{_VARIANTS[noise[16]]}{noise[17:20]}-{noise[20:]}"


def _as_charged(
    state: SeatMap, c: PlaceBooking | BookSeats, quoted: tuple[Line, ...], now: Instant
) -> tuple[Line, ...] | Refused:
    """The quote less the promotion. Refused where the customer was shown another total."""
    lines: tuple[Line, ...] | Refused = quoted
    if c.promo is not None:
        lines = discounted(quoted, c.promo, now, tax_included=state.terms.tariff.tax_included)
    if isinstance(lines, Refused) or c.expected_total is None:
        return lines
    total, currency = sum(line.total for line in lines), state.terms.tariff.currency
    if total == c.expected_total:
        return lines
    shown = {"old": {"amount": c.expected_total, "currency": currency}, "new": {"amount": total, "currency": currency}}
    return Refused(Refusal.PRICE_CHANGED, facts=shown)


def _placed(
    state: SeatMap, c: PlaceBooking | BookSeats, owner: str, lines: tuple[Line, ...], expires_at: Instant
) -> tuple[Event, ...]:
    currency = state.terms.tariff.currency
    promo = "" if c.promo is None else c.promo.code
    placed = BookingPlaced(c.booking_id, c.reference, c.hold_id, owner, lines, currency, expires_at, promo)
    if any(line.total for line in lines):
        return (placed,)
    free_of_charge = BookingConfirmed(
        booking_id=c.booking_id,
        reference=c.reference,
        hold_id=c.hold_id,
        owner=owner,
        lines=lines,
        currency=currency,
        tickets=_tickets(c.booking_id, lines),
        payment_id="",
        provider=NO_PAYMENT,
        provider_payment_id="",
        amount=0,
        late=False,
    )
    return (placed, free_of_charge)


def _unusable(state: SeatMap, booking: Booking, c: ConfirmBooking) -> str | None:
    """Why this money cannot buy this booking, or None."""
    if booking.status is BookingStatus.CONFIRMED:
        return "second_payment"
    if booking.status is BookingStatus.CANCELLED:
        return "booking_cancelled"
    if (c.amount, c.currency) != (booking.total, booking.currency):
        return "amount_mismatch"
    if state.status in (Status.CANCELLED, Status.COMPLETED):
        return "showtime_over"
    if booking.status is BookingStatus.EXPIRED and not _are_free(state, booking.seats):
        return "seats_lost"
    if booking.status is BookingStatus.EXPIRED and booking.promo:
        return "promo_given_back"  # somebody else may have had it since, and its uses are counted
    return None


def _are_free(state: SeatMap, seats: Sequence[str]) -> bool:
    """Also still there: the showtime may have moved to a screen without them."""
    return all(seat in state.layout.seats and seat not in state.taken for seat in seats)


def _confirmed(booking: Booking, c: ConfirmBooking, *, late: bool) -> BookingConfirmed:
    return BookingConfirmed(
        booking_id=booking.id,
        reference=booking.reference,
        hold_id=booking.hold_id,
        owner=booking.owner,
        lines=booking.lines,
        currency=booking.currency,
        tickets=_tickets(booking.id, booking.lines),
        payment_id=c.payment_id,
        provider=c.provider,
        provider_payment_id=c.provider_payment_id,
        amount=c.amount,
        late=late,
    )


def _money_back(booking: Booking, c: ConfirmBooking, reason: str) -> RefundDecided:
    return RefundDecided(
        booking_id=booking.id,
        owner=booking.owner,
        payment_id=c.payment_id,
        provider=c.provider,
        provider_payment_id=c.provider_payment_id,
        amount=c.amount,
        currency=c.currency,
        refund_id=derived_id(c.payment_id, "refund"),
        reason=reason,
    )


def _granted(booking: Booking, c: RefundBooking, amount: int) -> Decision:
    """First from what the seats are worth, then from what was kept of others."""
    if not 0 < amount <= booking.paid - booking.refunded:
        return _exceeds_paid(booking)
    return Accepted(
        (
            RefundGranted(
                booking_id=booking.id,
                reference=booking.reference,
                owner=booking.owner,
                payment_id=booking.payment_id,
                currency=booking.currency,
                paid=booking.paid,
                refunded=booking.refunded + amount,
                left=max(0, booking.value - amount),
                refund_id=derived_id(c.cause.command_id, booking.id),
                refund=amount,
                reason=c.reason,
            ),
        )
    )


def _exceeds_paid(booking: Booking) -> Refused:
    left = {"amount": booking.paid - booking.refunded, "currency": booking.currency}
    return Refused(Refusal.EXCEEDS_PAID, facts={"refundable": left})


def _tickets(booking_id: str, lines: Sequence[Line]) -> tuple[Ticket, ...]:
    return tuple(Ticket(derived_id(booking_id, line.seat), line.seat) for line in lines)
