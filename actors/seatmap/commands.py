"""Commands: what somebody wishes. Each may be refused.

Ids inside a command are minted at the edge, so that deciding stays free of randomness. Who asks comes from the token
and stands in the `Cause`; nothing a client sends sets an identity or a price.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from actors.seatmap.layout import Layout
from actors.seatmap.terms import Instant, Promo, RefundStep, Tariff
from actors.seatmap.values import dataclass


class ActorKind(StrEnum):
    CUSTOMER = "customer"
    STAFF = "staff"
    SYSTEM = "system"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something happened: who asked, by which command.

    `retryable` means the client chose the command id (its idempotency key) and may send the command again; the answer
    is then remembered. `intent` is a hash of what was asked for: the same id with another intent is refused.
    """

    command_id: str
    kind: ActorKind
    actor_id: str
    request_id: str = ""
    retryable: bool = False
    intent: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    cause: Cause


@dataclass(frozen=True, slots=True)
class BestAvailable:
    """Ask for `count` seats together instead of naming them."""

    count: int
    category: str | None = None
    accessible: bool = False
    near_row: str | None = None
    allow_split: bool = False


@dataclass(frozen=True, slots=True)
class HoldSeats(Command):
    """Hold `seats` in the order given, or the best available; `ticket_types` names the type of some seats.

    With `best_available` the entry for `*` names the type of every seat; without it the tariff's default is used.
    """

    hold_id: str
    seats: tuple[str, ...] = ()
    ticket_types: Mapping[str, str] = field(default_factory=dict)
    best_available: BestAvailable | None = None


@dataclass(frozen=True, slots=True)
class ChangeHold(Command):
    """Swap seats in one step, or change ticket types; also adds seats to a hold."""

    hold_id: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    ticket_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RenewHold(Command):
    hold_id: str


@dataclass(frozen=True, slots=True)
class ReleaseHold(Command):
    """Idempotent for its owner: releasing what has already ended changes nothing."""

    hold_id: str


@dataclass(frozen=True, slots=True)
class TakeOverHold(Command):
    """The guest `of` has turned out to be the customer who asks: the same seats, quote and deadline under a new id."""

    hold_id: str
    new_hold_id: str
    of: str


@dataclass(frozen=True, slots=True)
class PlaceBooking(Command):
    """Turn a hold into a booking that waits for its payment.

    `expected_total` is what the customer was shown: a booking that costs something else is refused.
    """

    hold_id: str
    booking_id: str
    reference: str
    promo: Promo | None = None
    expected_total: int | None = None


@dataclass(frozen=True, slots=True)
class BookSeats(Command):
    """Hold and booking in one turn, for clients that never hold."""

    hold_id: str
    booking_id: str
    reference: str
    seats: tuple[str, ...]
    ticket_types: Mapping[str, str] = field(default_factory=dict)
    promo: Promo | None = None
    expected_total: int | None = None


@dataclass(frozen=True, slots=True)
class StartPayment(Command):
    """The customer enters payment: at least `payment_seconds_min` more from now."""

    booking_id: str
    payment_id: str
    provider: str


@dataclass(frozen=True, slots=True)
class ConfirmBooking(Command):
    """Money arrived, says the provider: `amount` in minor units of `currency`."""

    booking_id: str
    payment_id: str
    amount: int
    currency: str
    provider: str
    provider_payment_id: str


@dataclass(frozen=True, slots=True)
class CancelBooking(Command):
    """Whole, or only `seats` of it. A confirmed booking gets money back as its refund policy says."""

    booking_id: str
    seats: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RefundBooking(Command):
    """The house gives money back, whatever the policy says.

    `amount` goes back and the seats stay sold; without it `seats` are given up and refunded in full, all without them.
    """

    booking_id: str
    reason: str
    amount: int | None = None
    seats: tuple[str, ...] = ()


class BlockKind(StrEnum):
    HOUSE = "house"
    BROKEN = "broken"
    TECH = "tech"
    ACCESSIBLE = "accessible"
    CHANNEL = "channel"
    """An allotment: only one sales route may sell the seat."""


@dataclass(frozen=True, slots=True)
class BlockSeats(Command):
    """Keep seats from the public, until `release_at` when there is one.

    `reason` is a note of the house; that of an allotment is the key of its channel.
    """

    seats: tuple[str, ...]
    reason: str
    kind: BlockKind = BlockKind.HOUSE
    release_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class UnblockSeats(Command):
    seats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenSales(Command):
    pass


@dataclass(frozen=True, slots=True)
class Reprice(Command):
    """Sell at other prices from now on. The tariff's version is counted by the showtime, not by who asks."""

    tariff: Tariff


@dataclass(frozen=True, slots=True)
class ChangeRefundPolicy(Command):
    """For whoever books from now on."""

    refund_policy: tuple[RefundStep, ...]


@dataclass(frozen=True, slots=True)
class CloseSales(Command):
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CancelShowtime(Command):
    reason: str


@dataclass(frozen=True, slots=True)
class Reschedule(Command):
    """Move the showtime, in time or to another screen, or into another drawing of its seats at prices for that.

    `notify`: people who have bought are told; without it nothing moves once something is sold.
    """

    starts_at: Instant
    ends_at: Instant
    sales_open_at: Instant
    sales_close_at: Instant
    screen_id: str
    notify: bool = False
    layout: Layout | None = None
    tariff: Tariff | None = None


@dataclass(frozen=True, slots=True)
class Expire(Command):
    """Posted by the actor's own timer: nothing but what is due happens."""
