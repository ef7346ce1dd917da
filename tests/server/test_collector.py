"""Cyclic garbage goes away while the loop has pauses; a rush is not disturbed, and what it left is found afterwards."""

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest

from server import collector

CALM_SECONDS = 0.3


class Knot:
    """Refers to itself, so only the collector can remove it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
async def tidied() -> AsyncIterator[None]:
    tidy = asyncio.create_task(collector.keep_tidy(lambda: 0, CALM_SECONDS))
    await asyncio.sleep(0)
    yield
    tidy.cancel()
    await asyncio.gather(tidy, return_exceptions=True)


async def until(true: Callable[[], bool], seconds: float = 5.0) -> bool:
    patience = time.monotonic() + seconds
    while not true() and time.monotonic() < patience:
        await asyncio.sleep(0.01)
    return true()


async def rush(seconds: float) -> list[list[int]]:
    """Keep the loop busy without a pause, and make more than will be looked at."""
    made: list[list[int]] = []
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        made += [[number] for number in range(1_000)]
        await asyncio.sleep(0)
    assert len(made) > collector.YOUNG_MAX
    return made


async def test_garbage_of_ordinary_times_is_removed_soon(tidied: None) -> None:
    assert not gc.isenabled()
    knot = weakref.ref(Knot())
    kept = [[number] for number in range(collector.YOUNG_MIN)]
    assert await until(lambda: knot() is None), len(kept)


async def test_a_rush_is_not_disturbed_and_looked_at_afterwards(tidied: None) -> None:
    frozen, looks = gc.get_freeze_count(), gc.get_stats()[1]["collections"]
    knot = weakref.ref(Knot())
    made = await rush(0.4)
    assert gc.get_stats()[1]["collections"] == looks, "looked in the middle of a rush"
    assert gc.get_freeze_count() > frozen + collector.YOUNG_MAX
    assert knot() is not None
    assert await until(lambda: knot() is None), len(made)


async def test_a_busy_log_puts_the_thorough_look_off() -> None:
    rows = count(0, collector.CALM_ROWS + 1)
    tidy = asyncio.create_task(collector.keep_tidy(lambda: next(rows), CALM_SECONDS))
    await asyncio.sleep(0)
    knot = weakref.ref(Knot())
    made = await rush(0.4)
    assert not await until(lambda: knot() is None, 3 * CALM_SECONDS), len(made)
    tidy.cancel()
    await asyncio.gather(tidy, return_exceptions=True)
    assert gc.isenabled()
    gc.unfreeze()
    gc.collect()
    assert knot() is None
