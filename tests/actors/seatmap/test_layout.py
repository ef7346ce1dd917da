"""Layouts: plans in, plans out, neighbours by geometry, and every fault named at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.seatmap import pretix
from actors.seatmap.layout import LayoutInvalid, from_plan, from_shortcut, row_label, to_plan


def test_rows_are_lettered_and_seats_numbered():
    layout = from_plan("l", 1, from_shortcut("Hall", 28, 3))
    assert list(layout.seats)[:4] == ["A1", "A2", "A3", "B1"]
    assert [row_label(i) for i in (0, 25, 26, 51)] == ["A", "Z", "AA", "AZ"]
    assert layout.capacity == 84


def test_an_aisle_parts_neighbours():
    layout = from_plan("l", 1, from_shortcut("Hall", 1, 6, aisles_after=[2]))
    assert layout.blocks == (("A1", "A2"), ("A3", "A4", "A5", "A6"))
    assert layout.seats["A2"].right is None
    assert layout.seats["A3"].left is None
    assert layout.seats["A4"].left == "A3"


def test_categories_by_row_or_by_count():
    by_row = from_plan("l", 1, from_shortcut("Hall", 3, 4, categories={"premium": ["C"]}))
    assert [by_row.seats[s].category for s in ("A1", "C4")] == ["standard", "premium"]
    by_count = from_plan("l", 1, from_shortcut("Hall", 3, 4, type_counts={"regular": 8, "vip": 4}))
    assert [by_count.seats[s].category for s in ("B4", "C1")] == ["regular", "vip"]


def test_counts_of_categories_need_not_be_whole_rows():
    hall = from_plan("l", 1, from_shortcut("Hall", 3, 4, type_counts={"front": 3, "regular": 7, "vip": 2}))
    assert [hall.seats[s].category for s in ("A3", "A4", "C2", "C3")] == ["front", "regular", "regular", "vip"]


@pytest.mark.parametrize(
    "wrong",
    [{"type_counts": {"regular": 11}}, {"type_counts": {"regular": 10, "vip": 3}}, {"categories": {"vip": ["X"]}}],
)
def test_a_shortcut_that_does_not_add_up_is_refused(wrong):
    with pytest.raises(LayoutInvalid):
        from_shortcut("Hall", 3, 4, **wrong)


def test_every_fault_of_a_plan_is_named_at_once():
    plan = from_shortcut("Hall", 1, 4)
    seats = plan["rows"][0]["seats"]
    seats[0]["category"] = "gold"
    seats[1]["seat"] = "A3"
    seats[3]["seat"] = "no label"
    with pytest.raises(LayoutInvalid) as caught:
        from_plan("l", 1, plan)
    named = [path for path, _ in caught.value.problems]
    assert named == ["rows.0.seats.0.category", "rows.0.seats.2.seat", "rows.0.seats.3.seat"]


@pytest.mark.parametrize("wrong", [None, [], {}, {"rows": [{"seats": [3]}]}, {"rows": 1, "zones": [None]}])
def test_what_is_no_plan_at_all_is_refused_in_words(wrong):
    with pytest.raises(LayoutInvalid):
        from_plan("l", 1, wrong)


def test_an_aisle_with_nothing_beyond_it_is_refused():
    with pytest.raises(LayoutInvalid, match="aisle after 4"):
        from_shortcut("Hall", 1, 4, aisles_after=[4])


@given(st.integers(1, 8), st.integers(1, 12), st.sets(st.integers(1, 11), max_size=2))
def test_a_plan_survives_the_way_out_and_in(rows: int, seats: int, aisles: set[int]):
    between = sorted(aisle for aisle in aisles if aisle < seats)
    layout = from_plan("l", 1, from_shortcut("Hall", rows, seats, aisles_after=between))
    assert from_plan("l", 1, to_plan(layout)) == layout


@given(st.integers(1, 6), st.integers(2, 10))
def test_a_pretix_document_keeps_labels_categories_and_neighbours(rows: int, seats: int):
    layout = from_plan("l", 1, from_shortcut("Hall", rows, seats, categories={"vip": ["A"]}))
    document = pretix.from_layout(layout)
    assert pretix.is_pretix(document)
    again = from_plan("l", 1, pretix.to_plan(document))
    assert pretix.from_layout(again) == document
    assert again.blocks == layout.blocks
    assert [s.category for s in again.seats.values()] == [s.category for s in layout.seats.values()]


def test_what_is_no_pretix_document_is_refused_in_words():
    with pytest.raises(LayoutInvalid):
        pretix.to_plan({"name": "x", "zones": [{"rows": [{}]}], "categories": []})
