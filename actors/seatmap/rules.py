"""Every rule behind two functions: `decide` judges a command, `due` says what the passing of time has brought.

Neither changes anything. The actor folds `due` before it judges, so that a late timer never sells or refuses wrongly.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from actors.seatmap import bookings, commands, holds, house
from actors.seatmap.commands import ActorKind, Command
from actors.seatmap.events import (
    BookingExpired,
    Event,
    HoldExpired,
    SalesClosed,
    SalesOpened,
    SeatsUnblocked,
    ShowtimeCompleted,
    ShowtimeStarted,
)
from actors.seatmap.refusals import Accepted, Decision
from actors.seatmap.state import UNDER_WAY, BookingStatus, Sales, SeatMap, Status
from actors.seatmap.terms import Instant

Rule = Callable[[SeatMap, Any, Instant], Decision]

STAFF_ONLY: Final = frozenset(
    {
        commands.BlockSeats,
        commands.UnblockSeats,
        commands.OpenSales,
        commands.CloseSales,
        commands.CancelShowtime,
        commands.Reschedule,
        commands.Reprice,
        commands.ChangeRefundPolicy,
        commands.RefundBooking,
    }
)


def decide(state: SeatMap, command: Command, now: Instant) -> Decision:
    """Say what would happen to a state in which nothing is overdue."""
    assert command.cause.kind is not ActorKind.CUSTOMER or type(command) not in STAFF_ONLY, "the edge checks roles"
    return _RULES[type(command)](state, command, now)


def due(state: SeatMap, now: Instant) -> tuple[Event, ...]:
    """What has become a fact by `now`, the earliest first."""
    if now < state.deadline:
        return ()
    late: list[tuple[Instant, Event]] = [
        (hold.expires_at, HoldExpired(hold.id, hold.owner, hold.seats))
        for hold in state.holds.values()
        if hold.expires_at <= now
    ]
    late += [
        (booking.expires_at, BookingExpired(booking.id, booking.owner, booking.seats))
        for booking in state.bookings.values()
        if booking.status is BookingStatus.PENDING_PAYMENT and booking.expires_at <= now
    ]
    if state.status in UNDER_WAY:
        late += _hours(state, now)
        late += _releases(state, now)
    return tuple(event for _, event in sorted(late, key=lambda pair: pair[0]))


def _hours(state: SeatMap, now: Instant) -> list[tuple[Instant, Event]]:
    """The showtime's own day: sales open, sales close, the film starts, the film ends."""
    terms, sales, status = state.terms, state.sales, state.status
    day: list[tuple[Instant, Event]] = []
    if sales is Sales.NOT_OPEN and terms.sales_open_at <= now:
        day.append((terms.sales_open_at, SalesOpened()))
        sales = Sales.OPEN
    if sales is Sales.OPEN and terms.sales_close_at <= now:
        day.append((terms.sales_close_at, SalesClosed("cut_off")))
    if status is Status.SCHEDULED and terms.starts_at <= now:
        day.append((terms.starts_at, ShowtimeStarted()))
        status = Status.RUNNING
    if status is Status.RUNNING and terms.ends_at <= now:
        day.append((terms.ends_at, ShowtimeCompleted()))
    return day


def _releases(state: SeatMap, now: Instant) -> list[tuple[Instant, Event]]:
    """Blocks that were to last until now."""
    if not state.blocked:
        return []
    seats: dict[Instant, list[str]] = {}
    for seat, claim in state.taken.items():
        if claim.release_at is not None and claim.release_at <= now:
            seats.setdefault(claim.release_at, []).append(seat)
    return [(at, SeatsUnblocked(tuple(freed))) for at, freed in seats.items()]


def _nothing(_state: SeatMap, _command: commands.Expire, _now: Instant) -> Decision:
    return Accepted(())


_RULES: Final[Mapping[type[Command], Rule]] = {
    commands.HoldSeats: holds.hold_seats,
    commands.ChangeHold: holds.change_hold,
    commands.RenewHold: holds.renew_hold,
    commands.ReleaseHold: holds.release_hold,
    commands.TakeOverHold: holds.take_over_hold,
    commands.PlaceBooking: bookings.place_booking,
    commands.BookSeats: bookings.book_seats,
    commands.StartPayment: bookings.start_payment,
    commands.ConfirmBooking: bookings.confirm_booking,
    commands.CancelBooking: bookings.cancel_booking,
    commands.RefundBooking: bookings.refund_booking,
    commands.BlockSeats: house.block_seats,
    commands.UnblockSeats: house.unblock_seats,
    commands.OpenSales: house.open_sales,
    commands.CloseSales: house.close_sales,
    commands.CancelShowtime: house.cancel_showtime,
    commands.Reschedule: house.reschedule,
    commands.Reprice: house.reprice,
    commands.ChangeRefundPolicy: house.change_refund_policy,
    commands.Expire: _nothing,
}
