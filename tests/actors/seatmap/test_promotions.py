"""What a promo code takes off, to the last unit, and what becomes of it when money comes late."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.seatmap import commands as c
from actors.seatmap.commands import ActorKind, Cause
from actors.seatmap.events import Line
from actors.seatmap.pricing import ruled_line
from actors.seatmap.promotions import discounted, shared
from actors.seatmap.refusals import Accepted, Refusal, Refused
from actors.seatmap.state import BookingStatus
from actors.seatmap.terms import Promo, Tariff
from tests.actors.seatmap.hall import TARIFF, TERMS, House, outcome

AMOUNT = st.integers(0, 1_000_000)
ANA = Cause("", ActorKind.CUSTOMER, "ana")
BANK = Cause("", ActorKind.PROVIDER, "bank")
PROMO = st.builds(Promo, st.just("X"), st.just(0), st.integers(1, 10_000)) | st.builds(
    Promo, st.just("X"), st.just(0), st.just(0), st.integers(1, 3_000_000)
)


def lines(prices: list[int], fee: int, bps: int, *, included: bool) -> tuple[Line, ...]:
    tariffs = [Tariff("EUR", {"standard": {"adult": price}}, "adult", fee, bps, included) for price in prices]
    return tuple(ruled_line(tariff, f"A{n}", "standard", "adult") for n, tariff in enumerate(tariffs, 1))


@given(st.lists(AMOUNT, min_size=1, max_size=6), AMOUNT, st.integers(0, 10_000), st.booleans(), PROMO)
def test_a_discount_is_never_more_than_the_seat_costs_and_its_parts_are_the_whole(
    prices: list[int], fee: int, bps: int, included: bool, promo: Promo
) -> None:
    before = lines(prices, fee, bps, included=included)
    after = discounted(before, promo, 0, tax_included=included)
    if isinstance(after, Refused):
        assert after.refusal is Refusal.PROMO_INVALID
        return
    for was, now in zip(before, after, strict=True):
        assert (now.seat, now.amount, now.rules) == (was.seat, was.amount, was.rules)
        assert 0 <= now.discount <= now.amount
        assert 0 <= now.tax <= was.tax
        assert now.fee in (was.fee, 0)
        assert now.total == now.amount + now.fee + now.tax - now.discount <= was.total
    if promo.amount and included and all(line.fee for line in after if line.amount):
        off = sum(line.total for line in before) - sum(line.total for line in after)
        assert off == min(promo.amount, off)
        assert off == promo.amount or any(line.discount == line.amount for line in after)


@given(st.integers(0, 5_000_000), st.lists(AMOUNT, max_size=8))
def test_an_amount_is_shared_out_whole(amount: int, worths: list[int]) -> None:
    shares = shared(amount, worths)
    assert sum(shares) == min(amount, sum(worths))
    assert all(0 <= share <= worth for share, worth in zip(shares, worths, strict=True))


def house(**tariff: object) -> House:
    return House(replace(TERMS, tariff=replace(TARIFF, fee=0, tax_bps=0, **tariff)))


def book(house: House, promo: Promo | None, *seats: str, now: int = 0, **rest: object) -> Accepted | Refused:
    wish = c.BookSeats(ANA, "h1", "b1", "b1", seats, promo=promo, **rest)  # type: ignore[arg-type]
    return house.ask(wish, now)


def test_a_code_takes_off_a_part_or_an_amount_and_the_booking_costs_the_rest() -> None:
    half = house()
    assert outcome(book(half, Promo("HALF", 0, 5_000), "A1", "A2"), half) == "seats_held(A1,A2) booking_placed"
    booking = half.state.bookings["b1"]
    assert (booking.total, booking.promo, [line.discount for line in booking.lines]) == (1_000, "HALF", [500, 500])
    off = house()
    book(off, Promo("OFF", 0, amount=301), "A1", "A2")
    assert off.state.bookings["b1"].total == 1_699
    assert off.log_agrees()


def test_what_a_code_makes_free_is_confirmed_at_once() -> None:
    hall = House()
    given = book(hall, Promo("GIFT", 0, 10_000), "A1")
    assert outcome(given, hall) == "seats_held(A1) booking_placed booking_confirmed"
    assert hall.state.bookings["b1"].total == 0


@pytest.mark.parametrize(
    ("promo", "why"),
    [
        (Promo("X", 0, 100, seats_min=2), "too_few_seats"),
        (Promo("X", 0, 100, ticket_types=("child",)), "too_few_seats"),
        (Promo("X", -1, 100), "lapsed"),
    ],
)
def test_a_code_that_is_not_good_for_these_seats_holds_none_of_them(promo: Promo, why: str) -> None:
    hall = house()
    refused = book(hall, promo, "A1")
    assert isinstance(refused, Refused)
    assert (refused.refusal, refused.facts["reason"]) == (Refusal.PROMO_INVALID, why)
    assert hall.state.free == hall.state.layout.capacity


def test_a_booking_that_costs_something_else_than_was_shown_is_refused() -> None:
    hall = house()
    changed = book(hall, None, "A1", expected_total=999)
    old, new = ({"amount": amount, "currency": "EUR"} for amount in (999, 1_000))
    assert changed == Refused(Refusal.PRICE_CHANGED, facts={"old": old, "new": new})
    assert isinstance(book(hall, Promo("X", 0, amount=1), "A1", expected_total=999), Accepted)


def test_money_that_comes_after_a_booking_with_a_code_expired_goes_back() -> None:
    hall = house()
    book(hall, Promo("HALF", 0, 5_000), "A1")
    hall.pass_time(700_000)
    assert hall.state.bookings["b1"].status is BookingStatus.EXPIRED
    late = hall.ask(c.ConfirmBooking(BANK, "b1", "p1", 500, "EUR", "sandbox", "p1"), 700_000)
    assert outcome(late, hall) == "refund_decided(promo_given_back)"
