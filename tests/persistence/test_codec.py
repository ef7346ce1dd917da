"""Whatever is written is read back as it was, and what was written stays readable."""

import typing

import journal_house as house
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_house import NOW, after

from actors.ids import mint
from actors.seatmap import events as e
from actors.seatmap.commands import ActorKind, BlockKind, Cause
from actors.seatmap.events import Event, HoldChanged, Line, PricesChanged, Record
from actors.seatmap.state import genesis
from actors.seatmap.terms import OrphanRule, PriceRule, RefundStep, Tariff, Terms
from persistence import codec

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBER = st.integers(-(2**53), 2**53)
IDS = st.uuids().map(str)
TERMS = st.builds(
    Terms,
    movie_id=IDS, screen_id=IDS, layout_id=IDS, starts_at=NUMBER, ends_at=NUMBER, sales_open_at=NUMBER,
    sales_close_at=NUMBER, tariff=st.builds(
        Tariff, currency=TEXT, prices=st.dictionaries(TEXT, st.dictionaries(TEXT, NUMBER)), default_ticket_type=TEXT,
        fee=NUMBER, tax_bps=NUMBER,
    ),
    refund_policy=st.lists(st.builds(RefundStep, NUMBER, NUMBER, NUMBER), max_size=3).map(tuple),
    hold_seconds=NUMBER, orphan_rule=st.sampled_from(OrphanRule),
)  # fmt: skip
st.register_type_strategy(Terms, TERMS)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(int, NUMBER)

KINDS: tuple[type[Event], ...] = typing.get_args(Event)
CAUSES = st.builds(
    Cause, command_id=IDS, kind=st.sampled_from(ActorKind), actor_id=TEXT, request_id=TEXT, retryable=st.booleans(),
    intent=st.integers(0, 2**63 - 1),
)  # fmt: skip


def there_and_back(record: Record) -> Record:
    row = codec.encode(record)
    return codec.decode(row.version, row.at, row.key, codec.EVENT_SCHEMA, row.kind, row.body)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data(), cause=CAUSES)
def test_every_kind_of_event_is_read_back_as_it_was(kind: type[Event], data: st.DataObject, cause: Cause) -> None:
    record = Record(7, NOW, cause, data.draw(st.from_type(kind)))
    back = there_and_back(record)
    assert back == record
    assert type(back) is Record
    assert type(back.event) is kind
    assert type(back.cause.kind) is ActorKind


def test_what_is_read_back_is_a_value_like_the_original() -> None:
    """Equal, and equal as a key. That nobody changes it is the type checker's business (docs/decisions/0007)."""
    record = Record(2, NOW, house.cause(), house.held(mint(NOW), "A1"))
    back = there_and_back(record)
    assert back == record
    assert hash(back) == hash(record)
    assert isinstance(back.event, e.SeatsHeld)
    assert hash(back.event.lines[0]) == hash(house.lines("A1")[0])


def test_the_log_of_today_is_readable_tomorrow() -> None:
    """These bytes are on people's disks. A change that breaks this test needs another schema number."""
    body = '[["customer","ana","r1",null,5],"h1","ana",[["A1","standard","adult",1200,100,247]],1795240800000,2,true]'
    key = "0199c0de-0000-7000-8000-0000000000aa"
    record = Record(
        3, NOW, Cause(key, ActorKind.CUSTOMER, "ana", "r1", retryable=True, intent=5),
        e.SeatsHeld("h1", "ana", house.lines("A1"), 1_795_240_800_000, 2, True),  # noqa: FBT003
    )  # fmt: skip
    assert codec.decode(3, NOW, key, 1, "seats_held", body) == record
    assert codec.encode(record).body == body


def test_a_cancellation_from_before_values_were_written_down_is_worth_what_its_seats_cost() -> None:
    body = (
        '[["customer","ana","r1","c1",0],"b1","REF","h1","ana",["A1"],[["A2","standard","adult",1200,100,247]],"EUR",'
        '[["t2","A2"]],%s,"p1",3094,%d,"r1",1000,"ill"]'
    )
    for whole, left in (("false", 1_547), ("true", 0)):
        event = codec.decode(9, NOW, None, 1, "booking_cancelled", body % (whole, 1_000)).event
        assert isinstance(event, e.BookingCancelled)
        assert (event.left, event.value) == (None, left)


def test_a_kind_from_the_future_is_refused_by_name() -> None:
    with pytest.raises(codec.Unreadable, match="seats_levitated"):
        codec.decode(1, NOW, None, 1, "seats_levitated", "[]")
    with pytest.raises(codec.Unreadable, match="schema 2"):
        codec.decode(1, NOW, None, 2, "seats_held", "[]")


def test_the_order_of_ticket_types_survives() -> None:
    back = codec.terms_in(orjson.loads(orjson.dumps(codec.terms_out(house.terms()))))
    assert back == house.terms()
    assert list(back.tariff.prices["standard"]) == ["senior", "adult"]


def test_a_snapshot_is_read_back_as_the_state_it_was() -> None:
    scheduled = Record(1, NOW, house.CLOCKWORK, e.ShowtimeScheduled(9, house.terms()))
    state = genesis(mint(NOW), house.LAYOUT, scheduled)
    hold, booking = mint(NOW), mint(NOW)
    state, _ = after(
        state,
        e.SalesOpened(),
        house.held(mint(NOW), "C1", "C2", owner=house.BOB),
        house.held(hold, "A1", "A2"),
        house.placed(booking, hold, "A1", "A2"),
        house.confirmed(booking, hold, "pay-1", "A1", "A2"),
        e.SeatsBlocked(("J1",), BlockKind.BROKEN, "springs"),
        e.SeatsBlocked(("J2",), BlockKind.HOUSE, "press", NOW + 60_000),
        e.SeatsBlocked(("J3",), BlockKind.CHANNEL, "partner"),
    )
    stored = codec.snapshot_out(state)
    assert codec.snapshot_layout(stored) == house.LAYOUT.id
    back = codec.snapshot_in(stored, house.LAYOUT)
    assert back.memory.since == state.version
    assert [getattr(back, name) for name in state.__slots__ if name != "memory"] == [
        getattr(state, name) for name in state.__slots__ if name != "memory"
    ]


def test_marks_on_seats_and_rules_of_tariffs_are_read_back_as_they_were() -> None:
    lines = (Line("A1", "box", "adult", 5, 1, 2), Line("A2", "box", "adult", 5, 1, 2, ("late", "full"), 3))
    tariff = Tariff(
        "KWD", {"box": {"adult": 5, "a": 1}}, "adult", 1, 500, tax_included=True,
        rules=(PriceRule("late", 100, 2, 3, None, weekdays=(6, 7), categories=("box",)),), time_zone="Asia/Kuwait",
        version=4,
    )  # fmt: skip
    cause = Cause("", ActorKind.STAFF, "desk")
    for event in (HoldChanged("h", "ana", lines, (), NOW, 1, next_to_each_other=True), PricesChanged(tariff)):
        assert there_and_back(Record(3, NOW, cause, event)) == Record(3, NOW, cause, event)
