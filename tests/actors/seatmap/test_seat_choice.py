"""Best available and the orphan rule, on drawn rows: `.` free, `x` taken, `|` an aisle, `w` a wheelchair place."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from actors.seatmap.best_available import ROW_AWAY, Choice, NoBlock, areas, best_available, largest_block
from actors.seatmap.commands import BestAvailable
from actors.seatmap.layout import Layout, SeatKind, from_plan
from actors.seatmap.orphans import orphans

DRAWING = st.lists(st.text("..x|", min_size=3, max_size=12), min_size=1, max_size=4)


def drawn(*rows: str) -> tuple[Layout, set[str]]:
    """Rows A, B, …; seats are numbered without the aisles."""
    plan_rows, taken = [], set()
    for order, row in enumerate(rows, 1):
        label, seats, number = chr(64 + order), [], 0
        for x, sign in enumerate(row):
            if sign == "|":
                continue
            number += 1
            kind = "wheelchair" if sign == "w" else "standard"
            seat = {"seat": f"{label}{number}", "number": str(number), "x": x, "y": order, "category": "all"}
            seats.append(seat | {"kind": kind})
            if sign == "x":
                taken.add(f"{label}{number}")
        if seats:
            plan_rows.append({"zone": "hall", "label": label, "order": order, "seats": seats})
    plan = {
        "name": "drawn",
        "categories": [{"key": "all", "name": "All", "color": "#888888"}],
        "zones": [{"key": "hall", "name": "Hall"}],
        "rows": plan_rows,
    }
    return from_plan("l", 1, plan), taken


def chosen(count: int, *rows: str, **wish: object) -> Choice | NoBlock:
    return best_available(*drawn(*rows), BestAvailable(count, **wish))  # type: ignore[arg-type]


def together(*seats: str) -> Choice:
    return Choice(seats, next_to_each_other=True)


def test_a_party_sits_together_in_the_middle_two_thirds_back():
    assert chosen(2, "........", "........", "........", "........") == together("C4", "C5")


def test_no_lone_seat_is_left_when_it_can_be_helped():
    assert chosen(2, "xx...xx..") == together("A8", "A9")
    assert chosen(3, "x....xxx...") == together("A9", "A10", "A11")


def test_an_aisle_is_no_neighbour():
    assert chosen(3, "..|..") == NoBlock(2)
    split = chosen(3, "..|..", allow_split=True)
    assert isinstance(split, Choice)
    assert (len(set(split.seats)), split.next_to_each_other) == (3, False)


def test_places_for_wheelchairs_are_kept_for_those_who_ask():
    assert chosen(3, "w..") == NoBlock(2)
    assert chosen(1, "w..", accessible=True) == together("A1")


def test_what_is_left_is_counted_by_category():
    (area,) = areas(*drawn("w..x", "...."))
    assert (area.free, area.largest_block, area.accessible_free) == (7, 4, 1)


def test_a_single_gap_is_refused_only_if_the_party_could_avoid_it():
    layout, taken = drawn("......", "......")
    refused = orphans(layout, taken, ["A2", "A3"])
    assert refused is not None
    assert refused.orphans == ("A1",)
    assert ("A1", "A2") in refused.suggestions
    layout, taken = drawn("x...x.", "......")
    assert orphans(layout, taken, ["A2", "A3"]) is None


def test_a_gap_that_was_there_before_does_not_count_and_near_sell_out_nothing_does():
    layout, taken = drawn("x.x...", "......")
    assert orphans(layout, taken, ["A4", "A5", "A6"]) is None
    layout, taken = drawn("....", "xxxx", "xxxx")
    assert orphans(layout, taken, ["A2", "A3"]) is None


@given(DRAWING, st.integers(1, 5))
def test_a_choice_is_free_together_and_complete_and_no_means_no(rows: list[str], count: int):
    if not any(sign in row for row in rows for sign in ".x"):
        return
    layout, taken = drawn(*rows)
    runs = [
        block[i : i + count]
        for block in layout.blocks
        for i in range(len(block) - count + 1)
        if not taken & set(block[i : i + count])
    ]
    choice = best_available(layout, taken, BestAvailable(count))
    if isinstance(choice, NoBlock):
        assert not runs
        assert choice.largest_block == largest_block(layout, taken) < count
    else:
        assert choice.seats in runs
        assert all(layout.seats[a].right == b for a, b in pairwise(choice.seats))


HALL = st.lists(st.text("....xx|w", min_size=2, max_size=9), min_size=1, max_size=4)


@given(HALL, st.integers(1, 4), st.booleans(), st.sampled_from([None, "A", "C"]))
def test_a_choice_is_the_best_of_all_that_one_could_make(
    rows: list[str], count: int, accessible: bool, near: str | None
):
    """Every window of the hall, judged one by one by the words of the rule, against what was chosen."""
    if not any(sign in row for row in rows for sign in ".xw"):
        return
    layout, taken = drawn(*rows)
    if near not in [row.label for row in layout.rows]:
        near = None  # an unknown row is refused before
    choice = best_available(layout, taken, BestAvailable(count, accessible=accessible, near_row=near))
    scores = {
        window: _score(layout, taken, window, near, accessible=accessible)
        for block in layout.blocks
        for window in (block[i : i + count] for i in range(len(block) - count + 1))
        if not taken & set(window)
        if accessible or all(layout.seats[label].kind is SeatKind.STANDARD for label in window)
    }
    if isinstance(choice, NoBlock):
        assert not scores
    else:
        assert scores[choice.seats] == min(scores.values())


def _score(
    layout: Layout, taken: set[str], window: tuple[str, ...], near: str | None, *, accessible: bool
) -> tuple[bool, int, int]:
    """(no place for the wheelchair that needs one, lone seats left and wheelchair places wasted, view)"""
    wheelchairs = sum(layout.seats[label].kind is SeatKind.WHEELCHAIR for label in window)
    spoiled = max(0, wheelchairs - 1)
    gone = taken | set(window)
    for beside in (layout.seats[window[0]].left, layout.seats[window[-1]].right):
        if beside is None or beside in gone or layout.seats[beside].kind is not SeatKind.STANDARD:
            continue
        neighbours = (layout.seats[beside].left, layout.seats[beside].right)
        spoiled += all(label is None or label in gone for label in neighbours)
    order = [row.label for row in layout.rows]
    rows_away = abs(order.index(layout.seats[window[0]].row) - order.index(near)) if near else 0
    view = sum(layout.seats[label].distance for label in window) + len(window) * rows_away * ROW_AWAY
    return accessible and not wheelchairs, spoiled, view


@given(DRAWING, st.integers(1, 4))
def test_suggestions_of_the_orphan_rule_are_accepted_by_it(rows: list[str], count: int):
    if not any(sign in row for row in rows for sign in ".x"):
        return
    layout, taken = drawn(*rows)
    for block in layout.blocks:
        for i in range(len(block) - count + 1):
            run = block[i : i + count]
            if taken & set(run):
                continue
            refused = orphans(layout, taken, run)
            if refused is not None:
                assert refused.suggestions
                assert all(orphans(layout, taken, better) is None for better in refused.suggestions)
