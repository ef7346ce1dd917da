"""Rules of holding seats: all of them or none, a cap for each customer, no lone seat left behind, bounded renewal."""

from collections.abc import Mapping, Sequence
from typing import Final

from actors.seatmap import price_rules, pricing
from actors.seatmap.best_available import NoBlock, best_available
from actors.seatmap.commands import (
    ActorKind,
    BestAvailable,
    BlockKind,
    Cause,
    ChangeHold,
    HoldSeats,
    ReleaseHold,
    RenewHold,
    TakeOverHold,
)
from actors.seatmap.events import HoldChanged, HoldReleased, HoldRenewed, Line, SeatsHeld
from actors.seatmap.layout import Layout
from actors.seatmap.orphans import orphans
from actors.seatmap.refusals import Accepted, Decision, Refusal, Refused
from actors.seatmap.state import BookingStatus, Claim, Hold, Sales, SeatMap, Status
from actors.seatmap.terms import Instant, OrphanRule

_KEPT_FOR: Final[Mapping[BlockKind | None, str]] = {
    BlockKind.CHANNEL: "channel",
    BlockKind.ACCESSIBLE: "accessible_only",
}


def hold_seats(state: SeatMap, c: HoldSeats, now: Instant) -> Decision:
    if no := closed(state, c.cause):
        return no
    seats, ticket_types = c.seats, c.ticket_types
    if c.best_available is not None:
        chosen = _choose(state, c.cause, c.best_available)
        if isinstance(chosen, Refused):
            return chosen
        seats = chosen
        ticket_types = dict.fromkeys(seats, ticket_types["*"]) if "*" in ticket_types else ticket_types
    if no := (
        _malformed(state, seats, ticket_types)
        or _over_limit(state, c.cause, len(seats))
        or _taken(state.taken, seats, state.holds, c.cause.actor_id)
        or (_lone_seat(state, c.cause, state.taken, seats) if c.best_available is None else None)
    ):
        return no
    return Accepted((held(state, c.cause, c.hold_id, seats, ticket_types, now),))


def held(
    state: SeatMap, cause: Cause, hold_id: str, seats: Sequence[str], ticket_types: Mapping[str, str], now: Instant
) -> SeatsHeld:
    terms = state.terms
    return SeatsHeld(
        hold_id,
        cause.actor_id,
        quote(state, seats, ticket_types, now),
        now + terms.hold_seconds * 1_000,
        terms.renewals_max,
        next_to_each_other(state.layout, seats),
    )


def quote(state: SeatMap, seats: Sequence[str], ticket_types: Mapping[str, str], now: Instant) -> tuple[Line, ...]:
    """What these seats cost somebody who asks now."""
    tariff = state.terms.tariff
    if not tariff.rules:
        return pricing.quote(state.layout, tariff, seats, ticket_types)
    return pricing.quote(state.layout, tariff, seats, ticket_types, price_rules.applying(state, now))


def change_hold(state: SeatMap, c: ChangeHold, now: Instant) -> Decision:
    hold = own_hold(state, c.cause, c.hold_id)
    if isinstance(hold, Refused):
        return hold
    if no := closed(state, c.cause):
        return no
    if missing := [seat for seat in c.remove if seat not in hold.seats]:
        return Refused(Refusal.SEAT_NOT_IN_HOLD, dict.fromkeys(missing, "not_in_hold"))
    kept = [line.seat for line in hold.lines if line.seat not in c.remove]
    seats = (*kept, *c.add)
    asked = c.ticket_types
    quoted = {n.seat: n for n in hold.lines if n.seat in kept and asked.get(n.seat, n.ticket_type) == n.ticket_type}
    ticket_types = {seat: ticket_type for seat, ticket_type in asked.items() if seat not in quoted}
    taken = {seat: claim for seat, claim in state.taken.items() if claim.by != hold.id}
    if no := (
        _malformed(state, seats, ticket_types)
        or _over_limit(state, c.cause, len(seats) - len(hold.lines))
        or _taken(taken, c.add, state.holds, c.cause.actor_id)
        or (_lone_seat(state, c.cause, taken, seats) if c.add else None)  # giving a seat back is always welcome
    ):
        return no
    if others := [seat for seat in seats if seat not in quoted]:
        quoted |= {line.seat: line for line in quote(state, others, ticket_types, now)}
    lines = tuple([quoted[seat] for seat in seats])
    if lines == hold.lines:
        return Accepted(())
    return Accepted(
        (
            HoldChanged(
                hold.id,
                hold.owner,
                lines,
                tuple(seat for seat in hold.seats if seat not in seats),
                hold.expires_at,
                hold.renewals_left,
                next_to_each_other(state.layout, seats),
            ),
        )
    )


def renew_hold(state: SeatMap, c: RenewHold, now: Instant) -> Decision:
    hold = own_hold(state, c.cause, c.hold_id)
    if isinstance(hold, Refused):
        return hold
    if no := closed(state, c.cause):
        return no
    terms = state.terms
    expires_at = min(now + terms.hold_seconds * 1_000, hold.first_held_at + terms.hold_seconds_max * 1_000)
    if hold.renewals_left < 1 or expires_at <= hold.expires_at:
        return Refused(Refusal.RENEW_LIMIT, facts={"renewals_left": hold.renewals_left})
    return Accepted((HoldRenewed(hold.id, hold.owner, expires_at, hold.renewals_left - 1),))


def release_hold(state: SeatMap, c: ReleaseHold, now: Instant) -> Decision:
    hold = own_hold(state, c.cause, c.hold_id)
    if isinstance(hold, Refused):
        return Accepted(()) if hold.refusal is Refusal.HOLD_EXPIRED else hold
    return Accepted((HoldReleased(hold.id, hold.owner, hold.seats),))


def take_over_hold(state: SeatMap, c: TakeOverHold, _now: Instant) -> Decision:
    """In one turn, so that nobody comes between; what is too much for the one who takes it stays where it is.

    The log knows the new hold from now on only: it keeps no more renewals than end within the old one's longest life.
    """
    hold = state.holds.get(c.hold_id)
    if hold is None or hold.owner != c.of:
        return Refused(Refusal.HOLD_EXPIRED)
    if no := _over_limit(state, c.cause, len(hold.lines)):
        return no
    terms = state.terms
    room = hold.first_held_at + terms.hold_seconds_max * 1_000 - hold.expires_at
    renewals = min(hold.renewals_left, room // (terms.hold_seconds * 1_000))
    taken = SeatsHeld(
        c.new_hold_id, c.cause.actor_id, hold.lines, hold.expires_at, max(0, renewals), hold.next_to_each_other
    )
    return Accepted((HoldReleased(hold.id, hold.owner, hold.seats), taken))


def own_hold(state: SeatMap, cause: Cause, hold_id: str) -> Hold | Refused:
    """The caller's live hold. Somebody else's looks as if it were not there."""
    hold = state.holds.get(hold_id)
    if hold is None:
        for booking in state.bookings.values():
            if booking.hold_id == hold_id:
                if booking.owner != cause.actor_id and cause.kind is not ActorKind.STAFF:
                    return Refused(Refusal.HOLD_FOREIGN)
                if booking.status is BookingStatus.EXPIRED:
                    break
                return Refused(Refusal.HOLD_BOOKED, facts={"booking_id": booking.id})
        return Refused(Refusal.HOLD_EXPIRED)
    if hold.owner != cause.actor_id and cause.kind is not ActorKind.STAFF:
        return Refused(Refusal.HOLD_FOREIGN)
    return hold


def closed(state: SeatMap, cause: Cause) -> Refused | None:
    """Why nothing can be held or bought now, if so. Staff may sell before and after the public."""
    if state.status is Status.CANCELLED:
        return Refused(Refusal.SHOWTIME_CANCELLED)
    if state.status is Status.COMPLETED:
        return Refused(Refusal.SHOWTIME_OVER)
    if state.sales is Sales.OPEN or cause.kind is ActorKind.STAFF:
        return None
    return Refused(Refusal.SALES_NOT_OPEN if state.sales is Sales.NOT_OPEN else Refusal.SALES_CLOSED)


def next_to_each_other(layout: Layout, seats: Sequence[str]) -> bool:
    """Whether the seats are one unbroken run of neighbours."""
    if len(seats) < 2:
        return True
    wanted = set(seats)
    return sum(layout.seats[seat].right in wanted for seat in seats) == len(seats) - 1


def _choose(state: SeatMap, cause: Cause, wish: BestAvailable) -> tuple[str, ...] | Refused:
    if wish.count < 1:
        return Refused(Refusal.NO_SEATS)
    if wish.category is not None and wish.category not in {category.key for category in state.layout.categories}:
        return Refused(Refusal.CATEGORY_UNKNOWN, facts={"category": wish.category})
    if wish.near_row is not None and wish.near_row not in {row.label for row in state.layout.rows}:
        return Refused(Refusal.ROW_UNKNOWN, facts={"row": wish.near_row})
    if no := _over_limit(state, cause, wish.count):
        return no
    choice = best_available(state.layout, state.taken, wish)
    if isinstance(choice, NoBlock):
        return Refused(Refusal.NO_BLOCK, facts={"largest_block": choice.largest_block})
    return choice.seats


def _malformed(state: SeatMap, seats: Sequence[str], ticket_types: Mapping[str, str]) -> Refused | None:
    if not seats:
        return Refused(Refusal.NO_SEATS)
    known = state.layout.seats
    if unknown := [seat for seat in (*seats, *ticket_types) if seat not in known]:
        return Refused(Refusal.SEAT_UNKNOWN, dict.fromkeys(unknown, "unknown"))
    if len(set(seats)) != len(seats):
        return Refused(Refusal.SEAT_TWICE, {seat: "twice" for seat in seats if seats.count(seat) > 1})
    if ticket_types and (others := [seat for seat in ticket_types if seat not in seats]):
        return Refused(Refusal.SEAT_NOT_IN_HOLD, dict.fromkeys(others, "not_in_hold"))
    if ticket_types and (unsold := pricing.unpriced(state.layout, state.terms.tariff, seats, ticket_types)):
        return Refused(Refusal.TICKET_TYPE_UNKNOWN, facts={"ticket_types": list(unsold)})
    return None


def _over_limit(state: SeatMap, cause: Cause, more: int) -> Refused | None:
    if cause.kind is ActorKind.STAFF:
        return None
    limit, has = state.terms.seats_per_customer_max, state.pledged.get(cause.actor_id, 0)
    if has + more > limit:
        return Refused(Refusal.HOLD_LIMIT, facts={"limit": limit, "held": has})
    return None


def _taken(taken: Mapping[str, Claim], seats: Sequence[str], holds: Mapping[str, Hold], who: str) -> Refused | None:
    """Who asks for nothing but seats of their own hold is told which one that is."""
    conflicts = {seat: _why_not(taken[seat]) for seat in seats if seat in taken}
    if not conflicts:
        return None
    (by, *others) = {taken[seat].by for seat in conflicts}
    own = not others and by in holds and holds[by].owner == who
    return Refused(Refusal.SEATS_UNAVAILABLE, conflicts, {"hold_id": by} if own else {})


def _why_not(claim: Claim) -> str:
    """What a customer is told of a seat that is not free."""
    return _KEPT_FOR.get(claim.kind, claim.state.value)


def _lone_seat(state: SeatMap, cause: Cause, taken: Mapping[str, Claim], seats: Sequence[str]) -> Refused | None:
    if state.terms.orphan_rule is OrphanRule.OFF or cause.kind is ActorKind.STAFF:
        return None
    left = orphans(state.layout, taken, seats)
    if left is None:
        return None
    return Refused(
        Refusal.ORPHAN_SEAT,
        dict.fromkeys(left.orphans, "orphan"),
        {"orphans": list(left.orphans), "suggestions": [list(s) for s in left.suggestions]},
    )
