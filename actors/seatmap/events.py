"""Events: what happened. Past tense, one fact each, complete enough to be folded without today's rules.

A `Record` is an event as the log keeps it: with its gap-free version, its time and its cause. `public_delta` is what
an event means to people who watch the map. Personal data never enters the log.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final

from actors.seatmap.commands import BlockKind, Cause
from actors.seatmap.layout import Layout
from actors.seatmap.terms import Instant, RefundStep, Tariff, Terms
from actors.seatmap.values import dataclass

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Line:
    """One seat with its quote, in minor units: `amount` price without tax, `fee` and `tax` on top, `discount` off.

    `rules` are the price rules that have gone into the amount.
    """

    seat: str
    category: str
    ticket_type: str
    amount: int
    fee: int
    tax: int
    rules: tuple[str, ...] = ()
    discount: int = 0

    @property
    def total(self) -> int:
        return self.amount + self.fee + self.tax - self.discount


@dataclass(frozen=True, slots=True)
class Ticket:
    id: str
    seat: str


@dataclass(frozen=True, slots=True)
class ShowtimeScheduled:
    number: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class ShowtimeRescheduled:
    """`layout` is the drawing that the terms name. The log leaves it out; who reads the log brings it along."""

    terms: Terms
    layout: Layout | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ShowtimeStarted:
    pass


@dataclass(frozen=True, slots=True)
class ShowtimeCompleted:
    pass


@dataclass(frozen=True, slots=True)
class ShowtimeCancelled:
    """The last fact of a turn that first released every hold and cancelled every booking, each by its own event."""

    reason: str


@dataclass(frozen=True, slots=True)
class SalesOpened:
    pass


@dataclass(frozen=True, slots=True)
class SalesClosed:
    reason: str


@dataclass(frozen=True, slots=True)
class SeatsHeld:
    hold_id: str
    owner: str
    lines: tuple[Line, ...]
    expires_at: Instant
    renewals_left: int
    next_to_each_other: bool


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """`lines` is the whole hold afterwards; `freed` the seats that left it."""

    hold_id: str
    owner: str
    lines: tuple[Line, ...]
    freed: tuple[str, ...]
    expires_at: Instant
    renewals_left: int
    next_to_each_other: bool


@dataclass(frozen=True, slots=True)
class HoldRenewed:
    hold_id: str
    owner: str
    expires_at: Instant
    renewals_left: int


@dataclass(frozen=True, slots=True)
class HoldReleased:
    hold_id: str
    owner: str
    seats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HoldExpired:
    hold_id: str
    owner: str
    seats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BookingPlaced:
    """The hold became a booking; its seats stay held until `expires_at`."""

    booking_id: str
    reference: str
    hold_id: str
    owner: str
    lines: tuple[Line, ...]
    currency: str
    expires_at: Instant
    promo: str = ""


@dataclass(frozen=True, slots=True)
class PaymentStarted:
    booking_id: str
    payment_id: str
    owner: str
    provider: str
    amount: int
    currency: str
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class BookingConfirmed:
    """Paid (or free of charge): the seats are sold. `late` = its time had run out, but every seat was still free."""

    booking_id: str
    reference: str
    hold_id: str
    owner: str
    lines: tuple[Line, ...]
    currency: str
    tickets: tuple[Ticket, ...]
    payment_id: str
    provider: str
    provider_payment_id: str
    amount: int
    late: bool


@dataclass(frozen=True, slots=True)
class RefundDecided:
    """Money that arrived cannot buy the seats: it goes back. Sticky: later news of that payment changes nothing."""

    booking_id: str
    owner: str
    payment_id: str
    provider: str
    provider_payment_id: str
    amount: int
    currency: str
    refund_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class BookingExpired:
    booking_id: str
    owner: str
    seats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BookingCancelled:
    """`seats` are free again; `whole` when none is left.

    `lines` is what the booking shows afterwards: the seats still in it, or all of them when it ended. `refund` in minor
    units of `currency` (0: nothing to pay back, and `refund_id` is empty); `paid` and `refunded` are sums so far.
    `left` is what the seats that stay are worth; the rest of what these were worth, the house keeps.
    """

    booking_id: str
    reference: str
    hold_id: str
    owner: str
    seats: tuple[str, ...]
    lines: tuple[Line, ...]
    currency: str
    tickets: tuple[Ticket, ...]
    whole: bool
    payment_id: str
    paid: int
    refunded: int
    refund_id: str
    refund: int
    reason: str
    left: int | None = None

    @property
    def value(self) -> int:
        """What the booking is worth now. Before it was written down, that was what its seats cost."""
        if self.left is not None:
            return self.left
        return 0 if self.whole or not self.paid else sum(line.total for line in self.lines)


@dataclass(frozen=True, slots=True)
class RefundGranted:
    """The house gave `refund` back and no seat left the booking, which is worth `left` now.

    What exceeds the worth of its seats comes from what the house had kept of seats given up before.
    """

    booking_id: str
    reference: str
    owner: str
    payment_id: str
    currency: str
    paid: int
    refunded: int
    left: int
    refund_id: str
    refund: int
    reason: str


@dataclass(frozen=True, slots=True)
class SeatsBlocked:
    """From now on for this reason, also where they were blocked for another. `release_at` is when that ends."""

    seats: tuple[str, ...]
    kind: BlockKind
    reason: str
    release_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class SeatsUnblocked:
    seats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PricesChanged:
    """For whoever holds from now on. Holds and bookings keep what they were quoted."""

    tariff: Tariff


@dataclass(frozen=True, slots=True)
class RefundPolicyChanged:
    """For whoever books from now on. Bookings keep the one they were made under."""

    refund_policy: tuple[RefundStep, ...]


Event = (
    ShowtimeScheduled
    | ShowtimeRescheduled
    | ShowtimeStarted
    | ShowtimeCompleted
    | ShowtimeCancelled
    | SalesOpened
    | SalesClosed
    | SeatsHeld
    | HoldChanged
    | HoldRenewed
    | HoldReleased
    | HoldExpired
    | BookingPlaced
    | PaymentStarted
    | BookingConfirmed
    | RefundDecided
    | BookingExpired
    | BookingCancelled
    | RefundGranted
    | SeatsBlocked
    | SeatsUnblocked
    | PricesChanged
    | RefundPolicyChanged
)


@dataclass(frozen=True, slots=True)
class Record:
    """An event in the log. `version` is gap-free from 1 within its showtime."""

    version: int
    at: Instant
    cause: Cause
    event: Event


_NOTHING: Final[Mapping[str, tuple[str, ...]]] = {}
_OF_THE_WHOLE: Final = frozenset(
    {ShowtimeRescheduled, ShowtimeStarted, ShowtimeCompleted, ShowtimeCancelled, SalesOpened, SalesClosed}
)


def public_delta(event: Event) -> Mapping[str, tuple[str, ...]]:
    """The seats an event changes, by the public state they have afterwards: `{"held": …, "free": …}`."""
    told = _TOLD.get(type(event))
    return _NOTHING if told is None else told(event)


def _now_held(event: SeatsHeld) -> Mapping[str, tuple[str, ...]]:
    return {"held": tuple([line.seat for line in event.lines])}


def _now_free(
    event: HoldReleased | HoldExpired | BookingExpired | BookingCancelled | SeatsUnblocked,
) -> Mapping[str, tuple[str, ...]]:
    return {"free": event.seats}


_TOLD: Final[Mapping[type, Callable[[Any], Mapping[str, tuple[str, ...]]]]] = {
    SeatsHeld: _now_held,
    HoldChanged: lambda event: {**_now_held(event), "free": event.freed},
    HoldReleased: _now_free,
    HoldExpired: _now_free,
    BookingExpired: _now_free,
    BookingCancelled: _now_free,
    SeatsUnblocked: _now_free,
    BookingConfirmed: lambda event: {"sold": tuple([line.seat for line in event.lines])},
    SeatsBlocked: lambda event: {"blocked": event.seats},
}


def changes_showtime(event: Event) -> bool:
    """Whether watchers must learn of a new status or sales state of the whole showtime."""
    return type(event) in _OF_THE_WHOLE


def draws_anew(event: Event) -> bool:
    """Whether the seats after this are others than before, so that who watches must start over."""
    return type(event) is ShowtimeRescheduled and event.layout is not None


def owner_of(event: Event) -> str | None:
    """The customer whose own holds or bookings an event changes."""
    return getattr(event, "owner", None)
