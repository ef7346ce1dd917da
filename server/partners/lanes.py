"""A lane for each partner: how many messages are on their way to it at once, and when the next may go.

A partner who is slow or down fills its own lane and nobody else's. What finds the lane full is put off to a turn of its
own, as far apart as messages there take. After a few failures in a row the lane is shut for a while, longer each time,
and then one message at a time finds out whether anybody is there again.
"""

import random
from dataclasses import dataclass
from typing import Final

from actors.runtime.clock import Clock

AT_ONCE: Final = 2
FAILURES_MAX: Final = 3
SHUT_SECONDS: Final = 5.0
SHUT_SECONDS_MAX: Final = 600.0
WAIT_SECONDS_MAX: Final = 600.0
SECONDS_EACH_MIN: Final = 0.01


@dataclass(slots=True)
class _Lane:
    running: int = 0
    failures: int = 0
    shut_until: float = 0.0
    next_turn: float = 0.0
    seconds_each: float = SECONDS_EACH_MIN


class Lanes:
    """In memory only: after a restart every partner has a clean lane, and soon the one that it deserves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}

    def enter(self, partner: str) -> float:
        """0 when a message may go now; `leave` must follow. Else in how many seconds it is worth asking again."""
        now = self._clock.monotonic()
        lane = self._lanes.setdefault(partner, _Lane())
        if now >= lane.shut_until and lane.running < (1 if lane.failures else AT_ONCE):
            lane.running += 1
            return 0.0
        turn = max(now, lane.shut_until, lane.next_turn) + lane.seconds_each / AT_ONCE
        if turn - now > WAIT_SECONDS_MAX:
            return WAIT_SECONDS_MAX * random.uniform(0.5, 1.0)  # noqa: S311 (so that not all of them come back at once)
        lane.next_turn = turn
        return turn - now

    def leave(self, partner: str, seconds: float, *, arrived: bool | None) -> None:
        """The message has been sent, or not; None when nobody knows because we stopped trying."""
        lane = self._lanes[partner]
        lane.running -= 1
        if arrived is not None:
            lane.seconds_each = max(seconds, SECONDS_EACH_MIN)
            lane.failures = 0 if arrived else lane.failures + 1
            over = lane.failures - FAILURES_MAX
            shut = 0.0 if over < 0 else min(SHUT_SECONDS * 2 ** min(over, 20), SHUT_SECONDS_MAX)
            lane.shut_until = self._clock.monotonic() + shut if shut else 0.0
        if not lane.running and not lane.failures and lane.next_turn <= self._clock.monotonic():
            del self._lanes[partner]
