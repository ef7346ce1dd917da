"""Random evenings: whatever anybody does in whatever order, the invariants hold and the log tells the same story."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.seatmap import commands as c
from actors.seatmap.commands import ActorKind, Cause
from actors.seatmap.events import Event, ShowtimeRescheduled, public_delta
from actors.seatmap.state import Claim, SeatMap, SeatState
from actors.seatmap.terms import RefundStep
from actors.seatmap.view import public_view
from tests.actors.seatmap.hall import HOUR, House, other_hall

SEATS = st.lists(st.sampled_from([f"{row}{n}" for row in "ABC" for n in range(1, 7)] + ["Z9"]), min_size=1, max_size=4)
PEOPLE = st.sampled_from(["ana", "bob", "cem"])
NUMBERS = st.integers(0, 12)


def view_of(state: SeatMap) -> dict[str, str]:
    view = public_view(state)
    return {seat: name for name in ("held", "sold", "blocked") for seat in getattr(view, name)}


def shown(before: dict[str, str], events: list[Event]) -> dict[str, str]:
    """What a watcher sees after these events."""
    seen = dict(before)
    for event in events:
        if isinstance(event, ShowtimeRescheduled) and event.layout is not None:  # watchers start over
            seen = {seat: state for seat, state in seen.items() if seat in event.layout.seats}
        for state, seats in public_delta(event).items():
            for seat in seats:
                seen.pop(seat, None)
                if state != "free":
                    seen[seat] = state
    return seen


class Evening(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.now = 0
        self.count = 0

    def ask(self, make: object, who: str, *words: object) -> None:
        self.count += 1
        kind = {"desk": ActorKind.STAFF, "bank": ActorKind.PROVIDER}.get(who, ActorKind.CUSTOMER)
        cause = Cause(f"command-{self.count}", kind, who, retryable=True, intent=self.count)
        before, heard = view_of(self.house.state), len(self.house.log)
        self.house.ask(make(cause, *words), self.now)  # type: ignore[operator]
        assert shown(before, [r.event for r in self.house.log[heard:]]) == view_of(self.house.state)

    @rule(seconds=st.integers(1, 700))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1_000

    @rule(who=PEOPLE, seats=SEATS, child=st.booleans())
    def hold(self, who: str, seats: list[str], child: bool) -> None:
        types = dict.fromkeys(seats, "child") if child else {}
        self.ask(c.HoldSeats, who, f"h{self.count}", tuple(seats), types)

    @rule(who=PEOPLE, number=NUMBERS, add=SEATS, remove=st.lists(st.sampled_from(["A1", "A2", "B1"]), max_size=2))
    def change(self, who: str, number: int, add: list[str], remove: list[str]) -> None:
        self.ask(c.ChangeHold, who, self.a_hold(number), tuple(add), tuple(dict.fromkeys(remove)))

    @rule(who=PEOPLE, number=NUMBERS, verb=st.sampled_from([c.RenewHold, c.ReleaseHold]))
    def renew_or_release(self, who: str, number: int, verb: object) -> None:
        self.ask(verb, who, self.a_hold(number))

    @rule(number=NUMBERS, who=PEOPLE, guest=PEOPLE)
    def take_over(self, number: int, who: str, guest: str) -> None:
        self.ask(c.TakeOverHold, who, self.a_hold(number), f"h{self.count}", guest)

    @rule(number=NUMBERS)
    def place(self, number: int) -> None:
        hold = self.house.state.holds.get(self.a_hold(number))
        if hold is not None:
            self.ask(c.PlaceBooking, hold.owner, hold.id, f"b{self.count}", f"R{self.count}")

    @rule(who=PEOPLE, seats=SEATS)
    def book_at_once(self, who: str, seats: list[str]) -> None:
        n = self.count
        self.ask(c.BookSeats, who, f"h{n}", f"b{n}", f"R{n}", tuple(seats))

    @rule(number=NUMBERS, wrong=st.booleans(), payment=st.integers(0, 3))
    def money_arrives(self, number: int, wrong: bool, payment: int) -> None:
        booking = self.house.state.bookings.get(self.a_booking(number))
        if booking is not None:
            amount = booking.total + wrong
            self.ask(c.ConfirmBooking, "bank", booking.id, f"p{payment}", amount, "EUR", "sandbox", f"p{payment}")

    @rule(number=NUMBERS, some=st.booleans())
    def cancel(self, number: int, some: bool) -> None:
        booking = self.house.state.bookings.get(self.a_booking(number))
        if booking is not None:
            self.ask(c.CancelBooking, booking.owner, booking.id, booking.seats[:1] if some else ())

    @rule(number=NUMBERS, amount=st.one_of(st.none(), st.integers(1, 2_000)), some=st.booleans())
    def refund(self, number: int, amount: int | None, some: bool) -> None:
        booking = self.house.state.bookings.get(self.a_booking(number))
        if booking is not None:
            seats = booking.seats[:1] if some and amount is None else ()
            self.ask(c.RefundBooking, "desk", booking.id, "sorry", amount, seats)

    @rule(hours=st.integers(0, 120), bps=st.integers(0, 10_000))
    def change_policy(self, hours: int, bps: int) -> None:
        before = self.house.state.bookings
        self.ask(c.ChangeRefundPolicy, "desk", (RefundStep(hours, bps),))
        for booking_id, booking in self.house.state.bookings.items():
            assert booking.refund_policy == before[booking_id].refund_policy, "a booking keeps its policy"

    @rule(seats=SEATS, back=st.booleans(), hours=st.none() | st.integers(0, 48), kind=st.sampled_from(c.BlockKind))
    def block(self, seats: list[str], back: bool, hours: int | None, kind: c.BlockKind) -> None:
        if back:
            self.ask(c.UnblockSeats, "desk", tuple(seats))
        else:
            until = None if hours is None else self.now + hours * HOUR
            self.ask(c.BlockSeats, "desk", tuple(seats), "test", kind, until)

    @rule(count=st.integers(1, 4), who=PEOPLE, split=st.booleans())
    def best(self, count: int, who: str, split: bool) -> None:
        wish = c.BestAvailable(count, allow_split=split)
        hold_id = f"h{self.count}"
        self.ask(lambda cause: c.HoldSeats(cause, hold_id, best_available=wish), who)

    @rule(verb=st.sampled_from([c.OpenSales, c.CloseSales]))
    def sales(self, verb: object) -> None:
        self.ask(verb, "desk")

    @rule(number=NUMBERS, payment=st.integers(0, 3), stranger=st.booleans())
    def start_payment(self, number: int, payment: int, stranger: bool) -> None:
        booking = self.house.state.bookings.get(self.a_booking(number))
        if booking is not None:
            until = booking.expires_at
            self.ask(c.StartPayment, "eve" if stranger else booking.owner, booking.id, f"p{payment}", "sandbox")
            after = self.house.state.bookings[booking.id]
            assert after.expires_at >= until
            assert after.expires_at == until or not stranger, "eve prolongs nobody's booking"

    @rule(hours=st.integers(1, 200), notify=st.booleans(), rows=st.none() | st.integers(2, 4))
    def move(self, hours: int, notify: bool, rows: int | None) -> None:
        self.house.pass_time(self.now)
        before, start = self.house.state, self.now + hours * HOUR
        layout = None if rows is None else other_hall(rows)
        self.ask(lambda cause: c.Reschedule(cause, start, start + HOUR, 0, start, "screen", notify, layout), "desk")
        assert _peoples(self.house.state) == _peoples(before), "moving frees nobody's seat"

    @rule(hours=st.integers(1, 60))
    def hours_pass(self, hours: int) -> None:
        self.now += hours * HOUR

    @invariant()
    def the_log_tells_the_same_story(self) -> None:
        assert self.house.log_agrees()

    def a_hold(self, number: int) -> str:
        holds = list(self.house.state.holds)
        return holds[number % len(holds)] if holds else "h-none"

    def a_booking(self, number: int) -> str:
        bookings = list(self.house.state.bookings)
        return bookings[number % len(bookings)] if bookings else "b-none"


def _peoples(state: SeatMap) -> dict[str, Claim]:
    return {seat: claim for seat, claim in state.taken.items() if claim.state is not SeatState.BLOCKED}


TestEvening = Evening.TestCase
TestEvening.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
