"""When Python looks for cyclic garbage: a little at a time while the loop has pauses, thoroughly while nothing happens.

Nearly all of a server's memory is holds and records, which die by themselves when nobody refers to them, and hardly
any request leaves a cycle behind. To look all the same, in the midst of a rush, took a tenth of the loop's time and was
what the slowest holds waited for. So what a rush makes is set aside unseen, to be looked at when it is over.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Final

LOOK_SECONDS: Final = 0.05
YOUNG_MIN: Final = 2_000
"""Fewer new objects are not worth a look."""
YOUNG_MAX: Final = 50_000
"""More would take long to look at: where no pause came before, they are set aside."""
UNSURE_MIN: Final = 50_000
"""So many objects that survived one look, or had none, are worth a thorough one."""
BUSY_SHARE: Final = 0.3
"""A loop that works for more of its time than this has no pauses."""
CALM_SECONDS: Final = 5.0
CALM_ROWS: Final = 50
OVERDUE_SECONDS: Final = 1_800.0
OVERDUE_OBJECTS: Final = 30_000_000
"""So long, or so much set aside, without a calm moment: then a thorough look comes all the same."""


def settle() -> None:
    """What is here now stays: the collector need not look at it again."""
    gc.collect()
    gc.freeze()


async def keep_tidy(rows_written: Callable[[], int], calm_seconds: float = CALM_SECONDS) -> None:
    """Collect in Python's stead, for ever. It is calm while there are pauses and hardly any rows are written."""
    gc.disable()
    try:
        await _keep_tidy(rows_written, calm_seconds)
    finally:
        gc.enable()


async def _keep_tidy(rows_written: Callable[[], int], calm_seconds: float) -> None:
    looked_at = aside = 0
    rows, calm_since = rows_written(), time.monotonic()
    overdue_at = calm_since + OVERDUE_SECONDS
    while True:
        worked, began = time.thread_time(), time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        now, young = time.monotonic(), gc.get_count()[0]
        busy = time.thread_time() - worked > BUSY_SHARE * (now - began)
        if young >= YOUNG_MIN and not busy:
            gc.collect(1)
            looked_at += young
        elif young >= YOUNG_MAX:
            gc.freeze()
            aside += young
        if busy or rows_written() - rows > CALM_ROWS:
            rows, calm_since = rows_written(), now
        calm = now - calm_since >= calm_seconds and looked_at + aside >= UNSURE_MIN
        if calm or aside > OVERDUE_OBJECTS or now > overdue_at:
            _look_at_everything(set_aside=aside > 0)
            looked_at = aside = 0
            rows, calm_since, overdue_at = rows_written(), now, now + OVERDUE_SECONDS


def _look_at_everything(*, set_aside: bool) -> None:
    if set_aside:
        gc.unfreeze()
    gc.collect()
    if set_aside:
        gc.freeze()
