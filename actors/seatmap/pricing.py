"""What a seat costs: the quote that a hold stores and a booking keeps. Integers in minor units all the way.

One rule of rounding: every amount that does not come out even is rounded to the nearest minor unit, halves up, once.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from actors.seatmap.events import Line
from actors.seatmap.layout import Layout
from actors.seatmap.terms import PriceRule, Tariff

WHOLE_BPS: Final = 10_000
HOUR_MS: Final = 3_600_000


def quote(
    layout: Layout,
    tariff: Tariff,
    seats: Sequence[str],
    ticket_types: Mapping[str, str],
    rules: Sequence[PriceRule] = (),
) -> tuple[Line, ...]:
    """A line for each seat. KeyError when a category or ticket type has no price: ask `unpriced` first."""
    default, places = tariff.default_ticket_type, layout.seats
    if not rules and not tariff.tax_included:
        return tuple([line(tariff, seat, places[seat].category, ticket_types.get(seat, default)) for seat in seats])
    return tuple(
        [ruled_line(tariff, seat, places[seat].category, ticket_types.get(seat, default), rules) for seat in seats]
    )


def line(tariff: Tariff, seat: str, category: str, ticket_type: str) -> Line:
    """The line of a tariff whose prices nothing moves and no tax is part of."""
    amount = tariff.prices[category][ticket_type]
    taxed = amount + tariff.fee if amount else 0  # a free ticket carries no fee either
    return Line(seat, category, ticket_type, amount, taxed - amount, part(taxed, tariff.tax_bps))


def ruled_line(tariff: Tariff, seat: str, category: str, ticket_type: str, rules: Sequence[PriceRule] = ()) -> Line:
    """The line of any tariff, with the rules that apply at this moment."""
    price, applied = ruled_price(tariff.prices[category][ticket_type], category, ticket_type, rules)
    fee = tariff.fee if price else 0
    if not tariff.tax_included:
        return Line(seat, category, ticket_type, price, fee, part(price + fee, tariff.tax_bps), applied)
    net, net_fee = _without_tax(price, tariff.tax_bps), _without_tax(fee, tariff.tax_bps)
    return Line(seat, category, ticket_type, net, net_fee, price + fee - net - net_fee, applied)


def ruled_price(price: int, category: str, ticket_type: str, rules: Sequence[PriceRule]) -> tuple[int, tuple[str, ...]]:
    """A price with the rules that apply to it, and their names. What is free stays free.

    Percentages are all of the list price and add up, so the order of rules says nothing; then come the amounts, then
    the bounds, of which an upper one is the stronger.
    """
    applied = [
        rule
        for rule in rules
        if (not rule.categories or category in rule.categories)
        and (not rule.ticket_types or ticket_type in rule.ticket_types)
    ]
    if not applied or not price:
        return price, ()
    moved = part(price, WHOLE_BPS + sum(rule.adjust_bps for rule in applied))
    moved += sum(rule.adjust_amount for rule in applied)
    moved = max(moved, 0, *[rule.price_min for rule in applied if rule.price_min is not None])
    moved = min(moved, *[rule.price_max for rule in applied if rule.price_max is not None], moved)
    return moved, tuple([rule.name for rule in applied])


def unpriced(layout: Layout, tariff: Tariff, seats: Sequence[str], ticket_types: Mapping[str, str]) -> tuple[str, ...]:
    """The ticket types asked for that are not sold for their seat."""
    return tuple(
        ticket_type
        for seat, ticket_type in ticket_types.items()
        if seat in seats and ticket_type not in tariff.prices[layout.seats[seat].category]
    )


def _without_tax(gross: int, bps: int) -> int:
    """What is left of an amount when the tax in it is taken out."""
    whole = WHOLE_BPS + bps
    return (gross * WHOLE_BPS * 2 + whole) // (whole * 2)


def part(amount: int, bps: int) -> int:
    """`bps` hundredths of a percent of an amount, halves rounded up."""
    return (amount * bps + WHOLE_BPS // 2) // WHOLE_BPS
