"""Time: follows the database, never goes back, and stands still in tests."""

from actors.runtime.clock import ManualClock, SystemClock


def test_the_clock_follows_the_database_but_never_goes_back():
    clock = SystemClock()
    now = clock.now()
    clock.adjust(now + 60_000)
    ahead = clock.now()
    assert ahead >= now + 59_000
    clock.adjust(now - 60_000)
    assert clock.now() >= ahead


def test_a_manual_clock_rings_in_order_and_only_what_is_due():
    clock = ManualClock(1_000)
    rang: list[tuple[str, int]] = []
    clock.call_at(3_000, lambda: rang.append(("c", clock.now())))
    clock.call_at(2_000, lambda: rang.append(("b", clock.now())))
    cancelled = clock.call_at(2_500, lambda: rang.append(("x", clock.now())))
    cancelled.cancel()
    clock.advance(1_500)
    assert rang == [("b", 2_000)]
    clock.advance(500)
    assert rang == [("b", 2_000), ("c", 3_000)]
    assert clock.now() == 3_000
