"""How long a failing job waits for its next try, and when nobody tries any more. Pure."""

from dataclasses import dataclass
from typing import Final

from actors.seatmap.terms import Instant

_DOUBLINGS_MAX: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Each wait is up to twice as long as the one before. Whoever fails for `failing_seconds_max` is given up."""

    wait_seconds_min: float = 1.0
    wait_seconds_max: float = 3_600.0
    failing_seconds_max: float = 3 * 24 * 3_600.0

    def wait_ms(self, failures: int, chance: float) -> int:
        """How long after so many failures in a row. `chance`, from 0 to 1, keeps those that failed together apart."""
        longest = min(self.wait_seconds_min * 2 ** min(failures, _DOUBLINGS_MAX), self.wait_seconds_max)
        return int(longest * (1 + chance) / 2 * 1_000)

    def is_over(self, failing_since: Instant | None, now: Instant) -> bool:
        return failing_since is not None and now - failing_since >= self.failing_seconds_max * 1_000
