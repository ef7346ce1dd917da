"""What comes back when seats are given back: one rule for the quote that a customer sees and for the cancellation.

A booking keeps the policy it was bought under. Who bought before the start was moved gets everything back until the new
start. What seats are worth is what was paid for them, less what was returned already without giving them up.
"""

from collections.abc import Sequence

from actors.seatmap.events import Line
from actors.seatmap.pricing import HOUR_MS, part
from actors.seatmap.state import Booking, SeatMap
from actors.seatmap.terms import Instant, RefundStep
from actors.seatmap.values import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """`refund` of the `worth` of some seats comes back, until `until`.

    `step` is the line of the policy that says so; None when nothing would come back, or when the showtime has `moved`.
    """

    worth: int
    refund: int
    until: Instant
    step: RefundStep | None = None
    moved: bool = False


def offer(state: SeatMap, booking: Booking, gone: Sequence[Line], now: Instant) -> Offer:
    """What a customer who gives these seats back now would get."""
    worth, starts_at = worth_of(booking, gone), state.terms.starts_at
    if booking.moved and now < starts_at:
        return Offer(worth, worth, starts_at, moved=True)
    for step in booking.refund_policy:
        until = starts_at - step.hours_before * HOUR_MS
        if now <= until:
            back = max(0, part(worth, step.refund_bps) - step.fee)
            return Offer(worth, min(back, worth), until, step)
    return Offer(worth, 0, starts_at)


def worth_of(booking: Booking, gone: Sequence[Line]) -> int:
    """The share of a booking's value that these seats have: all of it for all seats, nothing before it is paid."""
    total = booking.total
    return booking.value * sum(line.total for line in gone) // total if total else 0
