"""Rate limits per caller and address, in memory, over the `limits` library.

They protect against floods, not against crowds: one cinema's visitors may share one address, so the figures leave
room for a few hundred people behind it.
"""

from dataclasses import dataclass, fields
from math import ceil
from time import time
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from server.errors import too_many

_BUSY: Final = RateLimitItemPerMinute(600)
_CALM: Final = RateLimitItemPerMinute(300)
_TEN_IN_A_QUARTER: Final = RateLimitItemPerMinute(10, 15)
_FIVE_IN_A_QUARTER: Final = RateLimitItemPerMinute(5, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often, per identity named in the comment."""

    guests: RateLimitItem = _BUSY  # address
    registrations: RateLimitItem = _CALM  # address
    logins: RateLimitItem = _CALM  # address
    refreshes: RateLimitItem = _BUSY  # address
    failed_logins: RateLimitItem = _TEN_IN_A_QUARTER  # account and address
    letters: RateLimitItem = _CALM  # address that asks for letters or texts
    applications: RateLimitItem = _FIVE_IN_A_QUARTER  # account
    proofs: RateLimitItem = _FIVE_IN_A_QUARTER  # mail address or number that they go to
    resends: RateLimitItem = _FIVE_IN_A_QUARTER  # booking


class Limiter:
    def __init__(self, rates: Rates, *, on: bool = True) -> None:
        assert all(isinstance(getattr(rates, field.name), RateLimitItem) for field in fields(rates))
        self.rates = rates
        self._on = on
        self._windows = FixedWindowRateLimiter(MemoryStorage())

    async def spend(self, rate: RateLimitItem, *who: str, code: str = "rate_limited") -> None:
        """Count one use. Problem 429 with Retry-After when there is none left."""
        if self._on and not await self._windows.hit(rate, code, *who):
            window = await self._windows.get_window_stats(rate, code, *who)
            wait = ceil(window.reset_time - time())
            raise too_many(code, f"Too many attempts. Try again in {max(1, wait)} seconds.", wait)

    async def forgive(self, rate: RateLimitItem, *who: str, code: str = "rate_limited") -> None:
        """Forget the uses so far."""
        if self._on:
            await self._windows.clear(rate, code, *who)
