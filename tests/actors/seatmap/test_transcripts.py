"""The rules as box-office transcripts. A seat costs 13.09 EUR: 10.00, a fee of 1.00 and 19 % tax."""

from dataclasses import replace

from actors.seatmap import commands as c
from actors.seatmap.events import public_delta
from actors.seatmap.layout import from_plan, from_shortcut
from actors.seatmap.refusals import Accepted, Refusal, Refused
from actors.seatmap.terms import OrphanRule
from tests.actors.seatmap.hall import HOUR, START, TARIFF, House, check


def test_a_group_gets_all_its_seats_or_none():
    house = check("""
        0s  ana  hold h1 A1 A2      -> seats_held(A1,A2)
        1s  bob  hold h2 A2 A3      -> seats_unavailable A2:held
        2s  bob  hold h2 A3         -> seats_held(A3)
    """)
    assert house.state.free == 15


def test_a_refusal_names_every_seat_and_why():
    check("""
        0s  desk block A1           -> seats_blocked
        0s  ana  hold h1 A2         -> seats_held(A2)
        0s  ana  hold h2 A3         -> seats_held(A3)
        0s  ana  book h2 b2         -> booking_placed
        0s  bank confirm b2 p2 1309 -> booking_confirmed
        0s  bob  hold h3 A1 A2 A3   -> seats_unavailable A1:blocked A2:held A3:sold
    """)


def test_a_seat_is_its_exact_label_once():
    check("""
        0s  ana  hold h1 a1         -> unknown_seat a1:unknown
        0s  ana  hold h1 A01        -> unknown_seat A01:unknown
        0s  ana  hold h1 A1 A1      -> duplicate_seat A1:twice
        0s  ana  hold h1            -> no_seats
        0s  ana  hold h1 A1         -> seats_held(A1)
    """)


def test_a_customer_has_a_cap_over_holds_and_unpaid_bookings_and_staff_has_none():
    check("""
        0s  ana  hold h1 A1 A2      -> seats_held(A1,A2)
        0s  ana  book h1 b1         -> booking_placed
        0s  ana  hold h2 A3 A4      -> seats_held(A3,A4)
        0s  ana  hold h3 A5         -> hold_limit
        0s  bank confirm b1 p1 2618 -> booking_confirmed
        0s  ana  hold h3 A5         -> seats_held(A5)
        0s  desk hold h4 B1 B2 B3 B4 B5 -> seats_held(B1,B2,B3,B4,B5)
    """)


def test_an_expired_hold_frees_the_seat_and_is_gone_for_its_owner():
    check("""
        0s    ana  hold h1 A1 A2    -> seats_held(A1,A2)
        599s  bob  hold h2 A2       -> seats_unavailable A2:held
        600s  bob  hold h3 A2       -> seats_held(A2)
        601s  ana  book h1 b1       -> hold_expired
        601s  ana  renew h1         -> hold_expired
        601s  ana  release h1       -> nothing
    """)


def test_a_customer_takes_over_what_a_guest_holds_with_its_price_and_deadline():
    house = check("""
        0s    gus  hold h1 A1 A2        -> seats_held(A1,A2)
        200s  ana  adopt h1 h2 eve      -> hold_expired
        200s  ana  adopt h1 h2 gus      -> hold_released seats_held(A1,A2)
        200s  gus  book h1 b1           -> hold_expired
        200s  ana  adopt h1 h3 gus      -> hold_expired
        300s  ana  renew h2             -> hold_renewed
        300s  ana  book h2 b1           -> booking_placed
        301s  gus  hold h4 B1 B2 B3     -> seats_held(B1,B2,B3)
        301s  ana  adopt h4 h5 gus      -> hold_limit
        900s  bob  hold h6 B1           -> seats_unavailable B1:held
        901s  bob  hold h6 B1           -> seats_held(B1)
    """)
    assert house.state.pledged == {"bob": 1}


def test_nobody_takes_over_a_hold_for_longer_than_it_lasted():
    check("""
        0s    gus  hold h1 A1           -> seats_held(A1)
        599s  ana  adopt h1 h2 gus      -> hold_released seats_held(A1)
        600s  bob  hold h3 A1           -> seats_held(A1)
    """)
    check("""
        0s     gus  hold h1 A1          -> seats_held(A1)
        598s   ana  adopt h1 h2 gus     -> hold_released seats_held(A1)
        599s   ana  renew h2            -> hold_renewed
        1198s  ana  renew h2            -> renew_limit
        1199s  bob  hold h3 A1          -> seats_held(A1)
    """)
    check("""
        0s    gus  hold h1 A1           -> seats_held(A1)
        300s  gus  renew h1             -> hold_renewed
        899s  ana  adopt h1 h2 gus      -> hold_released seats_held(A1)
        899s  ana  renew h2             -> renew_limit
        900s  bob  hold h3 A1           -> seats_held(A1)
    """)


def test_a_hold_is_renewed_twice_and_never_past_twenty_minutes():
    check("""
        0s     ana  hold h1 A1      -> seats_held(A1)
        300s   ana  renew h1        -> hold_renewed
        899s   ana  renew h1        -> hold_renewed
        900s   ana  renew h1        -> renew_limit
        1199s  bob  hold h2 A1      -> seats_unavailable A1:held
        1200s  bob  hold h2 A1      -> seats_held(A1)
    """)


def test_a_hold_changes_in_one_step_or_not_at_all():
    check("""
        0s  ana  hold h1 A1 A2         -> seats_held(A1,A2)
        0s  bob  hold h2 A4            -> seats_held(A4)
        1s  ana  change h1 +A3 -A1     -> hold_changed(A2,A3)
        2s  ana  change h1 +A4 -A2     -> seats_unavailable A4:held
        3s  ana  change h1 -A1         -> seat_not_in_hold A1:not_in_hold
        4s  ana  change h1 -A2 -A3     -> no_seats
        5s  bob  hold h3 A1            -> seats_held(A1)
        6s  bob  change h1 +B1         -> hold_not_found
    """)


def test_a_seat_given_back_twice_or_taken_again_at_once_is_given_back_once_or_kept():
    house = check("""
        0s  ana  hold h1 A1 A2 A3 A4      -> seats_held(A1,A2,A3,A4)
        1s  ana  change h1 +B1 +B2 -A1 -A1 -> hold_limit
        2s  ana  change h1 -A1 -A1        -> hold_changed(A2,A3,A4)
        3s  ana  change h1 +A2 -A2 -A3    -> hold_changed(A4,A2)
    """)
    assert public_delta(house.log[-1].event) == {"held": ("A4", "A2"), "free": ("A3",)}


def test_what_is_released_or_cancelled_is_sold_again():
    check("""
        0s  ana  hold h1 A1            -> seats_held(A1)
        1s  ana  release h1            -> hold_released
        2s  bob  hold h2 A1            -> seats_held(A1)
        3s  bob  book h2 b2            -> booking_placed
        4s  bank confirm b2 p2 1309    -> booking_confirmed
        5s  bob  cancel b2             -> booking_cancelled(A1,1309)
        6s  ana  hold h3 A1            -> seats_held(A1)
        7s  bob  cancel b2             -> already_cancelled
    """)


def test_money_back_follows_the_ladder_and_part_of_a_booking_can_go():
    check("""
        0s   ana  hold h1 A1 A2 A3     -> seats_held(A1,A2,A3)
        0s   ana  book h1 b1           -> booking_placed
        0s   bank confirm b1 p1 3927   -> booking_confirmed
        76h  ana  cancel b1 A1         -> booking_cancelled(A1,1309)
        77h  ana  cancel b1 A1         -> seat_not_in_booking A1:not_in_booking
        97h  ana  cancel b1 A2         -> booking_cancelled(A2,655)
        99h  ana  cancel b1            -> booking_cancelled(A3,0)
    """)


def test_nobody_cancels_after_the_start_or_what_is_not_theirs():
    check("""
        0s    ana  hold h1 A1          -> seats_held(A1)
        0s    ana  book h1 b1          -> booking_placed
        0s    bank confirm b1 p1 1309  -> booking_confirmed
        1s    bob  cancel b1           -> booking_not_found
        100h  ana  cancel b1           -> past_deadline
    """)


def test_confirming_and_expiring_never_both_happen():
    check("""
        0s    ana  hold h1 A1          -> seats_held(A1)
        0s    ana  book h1 b1          -> booking_placed
        599s  bank confirm b1 p1 1309  -> booking_confirmed
        600s  bob  hold h2 A1          -> seats_unavailable A1:sold
        601s  bank confirm b1 p1 1309  -> nothing
    """)


def test_late_money_is_rescued_while_the_seats_are_free():
    check("""
        0s    ana  hold h1 A1 A2       -> seats_held(A1,A2)
        0s    ana  book h1 b1          -> booking_placed
        700s  bank confirm b1 p1 2618  -> booking_confirmed(late)
        701s  bob  hold h2 A1          -> seats_unavailable A1:sold
    """)


def test_late_money_goes_back_for_good_when_a_seat_is_gone():
    check("""
        0s    ana  hold h1 A1 A2       -> seats_held(A1,A2)
        0s    ana  book h1 b1          -> booking_placed
        700s  bob  hold h2 A2          -> seats_held(A2)
        701s  bank confirm b1 p1 2618  -> refund_decided(seats_lost)
        702s  bob  release h2          -> hold_released
        703s  bank confirm b1 p1 2618  -> expired_seats_lost
    """)


def test_money_that_does_not_fit_goes_back():
    check("""
        0s  ana  hold h1 A1            -> seats_held(A1)
        0s  ana  book h1 b1            -> booking_placed
        1s  bank confirm b1 p1 1308    -> refund_decided(amount_mismatch)
        2s  bank confirm b1 p2 1309    -> booking_confirmed
        3s  bank confirm b1 p3 1309    -> refund_decided(second_payment)
        4s  bank confirm b9 p4 1309    -> booking_not_found
    """)


def test_entering_payment_gives_at_least_five_minutes():
    check("""
        0s    ana  hold h1 A1          -> seats_held(A1)
        0s    ana  book h1 b1          -> booking_placed
        590s  ana  pay b1 p1           -> payment_started
        889s  bob  hold h2 A1          -> seats_unavailable A1:held
        890s  bob  hold h2 A1          -> seats_held(A1)
        891s  ana  pay b1 p2           -> booking_not_payable
    """)


def test_what_costs_nothing_is_confirmed_at_once():
    check("0s  ana  gratis h1 A1  -> seats_held(A1) booking_placed booking_confirmed")


def test_a_hold_that_became_a_booking_is_no_hold_any_more():
    check("""
        0s  ana  hold h1 A1            -> seats_held(A1)
        0s  ana  book h1 b1            -> booking_placed
        1s  ana  book h1 b2            -> hold_booked
        1s  bob  book h1 b3            -> hold_not_found
    """)


def test_the_box_office_opens_closes_and_calls_off():
    check("""
        0s  desk close                 -> sales_closed
        1s  ana  hold h1 A1            -> sales_closed
        2s  desk open                  -> sales_opened
        3s  ana  hold h1 A1            -> seats_held(A1)
        4s  bob  hold h2 B1            -> seats_held(B1)
        4s  bob  book h2 b2            -> booking_placed
        5s  bank confirm b2 p2 1309    -> booking_confirmed
        6s  desk call-off -> hold_released booking_cancelled(B1,1309) showtime_cancelled
        7s  ana  hold h3 A2            -> showtime_cancelled
        8s  desk call-off              -> already_cancelled
    """)


def test_time_opens_and_closes_sales_and_runs_the_film():
    house = check(
        """
        0s    ana  hold h1 A1          -> sales_not_open
        2h    ana  hold h1 A1          -> seats_held(A1)
        100h  bob  hold h2 A2          -> sales_closed
        103h  bob  hold h2 A2          -> showtime_over
    """,
        sales_open_at=3_600_000,
    )
    assert house.state.status.value == "completed"


def test_blocked_seats_come_back():
    check("""
        0s  ana  hold h1 A1            -> seats_held(A1)
        0s  desk block A1 A2           -> seats_unavailable A1:held
        0s  desk block A2              -> seats_blocked
        0s  desk block A2              -> nothing
        0s  bob  hold h2 A2            -> seats_unavailable A2:blocked
        0s  desk unblock A2            -> seats_unblocked
        0s  bob  hold h2 A2            -> seats_held(A2)
    """)


def test_a_block_may_end_by_itself():
    check("""
        0s  desk lend 2h A1 A2         -> seats_blocked
        0s  desk lend 3h B1            -> seats_blocked
        1h  bob  hold h1 A1            -> seats_unavailable A1:blocked
        1h  desk block A2              -> seats_blocked
        1h  desk lend 30m B2           -> past_deadline
        2h  bob  hold h1 A1            -> seats_held(A1)
        2h  bob  hold h2 A2            -> seats_unavailable A2:blocked
        3h  cem  wait                  -> nothing
        3h  cem  hold h3 B1 B2         -> seats_held(B1,B2)
    """)


def test_a_lent_seat_that_is_given_back_early_is_not_given_back_again():
    house = check("""
        0s  desk lend 2h A1            -> seats_blocked
        1h  desk unblock A1            -> seats_unblocked
        1h  ana  hold h1 A1            -> seats_held(A1)
        1h  ana  book h1 b1            -> booking_placed
        1h  ana  confirm b1 p1 1309    -> booking_confirmed
        3h  bob  hold h2 A1            -> seats_unavailable A1:sold
    """)
    assert house.state.blocked == 0


def test_nothing_is_given_back_after_the_end():
    check("""
        0s  desk lend 2h A1            -> seats_blocked
        0s  desk call-off              -> showtime_cancelled
        3h  desk wait                  -> nothing
        3h  desk unblock A1            -> seats_unblocked
    """)


def test_seats_of_a_channel_and_seats_for_those_who_need_them_say_so():
    check("""
        0s  desk allot partner A1 A2   -> seats_blocked
        0s  desk reserve A3            -> seats_blocked
        0s  ana  hold h1 A1 A3 A4      -> seats_unavailable A1:channel A3:accessible_only
        0s  desk allot partner A1      -> nothing
        0s  desk allot agency A1       -> seats_blocked
        0s  desk unblock A1 A3         -> seats_unblocked
        0s  ana  hold h1 A1 A3         -> seats_held(A1,A3)
        0s  desk allot partner A1      -> seats_unavailable A1:held
    """)


def test_a_showtime_moves_to_another_drawing_when_everybodys_seats_are_there():
    house = check("""
        0s  ana  hold h1 A1 A2         -> seats_held(A1,A2)
        0s  bob  hold h2 C1            -> seats_held(C1)
        0s  desk block C6 B6           -> seats_blocked
        1s  desk redraw 2x6            -> seats_vanish C1:vanishes
        2s  bob  release h2            -> hold_released
        3s  desk redraw 2x6            -> showtime_rescheduled
        4s  bob  hold h3 C1            -> unknown_seat C1:unknown
        4s  bob  hold h3 B6            -> seats_unavailable B6:blocked
        4s  ana  change h1 +A3         -> hold_changed(A1,A2,A3)
        5s  desk redraw 4x8            -> showtime_rescheduled
        6s  bob  hold h3 D8            -> seats_held(D8)
    """)
    assert (house.state.layout.capacity, house.state.blocked, house.state.free) == (32, 1, 27)


def test_late_money_buys_no_seat_that_is_not_there_any_more():
    check("""
        0s  ana  hold h1 C1            -> seats_held(C1)
        0s  ana  book h1 b1            -> booking_placed
        1h  desk redraw 2x6            -> showtime_rescheduled
        1h  bank confirm b1 p1 1309    -> refund_decided(seats_lost)
    """)


def test_another_drawing_needs_a_price_for_each_of_its_categories():
    house = House()
    grand = from_plan("grand", 1, from_shortcut("Grand", 3, 6, categories={"royal": ["A"], "standard": ["B", "C"]}))
    desk = c.Cause("", c.ActorKind.STAFF, "desk")
    move = c.Reschedule(desk, START, START + HOUR, 0, START, "grand", layout=grand)
    refused = house.ask(move, 0)
    assert isinstance(refused, Refused)
    assert (refused.refusal, refused.facts) == (Refusal.CATEGORY_UNPRICED, {"categories": ["royal"]})
    dearer = replace(TARIFF, prices={**TARIFF.prices, "royal": {"adult": 2_000}})
    refused = house.ask(replace(move, tariff=replace(dearer, currency="USD")), 0)
    assert isinstance(refused, Refused)
    assert (refused.refusal, refused.facts) == (Refusal.CURRENCY_DIFFERS, {"currency": "EUR"})
    assert isinstance(house.ask(replace(move, tariff=dearer), 0), Accepted)
    assert (house.state.terms.tariff.version, house.state.terms.layout_id) == (2, "grand")
    assert house.log_agrees()


def test_best_available_keeps_a_party_together_or_says_no():
    check("""
        0s  ana  best h1 4             -> seats_held(B1,B2,B3,B4)
        0s  bob  best h2 4             -> seats_held(C1,C2,C3,C4)
        0s  cem  best h3 4             -> seats_held(A1,A2,A3,A4)
        0s  dia  best h4 3             -> no_block
        0s  dia  best h4 2             -> seats_held(B5,B6)
    """)


def test_a_lone_seat_is_not_left_where_it_can_be_helped():
    check(
        """
        0s  ana  hold h1 A2 A3         -> orphan_seat A1:orphan
        0s  ana  hold h1 A1 A2         -> seats_held(A1,A2)
        0s  ana  change h1 -A2         -> hold_changed(A1)
        0s  desk hold h2 B2            -> seats_held(B2)
    """,
        orphan_rule=OrphanRule.LENIENT,
    )


def test_the_same_key_is_the_same_command_and_stands_for_nothing_else():
    house = check("""
        0s    ana  k1: hold h1 A1 A2   -> seats_held(A1,A2)
        1s    ana  k1: hold h1 A1 A2   -> seats_held(A1,A2)
        2s    ana  k1: hold h1 A1      -> idempotency_mismatch
        3s    ana  k1: release h1      -> idempotency_mismatch
        4s    ana  k2: release h1      -> hold_released
        5s    ana  k1: hold h1 A1 A2   -> seats_held(A1,A2)
        6s    ana  k2: release h1      -> hold_released
    """)
    assert (house.state.version, house.state.free) == (4, 18)


def test_what_is_not_sold_here_is_named():
    check("""
        0s  ana  as h1 senior A1       -> unknown_ticket_type
        0s  ana  as h1 child A1        -> seats_held(A1)
        0s  ana  best h2 2 in box      -> unknown_category
        0s  ana  best h2 2 near Q      -> unknown_row
        0s  ana  best h2 2 in standard near C -> seats_held(C3,C4)
        0s  ana  best h3 0             -> no_seats
    """)


def test_a_showtime_moves_before_it_begins_and_tells_those_who_have_bought():
    house = check("""
        0s    desk move 120h           -> showtime_rescheduled
        0s    desk move 120h           -> nothing
        100h  ana  hold h1 A1          -> seats_held(A1)
        100h  ana  book h1 b1          -> booking_placed
        100h  desk move 130h           -> has_sales
        100h  desk move 99h notify     -> past_deadline
        100h  desk move 130h notify    -> showtime_rescheduled
        100h  bank confirm b1 p1 1309  -> booking_confirmed
        129h  bob  hold h2 A2          -> seats_held(A2)
        131h  desk move 140h notify    -> already_started
        131h  desk call-off            -> already_started
        133h  desk move 140h notify    -> showtime_over
        133h  desk open                -> showtime_over
    """)
    assert house.state.terms.starts_at == 130 * 3_600_000


def test_a_showtime_that_was_called_off_neither_moves_nor_opens():
    check("""
        0s  desk call-off              -> showtime_cancelled
        1s  desk move 120h             -> showtime_cancelled
        1s  desk open                  -> showtime_cancelled
        1s  desk close                 -> showtime_cancelled
    """)


def test_payment_is_started_by_its_owner_for_a_booking_that_waits_for_it():
    check("""
        0s   ana  hold h1 A1           -> seats_held(A1)
        0s   ana  pay b1 p1            -> booking_not_found
        0s   ana  book h1 b1           -> booking_placed
        0s   bob  pay b1 p1            -> booking_not_found
        1s   ana  pay b1 p1            -> payment_started
        2s   ana  pay b1 p2            -> payment_started
        3s   bank confirm b1 p2 1309   -> booking_confirmed
        4s   ana  pay b1 p3            -> booking_not_payable
        5s   bank confirm b1 p1 1309   -> refund_decided(second_payment)
        6s   ana  cancel b1            -> booking_cancelled(A1,1309)
        7s   ana  pay b1 p4            -> booking_not_payable
    """)
