"""What seats cost: rules that move prices, taxes that are part of them, and what a change of prices leaves alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.seatmap import commands as c
from actors.seatmap import events as e
from actors.seatmap.commands import ActorKind, Cause
from actors.seatmap.price_rules import local_start
from actors.seatmap.pricing import ruled_line
from actors.seatmap.refusals import Accepted, Refusal, Refused
from actors.seatmap.terms import PriceRule, Tariff
from tests.actors.seatmap.hall import HOUR, START, TARIFF, TERMS, House

AMOUNT = st.integers(0, 10_000_000)
BOUND = st.none() | AMOUNT
RULE = st.builds(
    PriceRule, st.sampled_from("abcdef"), st.integers(-10_000, 20_000), st.integers(-100_000, 100_000), BOUND, BOUND
)
BPS = st.integers(0, 10_000)


def house(*rules: PriceRule, **tariff: object) -> House:
    return House(replace(TERMS, tariff=replace(TARIFF, fee=0, tax_bps=0, rules=rules, **tariff)))


def ana(command_id: str) -> Cause:
    return Cause(command_id, ActorKind.CUSTOMER, "ana")


def held(house: House, hold_id: str, *seats: str, now: int = 0, child: bool = False) -> tuple[e.Line, ...]:
    types = dict.fromkeys(seats, "child") if child else {}
    decision = house.ask(c.HoldSeats(Cause(hold_id, ActorKind.STAFF, "desk"), hold_id, seats, types), now)
    assert isinstance(decision, Accepted), decision
    (event,) = decision.events
    assert isinstance(event, e.SeatsHeld)
    return event.lines


def reprice(house: House, tariff: Tariff, now: int = 0) -> Accepted | Refused:
    return house.ask(c.Reprice(Cause("reprice", ActorKind.STAFF, "desk"), tariff), now)


def amounts(lines: tuple[e.Line, ...]) -> list[int]:
    return [line.amount for line in lines]


@given(st.lists(RULE, max_size=4), AMOUNT, AMOUNT, BPS, st.booleans())
def test_a_price_stays_in_its_bounds_and_its_parts_are_the_whole(
    rules: list[PriceRule], price: int, fee: int, bps: int, included: bool
) -> None:
    tariff = Tariff("EUR", {"standard": {"adult": price}}, "adult", fee, bps, included, tuple(rules))
    line = ruled_line(tariff, "A1", "standard", "adult", tariff.rules)
    backwards = ruled_line(tariff, "A1", "standard", "adult", tariff.rules[::-1])
    assert replace(backwards, rules=line.rules) == line
    assert min(line.amount, line.fee, line.tax) >= 0
    assert line.amount + line.fee + line.tax == line.total
    listed = ruled_line(replace(tariff, tax_bps=0), "A1", "standard", "adult", tariff.rules).amount
    if included:
        assert line.total == listed + (fee if listed else 0)
    if price and rules:
        highest = [rule.price_max for rule in rules if rule.price_max is not None]
        lowest = [rule.price_min for rule in rules if rule.price_min is not None]
        assert all(listed <= bound for bound in highest)
        assert all(listed >= bound for bound in lowest) or listed == min(highest)
        assert line.rules == tuple(rule.name for rule in rules)
    else:
        assert (listed, line.rules) == (price, ())


def test_the_weekday_is_that_of_the_cinema_day_and_the_hour_that_on_the_wall() -> None:
    saturday_night = 1_792_276_200_000  # 2026-10-17T22:30Z is half past midnight of Sunday in Berlin
    assert local_start(saturday_night, "Europe/Berlin") == (6, 0)
    assert local_start(saturday_night, "America/New_York") == (6, 18)
    assert local_start(saturday_night + 6 * HOUR, "Europe/Berlin") == (7, 6)


@pytest.mark.parametrize(
    ("rule", "applies"),
    [
        (
            PriceRule("weekday", 1_000, weekdays=(1, 7)),
            True,
        ),  # four in the morning of a Monday: still the Sunday's night
        (PriceRule("weekday", 1_000, weekdays=(1, 2)), False),
        (PriceRule("night", 1_000, hour_since=22, hour_until=6), True),
        (PriceRule("day", 1_000, hour_since=6, hour_until=22), False),
        (PriceRule("early bird", 1_000, lead_hours_min=50), True),
        (PriceRule("last minute", 1_000, lead_hours_max=50), False),
        (PriceRule("last minute", 1_000, lead_hours_max=100), True),
        (PriceRule("empty", 1_000, occupancy_pct_max=10), True),
        (PriceRule("full", 1_000, occupancy_pct_min=10), False),
        (PriceRule("box", 1_000, categories=("box",)), False),
        (PriceRule("standard", 1_000, categories=("standard", "box")), True),
        (PriceRule("children", 1_000, ticket_types=("child",)), False),
    ],
    ids=lambda value: value.name if isinstance(value, PriceRule) else "",
)
def test_a_rule_applies_while_all_it_names_is_so(rule: PriceRule, applies: bool) -> None:
    terms = replace(TERMS, starts_at=100 * HOUR, tariff=replace(TARIFF, fee=0, tax_bps=0, rules=(rule,)))
    (line,) = held(House(terms), "h1", "A1")
    assert (line.amount, line.rules) == ((1_100, (rule.name,)) if applies else (1_000, ()))


def test_a_hall_that_fills_gets_dearer_for_those_who_come_later_only() -> None:
    busy = PriceRule("half full", adjust_bps=2_000, occupancy_pct_min=50)
    hall = house(busy)
    assert amounts(held(hall, "h1", "A1", "A2", "A3", "A4")) == [1_000] * 4
    assert amounts(held(hall, "h2", "A5", "A6", "B1", "B2", "B3")) == [1_000] * 5
    assert amounts(held(hall, "h3", "B4")) == [1_200]
    assert amounts(hall.state.holds["h1"].lines) == [1_000] * 4
    hall.pass_time(700_000)  # everybody has gone
    assert amounts(held(hall, "h4", "A1", now=700_000)) == [1_000]
    assert hall.log_agrees()


def test_seats_that_are_not_for_sale_are_no_part_of_the_occupancy() -> None:
    hall = house(PriceRule("half full", adjust_amount=5, occupancy_pct_min=50))
    seats = tuple(f"{row}{n}" for row in "BC" for n in range(1, 7))
    hall.ask(c.BlockSeats(Cause("", ActorKind.STAFF, "desk"), seats, "broken"), 0)
    assert amounts(held(hall, "h1", "A1", "A2", "A3")) == [1_000] * 3
    assert amounts(held(hall, "h2", "A4")) == [1_005]


def test_percentages_are_of_the_list_price_then_come_amounts_and_free_seats_stay_free() -> None:
    rules = (PriceRule("a", adjust_bps=1_000), PriceRule("b", adjust_bps=1_000), PriceRule("c", adjust_amount=-1))
    assert amounts(held(house(*rules), "h1", "A1")) == [1_199]
    free = ruled_line(replace(TARIFF, rules=rules), "A1", "standard", "free", rules)
    assert (free.total, free.rules) == (0, ())


@pytest.mark.parametrize(
    ("currency", "price", "bps", "taxed", "net"),
    [("JPY", 1_805, 1_000, 181, 1_641), ("EUR", 1_050, 1_900, 200, 882), ("KWD", 3_333, 500, 167, 3_174)],
)
def test_amounts_are_rounded_to_the_smallest_unit_of_their_currency(
    currency: str, price: int, bps: int, taxed: int, net: int
) -> None:
    tariff = Tariff(currency, {"standard": {"adult": price}}, "adult", 0, bps)
    on_top = ruled_line(tariff, "A1", "standard", "adult")
    assert (on_top.amount, on_top.tax) == (price, taxed)
    inside = ruled_line(replace(tariff, tax_included=True), "A1", "standard", "adult")
    assert (inside.amount, inside.tax) == (net, price - net)


def test_new_prices_are_for_new_holds_and_what_was_held_keeps_its_own() -> None:
    hall = house()
    held(hall, "h1", "A1", "A2")
    assert isinstance(reprice(hall, replace(TARIFF, fee=0, tax_bps=0, prices={"standard": {"adult": 2_000}})), Accepted)
    assert hall.state.terms.tariff.version == 2
    assert amounts(held(hall, "h2", "B1")) == [2_000]
    change = c.ChangeHold(Cause("", ActorKind.STAFF, "desk"), "h1", ("A3",), ("A2",))
    hall.ask(change, 0)
    assert amounts(hall.state.holds["h1"].lines) == [1_000, 2_000]
    hall.ask(c.PlaceBooking(Cause("", ActorKind.STAFF, "desk"), "h1", "b1", "b1"), 0)
    assert hall.state.bookings["b1"].total == 3_000
    assert hall.log_agrees()


def test_a_hold_of_tickets_that_are_no_longer_sold_can_still_be_made_smaller() -> None:
    hall = house()
    held(hall, "h1", "A1", "A2", child=True)
    reprice(hall, replace(TARIFF, fee=0, tax_bps=0, prices={"standard": {"adult": 2_000}}))
    desk = Cause("", ActorKind.STAFF, "desk")
    assert isinstance(hall.ask(c.ChangeHold(desk, "h1", remove=("A2",)), 0), Accepted)
    assert amounts(hall.state.holds["h1"].lines) == [600]
    more = hall.ask(c.ChangeHold(desk, "h1", ("A3",), ticket_types={"A3": "child"}), 0)
    assert isinstance(more, Refused)
    assert more.refusal is Refusal.TICKET_TYPE_UNKNOWN


def test_prices_that_leave_a_category_out_or_change_the_currency_are_refused() -> None:
    hall = house()
    unpriced = reprice(hall, replace(TARIFF, prices={"box": {"adult": 1}}))
    assert unpriced == Refused(Refusal.CATEGORY_UNPRICED, facts={"categories": ["standard"]})
    assert reprice(hall, replace(TARIFF, default_ticket_type="senior")) == unpriced
    other = reprice(hall, replace(TARIFF, currency="USD"))
    assert isinstance(other, Refused)
    assert other.refusal is Refusal.CURRENCY_DIFFERS


def test_the_same_prices_again_change_nothing_and_an_ended_showtime_has_none() -> None:
    hall = house()
    assert reprice(hall, replace(hall.state.terms.tariff, version=9)) == Accepted(())
    over = reprice(hall, replace(TARIFF, fee=1), START + 3 * HOUR)
    assert isinstance(over, Refused)
    assert over.refusal is Refusal.SHOWTIME_OVER
