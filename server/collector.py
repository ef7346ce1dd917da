"""When Python looks for cyclic garbage: often and shortly among the young, thoroughly only while nothing happens.

Nearly all of a server's memory is holds and records, which die by themselves when nobody refers to them. Looking at all
of them took half a second with two hundred thousand holds, in the middle of a sale, and found nothing.
"""

import asyncio
import gc
from collections.abc import Callable
from typing import Final

YOUNG: Final = 10_000
MIDDLE: Final = 4
NEVER: Final = 1_000_000_000
LOOK_SECONDS: Final = 5.0
QUIET_ROWS: Final = 50
OVERDUE_LOOKS: Final = 360
"""Half an hour of a sale without a pause: then a thorough look comes all the same."""


def settle() -> None:
    """What is here now stays: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, NEVER)


async def keep_tidy(rows_written: Callable[[], int]) -> None:
    """Collect thoroughly whenever the log has been quiet for a while and something may have piled up. Runs for ever."""
    looks, rows, promoted = 0, rows_written(), _promotions()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        looks += 1
        before, rows = rows, rows_written()
        if _promotions() > promoted and (rows - before <= QUIET_ROWS or looks >= OVERDUE_LOOKS):
            gc.collect()
            looks, promoted = 0, _promotions()


def _promotions() -> int:
    """How often survivors have moved to where only a thorough look finds them."""
    return int(gc.get_stats()[1]["collections"])
