"""What answers look like: the shapes that more than one part of the house shows.

Functions that render answers return these, so the type checker holds the code to them, and the OpenAPI document is
generated from them. Shapes of a single part stand in its own module.
"""

from typing import (
    Annotated,
    Generic,
    Literal,
    NotRequired,  # the standard ones cannot be looked into before Python 3.12
    TypeVar,
)

from pydantic import Field
from typing_extensions import TypedDict

T = TypeVar("T")

Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-21T18:00:00Z"])]
"""RFC 3339, UTC."""

LocalTime = Annotated[str, Field(examples=["2026-11-21T23:30:00+05:30"])]
"""RFC 3339 with the offset of the theatre's time zone."""

Day = Annotated[str, Field(json_schema_extra={"format": "date"}, examples=["2026-11-21"])]
SeatLabel = Annotated[str, Field(examples=["F7"], description="The exact label of a seat in the layout.")]

ShowtimeStatus = Literal["draft", "scheduled", "running", "completed", "cancelled"]
SalesStatus = Literal["not_open", "open", "few_left", "sold_out", "closed"]
BookingState = Literal["pending_payment", "confirmed", "cancelled", "expired"]
PaymentState = Literal["none", "pending", "succeeded", "failed", "partially_refunded", "refunded"]


class Money(TypedDict):
    """Minor units (cents, paise) of an ISO 4217 currency."""

    amount: Annotated[int, Field(examples=[45000])]
    currency: Annotated[str, Field(examples=["INR"], pattern="^[A-Z]{3}$")]


class Listed(TypedDict, Generic[T]):
    """A piece of a list. `next_cursor` asks for the next one; null on the last."""

    items: list[T]
    next_cursor: str | None


class Ref(TypedDict):
    """Something named by its id."""

    id: Uuid


class SeatQuote(TypedDict):
    """A seat with its price as it was quoted; `rules` names the price rules that moved it."""

    seat: SeatLabel
    category: str
    ticket_type: str
    price: Money
    fee: Money
    tax: Money
    total: Money
    rules: NotRequired[list[str]]
    discount: NotRequired[Money]


class Hold(TypedDict):
    """Seats that are kept for the caller until `expires_at`."""

    hold_id: Uuid
    showtime_id: Uuid
    seats: list[SeatQuote]
    total: Money
    expires_at: Time
    renewals_left: int
    next_to_each_other: bool
    seq: Annotated[int, Field(description="The version of the showtime's log that this answer tells about.")]


class HoldTerm(TypedDict):
    """How much longer a hold lasts."""

    hold_id: Uuid
    expires_at: Time
    renewals_left: int
    seq: int


class PaymentOf(TypedDict):
    """The payment of a booking."""

    id: Uuid | None
    status: PaymentState


class TicketOf(TypedDict):
    """One ticket of a confirmed booking."""

    id: Uuid
    seat: SeatLabel


class Sums(TypedDict):
    """What the seats cost together."""

    subtotal: Money
    fees: Money
    tax: Money
    discount: Money
    total: Money
    currency: str


class BookingFacts(Sums):
    """What all views of a booking have in common."""

    id: Uuid
    reference: Annotated[str, Field(examples=["7KQ2MX4P"])]
    status: BookingState
    hold_id: Uuid
    seats: list[SeatQuote]
    expires_at: Time | None
    payment: PaymentOf
    tickets: NotRequired[list[TicketOf]]


class Booking(BookingFacts):
    """A booking, as answered to what changes it."""

    showtime: Ref


class PolicyLine(TypedDict):
    """Given back at least `hours_before` the start: so much of what was paid comes back, less the fee."""

    hours_before: int
    refund_pct: int | float
    fee: Money


class Refund(TypedDict):
    """Money that goes back."""

    id: Uuid
    amount: Money
    status: Literal["pending", "succeeded", "failed"]


class CancelledBooking(Booking):
    """A booking some or all of whose seats have just been given back."""

    cancelled_seats: list[SeatLabel]
    refund: Refund | None


class Counts(TypedDict):
    """How many seats are in each state; together the capacity."""

    free: int
    held: int
    sold: int
    blocked: int


class Standing(TypedDict):
    """How a whole showtime stands."""

    showtime_id: Uuid
    seq: int
    status: ShowtimeStatus
    sales: SalesStatus
    counts: Counts
