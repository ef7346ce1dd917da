"""Passwords: bcrypt, off the event loop, never more than a few at a time.

bcrypt reads only 72 bytes, so the password is digested first (base64 of SHA-384: 64 bytes without NUL). The threads
are few, their queue is short and they yield the processor to everybody else, so that a flood of log-ins waits or is
turned away and seat holds go on.
"""

import asyncio
import os
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha384
from pathlib import Path
from typing import Final, TypeVar

import bcrypt
from prometheus_client import Gauge

from server.background import step_back
from server.errors import Problem, unavailable

COST: Final = 11
LENGTH_MIN: Final = 8
BYTES_MAX: Final = 1_024
PENDING_PER_THREAD_MAX: Final = 32
"""About five seconds of work: who would wait longer is told to come back."""

_COMMON: Final = frozenset((Path(__file__).parent / "common-passwords.txt").read_text().split())


T = TypeVar("T")


class Passwords:
    def __init__(self, *, cost: int = COST, waiting: Gauge | None = None) -> None:
        self._cost = cost
        self._waiting = waiting
        self._pending = 0
        threads = max(1, (os.cpu_count() or 2) - 1)
        self.pending_max = PENDING_PER_THREAD_MAX * threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt", initializer=step_back)
        # Compared with when nobody has the given address, so that the answer takes as long as a wrong password.
        self._nobody = bcrypt.hashpw(_digest(os.urandom(16).hex()), bcrypt.gensalt(cost)).decode()

    async def hash(self, password: str) -> str:
        """503 busy when too many are waiting."""
        salt = bcrypt.gensalt(self._cost)
        return (await self._run(partial(bcrypt.hashpw, _digest(password), salt))).decode()

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether this is the password; takes equally long when there is none to compare with."""
        against = (password_hash or self._nobody).encode()
        same = await self._run(partial(bcrypt.checkpw, _digest(password), against))
        return same and password_hash is not None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def admit(self) -> None:
        """503 busy when too many are waiting."""
        if self._pending >= self.pending_max:
            raise unavailable("busy", "Too many people are signing in right now. Try again in a moment.", 2)

    async def _run(self, work: Callable[[], T]) -> T:
        self.admit()
        self._count(1)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._pending += change
        if self._waiting is not None:
            self._waiting.set(self._pending)


def check_strength(password: str, email: str, path: str = "password") -> None:
    """422 weak_password, of the field at `path`."""
    if len(password) < LENGTH_MIN:
        raise weak(f"A password has at least {LENGTH_MIN} characters.", path)
    if len(password.encode()) > BYTES_MAX:
        raise weak(f"A password has at most {BYTES_MAX} bytes.", path)
    folded = unicodedata.normalize("NFKC", password).casefold()
    name = email.casefold().partition("@")[0]
    if folded in _COMMON or folded in (email.casefold(), name) or len(set(folded)) <= 2:
        raise weak("This password is too easy to guess.", path)


def weak(why: str, path: str) -> Problem:
    return Problem(422, "weak_password", why, errors=[{"path": path, "message": why}])


def _digest(password: str) -> bytes:
    """The same for every way in which a keyboard may spell the same characters."""
    return b64encode(sha384(unicodedata.normalize("NFKC", password).encode()).digest())
