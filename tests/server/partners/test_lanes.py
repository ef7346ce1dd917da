"""Lanes: a partner who is slow or down is asked seldom, and nobody else notices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.clock import ManualClock
from server.partners.lanes import AT_ONCE, SHUT_SECONDS, SHUT_SECONDS_MAX, WAIT_SECONDS_MAX, Lanes

NOW = 1_800_000_000_000


def test_a_lane_takes_so_many_at_once_and_others_are_free() -> None:
    lanes = Lanes(ManualClock(NOW))
    assert [lanes.enter("slow") for _ in range(AT_ONCE)] == [0.0] * AT_ONCE
    assert lanes.enter("slow") > 0
    assert lanes.enter("quick") == 0.0
    lanes.leave("slow", 0.1, arrived=True)
    assert lanes.enter("slow") == 0.0


def test_what_finds_it_full_gets_turns_as_far_apart_as_messages_take() -> None:
    lanes = Lanes(ManualClock(NOW))
    lanes.enter("slow")
    lanes.leave("slow", 10.0, arrived=False)
    assert lanes.enter("slow") == 0.0
    waits = [lanes.enter("slow") for _ in range(5)]
    assert waits == pytest.approx([10.0 / AT_ONCE * (i + 1) for i in range(5)])


def test_after_a_failure_one_at_a_time_and_after_three_none_for_a_while() -> None:
    clock = ManualClock(NOW)
    lanes = Lanes(clock)
    for _ in range(3):
        assert lanes.enter("down") == 0.0
        lanes.leave("down", 0.0, arrived=False)
    assert SHUT_SECONDS <= lanes.enter("down") < SHUT_SECONDS + 1
    clock.advance(int(SHUT_SECONDS * 1_000))
    assert lanes.enter("down") == 0.0  # one finds out whether anybody is there
    assert lanes.enter("down") > 0
    lanes.leave("down", 0.0, arrived=False)
    assert lanes.enter("down") >= 2 * SHUT_SECONDS
    clock.advance(int(2 * SHUT_SECONDS * 1_000))
    assert lanes.enter("down") == 0.0
    lanes.leave("down", 0.0, arrived=True)
    assert [lanes.enter("down") for _ in range(AT_ONCE)] == [0.0] * AT_ONCE


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None]), st.integers(0, 700_000)), max_size=60))
def test_a_lane_is_never_overfull_and_never_shut_for_good(steps: list[tuple[bool, bool | None, int]]) -> None:
    clock = ManualClock(NOW)
    lanes, running = Lanes(clock), 0
    for enters, arrived, pause in steps:
        if enters:
            wait = lanes.enter("p")
            assert 0 <= wait <= WAIT_SECONDS_MAX
            running += wait == 0
            assert running <= AT_ONCE
        elif running:
            lanes.leave("p", pause / 1_000, arrived=arrived)
            running -= 1
        clock.advance(pause)
    for _ in range(running):
        lanes.leave("p", 1.0, arrived=None)
    clock.advance(int(SHUT_SECONDS_MAX * 1_000))
    assert lanes.enter("p") == 0.0
