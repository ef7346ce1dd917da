"""The fold, as examples: views, frames from the server's own encoder, and what a client must make of them.

`python -m tests.server.live.fold_cases` writes them to `tests/fixtures/fold/`, where the browser's fold finds them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from actors.seatmap import events as e
from actors.seatmap.events import Record
from actors.seatmap.state import SeatMap
from server.live import frames
from server.live.fold import RESYNC, View, fold, view_of
from tests.server.live.stage import START, Story, layout, seat_map, split, text

FOLDER = Path(__file__).parents[2] / "fixtures" / "fold"
Case = dict[str, Any]


def cases() -> dict[str, Case]:
    """Every example by name, with the server's fold as the judge."""
    return {name: _judged(before, told) for name, before, told in _examples()}


def view_from(json: dict[str, Any] | None) -> View | None:
    return None if json is None else view_of(json)


def _examples() -> Iterator[tuple[str, View | None, list[dict[str, Any]]]]:
    story = Story(state=seat_map(layout(2, 6)))
    start = story.state
    first = story.tell(story.held("A1", "A2"))
    one = story.state
    second = story.tell(story.held("B1", owner="bob"))
    two = story.state
    freed = story.tell(story.released(_hold(first)))
    three = story.state
    closed = story.tell(e.SalesClosed("hand"))
    four = story.state
    reopened = story.tell(e.SalesOpened(), story.held("B2", "B3"))
    last = story.state

    def news(before: SeatMap, records: tuple[Record, ...], after: SeatMap, epoch: int = 1) -> list[dict[str, Any]]:
        return [orjson.loads(payload) for _, payload in split(frames.news(epoch, before, records, after))]

    yield "a_snapshot_starts_a_view", None, [_snapshot(one)]
    yield "before_the_first_snapshot_nothing_is_known", None, news(start, first, one)
    yield "a_delta_that_continues_is_applied", _view(start), news(start, first, one)
    yield "several_deltas_in_order", _view(start), news(start, first, one) + news(one, second, two)
    yield "a_delta_over_several_versions", _view(start), news(start, first + second + freed, three)
    yield "an_old_delta_is_dropped", _view(two), news(start, first, one)
    yield "an_overlapping_delta_is_applied_because_states_are_final", _view(one), news(start, first + second, two)
    yield "an_overlap_that_frees_what_was_held", _view(one), news(start, first + second + freed, three)
    yield "a_gap_asks_for_a_snapshot", _view(start), news(one, second, two)
    yield "a_snapshot_after_a_gap_is_taken", _view(start), [_snapshot(two)]
    yield "a_new_epoch_asks_for_a_snapshot", _view(start), news(start, first, one, epoch=2)
    yield "a_new_epoch_with_its_snapshot_goes_on", _view(start), [_snapshot(one, 2), *news(one, second, two, epoch=2)]
    yield "a_frame_of_an_older_epoch_is_dropped", _view(one, 2), news(one, second, two)
    yield "a_showtime_frame_that_continues_is_applied", _view(three), news(three, closed, four)
    yield "a_showtime_frame_in_the_middle_of_deltas", _view(two), news(two, freed + closed + reopened, last)
    yield "an_old_showtime_frame_is_dropped", _view(last), news(three, closed, four)
    yield "a_showtime_frame_after_a_gap_asks_for_a_snapshot", _view(two), news(three, closed, four)
    yield "a_showtime_frame_at_the_known_version_is_applied", _view(four), [_showtime(last, four.version)]
    yield "resuming_over_a_change_of_the_whole_showtime", _view(two), _resumed(freed + closed + reopened, last)
    yield "a_tick_at_the_known_version_changes_nothing", _view(two), [_tick(two.version)]
    yield "an_old_tick_changes_nothing", _view(two), [_tick(one.version)]
    yield "a_tick_ahead_asks_for_a_snapshot", _view(one), [_tick(two.version)]
    yield "a_hold_renewed_moves_the_version_only", _view(last), _renewed(story)
    yield "sold_and_blocked_seats", _view(story.state), _sold_and_blocked(story)
    yield "the_last_seats_change_what_sales_show", _view(story.state), _sold_out(story)
    yield "frames_that_are_not_about_seats_change_nothing", _view(last), _strangers()


def _judged(before: View | None, told: list[dict[str, Any]]) -> Case:
    view: View | None = before
    after: Any = None
    for frame in told:
        folded = fold(view, frame)
        if folded == RESYNC:
            after = RESYNC
            break
        assert folded is None or isinstance(folded, View)
        view = folded
    else:
        after = None if view is None else view.as_json()
    return {"before": None if before is None else before.as_json(), "frames": told, "after": after}


def _view(state: SeatMap, epoch: int = 1) -> View:
    return view_of(_snapshot(state, epoch))


def _snapshot(state: SeatMap, epoch: int = 1) -> dict[str, Any]:
    return text(frames.snapshot(epoch, state))


def _tick(version: int) -> dict[str, Any]:
    return text(frames.tick(1, version, START))


def _showtime(state: SeatMap, version: int) -> dict[str, Any]:
    return {**text(frames.showtime(1, state)), "seq": version}


def _resumed(missed: tuple[Record, ...], state: SeatMap) -> list[dict[str, Any]]:
    return [text(frames.delta(1, None, missed, state)), text(frames.showtime(1, state))]


def _hold(records: tuple[Record, ...]) -> e.SeatsHeld:
    event = records[0].event
    assert isinstance(event, e.SeatsHeld)
    return event


def _told(story: Story, *events: e.Event) -> list[dict[str, Any]]:
    before = story.state
    records = story.tell(*events)
    return [orjson.loads(payload) for _, payload in split(frames.news(1, before, records, story.state))]


def _renewed(story: Story) -> list[dict[str, Any]]:
    hold = next(iter(story.state.holds.values()))
    return _told(story, e.HoldRenewed(hold.id, hold.owner, START + 900_000, 1))


def _sold_and_blocked(story: Story) -> list[dict[str, Any]]:
    before = story.state
    hold = story.held("A6")
    story.tell(hold)
    story.sell(hold)
    story.block("B6", "B5")
    records = story.trail(before.version)
    assert records is not None
    return [orjson.loads(payload) for _, payload in split(frames.news(1, before, records, story.state))]


def _sold_out(story: Story) -> list[dict[str, Any]]:
    free = [seat for seat in story.state.layout.seats if seat not in story.state.taken]
    return _told(story, story.held(*free))


def _strangers() -> list[dict[str, Any]]:
    told = [frames.pong(1), frames.bye("restarting", 800), frames.availability({"x": 1}), frames.nothing_mine()]
    return [*map(text, told), {"type": "something_new", "seq": 9_999}]


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, case in cases().items():
        (FOLDER / f"{name}.json").write_bytes(orjson.dumps(case, option=orjson.OPT_INDENT_2) + b"\n")
