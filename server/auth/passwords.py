"""Passwords: bcrypt, off the event loop, never more than a few at a time.

bcrypt reads only 72 bytes, so the password is digested first (base64 of SHA-384: 64 bytes without NUL). The threads
are few and their queue is short, so that a flood of log-ins waits or is turned away and seat holds go on.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha384
from typing import Final, TypeVar

import bcrypt
from prometheus_client import Gauge

from server.errors import Problem, unavailable

COST: Final = 11
LENGTH_MIN: Final = 8
BYTES_MAX: Final = 1_024
QUEUE_MAX: Final = 128
_COMMON: Final = frozenset((
    "password", "password1", "password123", "passw0rd", "12345678", "123456789", "1234567890", "11111111", "00000000",
    "87654321", "88888888", "qwertyui", "qwertyuiop", "qwerty123", "1q2w3e4r", "1qaz2wsx", "iloveyou", "princess",
    "sunshine", "football", "baseball", "superman", "letmein1", "welcome1", "trustno1", "abcd1234", "abc12345",
    "asdfghjk", "starwars", "whatever", "michelle", "jennifer", "computer", "internet", "administrator", "changeme",
))  # fmt: skip


T = TypeVar("T")


class Passwords:
    def __init__(self, *, cost: int = COST, waiting: Gauge | None = None) -> None:
        self._cost = cost
        self._waiting = waiting
        self._pending = 0
        self._threads = ThreadPoolExecutor(max(1, (os.cpu_count() or 2) - 1), thread_name_prefix="bcrypt")
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

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= QUEUE_MAX:
            raise unavailable("busy", "Too many people are signing in right now. Try again in a moment.", 2)
        self._count(1)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._pending += change
        if self._waiting is not None:
            self._waiting.set(self._pending)


def check_strength(password: str, email: str) -> None:
    """422 weak_password."""
    if len(password) < LENGTH_MIN:
        raise weak(f"A password has at least {LENGTH_MIN} characters.")
    if len(password.encode()) > BYTES_MAX:
        raise weak(f"A password has at most {BYTES_MAX} bytes.")
    folded = password.casefold()
    if folded in _COMMON or folded == email.casefold() or len(set(folded)) == 1:
        raise weak("This password is too easy to guess.")


def weak(why: str) -> Problem:
    return Problem(422, "weak_password", why, errors=[{"path": "password", "message": why}])


def _digest(password: str) -> bytes:
    return b64encode(sha384(password.encode()).digest())
