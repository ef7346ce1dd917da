"""Errands: work that a handler leaves behind, so that its answer neither waits for it nor tells how it went.

They are few, in memory and for things that can be asked for again, like a letter with a new link. What must survive a
restart is a job row instead.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from server.errors import unavailable

WAITING_MAX: Final = 1_000
RUNNERS: Final = 4
CLOSE_SECONDS_MAX: Final = 5
_log: Final = structlog.get_logger("marquee.errands")

Errand = Callable[[], Awaitable[None]]


class Errands:
    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Errand] = asyncio.Queue(WAITING_MAX)
        self._runners: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._runners = [asyncio.create_task(self._run(), name=f"errands {number}") for number in range(RUNNERS)]

    def leave(self, errand: Errand) -> None:
        """Have it done soon. 503 busy when too much waits."""
        try:
            self._waiting.put_nowait(errand)
        except asyncio.QueueFull:
            raise unavailable("busy", "Too much is waiting to be sent. Try again in a moment.", 5) from None

    async def done(self) -> None:
        """Until everything that was left is done."""
        await self._waiting.join()

    async def close(self) -> None:
        """Finish what can be finished quickly."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await self.done()
        except TimeoutError:
            _log.warning("errands_dropped", count=self._waiting.qsize())
        for runner in self._runners:
            runner.cancel()
        await asyncio.gather(*self._runners, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            errand = await self._waiting.get()
            try:
                await errand()
            except Exception as error:  # noqa: BLE001 (nobody waits for it; the reason's text may hold an address)
                _log.warning("errand_failed", reason=type(error).__name__)
            finally:
                self._waiting.task_done()
