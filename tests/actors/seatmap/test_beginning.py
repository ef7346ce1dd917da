"""The first facts of a showtime are those that its actor would have found by itself."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from actors.seatmap.commands import ActorKind, BlockKind, Cause
from actors.seatmap.events import Record, SeatsBlocked, ShowtimeScheduled
from actors.seatmap.house import begun, kept_back
from actors.seatmap.rules import due
from actors.seatmap.state import evolve, genesis, next_due
from tests.persistence.journal_house import HOUR, LAYOUT, NOW, terms

CAUSE = Cause("", ActorKind.SYSTEM, "clock")
hours = st.integers(-30, 30)


@given(opens=hours, sells=st.integers(0, 30), starts=hours)
def test_a_showtime_begins_as_if_it_had_been_woken_at_once(opens: int, sells: int, starts: int) -> None:
    wanted = replace(
        terms(),
        sales_open_at=NOW + opens * HOUR,
        sales_close_at=NOW + (opens + sells) * HOUR,
        starts_at=NOW + starts * HOUR,
        ends_at=NOW + (starts + 2) * HOUR,
    )
    events, deadline = begun(1, wanted, NOW)
    first, *rest = [Record(version, NOW, CAUSE, event) for version, event in enumerate(events, 1)]
    state = evolve(genesis("showtime", LAYOUT, first), rest)
    woken = genesis("showtime", LAYOUT, Record(1, NOW, CAUSE, ShowtimeScheduled(1, wanted)))
    assert (*events[1:], *due(state, NOW)) == due(woken, NOW)
    assert deadline <= next_due(state)
    assert deadline > NOW or due(state, NOW)


def test_a_showtime_that_begins_anew_keeps_its_blocks_and_knows_when_they_end() -> None:
    wanted = replace(terms(), sales_open_at=NOW, sales_close_at=NOW + 9 * HOUR, starts_at=NOW + 9 * HOUR)
    lent = SeatsBlocked(("A1", "A2"), BlockKind.HOUSE, "press", NOW + HOUR)
    events, deadline = begun(1, wanted, NOW, [lent, SeatsBlocked(("B1",), BlockKind.CHANNEL, "agency")])
    first, *rest = [Record(version, NOW, CAUSE, event) for version, event in enumerate(events, 1)]
    state = evolve(genesis("showtime", LAYOUT, first), rest)
    assert (state.blocked, deadline, next_due(state)) == (3, NOW + HOUR, NOW + HOUR)
    assert kept_back(state, LAYOUT) == events[2:]
