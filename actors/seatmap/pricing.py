"""What a seat costs: the quote that a hold stores and a booking keeps. Integers in minor units all the way."""

from collections.abc import Mapping, Sequence
from typing import Final

from actors.seatmap.events import Line
from actors.seatmap.layout import Layout
from actors.seatmap.terms import Instant, RefundStep, Tariff, Terms

WHOLE_BPS: Final = 10_000
HOUR_MS: Final = 3_600_000


def quote(layout: Layout, tariff: Tariff, seats: Sequence[str], ticket_types: Mapping[str, str]) -> tuple[Line, ...]:
    """A line for each seat. KeyError when a category or ticket type has no price: ask `unpriced` first."""
    default, places = tariff.default_ticket_type, layout.seats
    return tuple([line(tariff, seat, places[seat].category, ticket_types.get(seat, default)) for seat in seats])


def line(tariff: Tariff, seat: str, category: str, ticket_type: str) -> Line:
    amount = tariff.prices[category][ticket_type]
    taxed = amount + tariff.fee if amount else 0  # a free ticket carries no fee either
    return Line(seat, category, ticket_type, amount, taxed - amount, _part(taxed, tariff.tax_bps))


def unpriced(layout: Layout, tariff: Tariff, seats: Sequence[str], ticket_types: Mapping[str, str]) -> tuple[str, ...]:
    """The ticket types asked for that are not sold for their seat."""
    return tuple(
        ticket_type
        for seat, ticket_type in ticket_types.items()
        if seat in seats and ticket_type not in tariff.prices[layout.seats[seat].category]
    )


def refund_step(terms: Terms, now: Instant) -> RefundStep | None:
    """The step of the refund policy that applies to a cancellation now, None when nothing would come back."""
    for step in terms.refund_policy:
        if terms.starts_at - now >= step.hours_before * HOUR_MS:
            return step
    return None


def refund(terms: Terms, lines: Sequence[Line], now: Instant) -> int:
    """What comes back for these seats when their customer cancels now."""
    step = refund_step(terms, now)
    if step is None:
        return 0
    return max(0, _part(sum(line.total for line in lines), step.refund_bps) - step.fee)


def _part(amount: int, bps: int) -> int:
    """`bps` hundredths of a percent of an amount, halves rounded up."""
    return (amount * bps + WHOLE_BPS // 2) // WHOLE_BPS
