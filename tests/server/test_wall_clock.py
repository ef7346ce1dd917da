"""Local times, for every zone and every minute of some years."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from persistence.moments import instant, moment
from server.wall_clock import AmbiguousTime, NoSuchTime, resolve

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"]
minutes = st.integers(0, 6 * 366 * 24 * 60).map(lambda n: datetime(2024, 1, 1) + timedelta(minutes=n))  # noqa: DTZ001


@given(minutes, st.sampled_from(ZONES), st.sampled_from([0, 1]))
@example(datetime(2026, 3, 29, 2, 30), "Europe/Berlin", 0)  # noqa: DTZ001
@example(datetime(2026, 10, 25, 2, 30), "Europe/Berlin", 1)  # noqa: DTZ001
@example(datetime(2026, 11, 1, 1, 30), "America/New_York", 0)  # noqa: DTZ001
def test_a_moment_that_is_found_shows_that_time_and_what_is_not_found_is_never_shown(
    local: datetime, zone: str, fold: int
) -> None:
    try:
        found = resolve(local, zone, fold)
    except NoSuchTime:
        # Whatever the clocks do, they do it within a day of that time.
        around = datetime.combine(local.date(), local.time(), UTC) - timedelta(hours=15)
        shown = {
            (around + timedelta(minutes=step)).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
            for step in range(30 * 60)
        }
        assert local not in shown
    else:
        assert moment(found).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) == local


@given(minutes, st.sampled_from(ZONES))
@example(datetime(2026, 10, 25, 2, 0), "Europe/Berlin")  # noqa: DTZ001
def test_a_time_is_ambiguous_exactly_when_it_has_two_moments(local: datetime, zone: str) -> None:
    try:
        first, second = resolve(local, zone, 0), resolve(local, zone, 1)
    except NoSuchTime:
        with pytest.raises(NoSuchTime):
            resolve(local, zone)
        return
    if first == second:
        assert resolve(local, zone) == first
        return
    assert first < second
    with pytest.raises(AmbiguousTime) as twice:
        resolve(local, zone)
    assert (instant(twice.value.first), instant(twice.value.second)) == (first, second)


@pytest.mark.parametrize(
    ("local", "zone"), [("2026-03-29T02:00", "Europe/Berlin"), ("2026-03-08T02:59", "America/New_York")]
)
def test_the_hour_that_is_left_out_does_not_exist(local: str, zone: str) -> None:
    with pytest.raises(NoSuchTime):
        resolve(datetime.fromisoformat(local), zone)
