"""What a promo code takes off the lines of a booking. Whether the code may be used once more is not decided here.

Where the tax is part of the prices, so is it of the discount: an amount comes off what the customer pays. Where it
comes on top, the discount comes off the price and the tax falls with it.
"""

from collections.abc import Sequence
from dataclasses import replace

from actors.seatmap.events import Line
from actors.seatmap.pricing import WHOLE_BPS
from actors.seatmap.refusals import Refusal, Refused
from actors.seatmap.terms import Instant, Promo


def discounted(lines: Sequence[Line], promo: Promo, now: Instant, *, tax_included: bool) -> tuple[Line, ...] | Refused:
    """The lines with what the code takes off each."""
    if now > promo.until:
        return _invalid("lapsed")
    eligible = [n for n in lines if n.amount and (not promo.ticket_types or n.ticket_type in promo.ticket_types)]
    if len(eligible) < promo.seats_min:
        return _invalid("too_few_seats", seats_min=promo.seats_min)
    worths = [_with_tax(line) if tax_included else line.amount for line in eligible]
    if promo.amount:
        offs = shared(promo.amount, worths)
    else:
        offs = [_ratio(worth, promo.percent_bps, WHOLE_BPS) for worth in worths]
    if not any(offs):
        return _invalid("nothing_to_take_off")
    less = {
        line.seat: _free(line) if off >= worth else _less(line, off, tax_included=tax_included)
        for line, worth, off in zip(eligible, worths, offs, strict=True)
    }
    return tuple([less.get(line.seat, line) for line in lines])


def shared(amount: int, worths: Sequence[int]) -> list[int]:
    """An amount over what tickets are worth, in proportion and to the last unit; never more than they are worth."""
    whole = sum(worths)
    amount = min(amount, whole)
    shares, reached, given = [], 0, 0
    for worth in worths:
        reached += worth
        share = amount * reached // whole - given if whole else 0
        given += share
        shares.append(share)
    return shares


def _free(line: Line) -> Line:
    """A ticket that costs nothing any more carries no fee and no tax either."""
    return replace(line, fee=0, tax=0, discount=line.amount)


def _less(line: Line, off: int, *, tax_included: bool) -> Line:
    if not off:
        return line
    net = line.amount + line.fee
    if not tax_included:
        return replace(line, tax=_ratio(line.tax, net - off, net), discount=off)
    total = line.total - off
    discount = min(net - total + _ratio(line.tax, total, line.total), line.amount)
    return replace(line, tax=total - net + discount, discount=discount)


def _with_tax(line: Line) -> int:
    """The price of a seat without its fee, as a tariff with tax included lists it."""
    return line.total - _ratio(line.fee, line.total, line.amount + line.fee)


def _ratio(amount: int, part: int, whole: int) -> int:
    """amount × part / whole, halves rounded up."""
    return (2 * amount * part + whole) // (2 * whole)


def _invalid(reason: str, **facts: object) -> Refused:
    return Refused(Refusal.PROMO_INVALID, facts={"reason": reason, **facts})
