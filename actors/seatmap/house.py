"""Rules for the staff of the house: blocking seats, opening and closing sales, cancelling and moving a showtime."""

import dataclasses
from collections.abc import Sequence

from actors.seatmap.bookings import cancelled
from actors.seatmap.commands import (
    BlockKind,
    BlockSeats,
    CancelShowtime,
    ChangeRefundPolicy,
    CloseSales,
    OpenSales,
    Reprice,
    Reschedule,
    UnblockSeats,
)
from actors.seatmap.events import (
    Event,
    HoldReleased,
    PricesChanged,
    RefundPolicyChanged,
    SalesClosed,
    SalesOpened,
    SeatsBlocked,
    SeatsUnblocked,
    ShowtimeCancelled,
    ShowtimeRescheduled,
    ShowtimeScheduled,
)
from actors.seatmap.layout import Layout
from actors.seatmap.refusals import Accepted, Decision, Refusal, Refused
from actors.seatmap.state import LIVE, Claim, Sales, SeatMap, SeatState, Status
from actors.seatmap.terms import Instant, Tariff, Terms

_MOVABLE = ("screen_id", "starts_at", "ends_at", "sales_open_at", "sales_close_at")


def begun(
    number: int, terms: Terms, now: Instant, blocks: Sequence[SeatsBlocked] = ()
) -> tuple[tuple[Event, ...], Instant]:
    """The first events of a showtime, and when something is due next.

    A showtime whose sales are open already says so at once: nobody has to be woken for it. `blocks` are those of the
    log before, where it begins anew.
    """
    scheduled = ShowtimeScheduled(number, terms)
    releases = [block.release_at for block in blocks if block.release_at is not None]
    ends = min(terms.sales_close_at, terms.starts_at)
    if terms.sales_open_at <= now < ends:
        return (scheduled, SalesOpened(), *blocks), min((ends, *releases))
    return (scheduled, *blocks), min((terms.sales_open_at, terms.starts_at, *releases))


def kept_back(state: SeatMap, layout: Layout) -> tuple[SeatsBlocked, ...]:
    """What the house keeps from the public, as far as another drawing has it: a block for each reason and time."""
    alike: dict[tuple[BlockKind, str, Instant | None], list[str]] = {}
    for seat, claim in state.taken.items():
        if claim.kind is not None and seat in layout.seats:
            alike.setdefault((claim.kind, claim.by, claim.release_at), []).append(seat)
    return tuple(SeatsBlocked(tuple(seats), *why) for why, seats in alike.items())


def block_seats(state: SeatMap, c: BlockSeats, now: Instant) -> Decision:
    if no := _unknown(state, c.seats):
        return no
    if conflicts := {seat: state.taken[seat].state.value for seat in c.seats if _in_use(state, seat)}:
        return Refused(Refusal.SEATS_UNAVAILABLE, conflicts)
    if c.release_at is not None and c.release_at <= now:
        return Refused(Refusal.PAST_DEADLINE)
    block = Claim(SeatState.BLOCKED, c.reason, c.kind, c.release_at)
    fresh = tuple(seat for seat in dict.fromkeys(c.seats) if state.taken.get(seat) != block)
    return Accepted((SeatsBlocked(fresh, c.kind, c.reason, c.release_at),) if fresh else ())


def unblock_seats(state: SeatMap, c: UnblockSeats, now: Instant) -> Decision:
    if no := _unknown(state, c.seats):
        return no
    blocked = tuple(seat for seat in dict.fromkeys(c.seats) if seat in state.taken and not _in_use(state, seat))
    return Accepted((SeatsUnblocked(blocked),) if blocked else ())


def open_sales(state: SeatMap, c: OpenSales, now: Instant) -> Decision:
    if no := _ended(state):
        return no
    if now >= state.terms.sales_close_at:
        return Refused(Refusal.PAST_DEADLINE)
    return Accepted(() if state.sales is Sales.OPEN else (SalesOpened(),))


def close_sales(state: SeatMap, c: CloseSales, now: Instant) -> Decision:
    if no := _ended(state):
        return no
    return Accepted(() if state.sales is Sales.CLOSED else (SalesClosed(c.reason or "staff"),))


def cancel_showtime(state: SeatMap, c: CancelShowtime, now: Instant) -> Decision:
    """Every hold ends, every live booking is cancelled, and what was paid for its seats goes back in full."""
    if state.status is Status.CANCELLED:
        return Refused(Refusal.ALREADY_CANCELLED)
    if state.status is not Status.SCHEDULED:
        return Refused(Refusal.ALREADY_STARTED)
    events: list[Event] = [HoldReleased(hold.id, hold.owner, hold.seats) for hold in state.holds.values()]
    events += [
        cancelled(booking, booking.lines, booking.value, c.cause, "showtime_cancelled")
        for booking in state.bookings.values()
        if booking.status in LIVE
    ]
    return Accepted((*events, ShowtimeCancelled(c.reason)))


def reschedule(state: SeatMap, c: Reschedule, now: Instant) -> Decision:
    if no := _ended(state):
        return no
    if state.status is Status.RUNNING:
        return Refused(Refusal.ALREADY_STARTED)
    terms = dataclasses.replace(state.terms, **{name: getattr(c, name) for name in _MOVABLE})
    if c.layout is not None and c.layout.id != state.layout.id:
        drawn = _redrawn(state, terms, c.layout, c.tariff or terms.tariff)
        if isinstance(drawn, Refused):
            return drawn
        terms = drawn
    if terms == state.terms:
        return Accepted(())
    if terms.starts_at <= now:
        return Refused(Refusal.PAST_DEADLINE)
    if not c.notify and any(booking.status in LIVE for booking in state.bookings.values()):
        return Refused(Refusal.HAS_SALES)
    return Accepted((ShowtimeRescheduled(terms, c.layout),))


def _redrawn(state: SeatMap, terms: Terms, layout: Layout, tariff: Tariff) -> Terms | Refused:
    """The same showtime in another drawing, in which everybody keeps their seats."""
    others = {seat for seat, claim in state.taken.items() if claim.state is not SeatState.BLOCKED} - layout.seats.keys()
    if others:
        return Refused(Refusal.SEATS_VANISH, dict.fromkeys(sorted(others), "vanishes"))
    if no := _other_currency(terms.tariff, tariff) or _unpriced(layout, tariff):
        return no
    if dataclasses.replace(tariff, version=terms.tariff.version) != terms.tariff:
        tariff = dataclasses.replace(tariff, version=terms.tariff.version + 1)
    return dataclasses.replace(terms, layout_id=layout.id, tariff=tariff)


def reprice(state: SeatMap, c: Reprice, now: Instant) -> Decision:
    if no := _ended(state):
        return no
    before = state.terms.tariff
    if no := _other_currency(before, c.tariff) or _unpriced(state.layout, c.tariff):
        return no
    if dataclasses.replace(c.tariff, version=before.version) == before:
        return Accepted(())
    return Accepted((PricesChanged(dataclasses.replace(c.tariff, version=before.version + 1)),))


def change_refund_policy(state: SeatMap, c: ChangeRefundPolicy, now: Instant) -> Decision:
    if no := _ended(state):
        return no
    return Accepted(() if c.refund_policy == state.terms.refund_policy else (RefundPolicyChanged(c.refund_policy),))


def _other_currency(before: Tariff, tariff: Tariff) -> Refused | None:
    if tariff.currency != before.currency:
        return Refused(Refusal.CURRENCY_DIFFERS, facts={"currency": before.currency})
    return None


def _unpriced(layout: Layout, tariff: Tariff) -> Refused | None:
    usual = tariff.default_ticket_type
    if missing := [each.key for each in layout.categories if usual not in tariff.prices.get(each.key, ())]:
        return Refused(Refusal.CATEGORY_UNPRICED, facts={"categories": missing})
    return None


def _unknown(state: SeatMap, seats: tuple[str, ...]) -> Refused | None:
    if unknown := [seat for seat in seats if seat not in state.layout.seats]:
        return Refused(Refusal.SEAT_UNKNOWN, dict.fromkeys(unknown, "unknown"))
    return None


def _ended(state: SeatMap) -> Refused | None:
    if state.status is Status.CANCELLED:
        return Refused(Refusal.SHOWTIME_CANCELLED)
    if state.status is Status.COMPLETED:
        return Refused(Refusal.SHOWTIME_OVER)
    return None


def _in_use(state: SeatMap, seat: str) -> bool:
    claim = state.taken.get(seat)
    return claim is not None and claim.state is not SeatState.BLOCKED
