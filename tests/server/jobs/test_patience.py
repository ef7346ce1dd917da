"""How long a failing job waits: ever longer, never too long, and not together with those that failed with it."""

from hypothesis import given
from hypothesis import strategies as st

from server.jobs.patience import Patience

PATIENCE = Patience()
FAILURES = st.integers(0, 10_000)
CHANCE = st.floats(0, 1)


@given(FAILURES, CHANCE)
def test_a_wait_is_never_shorter_than_half_a_second_nor_longer_than_an_hour(failures: int, chance: float) -> None:
    assert 500 <= PATIENCE.wait_ms(failures, chance) <= 3_600_000


@given(st.integers(0, 10), CHANCE, CHANCE)
def test_whatever_chance_says_the_next_wait_is_no_shorter(failures: int, chance: float, other: float) -> None:
    assert PATIENCE.wait_ms(failures, chance) <= PATIENCE.wait_ms(failures + 1, other)


@given(FAILURES)
def test_chance_keeps_those_apart_that_failed_together(failures: int) -> None:
    assert PATIENCE.wait_ms(failures, 0.0) < PATIENCE.wait_ms(failures, 0.5) < PATIENCE.wait_ms(failures, 1.0)


@given(st.integers(0, 2**45), st.integers(0, 2**32))
def test_patience_ends_three_days_after_the_first_of_the_failures(since: int, after_ms: int) -> None:
    assert PATIENCE.is_over(since, since + after_ms) is (after_ms >= 3 * 24 * 3_600_000)
    assert not PATIENCE.is_over(None, since)
