"""Who comes in: the guard of an operation, and a pace that nobody exceeds for long.

Callers with a token are counted by their account, all others by their address. The figures leave room for a whole
cinema behind one address and for a box office at full speed; they stop floods, not crowds. A use costs less than a
microsecond, because it lies on the way of every hold: one number for each caller, the moment when a bucket that leaks
at the allowed rate will be empty (the generic cell rate algorithm).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from aiohttp import web

from server.auth.identity import Guard, caller
from server.errors import Problem, too_many
from server.keys import CLOCK, CONFIG
from server.requests import client_address

KEPT_MAX: Final = 100_000


@dataclass(slots=True)
class Pace:
    """`per_second` for ever, and `burst` at once, for each caller."""

    per_second: float
    burst: int
    _empty_at: dict[str, float] = field(default_factory=dict)

    def spend(self, who: str, now: float) -> None:
        """Count one use at `now` (seconds). Problem 429 rate_limited with Retry-After when there is none left."""
        empty_at = self._empty_at.get(who, now)
        if empty_at < now:
            empty_at = now
        empty_at += 1 / self.per_second
        if empty_at - now > self.burst / self.per_second:
            raise self._refusal(empty_at - now)
        if len(self._empty_at) >= KEPT_MAX:
            self._forget(now)
        self._empty_at[who] = empty_at

    def _refusal(self, full_for: float) -> Problem:
        """Come back when a tenth of the bucket is free, not for a single drop."""
        wait = ceil(full_for - self.burst * 0.9 / self.per_second)
        return too_many("rate_limited", f"Too many requests. Try again in {max(1, wait)} seconds.", wait)

    def _forget(self, now: float) -> None:
        self._empty_at = {who: at for who, at in self._empty_at.items() if at > now}
        if len(self._empty_at) >= KEPT_MAX:  # a flood from everywhere: memory is worth more than justice
            self._empty_at.clear()


@dataclass(frozen=True, slots=True)
class Paces:
    """Of one application."""

    callers: Pace = field(default_factory=lambda: Pace(per_second=100, burst=500))
    addresses: Pace = field(default_factory=lambda: Pace(per_second=1_000, burst=5_000))


def admission(app: web.Application, guard: Guard | None, paces: Paces | None) -> Guard | None:
    """What everybody passes before a handler: the guard and the count. None where there is nothing to pass."""
    if paces is None:
        return guard
    return _by_address(app, paces.addresses) if guard is None else _by_caller(app, guard, paces)


def _by_caller(app: web.Application, guard: Guard, paces: Paces) -> Guard:
    now, spend = app[CLOCK].monotonic, paces.callers.spend
    by_address = _by_address(app, paces.addresses)

    def admit(request: web.Request) -> None:
        try:
            guard(request)
        except Problem:
            by_address(request)  # or tokens could be tried out for nothing
            raise
        spend(caller(request).account_id, now())

    return admit


def _by_address(app: web.Application, pace: Pace) -> Callable[[web.Request], None]:
    now, trusted = app[CLOCK].monotonic, app[CONFIG].trusted_proxies

    def admit(request: web.Request) -> None:
        pace.spend(client_address(request, trusted), now())

    return admit
