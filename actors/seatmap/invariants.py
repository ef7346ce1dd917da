"""What must hold of every seat map after every event. Tests and the simulator check it; a breach is our bug."""

from collections import Counter

from actors.seatmap.state import LIVE, BookingStatus, SeatMap, SeatState, next_due


def check(state: SeatMap) -> None:
    """AssertionError names the first broken invariant."""
    _every_claim_has_its_owner(state)
    _counts_add_up(state)
    _sold_seats_have_one_ticket(state)
    _pledges_are_exact(state)
    _money_adds_up(state)
    assert state.deadline <= next_due(state), "the deadline may be early, never late"


def _every_claim_has_its_owner(state: SeatMap) -> None:
    owners: dict[str, tuple[SeatState, str]] = {}
    for hold in state.holds.values():
        for seat in hold.seats:
            assert seat not in owners, f"{seat} is held twice"
            owners[seat] = (SeatState.HELD, hold.id)
    for booking in state.bookings.values():
        if booking.status in LIVE:
            sold = SeatState.SOLD if booking.status is BookingStatus.CONFIRMED else SeatState.HELD
            for seat in booking.seats:
                assert seat not in owners, f"{seat} has two owners"
                owners[seat] = (sold, booking.id)
    claims = {s: (c.state, c.by) for s, c in state.taken.items() if c.state is not SeatState.BLOCKED}
    assert claims == owners, "claims and their owners differ"
    assert state.taken.keys() <= state.layout.seats.keys(), "a claim on a seat that is not there"


def _counts_add_up(state: SeatMap) -> None:
    counted = Counter(claim.state for claim in state.taken.values())
    assert state.held == counted[SeatState.HELD]
    assert state.sold == counted[SeatState.SOLD]
    assert state.blocked == counted[SeatState.BLOCKED]
    assert state.free == state.layout.capacity - len(state.taken)


def _sold_seats_have_one_ticket(state: SeatMap) -> None:
    tickets = [t.seat for b in state.bookings.values() if b.status is BookingStatus.CONFIRMED for t in b.tickets]
    sold = [seat for seat, claim in state.taken.items() if claim.state is SeatState.SOLD]
    assert sorted(tickets) == sorted(sold), "sold seats and live tickets differ"


def _pledges_are_exact(state: SeatMap) -> None:
    pledged: Counter[str] = Counter()
    for hold in state.holds.values():
        pledged[hold.owner] += len(hold.lines)
    for booking in state.bookings.values():
        if booking.status is BookingStatus.PENDING_PAYMENT:
            pledged[booking.owner] += len(booking.lines)
    assert state.pledged == pledged, "the caps count something else than holds and unpaid bookings"


def _money_adds_up(state: SeatMap) -> None:
    for booking in state.bookings.values():
        assert 0 <= booking.refunded <= booking.paid, f"{booking.id} gave back more than it took"
        assert not booking.paid or booking.payment_id not in booking.refunded_payments, (
            f"{booking.id} is paid back twice"
        )
        for line in booking.lines:
            assert 0 <= line.discount <= line.amount, f"{line.seat} has a discount that it does not cost"
            assert min(line.fee, line.tax) >= 0, f"{line.seat} has a fee or a tax below nothing"
        worth_most = booking.total if booking.status is BookingStatus.CONFIRMED else 0
        assert 0 <= booking.value <= worth_most, f"{booking.id} is worth {booking.value} of {worth_most}"
        assert booking.kept >= 0, f"{booking.id} is worth more than is left of what was paid"
        if booking.status is BookingStatus.CONFIRMED and not booking.refunded:
            assert booking.paid - booking.kept == booking.total, f"{booking.id} was paid with less than it costs"
