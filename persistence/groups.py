"""Small writes that go together: whoever comes while one statement runs goes along with the next.

A lone write leaves at once. Under load one round trip and one commit carry dozens, as in the journal. Rows of one
statement must not have the same key, so the second of two waits for the statement after.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

import asyncpg

R = TypeVar("R")
A = TypeVar("A")

ROWS_MAX: Final = 256
_GUILTY: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""Nothing was stored, and one of the rows is why."""

Write = Callable[[Sequence[R]], Awaitable[Sequence[A]]]
"""Stores rows in one statement and says what became of each."""


class Grouped(Generic[R, A]):
    def __init__(self, write: Write[R, A], key: Callable[[R], Hashable]) -> None:
        self._write = write
        self._key = key
        self._waiting: deque[tuple[R, asyncio.Future[A]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def put(self, row: R) -> A:
        """What became of the row. Raises what the statement raises; a row that cannot be stored spoils no other."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[A] = loop.create_future()
        self._waiting.append((row, done))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._send(self._take())
        finally:
            self._running = None

    def _take(self) -> list[tuple[R, asyncio.Future[A]]]:
        taken: dict[Hashable, tuple[R, asyncio.Future[A]]] = {}
        while self._waiting and len(taken) < ROWS_MAX and (key := self._key(self._waiting[0][0])) not in taken:
            taken[key] = self._waiting.popleft()
        return list(taken.values())

    async def _send(self, group: list[tuple[R, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._write([row for row, _ in group])
        except _GUILTY as error:
            if len(group) == 1:
                _fail(group, error)
            for each in group if len(group) > 1 else ():
                await self._send([each])
        except Exception as error:  # noqa: BLE001 (whoever asked hears it)
            _fail(group, error)
        except BaseException:
            for _, done in group:
                done.cancel()
            raise
        else:
            for (_, done), answer in zip(group, answers, strict=True):
                if not done.done():  # who asked may have gone
                    done.set_result(answer)


def _fail(group: Sequence[tuple[R, asyncio.Future[A]]], error: Exception) -> None:
    for _, done in group:
        if not done.done():
            done.set_exception(error)
