"""What the log means for the tables that are read by everybody else: bookings, their seats, daily sales, job rows,
postings.

Pure: rows follow from a state and the records that led to it. The journal writes them in the transaction of those
records, `rebuild` writes them from the whole log, and `verify` compares; all three call the same function.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from actors.seatmap import events as e
from actors.seatmap.events import Line, Record
from actors.seatmap.state import Booking, BookingStatus, SeatMap
from actors.seatmap.terms import Instant
from actors.seatmap.values import dataclass
from persistence.effects import effects
from persistence.jobs import Job
from persistence.ledger import Posting, postings

_LIVE: Final = (BookingStatus.PENDING_PAYMENT, BookingStatus.CONFIRMED)
_BOOKING_EVENTS: Final = (
    e.BookingPlaced,
    e.PaymentStarted,
    e.BookingConfirmed,
    e.RefundDecided,
    e.BookingExpired,
    e.BookingCancelled,
    e.RefundGranted,
)
_UNPROJECTED: Final = frozenset(
    (
        e.SeatsHeld,
        e.HoldChanged,
        e.HoldRenewed,
        e.HoldReleased,
        e.HoldExpired,
        e.SeatsBlocked,
        e.SeatsUnblocked,
        e.PricesChanged,
        e.RefundPolicyChanged,
    )
)


@dataclass(frozen=True, slots=True)
class BookingRow:
    """A booking. What is None or empty is not in these records and keeps the value it had."""

    booking_id: str
    showtime_id: str
    reference: str
    hold_id: str
    owner: str
    status: str
    currency: str
    total: int
    paid: int
    refunded: int
    payment_status: str
    payment_id: str
    provider: str
    provider_payment_id: str
    reason: str
    version: int
    at: Instant
    created_at: Instant | None
    expires_at: Instant
    confirmed_at: Instant | None
    ended_at: Instant | None


@dataclass(frozen=True, slots=True)
class SeatRow:
    """A seat of a booking. `rules` has the name of each price rule on a line of its own."""

    booking_id: str
    seat: str
    showtime_id: str
    position: int
    live: bool
    ticket_id: str
    category: str
    ticket_type: str
    amount: int
    fee: int
    tax: int
    discount: int
    rules: str


@dataclass(frozen=True, slots=True)
class SalesRow:
    """What is added to one day of one showtime. The day is the event's, in UTC."""

    day: str
    showtime_id: str
    currency: str
    bookings: int
    seats: int
    captured: int
    seats_cancelled: int
    refunded: int


@dataclass(frozen=True, slots=True)
class ShowtimeRow:
    """The part of a showtime's catalogue row that its seat map decides."""

    showtime_id: str
    version: int
    status: str
    sales: str
    free_seats: int
    starts_at: Instant
    ends_at: Instant
    sales_open_at: Instant
    sales_close_at: Instant
    screen_id: str
    layout_id: str
    capacity: int


@dataclass(frozen=True, slots=True)
class Changes:
    bookings: tuple[BookingRow, ...]
    seats: tuple[SeatRow, ...]
    sales: tuple[SalesRow, ...]
    jobs: tuple[Job, ...]
    postings: tuple[Posting, ...]
    showtime: ShowtimeRow


def is_projected(records: Iterable[Record]) -> bool:
    """Whether these records change any table but the log: holds and blocks do not, and never pay for one."""
    return any(type(record.event) not in _UNPROJECTED for record in records)


def changes(before: SeatMap | None, after: SeatMap, records: Sequence[Record]) -> Changes:
    """What the records between two states change. From the whole log, with no state before: all there is."""
    touched: dict[str, list[Record]] = {}
    for record in records:
        if isinstance(record.event, _BOOKING_EVENTS):
            touched.setdefault(record.event.booking_id, []).append(record)
    bookings = [_booking_row(after, after.bookings[booking_id], about) for booking_id, about in touched.items()]
    seats = [
        row
        for booking_id, about in touched.items()
        if any(not isinstance(record.event, e.PaymentStarted) for record in about)
        for row in _seat_rows(_known(before, booking_id), after, after.bookings[booking_id], about)
    ]
    return Changes(
        tuple(bookings),
        tuple(seats),
        _sales_rows(before, after.showtime_id, records),
        tuple(effects(before, after.showtime_id, records)),
        tuple(postings(before, after.showtime_id, records)),
        showtime_row(after),
    )


def showtime_row(state: SeatMap) -> ShowtimeRow:
    terms = state.terms
    return ShowtimeRow(
        state.showtime_id,
        state.version,
        state.status.value,
        state.sales.value,
        state.free,
        terms.starts_at,
        terms.ends_at,
        terms.sales_open_at,
        terms.sales_close_at,
        terms.screen_id,
        terms.layout_id,
        state.layout.capacity,
    )


def payment_status(booking: Booking) -> str:
    """Where the money of a booking stands: none, pending, succeeded, failed, partially_refunded or refunded."""
    if booking.paid:
        if not booking.refunded:
            return "succeeded"
        return "refunded" if booking.refunded == booking.paid else "partially_refunded"
    if booking.status is BookingStatus.PENDING_PAYMENT and booking.payment_id not in booking.refunded_payments:
        return "pending" if booking.payment_id else "none"
    if booking.refunded_payments:
        return "refunded"
    return "failed" if booking.payment_id else "none"


def _known(state: SeatMap | None, booking_id: str) -> Booking | None:
    return None if state is None else state.bookings.get(booking_id)


def _booking_row(state: SeatMap, booking: Booking, about: Sequence[Record]) -> BookingRow:
    provider = provider_payment_id = reason = ""
    created_at = confirmed_at = ended_at = None
    for record in about:
        match record.event:
            case e.BookingPlaced():
                created_at = record.at
            case e.PaymentStarted(provider=provider):
                pass
            case e.BookingConfirmed(provider=provider, provider_payment_id=provider_payment_id):
                confirmed_at = record.at
            case e.BookingExpired():
                ended_at = record.at
            case e.BookingCancelled(reason=why, whole=whole):
                reason = why or reason
                ended_at = record.at if whole else ended_at
    return BookingRow(
        booking_id=booking.id,
        showtime_id=state.showtime_id,
        reference=booking.reference,
        hold_id=booking.hold_id,
        owner=booking.owner,
        status=booking.status.value,
        currency=booking.currency,
        total=booking.total,
        paid=booking.paid,
        refunded=booking.refunded,
        payment_status=payment_status(booking),
        payment_id=booking.payment_id,
        provider=provider,
        provider_payment_id=provider_payment_id,
        reason=reason,
        version=about[-1].version,
        at=about[-1].at,
        created_at=created_at,
        expires_at=booking.expires_at,
        confirmed_at=confirmed_at,
        ended_at=None if booking.status in _LIVE else ended_at,
    )


def _seat_rows(before: Booking | None, state: SeatMap, booking: Booking, about: Sequence[Record]) -> Iterable[SeatRow]:
    """A row for every seat the booking has or had, in the order in which they came."""
    lines: dict[str, Line] = {line.seat: line for line in before.lines} if before is not None else {}
    tickets: dict[str, str] = {ticket.seat: ticket.id for ticket in before.tickets} if before is not None else {}
    for record in about:
        if isinstance(record.event, e.BookingPlaced | e.BookingConfirmed):
            lines.update((line.seat, line) for line in record.event.lines)
        if isinstance(record.event, e.BookingConfirmed):
            tickets.update((ticket.seat, ticket.id) for ticket in record.event.tickets)
    live = set(booking.seats) if booking.status in _LIVE else frozenset[str]()
    for position, (seat, line) in enumerate(lines.items()):
        yield SeatRow(
            booking_id=booking.id,
            seat=seat,
            showtime_id=state.showtime_id,
            position=position,
            live=seat in live,
            ticket_id=tickets.get(seat, ""),
            category=line.category,
            ticket_type=line.ticket_type,
            amount=line.amount,
            fee=line.fee,
            tax=line.tax,
            discount=line.discount,
            rules="\n".join(line.rules),
        )


def _sales_rows(before: SeatMap | None, showtime_id: str, records: Sequence[Record]) -> tuple[SalesRow, ...]:
    """Sales are bookings that were confirmed; seats that leave a confirmed booking count as cancelled."""
    confirmed: set[str] = set()
    days: dict[tuple[str, str], list[int]] = {}

    def add(at: Instant, currency: str, *counts: int) -> None:
        day = datetime.fromtimestamp(at / 1_000, UTC).date().isoformat()
        sums = days.setdefault((day, currency), [0, 0, 0, 0, 0])
        for place, count in enumerate(counts):
            sums[place] += count

    for record in records:
        match record.event:
            case e.BookingConfirmed(booking_id=booking_id, lines=lines, amount=amount, currency=currency):
                confirmed.add(booking_id)
                add(record.at, currency, 1, len(lines), amount, 0, 0)
            case e.BookingCancelled(booking_id=booking_id, seats=seats, refund=refund, currency=currency):
                known = _known(before, booking_id)
                if booking_id in confirmed or (known is not None and known.status is BookingStatus.CONFIRMED):
                    add(record.at, currency, 0, 0, 0, len(seats), refund)
            case e.RefundGranted(refund=refund, currency=currency):
                add(record.at, currency, 0, 0, 0, 0, refund)
            case e.RefundDecided(amount=amount, currency=currency):
                add(record.at, currency, 0, 0, amount, 0, amount)
    return tuple(SalesRow(day, showtime_id, currency, *sums) for (day, currency), sums in sorted(days.items()))
