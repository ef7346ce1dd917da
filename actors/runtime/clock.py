"""Time is read here and nowhere else.

The clock follows the database: every append brings the server's time back, and deadlines are compared with that, so
that a takeover by a machine with a wrong clock expires nothing early or late.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Final, Protocol

Instant = int
"""Milliseconds since the epoch, UTC."""

DRIFT_MS_MAX: Final = 5


class Handle(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now(self) -> Instant:
        """Database time, as well as this process knows it. Never goes back."""
        ...

    def monotonic(self) -> float:
        """Seconds, for durations."""
        ...

    def call_at(self, at: Instant, callback: Callable[[], None]) -> Handle:
        """Call back at that time or a little later, at once when it has passed."""
        ...


def worked() -> float:
    """Seconds of processor time that this process has used, for telling how busy it is."""
    return time.process_time()


class SystemClock:
    """The machine's clock, corrected by what the database says."""

    def __init__(self) -> None:
        self._offset_ms = 0
        self._latest: Instant = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def now(self) -> Instant:
        now = int(time.time() * 1_000) + self._offset_ms
        if now > self._latest:
            self._latest = now
        return self._latest

    def monotonic(self) -> float:
        """Seconds, for durations."""
        return time.monotonic()

    def call_at(self, at: Instant, callback: Callable[[], None]) -> Handle:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop.call_later(max(0, at - self.now()) / 1_000, callback)

    def adjust(self, database_now: Instant) -> None:
        """Follow the database. Differences that a round trip explains are left alone."""
        offset = database_now - int(time.time() * 1_000)
        if abs(offset - self._offset_ms) > DRIFT_MS_MAX:
            self._offset_ms = offset


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: Instant) -> None:
        self._now = start
        self._order = itertools.count()
        self._alarms: list[tuple[Instant, int, _Alarm]] = []

    def now(self) -> Instant:
        return self._now

    def monotonic(self) -> float:
        return self._now / 1_000

    def call_at(self, at: Instant, callback: Callable[[], None]) -> Handle:
        alarm = _Alarm(callback)
        if at <= self._now:
            asyncio.get_running_loop().call_soon(alarm.ring)
        else:
            heapq.heappush(self._alarms, (at, next(self._order), alarm))
        return alarm

    def adjust(self, database_now: Instant) -> None:
        """A manual clock obeys nobody else."""

    def advance(self, ms: int) -> None:
        """Move on and run what has come due, in order."""
        until = self._now + ms
        while self._alarms and self._alarms[0][0] <= until:
            at, _, alarm = heapq.heappop(self._alarms)
            self._now = max(self._now, at)
            alarm.ring()
        self._now = until


class _Alarm:
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def ring(self) -> None:
        if self._callback is not None:
            self._callback()
