"""What comes back: by the policy a booking was made under, in full when the house moved or cancelled, or as a favour.

A seat costs 13.09 EUR. The policy gives all of it back until 24 hours before the start and half until 2 hours before.
"""

from hypothesis import given
from hypothesis import strategies as st

from actors.seatmap.commands import ActorKind, Cause, RefundBooking
from actors.seatmap.refunds import offer, worth_of
from actors.seatmap.state import Booking
from actors.seatmap.terms import RefundStep
from tests.actors.seatmap.hall import HOUR, START, House, check, command_of

BOUGHT = """
    0s   ana  hold b1 A1 A2 A3       -> seats_held(A1,A2,A3)
    0s   ana  book b1 b1             -> booking_placed
    0s   bank confirm b1 p1 3927     -> booking_confirmed
"""


def booking(house: House) -> Booking:
    return house.state.bookings["b1"]


def money(house: House) -> tuple[int, int, int]:
    """Refunded, worth, kept."""
    return booking(house).refunded, booking(house).value, booking(house).kept


def test_a_booking_keeps_the_policy_it_was_made_under() -> None:
    check(f"""
        {BOUGHT}
        0s   desk policy 48:10000       -> refund_policy_changed
        0s   desk policy 48:10000       -> nothing
        0s   bob  hold b2 B1            -> seats_held(B1)
        0s   bob  book b2 b2            -> booking_placed
        0s   bank confirm b2 p2 1309    -> booking_confirmed
        76h  ana  cancel b1 A1          -> booking_cancelled(A1,1309)
        76h  bob  cancel b2             -> booking_cancelled(B1,0)
    """)


def test_what_the_policy_does_not_give_back_is_kept() -> None:
    house = check(f"""
        {BOUGHT}
        80h  ana  cancel b1 A1          -> booking_cancelled(A1,655)
        80h  ana  cancel b1 A2          -> booking_cancelled(A2,655)
        99h  ana  cancel b1             -> booking_cancelled(A3,0)
    """)
    assert money(house) == (1_310, 0, 2_617)


def test_a_fee_of_the_policy_never_costs_more_than_the_seat() -> None:
    house = check(
        f"""
        {BOUGHT}
        1h   ana  cancel b1 A1          -> booking_cancelled(A1,1209)
        80h  ana  cancel b1 A2          -> booking_cancelled(A2,0)
    """,
        refund_policy=(RefundStep(24, 10_000, 100), RefundStep(0, 5_000, 5_000)),
    )
    assert money(house) == (1_209, 1_309, 1_409)


def test_who_bought_before_the_start_moved_gets_everything_back_until_the_new_start() -> None:
    house = check(f"""
        {BOUGHT}
        10h  desk move 90h notify       -> showtime_rescheduled
        10h  bob  hold b2 B1            -> seats_held(B1)
        10h  bob  book b2 b2            -> booking_placed
        10h  bank confirm b2 p2 1309    -> booking_confirmed
        89h  ana  cancel b1 A1          -> booking_cancelled(A1,1309)
        89h  bob  cancel b2             -> booking_cancelled(B1,0)
        90h  ana  cancel b1             -> past_deadline
    """)
    assert money(house) == (1_309, 2_618, 0)


def test_who_had_not_paid_when_it_moved_may_change_their_mind_too() -> None:
    check("""
        0s   ana  hold b1 A1            -> seats_held(A1)
        0s   ana  book b1 b1            -> booking_placed
        60s  desk move 90h notify       -> showtime_rescheduled
        61s  bank confirm b1 p1 1309    -> booking_confirmed
        89h  ana  cancel b1             -> booking_cancelled(A1,1309)
    """)


def test_a_showtime_that_only_ends_later_has_not_moved() -> None:
    house = check(BOUGHT)
    house.ask(command_of("desk", ["move", "100h", "notify"]), 0)
    assert not booking(house).moved


def test_a_cancelled_showtime_gives_back_what_bookings_are_worth_and_not_what_was_kept_before() -> None:
    house = check(f"""
        {BOUGHT}
        80h  ana  cancel b1 A1          -> booking_cancelled(A1,655)
        81h  desk refund b1 600         -> refund_granted(600,2018 left)
        82h  desk call-off              -> booking_cancelled(A2,A3,2018) showtime_cancelled
    """)
    assert money(house) == (655 + 600 + 2_018, 0, 654)


def test_old_news_of_money_that_was_used_pays_nothing_back_again() -> None:
    house = check(f"""
        {BOUGHT}
        1h   bank confirm b1 p1 3927     -> nothing
        1h   ana  cancel b1             -> booking_cancelled(A1,A2,A3,3927)
        2h   bank confirm b1 p1 3927     -> booking_cancelled
        2h   bank confirm b1 p2 3927     -> refund_decided(booking_cancelled)
        2h   bank confirm b1 p2 3927     -> expired_seats_lost
    """)
    assert booking(house).refunded_payments == ("p2",)


def test_a_favour_leaves_the_seats_and_makes_them_worth_less() -> None:
    house = check(f"""
        {BOUGHT}
        1h   desk refund b1 927         -> refund_granted(927,3000 left)
        1h   ana  cancel b1 A1          -> booking_cancelled(A1,1000)
        1h   ana  cancel b1             -> booking_cancelled(A2,A3,2000)
    """)
    assert money(house) == (3_927, 0, 0)


def test_a_favour_can_give_back_what_was_kept_but_nothing_twice() -> None:
    house = check(f"""
        {BOUGHT}
        80h  ana  cancel b1             -> booking_cancelled(A1,A2,A3,1964)
        81h  desk refund b1 1964        -> exceeds_paid
        81h  desk refund b1 1963        -> refund_granted(1963,0 left)
        81h  desk refund b1 1           -> exceeds_paid
        81h  desk refund b1 0           -> exceeds_paid
        81h  desk refund b1 A1          -> already_cancelled
    """)
    assert money(house) == (3_927, 0, 0)


def test_the_house_takes_seats_back_in_full_also_after_the_film() -> None:
    house = check(f"""
        {BOUGHT}
        99h  desk refund b1 A2          -> booking_cancelled(A2,1309)
        99h  desk refund b1 A2          -> seat_not_in_booking A2:not_in_booking
        103h desk refund b1             -> booking_cancelled(A1,A3,2618)
    """)
    assert money(house) == (3_927, 0, 0)


def test_nothing_can_be_refunded_that_was_never_paid() -> None:
    check(
        """
        0s   ana  hold b1 A1            -> seats_held(A1)
        0s   ana  book b1 b1            -> booking_placed
        0s   desk refund b1             -> exceeds_paid
        0s   desk refund b1 1           -> exceeds_paid
        0s   desk refund b9 1           -> booking_not_found
        0s   cem  gratis b3 B1          -> seats_held booking_placed booking_confirmed
        0s   desk refund b3             -> exceeds_paid
    """.replace("seats_held booking_placed", "seats_held(B1) booking_placed")
    )


@given(
    hours=st.integers(1, 120),
    gifts=st.lists(st.integers(1, 1_500), max_size=3),
    seats=st.permutations(["A1", "A2", "A3"]),
    policy=st.lists(
        st.builds(RefundStep, st.integers(0, 120), st.integers(0, 10_000), st.integers(0, 3_000)), max_size=3
    ),
)
def test_whatever_happens_to_a_booking_each_cent_is_worth_something_kept_or_back(
    hours: int, gifts: list[int], seats: list[str], policy: list[RefundStep]
) -> None:
    policy.sort(key=lambda step: -step.hours_before)
    house = check(BOUGHT, refund_policy=tuple(policy))
    now = START - min(hours, 99) * HOUR
    house.pass_time(now)
    for seat in seats:
        for number, gift in enumerate(gifts):
            cause = Cause(f"{seat}-{number}", ActorKind.STAFF, "desk")
            house.ask(RefundBooking(cause, "b1", "sorry", amount=gift), now)
        before = booking(house)
        gone = [line for line in before.lines if line.seat == seat]
        shown = offer(house.state, before, gone, now)
        assert 0 <= shown.refund <= shown.worth == worth_of(before, gone)
        house.ask(command_of("ana", ["cancel", "b1", seat]), now)
        after = booking(house)
        assert after.refunded - before.refunded == shown.refund, "the quote and the cancellation are one rule"
        assert after.kept - before.kept == shown.worth - shown.refund
        assert after.paid == after.value + after.kept + after.refunded
    assert booking(house).value == 0
