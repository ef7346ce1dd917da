"""Frames: encoded once, exact at every version, and never more than the public may know."""

import orjson
import pytest

from actors.seatmap import events as e
from actors.seatmap.state import SeatMap
from server.live import frames
from server.live.fold import RESYNC, View, fold, view_of
from tests.server.live.stage import START, Story, layout, seat_map, split, text


def told(data: bytes) -> list[dict[str, object]]:
    return [orjson.loads(payload) for _, payload in split(data)]


def viewed(state: SeatMap, epoch: int = 1) -> View:
    return view_of(text(frames.snapshot(epoch, state)))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_text_frame_of_any_size_is_one_valid_websocket_frame(size: int) -> None:
    assert split(frames.text_frame(b"x" * size)) == [(1, b"x" * size)]


def test_a_close_frame_never_grows_over_a_control_frames_limit() -> None:
    [(opcode, payload)] = split(frames.close_frame(4400, "long " * 100))
    assert opcode == 8
    assert len(payload) == 125


def test_a_snapshot_lists_seats_in_layout_order_with_counts() -> None:
    story = Story()
    story.hold("B2", "A10")
    story.sell(story.hold("A1"))
    story.block("C3")
    assert text(frames.snapshot(3, story.state)) == {
        "type": "snapshot", "epoch": 3, "seq": story.state.version, "layout_id": story.state.terms.layout_id,
        "layout_version": 1, "status": "scheduled", "sales": "open", "held": ["A10", "B2"],
        "sold": ["A1"], "blocked": ["C3"], "counts": {"free": 26, "held": 2, "sold": 1, "blocked": 1},
    }  # fmt: skip


def test_a_delta_gives_the_final_state_of_each_seat_once() -> None:
    story = Story()
    before = story.state
    hold = story.held("A1", "A2")
    records = [*story.tell(hold), *story.tell(story.released(hold)), *story.tell(story.held("A2", owner="bob"))]
    assert told(frames.news(1, before, records, story.state)) == [
        {"type": "delta", "epoch": 1, "from": 3, "to": 5, "free": ["A1"], "held": ["A2"],
         "counts": {"free": 29, "held": 1, "sold": 0, "blocked": 0}}
    ]  # fmt: skip


def test_a_record_without_seats_still_moves_the_version() -> None:
    story = Story()
    hold = story.hold("A1")
    before = story.state
    records = story.tell(e.HoldRenewed(hold.hold_id, "ana", START + 900_000, 1))
    [delta] = told(frames.news(1, before, records, story.state))
    assert delta["from"] == delta["to"] == 4
    assert not delta.keys() & {"held", "free", "sold", "blocked"}


def test_a_change_of_the_whole_showtime_has_a_frame_of_its_own_between_exact_deltas() -> None:
    story = Story()
    before = story.state
    records = story.tell(story.held("A1"), e.SalesClosed("hand"), e.SalesOpened(), story.held("B1"))
    delta, closed, opened, after = told(frames.news(1, before, records, story.state))
    assert (delta["from"], delta["to"], delta["held"], delta["counts"]["held"]) == (3, 3, ["A1"], 1)  # type: ignore[index]
    assert closed == {"type": "showtime", "epoch": 1, "seq": 4, "status": "scheduled", "sales": "closed"}
    assert opened == {"type": "showtime", "epoch": 1, "seq": 5, "status": "scheduled", "sales": "open"}
    assert (after["from"], after["to"], after["held"], after["counts"]["held"]) == (6, 6, ["B1"], 2)  # type: ignore[index]


def test_a_delta_that_sells_the_house_out_says_so() -> None:
    story = Story(state=seat_map(layout(1, 6)))
    before = story.state
    records = story.tell(story.held("A1", "A2", "A3"))
    [few] = told(frames.news(1, before, records, story.state))
    assert few["sales"] == "few_left"
    before = story.state
    [out] = told(frames.news(1, before, story.tell(story.held("A4", "A5", "A6")), story.state))
    assert out["sales"] == "sold_out"


def test_public_frames_carry_no_person_hold_or_price() -> None:
    story = Story()
    before = story.state
    hold = story.held("A1", owner="owner-secret")
    records = [*story.tell(hold)]
    story.sell(hold)
    public = frames.news(1, before, records, story.state) + frames.snapshot(1, story.state)
    for secret in (b"owner-secret", hold.hold_id.encode(), b"REF123", b"45000", b"pay-1"):
        assert secret not in public


def test_folding_the_news_gives_the_snapshot_after_every_kind_of_event() -> None:
    story = Story()
    start = story.state
    first = story.held("A1", "A2")
    second = story.held("B1", owner="bob")
    records = [*story.tell(first, second, e.SalesClosed("hand"), story.released(second), e.SalesOpened())]
    changed = e.HoldChanged(
        first.hold_id, "ana", first.lines[1:], ("A1",), first.expires_at, 2, next_to_each_other=True
    )
    records += story.tell(changed)
    view: View | str | None = viewed(start)
    for frame in told(frames.news(1, start, records, story.state)):
        assert isinstance(view, View)
        view = fold(view, frame)
    assert isinstance(view, View)
    assert view.as_json() == viewed(story.state).as_json()


def test_the_fold_asks_for_a_snapshot_after_a_gap_a_new_epoch_or_a_late_tick() -> None:
    story = Story()
    start = story.state
    story.hold("A1")
    gap = Story(state=story.state)
    records = gap.tell(gap.held("B1"))
    [delta] = told(frames.news(1, story.state, records, gap.state))
    assert fold(viewed(start), delta) == RESYNC
    assert fold(viewed(story.state, epoch=0), delta) == RESYNC
    assert fold(viewed(start), text(frames.tick(1, start.version + 1, START))) == RESYNC
    assert fold(viewed(start), text(frames.tick(1, start.version, START))) == viewed(start)
