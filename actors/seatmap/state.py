"""The state of one seat map, and `evolve`, the only function that moves it.

A `SeatMap` is never changed once anybody outside this module can see it. `evolve` folds records into a private copy
and hands that over, so a turn pays for one copy and a replay of any length pays for one as well.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from actors.seatmap import events as e
from actors.seatmap.commands import BlockKind
from actors.seatmap.events import Line, Record, Ticket
from actors.seatmap.layout import Layout
from actors.seatmap.memory import Memory
from actors.seatmap.terms import Instant, RefundStep, Terms
from actors.seatmap.values import dataclass

NEVER: Final[Instant] = 1 << 62
V = TypeVar("V")


class Status(StrEnum):
    SCHEDULED = "scheduled"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


UNDER_WAY: Final = (Status.SCHEDULED, Status.RUNNING)
"""Showtimes that have not ended: time still brings them something."""


class Sales(StrEnum):
    NOT_OPEN = "not_open"
    OPEN = "open"
    CLOSED = "closed"


class BookingStatus(StrEnum):
    PENDING_PAYMENT = "pending_payment"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


LIVE: Final = (BookingStatus.PENDING_PAYMENT, BookingStatus.CONFIRMED)
"""Bookings that have seats."""


class SeatState(StrEnum):
    """What the public may know of a seat that is not free."""

    HELD = "held"
    SOLD = "sold"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Claim:
    """Why a seat is not free. `by` is the hold, the booking, or the block's reason. A block may end at `release_at`."""

    state: SeatState
    by: str
    kind: BlockKind | None = None
    release_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    id: str
    owner: str
    lines: tuple[Line, ...]
    expires_at: Instant
    first_held_at: Instant
    renewals_left: int
    next_to_each_other: bool

    @property
    def seats(self) -> tuple[str, ...]:
        return tuple(line.seat for line in self.lines)


@dataclass(frozen=True, slots=True)
class Booking:
    """`lines` are the seats that are still part of it; `paid` and `refunded` in minor units.

    `value` is what its seats are worth while it is confirmed: what was paid for them, less what came back although they
    were not given up. `refund_policy` is the one it was made under; `moved` says that the start has changed since.
    """

    id: str
    reference: str
    hold_id: str
    owner: str
    lines: tuple[Line, ...]
    currency: str
    status: BookingStatus
    expires_at: Instant
    tickets: tuple[Ticket, ...] = ()
    payment_id: str = ""
    paid: int = 0
    refunded: int = 0
    refunded_payments: tuple[str, ...] = ()
    promo: str = ""
    value: int = 0
    refund_policy: tuple[RefundStep, ...] = ()
    moved: bool = False

    @property
    def seats(self) -> tuple[str, ...]:
        return tuple(line.seat for line in self.lines)

    @property
    def total(self) -> int:
        return sum(line.total for line in self.lines)

    @property
    def kept(self) -> int:
        """What the house keeps of seats that were given up."""
        return self.paid - self.refunded - self.value


@dataclass(frozen=True, slots=True)
class SeatMap:
    """Everything that is true of one showtime's seats at `version`.

    `taken` has every seat that is not free. `pledged` counts each customer's seats in live holds and unpaid bookings.
    `deadline` is never later than the next moment at which something is due; it may be earlier.
    """

    showtime_id: str
    layout: Layout
    number: int
    version: int
    terms: Terms
    status: Status
    sales: Sales
    taken: Mapping[str, Claim]
    holds: Mapping[str, Hold]
    bookings: Mapping[str, Booking]
    pledged: Mapping[str, int]
    held: int
    sold: int
    blocked: int
    deadline: Instant
    memory: Memory

    @property
    def free(self) -> int:
        return self.layout.capacity - self.held - self.sold - self.blocked


class Draft:
    """A seat map under construction: the same fields as `SeatMap`, mutable, seen by nobody but the fold."""

    def __init__(self, of: SeatMap) -> None:
        self.showtime_id = of.showtime_id
        self.layout = of.layout
        self.number = of.number
        self.version = of.version
        self.terms = of.terms
        self.status = of.status
        self.sales = of.sales
        self.taken = _own(of.taken)
        self.holds = _own(of.holds)
        self.bookings = of.bookings  # grows for as long as people pay late, so `put` copies it only when it changes
        self.pledged = _own(of.pledged)
        self.held = of.held
        self.sold = of.sold
        self.blocked = of.blocked
        self.deadline = of.deadline
        self.memory = of.memory
        self._own_bookings: dict[str, Booking] | None = None

    def publish(self) -> SeatMap:
        return SeatMap(
            self.showtime_id,
            self.layout,
            self.number,
            self.version,
            self.terms,
            self.status,
            self.sales,
            self.taken,
            self.holds,
            self.bookings,
            self.pledged,
            self.held,
            self.sold,
            self.blocked,
            self.deadline,
            self.memory,
        )

    def put(self, booking: Booking) -> None:
        if self._own_bookings is None:
            self.bookings = self._own_bookings = _own(self.bookings)
        self._own_bookings[booking.id] = booking

    def claim(self, seats: Iterable[str], claim: Claim) -> None:
        taken = self.taken
        for seat in seats:
            before = taken.get(seat)
            if before is not None:
                self._count(before.state, -1)
            taken[seat] = claim
            self._count(claim.state, 1)

    def free_up(self, seats: Iterable[str]) -> None:
        for seat in seats:
            self._count(self.taken.pop(seat).state, -1)

    def pledge(self, owner: str, seats: int) -> None:
        left = self.pledged.get(owner, 0) + seats
        if left:
            self.pledged[owner] = left
        else:
            self.pledged.pop(owner, None)

    def due_at(self, at: Instant) -> None:
        if at < self.deadline:
            self.deadline = at

    def _count(self, state: SeatState, by: int) -> None:
        if state is SeatState.HELD:
            self.held += by
        elif state is SeatState.SOLD:
            self.sold += by
        else:
            self.blocked += by


def _own(facts: Mapping[str, V]) -> dict[str, V]:
    """A copy to change. `dict(facts)` takes five times as long as soon as something was ever taken out of them."""
    assert isinstance(facts, dict)
    return facts.copy()


def genesis(showtime_id: str, layout: Layout, first: Record) -> SeatMap:
    """The seat map right after its first record, which must be `ShowtimeScheduled`."""
    event = first.event
    assert isinstance(event, e.ShowtimeScheduled), first
    assert first.version == 1, first
    assert event.terms.layout_id == layout.id, (event.terms.layout_id, layout.id)
    return SeatMap(
        showtime_id=showtime_id,
        layout=layout,
        number=event.number,
        version=1,
        terms=event.terms,
        status=Status.SCHEDULED,
        sales=Sales.NOT_OPEN,
        taken={},
        holds={},
        bookings={},
        pledged={},
        held=0,
        sold=0,
        blocked=0,
        deadline=min(event.terms.sales_open_at, event.terms.starts_at),
        memory=Memory.empty(since=1),
    )


def evolve(state: SeatMap, records: Iterable[Record]) -> SeatMap:
    """The state after these records. They must follow the state without a gap."""
    draft = Draft(state)
    at: Instant = -1
    for record in records:
        assert record.version == draft.version + 1, (record.version, draft.version)
        _EVOLVE[type(record.event)](draft, record.event, record.at)
        draft.version = record.version
        if record.cause.retryable:
            draft.memory = draft.memory.remember(record)
        at = record.at
    if draft.deadline <= at:
        draft.deadline = next_due(draft)
    return draft.publish()


def next_due(state: "SeatMap | Draft") -> Instant:
    """The moment at which something is due, exactly; NEVER when nothing will ever be."""
    moments = [hold.expires_at for hold in state.holds.values()]
    moments += [b.expires_at for b in state.bookings.values() if b.status is BookingStatus.PENDING_PAYMENT]
    terms = state.terms
    if state.status is Status.SCHEDULED:
        moments.append(terms.starts_at)
        if state.sales is Sales.NOT_OPEN:
            moments.append(terms.sales_open_at)
    if state.status is Status.RUNNING:
        moments.append(terms.ends_at)
    if state.sales is Sales.OPEN:
        moments.append(terms.sales_close_at)
    if state.blocked and state.status in UNDER_WAY:
        moments += [claim.release_at for claim in state.taken.values() if claim.release_at is not None]
    return min(moments, default=NEVER)


def _rescheduled(draft: Draft, event: e.ShowtimeRescheduled, _at: Instant) -> None:
    if event.terms.starts_at != draft.terms.starts_at:
        for booking in tuple(draft.bookings.values()):
            if booking.status in LIVE:
                draft.put(dataclasses.replace(booking, moved=True))
    if event.terms.layout_id != draft.layout.id:
        _redraw(draft, event.layout)
    draft.terms = event.terms
    draft.deadline = 0  # every time has moved: look at all of them


def _redraw(draft: Draft, layout: Layout | None) -> None:
    """Everybody's seats are there in the new drawing; what the house had blocked may not be."""
    assert layout is not None, "whoever reads a log brings the drawings that it names"
    draft.free_up([seat for seat in draft.taken if seat not in layout.seats])
    draft.layout = layout


def _prices_changed(draft: Draft, event: e.PricesChanged, _at: Instant) -> None:
    draft.terms = dataclasses.replace(draft.terms, tariff=event.tariff)


def _refund_policy_changed(draft: Draft, event: e.RefundPolicyChanged, _at: Instant) -> None:
    draft.terms = dataclasses.replace(draft.terms, refund_policy=event.refund_policy)


def _started(draft: Draft, _event: e.ShowtimeStarted, _at: Instant) -> None:
    draft.status = Status.RUNNING


def _completed(draft: Draft, _event: e.ShowtimeCompleted, _at: Instant) -> None:
    draft.status = Status.COMPLETED


def _cancelled(draft: Draft, _event: e.ShowtimeCancelled, _at: Instant) -> None:
    draft.status = Status.CANCELLED
    draft.sales = Sales.CLOSED


def _sales_opened(draft: Draft, _event: e.SalesOpened, _at: Instant) -> None:
    draft.sales = Sales.OPEN


def _sales_closed(draft: Draft, _event: e.SalesClosed, _at: Instant) -> None:
    draft.sales = Sales.CLOSED


def _held(draft: Draft, event: e.SeatsHeld, at: Instant) -> None:
    hold = Hold(
        event.hold_id, event.owner, event.lines, event.expires_at, at, event.renewals_left, event.next_to_each_other
    )
    draft.holds[hold.id] = hold
    draft.claim([line.seat for line in event.lines], Claim(SeatState.HELD, hold.id))
    draft.pledge(event.owner, len(event.lines))
    draft.due_at(event.expires_at)


def _hold_changed(draft: Draft, event: e.HoldChanged, _at: Instant) -> None:
    before = draft.holds[event.hold_id]
    draft.holds[event.hold_id] = dataclasses.replace(
        before, lines=event.lines, next_to_each_other=event.next_to_each_other
    )
    draft.free_up(event.freed)
    draft.claim([line.seat for line in event.lines], Claim(SeatState.HELD, event.hold_id))
    draft.pledge(event.owner, len(event.lines) - len(before.lines))


def _hold_renewed(draft: Draft, event: e.HoldRenewed, _at: Instant) -> None:
    draft.holds[event.hold_id] = dataclasses.replace(
        draft.holds[event.hold_id], expires_at=event.expires_at, renewals_left=event.renewals_left
    )


def _hold_ended(draft: Draft, event: e.HoldReleased | e.HoldExpired, _at: Instant) -> None:
    del draft.holds[event.hold_id]
    draft.free_up(event.seats)
    draft.pledge(event.owner, -len(event.seats))


def _placed(draft: Draft, event: e.BookingPlaced, _at: Instant) -> None:
    del draft.holds[event.hold_id]
    draft.put(
        Booking(
            id=event.booking_id,
            reference=event.reference,
            hold_id=event.hold_id,
            owner=event.owner,
            lines=event.lines,
            currency=event.currency,
            status=BookingStatus.PENDING_PAYMENT,
            expires_at=event.expires_at,
            promo=event.promo,
            refund_policy=draft.terms.refund_policy,
        )
    )
    draft.claim([line.seat for line in event.lines], Claim(SeatState.HELD, event.booking_id))
    draft.due_at(event.expires_at)


def _payment_started(draft: Draft, event: e.PaymentStarted, _at: Instant) -> None:
    draft.put(
        dataclasses.replace(draft.bookings[event.booking_id], payment_id=event.payment_id, expires_at=event.expires_at)
    )


def _confirmed(draft: Draft, event: e.BookingConfirmed, _at: Instant) -> None:
    booking = draft.bookings[event.booking_id]
    if booking.status is BookingStatus.PENDING_PAYMENT:
        draft.pledge(booking.owner, -len(booking.lines))
    draft.put(
        dataclasses.replace(
            booking,
            status=BookingStatus.CONFIRMED,
            tickets=event.tickets,
            payment_id=event.payment_id,
            paid=event.amount,
            value=event.amount,
        )
    )
    draft.claim([line.seat for line in event.lines], Claim(SeatState.SOLD, booking.id))


def _refund_decided(draft: Draft, event: e.RefundDecided, _at: Instant) -> None:
    booking = draft.bookings[event.booking_id]
    draft.put(dataclasses.replace(booking, refunded_payments=(*booking.refunded_payments, event.payment_id)))


def _booking_expired(draft: Draft, event: e.BookingExpired, _at: Instant) -> None:
    booking = draft.bookings[event.booking_id]
    draft.put(dataclasses.replace(booking, status=BookingStatus.EXPIRED))
    draft.free_up(event.seats)
    draft.pledge(event.owner, -len(event.seats))


def _booking_cancelled(draft: Draft, event: e.BookingCancelled, _at: Instant) -> None:
    booking = draft.bookings[event.booking_id]
    if booking.status is BookingStatus.PENDING_PAYMENT:
        draft.pledge(booking.owner, -len(event.seats))
    draft.put(
        dataclasses.replace(
            booking,
            status=BookingStatus.CANCELLED if event.whole else booking.status,
            lines=event.lines,
            tickets=event.tickets,
            refunded=event.refunded,
            value=event.value,
        )
    )
    draft.free_up(event.seats)


def _refund_granted(draft: Draft, event: e.RefundGranted, _at: Instant) -> None:
    booking = draft.bookings[event.booking_id]
    draft.put(dataclasses.replace(booking, refunded=event.refunded, value=event.left))


def _blocked(draft: Draft, event: e.SeatsBlocked, _at: Instant) -> None:
    draft.claim(event.seats, Claim(SeatState.BLOCKED, event.reason, event.kind, event.release_at))
    if event.release_at is not None:
        draft.due_at(event.release_at)


def _unblocked(draft: Draft, event: e.SeatsUnblocked, _at: Instant) -> None:
    draft.free_up(event.seats)


_EVOLVE: Final[Mapping[type, Callable[[Draft, Any, Instant], None]]] = {
    e.ShowtimeRescheduled: _rescheduled,
    e.ShowtimeStarted: _started,
    e.ShowtimeCompleted: _completed,
    e.ShowtimeCancelled: _cancelled,
    e.SalesOpened: _sales_opened,
    e.SalesClosed: _sales_closed,
    e.SeatsHeld: _held,
    e.HoldChanged: _hold_changed,
    e.HoldRenewed: _hold_renewed,
    e.HoldReleased: _hold_ended,
    e.HoldExpired: _hold_ended,
    e.BookingPlaced: _placed,
    e.PaymentStarted: _payment_started,
    e.BookingConfirmed: _confirmed,
    e.RefundDecided: _refund_decided,
    e.BookingExpired: _booking_expired,
    e.BookingCancelled: _booking_cancelled,
    e.RefundGranted: _refund_granted,
    e.SeatsBlocked: _blocked,
    e.SeatsUnblocked: _unblocked,
    e.PricesChanged: _prices_changed,
    e.RefundPolicyChanged: _refund_policy_changed,
}
